"""compose/prometheus: what promtool says of it, what it names, and where Prometheus is told to look."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from rackstream.local import ports, prometheus_targets
from rackstream.local.supervisor import PipelinePart, Supervisor
from runtime import metrics
from tests.unit.repository.test_compose import OURS
from tests.unit.support.folding import over

ROOT = Path(__file__).resolve().parents[4]
FOLDER = ROOT / "compose" / "prometheus"
CASES = ROOT / "tests" / "cases" / "prometheus" / "rules.yml"
RULES = {
    rule["alert"]: rule
    for group in yaml.safe_load((FOLDER / "rules.yml").read_text())["groups"]
    for rule in group["rules"]
}
needs_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="no promtool on PATH: apt-get install prometheus"
)


def promtool(*arguments):
    done = subprocess.run(["promtool", *map(str, arguments)], capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


@needs_promtool
@pytest.mark.parametrize("command", [("rules", "rules.yml"), ("config", "prometheus.yml")], ids=" ".join)
def test_promtool_accepts_the_files(command):
    code, said = promtool("check", command[0], FOLDER / command[1])

    assert 0 == code, said


@needs_promtool
def test_each_rule_says_what_it_has_to_and_nothing_else():
    code, said = promtool("test", "rules", CASES)

    assert 0 == code, said


@needs_promtool
def test_each_rule_has_a_case_that_fails_when_it_never_fires(tmp_path):
    broken = yaml.safe_load((FOLDER / "rules.yml").read_text())
    for group in broken["groups"]:
        for rule in group["rules"]:
            rule["expr"] = "vector(1) == 2"
    (tmp_path / "rules.yml").write_text(yaml.safe_dump(broken))
    cases = yaml.safe_load(CASES.read_text()) | {"rule_files": ["rules.yml"]}
    (tmp_path / "cases.yml").write_text(yaml.safe_dump(cases))
    code, said = promtool("test", "rules", tmp_path / "cases.yml")

    assert 1 == code
    assert set(RULES) == set(re.findall(r"alertname: (\w+)", said))


@over(RULES)
def test_a_rule_names_only_metrics_and_labels_that_there_are(rule):
    suffixes = {"histogram": ("_bucket", "_sum", "_count")}
    known = {each.name + suffix for each in metrics.METRICS for suffix in suffixes.get(each.kind, ("",))}
    expression = RULES[rule]["expr"]
    named = set(re.findall(r"\b(?:rackstream|process|python)_\w+", expression))
    labels = {each for group in re.findall(r"(?:by|on) \(([^)]*)\)", expression) for each in group.split(", ")}
    labels |= set(re.findall(r"(\w+)(?:=~|!~|!=|=)\"", expression))

    assert set() == named - known - metrics.CLIENT_METRICS.keys()
    assert set() == labels - metrics.LABELS.keys() - {"job", "component", "instance", "le"}


@over(RULES)
def test_a_rule_says_how_bad_it_is_and_what_to_do(rule):
    annotations = RULES[rule]["annotations"]
    page, _, anchor = annotations["runbook"].partition("#")
    headings = re.findall(r"^## (.*)$", (ROOT / "docs" / page).read_text(), re.MULTILINE)

    assert RULES[rule]["labels"]["severity"] in ("warning", "critical")
    assert {"summary", "description", "runbook"} == annotations.keys()
    assert anchor in [re.sub(r"[^a-z0-9]+", "-", heading.lower()).strip("-") for heading in headings]
    assert f"`{rule}`" in (ROOT / "docs" / page).read_text(), "its section says that it is about this alert"


def serves(service):
    environment = OURS[service]["environment"]
    return ("9464", "0.0.0.0") == (environment["RACKSTREAM_METRICS_PORT"], environment["RACKSTREAM_METRICS_HOST"])


def test_what_always_runs_beside_prometheus_is_looked_for_where_it_serves():
    groups = json.loads((FOLDER / "targets" / "compose.json").read_text())
    found = {target: group["labels"]["component"] for group in groups for target in group["targets"]}
    beside = {name for name, service in OURS.items() if "secure" in service["profiles"]}

    assert {f"secure-{name}:9464": name for name in found.values()} == found
    assert {f"secure-{name}" for name in found.values()} == {
        name for name in beside if serves(name) and OURS[name]["restart"] == "unless-stopped"
    }


def test_what_runs_only_when_chosen_is_looked_for_by_its_name():
    [job] = yaml.safe_load((FOLDER / "prometheus.yml").read_text())["scrape_configs"]
    [found] = job["dns_sd_configs"]
    component, instance = job["relabel_configs"]

    assert set(found["names"]) == {name for name in OURS if name.startswith("secure-producer-") and serves(name)}
    assert ("A", 9464) == (found["type"], found["port"])
    for name in found["names"]:
        assert re.fullmatch(component["regex"], name)[1] == name.removeprefix("secure-")
    assert ("component", "instance") == (component["target_label"], instance["target_label"])


@pytest.fixture
def parts(tmp_path):
    """A supervisor of three parts that only sleep, and what Prometheus is told after each change."""
    told = []

    def tell():
        prometheus_targets.write(tmp_path, supervisor.parts.values())
        told.append({group["labels"]["component"]: group["targets"] for group in prometheus_targets.read(tmp_path)})

    supervisor = Supervisor(on_change=tell)
    for name, port in (("processor", 0), ("sink-files", 0), ("simulator", None)):
        part = PipelinePart(name, ["sleep", "60"], tmp_path / f"{name}.log", metrics_port=port)
        supervisor.start(part, wait=False)
    yield supervisor, told
    supervisor.close()


def test_prometheus_is_told_of_the_parts_that_serve_metrics(parts):
    supervisor, told = parts

    assert told[-1] == {
        name: [f"127.0.0.1:{supervisor.parts[name].metrics_port}"] for name in ("processor", "sink-files")
    }
    assert all(supervisor.parts[name].metrics_port in ports.PORT_RANGE for name in told[-1])
    assert 2 == len({target for [target] in told[-1].values()})


def test_a_part_that_died_is_still_a_target_and_keeps_its_port(parts):
    supervisor, told = parts
    before = told[-1]
    supervisor.kill("processor")
    supervisor.parts["processor"].process.wait()
    supervisor.run_periodic()
    assert "waiting" == supervisor.parts["processor"].state
    assert before == {
        g["labels"]["component"]: g["targets"] for g in prometheus_targets.target_groups(supervisor.parts.values())
    }

    supervisor.parts["processor"].next_start_s = 0
    supervisor.run_periodic()

    assert ("starting", 2) == (supervisor.parts["processor"].state, supervisor.parts["processor"].starts)
    assert before == told[-1]


def test_a_part_whose_port_was_taken_meanwhile_gets_another(parts):
    import socket

    supervisor, told = parts
    port = supervisor.parts["processor"].metrics_port
    supervisor.kill("processor")
    supervisor.parts["processor"].process.wait()
    with socket.create_server(("127.0.0.1", port)):
        supervisor.run_periodic()
        supervisor.parts["processor"].next_start_s = 0
        supervisor.run_periodic()

    assert port != supervisor.parts["processor"].metrics_port
    assert [f"127.0.0.1:{supervisor.parts['processor'].metrics_port}"] == told[-1]["processor"]


def test_a_part_that_was_stopped_is_no_target_any_more(parts):
    supervisor, told = parts
    supervisor.stop(["processor"])

    assert {"sink-files"} == told[-1].keys()


def test_where_nothing_runs_there_are_no_targets(tmp_path):
    assert [] == prometheus_targets.read(tmp_path)
