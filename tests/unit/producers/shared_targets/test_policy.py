"""Policy of a machine for shared targets: no secret reaches an address that it does not name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from producers.fleet.targets import RedfishTarget
from producers.shared_targets.policy import SharedTargetPolicy
from producers.shared_targets.record import to_target
from runtime.errors import Misconfigured
from schemas.testing import make_record


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CREDENTIAL_HOSTS", "SECRETS_PREFIX", "SECRETS_DIR"):
        monkeypatch.delenv(f"RACKSTREAM_SHARED_{name}", raising=False)


def policy(monkeypatch: pytest.MonkeyPatch, **settings: object) -> SharedTargetPolicy:
    for name, value in settings.items():
        monkeypatch.setenv(f"RACKSTREAM_SHARED_{name}", str(value))
    return SharedTargetPolicy.read()


def bmc(address: str = "https://10.0.0.19", password: str | None = "env:BMC_PASSWORD", **more: Any) -> RedfishTarget:
    username = "monitor" if password else None
    return RedfishTarget(host="h", address=address, username=username, password=password, **more)


def test_by_default_no_address_receives_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Misconfigured, match=r"10\.0\.0\.19 may not receive .*RACKSTREAM_SHARED_CREDENTIAL_HOSTS"):
        policy(monkeypatch).check(bmc())
    policy(monkeypatch).check(bmc(password=None))


@pytest.mark.parametrize(
    ("address", "allowed"),
    [
        ("https://10.0.0.19", True),
        ("https://10.0.1.19", False),
        ("https://[::ffff:10.0.0.19]", False),
        ("https://[fd00::5]", True),
        ("https://bmc-1.rack.example", True),
        ("https://BMC-1.RACK.EXAMPLE.", True),
        ("https://rack.example", False),
        ("https://evilrack.example", False),
        ("https://bmc-1.rack.example.evil", False),
        ("https://kvm-bmc", True),
        ("https://10.0.0.19.evil", False),
    ],
)
def test_addresses_are_named_by_host_domain_or_network(
    monkeypatch: pytest.MonkeyPatch, *, address: str, allowed: bool
) -> None:
    local = policy(monkeypatch, CREDENTIAL_HOSTS="10.0.0.0/24, fd00::/8,*.rack.example,kvm-bmc")
    if allowed:
        local.check(bmc(address))
    else:
        with pytest.raises(Misconfigured, match="may not receive"):
            local.check(bmc(address))


@pytest.mark.parametrize("name", ["INFLUX_TOKEN", "KAFKA_SASL_PASSWORD", "XBMC_PASSWORD", "bmc_password"])
def test_only_variables_with_the_prefix_are_read(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "canary")
    monkeypatch.setenv("BMC_PASSWORD", "right")
    local = policy(monkeypatch, CREDENTIAL_HOSTS="10.0.0.0/24")

    assert "right" == local.read_secret("env:BMC_PASSWORD")
    for refused in (lambda: local.read_secret(f"env:{name}"), lambda: local.check(bmc(password=f"env:{name}"))):
        with pytest.raises(Misconfigured, match="begin with BMC_"):
            refused()
    with pytest.raises(Misconfigured, match="allows no variables"):
        policy(monkeypatch, SECRETS_PREFIX="").read_secret("env:BMC_PASSWORD")


def test_only_files_in_the_directory_are_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    inside, outside = tmp_path / "bmc", tmp_path / "outside"
    inside.mkdir()
    outside.write_text("canary")
    (inside / "password").write_text("right")
    (inside / "link").symlink_to(outside)
    with pytest.raises(Misconfigured, match="RACKSTREAM_SHARED_SECRETS_DIR is not set"):
        policy(monkeypatch).read_secret(f"file:{inside}/password")
    local = policy(monkeypatch, SECRETS_DIR=inside, CREDENTIAL_HOSTS="10.0.0.0/24")

    assert "right" == local.read_secret(f"file:{inside}/password")
    for path in ("/etc/shadow", f"{inside}/../outside", f"{inside}/link", "password", f"{inside}"):
        with pytest.raises(Misconfigured, match=r"only files in|not a regular file"):
            local.read_secret(f"file:{path}")
    with pytest.raises(Misconfigured, match="only files in"):
        local.check(bmc(verify=outside))
    local.check(bmc(verify=inside / "ca.pem"))


@pytest.mark.parametrize(
    "settings",
    [{"CREDENTIAL_HOSTS": "10.0.0.0/99"}, {"CREDENTIAL_HOSTS": "*"}, {"SECRETS_DIR": "/"}, {"SECRETS_PREFIX": "A B"}],
)
def test_a_policy_that_cannot_be_meant_is_refused(monkeypatch: pytest.MonkeyPatch, settings: dict[str, str]) -> None:
    with pytest.raises(Misconfigured, match="RACKSTREAM_SHARED"):
        policy(monkeypatch, **settings)


def test_an_empty_directory_setting_allows_no_file(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Misconfigured, match="is not set"):
        policy(monkeypatch, SECRETS_DIR="").read_secret("file:/etc/shadow")


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"address": "http://127.0.0.1:80"}, "address: .*needs https"),
        ({"verify": "false"}, "verify: .*needs a verified certificate"),
        ({"password": "hunter2"}, "password: give secrets by reference"),
        ({"address": "https://[x"}, "address: "),
        ({"address": "https://bmc:99999"}, "address: port"),
        ({"proxy": "http://[x"}, "proxy: "),
        ({"interval_s": 1e-300}, "interval: "),
        ({"intervals_s": {"power": 1e-300}}, "intervals: power"),
        ({"host": "a\x1b[2J"}, "host: "),
        ({"systems": {"1": "h" * 300}}, "systems: "),
        ({"source": "nothing"}, "unknown source"),
        ({"source": "libvirt", "address": "qemu+ssh://h/system?command=/path"}, "uri: parameter 'command'"),
        ({"source": "libvirt", "address": "qemu+ssh://h/system?keyfile=/k"}, "uri: parameter keyfile"),
    ],
)
def test_a_record_of_the_topic_gets_the_judgement_of_a_fleet_file(fields: dict[str, Any], says: str) -> None:
    good = {
        "source": "redfish", "host": "h", "address": "https://10.0.0.19", "interval_s": 10.0, "intervals_s": {},
        "username": "monitor", "password": "env:BMC_PASSWORD", "verify": "true", "proxy": None, "systems": {},
        "labels": {}, "removed": False,
    }  # fmt: skip
    assert "h" == to_target(make_record("Target", **good)).host
    with pytest.raises(ValueError, match=says) as refused:
        to_target(make_record("Target", **(good | fields)))
    assert "hunter2" not in str(refused.value)
