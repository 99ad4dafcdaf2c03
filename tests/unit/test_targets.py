"""fleet.yaml: everything wrong is named at once, with its line; secrets are references."""

import pytest

from producers import targets
from runtime.errors import Misconfigured

GOOD = """\
host:
  targets: [{}]
redfish:
  interval: 5
  targets:
    - host: node-1
      address: https://10.0.0.1
      username: monitor
      password: env:BMC_PASSWORD
      intervals: {system: 60}
      labels: {rack: r1}
libvirt:
  targets:
    - {host: kvm-1, uri: "test:///default"}
"""


def load(tmp_path, text):
    path = tmp_path / "fleet.yaml"
    path.write_text(text)
    return targets.load(path)


def test_a_fleet_is_read(tmp_path):
    fleet = load(tmp_path, GOOD)

    assert ("host", "libvirt", "redfish") == fleet.sources
    assert {"system": 60.0} == fleet.redfish.targets[0].intervals
    assert "" != fleet.host.targets[0].host


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        pytest.param("interval: 5", "intervall: 5", "line 4: redfish.intervall", id="a misspelt key"),
        pytest.param("env:BMC_PASSWORD", "hunter2", "line 9: .*by reference", id="a password in the file"),
        pytest.param("https://10", "http://10", "sent in the clear", id="a password over plain http"),
        pytest.param("username: monitor", "labels: {a: b}", "go together|not a dup|password", id="half a login"),
        pytest.param("interval: 5", "interval: -5", "line 4: redfish.interval", id="a negative interval"),
        pytest.param("https://10.0.0.1", "ftp://x", "line 7: redfish.targets.0.address", id="another kind of address"),
        pytest.param("kvm-1, uri", "kvm-1, url", "line 14: libvirt.targets.0.uri", id="a field that is missing"),
        pytest.param("host:\n", "host: [\n", "not YAML", id="not YAML at all"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(tmp_path, old, new, says):
    with pytest.raises(Misconfigured, match=says):
        load(tmp_path, GOOD.replace(old, new, 1))


def test_all_errors_are_told_at_once(tmp_path):
    with pytest.raises(Misconfigured) as caught:
        load(tmp_path, GOOD.replace("interval: 5", "interval: -5").replace('test:///default"', 'x", wrong: 1'))

    assert 3 == len(str(caught.value).splitlines())


def test_a_host_named_twice_is_refused(tmp_path):
    with pytest.raises(Misconfigured, match="named twice: kvm-1"):
        load(tmp_path, GOOD + '    - {host: kvm-1, uri: "qemu:///system"}\n')


def test_no_file_is_told_with_what_to_do(tmp_path):
    with pytest.raises(Misconfigured, match=r"fleet\.example\.yaml"):
        targets.load(tmp_path / "none.yaml")


def test_a_secret_comes_from_environment_or_file(tmp_path, monkeypatch):
    monkeypatch.setenv("BMC", "one")
    (tmp_path / "secret").write_text("two\n")

    assert ["one", "two"] == [targets.secret("env:BMC"), targets.secret(f"file:{tmp_path / 'secret'}")]


@pytest.mark.parametrize("reference", ["env:NOBODY_SET_THIS", "file:/nowhere/at/all"])
def test_a_secret_that_is_not_there_is_named(reference):
    with pytest.raises(Misconfigured, match=r"named in fleet\.yaml"):
        targets.secret(reference)
