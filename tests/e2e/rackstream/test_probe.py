"""`rackstream probe` as a person runs it: against BMCs over real sockets, good and bad."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from rackstream.cli import cli
from runtime.errors import Failure, Misconfigured
from tests.e2e.support.doors import CHASSIS, PASSWORD, ROOT, USERNAME, Door
from tests.e2e.support.trees import emulated, serving

ACCESS = ("--username", USERNAME, "--password-env", "BMC_PASSWORD")


@pytest.fixture
def probe(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    monkeypatch.setenv("BMC_PASSWORD", PASSWORD)
    monkeypatch.setenv("COLUMNS", "160")
    return lambda *arguments: CliRunner().invoke(cli, ["probe", *arguments])


def found(result: Result) -> Any:
    assert result.exception is None or isinstance(result.exception, SystemExit), result.output
    return json.loads(result.stdout)


def test_a_bmc_over_tls_is_told_as_one_object_and_left_without_a_session(probe: Callable[..., Result]) -> None:
    with serving(Door(tls=True)) as door:
        door.tree[ROOT] |= {"Vendor": "Contoso", "RedfishVersion": "1.9.0", "TelemetryService": {"@odata.id": "/t"}}
        door.tree["/t"] = {"ServiceEnabled": True, "MetricReports": {"@odata.id": "/t/r"}}
        door.tree["/t/r"] = {"Members": [{"@odata.id": "/t/r/Avg"}]}
        result = probe(door.url, *ACCESS, "--insecure", "--json")
        assert 0 == result.exit_code
        told = found(result)
        assert ("Contoso", "1.9.0") == (told["identity"]["vendor"], told["identity"]["redfish_version"])
        assert ("session", "old", None) == (told["auth"]["way"], told["generation"], told["expand"])
        assert [20.0] == [
            temperature["reading_celsius"] for temperature in told["categories"]["thermal"]["temperatures"]
        ]
        assert 1 == told["categories"]["thermal"]["requests"]
        assert {"enabled": True, "metric_reports": ["Avg"]} == told["telemetry"]
        assert len(door.seen) - 1 == told["requests"]["count"]  # less the session's deletion, which comes last
        assert ["entries without Status"] == [quirk["what"] for quirk in told["quirks"]]
        assert {} == door.tokens


def test_a_person_sees_tables(probe: Callable[..., Result]) -> None:
    with serving(Door()) as door:
        door.tree[f"{CHASSIS}/Thermal"]["Temperatures"][0] |= {"Name": "Inlet", "Status": {"Health": "Warning"}}
        door.post_status = 405
        result = probe(door.url, *ACCESS)
    assert 0 == result.exit_code
    for words in (
        "Inlet",
        "°C",
        "Warning",
        "thermal  1 request,",
        "basic (no sessions: HTTP 405)",
        "ms each",
        "quirks",
    ):
        assert words in result.stdout


def test_no_name_steers_the_terminal_and_in_a_file_none_is_folded(
    probe: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "Inlet \x1b[2J\x9b\n" + "of a very long name " * 5
    monkeypatch.delenv("COLUMNS")
    with serving(Door()) as door:
        door.tree[f"{CHASSIS}/Thermal"]["Temperatures"][0] |= {"Name": name}
        shown = probe(door.url, *ACCESS).stdout
    assert name.replace("\x1b", "�").replace("\x9b", "�").replace("\n", "�").strip() in shown
    assert not {"\x1b", "\x9b"} & set(shown)
    assert "of chassis 1\n" in shown


def test_the_sushy_emulator_is_probed(tmp_path: Path, probe: Callable[..., Result]) -> None:
    with emulated(tmp_path) as port:
        told = found(probe(f"http://127.0.0.1:{port}", "--json"))
    assert ("none", 2) == (told["auth"]["way"], len(told["categories"]["thermal"]["temperatures"]))
    assert "dead links" in {quirk["what"] for quirk in told["quirks"]} or told["requests"]["faults"]


def test_a_host_is_looked_up_in_the_fleet_file(tmp_path: Path, probe: Callable[..., Result]) -> None:
    fleet = tmp_path / "fleet.yaml"
    with serving(Door()) as door:
        fleet.write_text(
            "redfish: {username: root, password: env:BMC_PASSWORD, targets: "
            f"[{{host: node-1, address: '{door.url}'}}]}}"
        )
        told = found(probe("node-1", "--fleet", str(fleet), "--json"))
    assert door.url == told["address"]
    unknown = probe("node-2", "--fleet", str(fleet))
    assert "has no such host: node-1" in str(unknown.exception)
    given = probe("node-1", "--fleet", str(fleet), "--insecure")
    assert "the login is in that file" in str(given.exception)


@pytest.mark.libvirt
def test_a_hypervisor_is_probed_by_its_uri(probe: Callable[..., Result]) -> None:
    told = found(probe("test:///default", "--json"))
    assert ("libvirt", ["test"]) == (told["source"], [each["name"] for each in told["vms"]])
    result = probe("test:///default")
    assert 0 == result.exit_code
    assert "1 VM, 7 libvirt calls per poll (first poll: " in result.stdout
    assert isinstance(probe("test:///default", "--insecure").exception, Misconfigured)
    gone = probe("qemu+unix:///system?socket=/nonexistent/libvirt-sock")
    assert isinstance(gone.exception, Failure)
    assert "does libvirt run there" in str(gone.exception)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["10.0.0.11", "--fleet", "/nonexistent/fleet.yaml"], "is not a URI such as https://10.0.0.11"),
        (["ftp://127.0.0.1"], "unsupported scheme ftp://"),
        (["https://root:canary@127.0.0.1"], "no user or password in the URL"),
        (["https://127.0.0.1", "--username", "root"], "go together"),
        (["https://127.0.0.1/redfish", *ACCESS], "is not the address of a BMC"),
        (["http://10.0.0.11", *ACCESS], "in the clear; use https"),
        (["https://127.0.0.1", "--username", "root", "--password-env", "NO_SUCH_VARIABLE"], "NO_SUCH_VARIABLE"),
        (["https://127.0.0.1", "--ca", "/nonexistent.pem"], "is not a file"),
        (["https://127.0.0.1", "--ca", "/nonexistent.pem", "--insecure"], "not both"),
    ],
)
def test_what_is_wrong_with_the_command_is_said(probe: Callable[..., Result], arguments: list[str], words: str) -> None:
    result = probe(*arguments)
    assert isinstance(result.exception, Misconfigured)
    assert words in str(result.exception)
    assert "canary" not in str(result.exception) + result.output


def test_nobody_there_may_be_tried_again_and_a_refused_login_may_not(probe: Callable[..., Result]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        url = f"https://127.0.0.1:{taken.getsockname()[1]}"
    nobody = probe(url)
    assert isinstance(nobody.exception, Failure)
    assert not isinstance(nobody.exception, Misconfigured)
    assert "connection refused" in str(nobody.exception)
    with serving(Door(tls=True)) as door:
        door.password = "another"
        refused = probe(door.url, *ACCESS, "--insecure")
        unchecked = probe(door.url, *ACCESS)
        anonymous = probe(door.url, "--insecure")
    assert isinstance(refused.exception, Misconfigured)
    assert "credentials" in str(refused.exception)
    assert isinstance(unchecked.exception, Misconfigured)
    assert "--insecure" in str(unchecked.exception)
    assert "this BMC asks for a login: give --username and --password-env" in str(anonymous.exception)
