"""fleet.yaml: everything wrong is named at once, with its line; secrets are references."""

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from producers.fleet import config
from runtime.errors import Misconfigured

WORDS = st.sampled_from(["targets", "host", "address", "username", "password", "systems", "labels", "interval"])
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
    return config.load(path)


def test_a_fleet_is_read(tmp_path):
    fleet = load(tmp_path, GOOD)

    assert ("host", "libvirt", "redfish") == fleet.sources
    assert {"system": 60.0} == fleet.targets("redfish")[0].intervals
    assert "" != fleet.targets("host")[0].host


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        pytest.param("interval: 5", "intervall: 5", "line 4: redfish.intervall", id="a misspelt key"),
        pytest.param("system: 60", "systems: 60", "line 10: redfish.*'system', 'thermal'", id="an unknown category"),
        pytest.param("labels:", "host: node-2\n      labels:", "line 11: host: given twice", id="a key given twice"),
        pytest.param(
            "username: monitor", "systems: {A: 1}\n      username: monitor", "line 8: .*systems.A", id="no name"
        ),
        pytest.param("env:BMC_PASSWORD", "hunter2", "line 9: .*by reference", id="a password in the file"),
        pytest.param("https://10", "http://10", "sent in the clear", id="a password over plain http"),
        pytest.param("username: monitor", "labels: {a: b}", "go together|not a dup|password", id="half a login"),
        pytest.param("interval: 5", "interval: -5", "line 4: redfish.interval", id="a negative interval"),
        pytest.param("https://10.0.0.1", "ftp://x", "line 7: redfish.targets.0.address", id="another kind of address"),
        pytest.param("https://10.0.0.1", "https://[x", "line 7: .*address", id="half an IPv6 address"),
        pytest.param("//10.0.0.1", "//10.0.0.1:99999", "line 7: .*port '99999'", id="a port that cannot be"),
        pytest.param("test:///default", "qemu+ssh://h/system?command=/x", "line 14: .*uri: .*command", id="a program"),
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

    assert 4 == len(str(caught.value).splitlines())


def test_a_host_named_twice_is_refused(tmp_path):
    with pytest.raises(Misconfigured, match="named twice: kvm-1"):
        load(tmp_path, GOOD + '    - {host: kvm-1, uri: "qemu:///system"}\n')


BMCS = """\
x-dell: &dell {labels: {vendor: dell}}
redfish:
  interval: 60
  intervals: {memory: 600}
  username: monitor
  password: env:BMC_PASSWORD
  verify: false
  labels: {site: lab, vendor: any}
  targets:
    - {<<: *dell, host: node-1, address: "https://10.0.0.1", intervals: {memory: 900, system: 30}}
    - {host: node-2, address: "https://10.0.0.2", username: other, password: "file:/run/secret", verify: true}
    - {host: node-4, address: "https://10.0.0.4", password: "file:/run/own"}
    - {host: node-3, address: "http://10.0.0.3", username: null, interval: 5, systems: {Node0: kvm-1}}
"""


def test_targets_take_what_they_do_not_say_from_their_section(tmp_path):
    one, two, four, three = load(tmp_path, BMCS).targets("redfish")

    assert ("monitor", "env:BMC_PASSWORD", False, 60.0) == (one.username, one.password, one.verify, one.interval)
    assert {"site": "lab", "vendor": "dell"} == one.labels
    assert {"memory": 900.0, "system": 30.0} == one.intervals
    assert ("other", "file:/run/secret", True) == (two.username, two.password, two.verify)
    assert ("monitor", "file:/run/own") == (four.username, four.password)
    assert (None, None, 5.0, {"Node0": "kvm-1"}) == (three.username, three.password, three.interval, three.systems)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        pytest.param(
            "https://10.0.0.2", "https://10.0.0.1:443/", "line 11: .*polled twice", id="an address given twice"
        ),
        pytest.param(
            "Node0: kvm-1", "Node0: node-2", "line 13: .*systems.Node0: named twice: node-2", id="a mapped host"
        ),
        pytest.param("username: null, ", "", "line 13: .*in the clear", id="the section's password over plain http"),
        pytest.param('password: "file:/run/secret", ', "", "line 11: .*go together", id="half a login of its own"),
        pytest.param(
            "  password: env:BMC_PASSWORD\n", "", "line 3: redfish: .*go together", id="half a section's login"
        ),
    ],
)
def test_what_is_wrong_between_targets_is_named_with_its_line(tmp_path, old, new, says):
    with pytest.raises(Misconfigured, match=says):
        load(tmp_path, BMCS.replace(old, new, 1))


def test_errors_of_fields_and_between_targets_are_told_together(tmp_path):
    wrong = BMCS.replace("node-2", "node-1").replace("interval: 60", "interval: 0")
    with pytest.raises(Misconfigured) as caught:
        load(tmp_path, wrong)

    assert ["line 3", "line 11"] == [line.strip().partition(":")[0] for line in str(caught.value).splitlines()[1:]]


def test_secrets_and_certificates_that_are_not_there_are_all_named(tmp_path, monkeypatch):
    monkeypatch.delenv("BMC_PASSWORD", raising=False)
    fleet = load(tmp_path, BMCS.replace("verify: false", "verify: /nowhere/ca.pem"))
    with pytest.raises(Misconfigured) as caught:
        config.check_references(fleet.all_targets, tmp_path / "fleet.yaml")

    for what in ("BMC_PASSWORD", "/run/secret", "/nowhere/ca.pem"):
        assert what in str(caught.value)


def test_a_file_that_refers_to_itself_ends_in_an_error_and_not_never(tmp_path):
    with pytest.raises(Misconfigured):
        load(tmp_path, "redfish: &a\n  targets: [*a]\n")


@given(st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS, inner, max_size=6),
    max_leaves=20,
))  # fmt: skip
def test_whatever_a_file_holds_it_is_a_fleet_or_misconfigured(document):
    try:
        config.parse(yaml.safe_dump({"redfish": document}), Path("fleet.yaml"))
    except Misconfigured as error:
        assert "fleet.yaml" in str(error)  # noqa: PT017  most are refused, the rest is right


def test_no_file_is_told_with_what_to_do(tmp_path):
    with pytest.raises(Misconfigured, match=r"fleet\.example\.yaml"):
        config.load(tmp_path / "none.yaml")
