"""The list of metrics: what each part exports, in what Prometheus reads, and its documentation."""

import re
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from producers.polling import vendors
from rackstream.reference import metrics_page
from runtime import metrics, observability
from runtime.errors import Misconfigured
from runtime.settings import SUPERVISED, ProcessSettings
from tests.unit.support.folding import over

ROOT = Path(__file__).resolve().parents[3]
MODULES = [
    path
    for room in ("producers", "processors", "sinks", "rackstream", "runtime")
    for path in (ROOT / room).rglob("*.py")
]


def exported(component, directory):
    """What a process of this name would show now: metric → its samples."""
    registry = CollectorRegistry()
    observability.export_metrics(component, directory, registry)
    return {
        family.name + ("_total" if family.type == "counter" else ""): family.samples
        for family in text_string_to_metric_families(generate_latest(registry).decode())
    }


def test_the_documentation_is_up_to_date():
    assert metrics_page.text() == (ROOT / "docs" / "metrics.md").read_text(), "run `scripts/generate`"


@over(metrics.METRICS, lambda metric: metric.name)
def test_a_metric_is_named_as_prometheus_wants_it_and_documented(metric):
    assert re.fullmatch(r"rackstream_[a-z_]+", metric.name)
    assert ("counter" == metric.kind) == metric.name.endswith("_total")
    assert metric.unit not in ("seconds", "bytes") or metric.unit in metric.name
    assert metric.doc.endswith(".")
    assert set() == set(metric.labels) - metrics.LABELS.keys()
    assert "component" not in metric.labels, "the target's label has this name"


def test_no_metric_is_made_outside_the_list():
    constructor = re.compile(r"\b(Counter|Gauge|Histogram|Summary|Info)\(\s*\"rackstream")

    assert [] == [str(path) for path in MODULES if path.name != "metrics.py" and constructor.search(path.read_text())]


def test_every_metric_is_set_somewhere():
    code = "\n".join(path.read_text() for path in MODULES if path.name != "metrics.py")
    names = [name for name, value in vars(metrics).items() if value in [metric.collector for metric in metrics.METRICS]]
    waiting = {"SPOOLED_RECORDS", "SPOOLED_BYTES"}

    assert len(metrics.METRICS) == len(names)
    assert [] == [name for name in names if name not in waiting and not re.search(rf"\b{name}\b", code)]


@pytest.mark.parametrize(
    ("component", "has", "lacks"),
    [
        ("producer-redfish", "rackstream_source_faults_total", "rackstream_records_in_total"),
        ("producer-host", "rackstream_poll_duration_seconds", "rackstream_source_faults_total"),
        ("processor", "rackstream_step_seconds_total", "rackstream_retries_total"),
        ("sink-files", "rackstream_retries_total", "rackstream_lines_stored_total"),
        ("sink-influx", "rackstream_lines_stored_total", "rackstream_alerts_held_back_total"),
        ("sink-webhook", "rackstream_alerts_held_back_total", "rackstream_polls_total"),
        ("console", "rackstream_build_info", "rackstream_retries_total"),
    ],
)
def test_a_part_exports_what_is_its_own(component, has, lacks, tmp_path):
    families = exported(component, tmp_path)

    assert has in families
    assert lacks not in families
    assert {"rackstream_build_info", "rackstream_disk_free_bytes"} <= families.keys()


def test_what_must_be_seen_to_increase_is_there_at_0(tmp_path):
    assert {"spool full", "too old", "does not fit its schema"} <= {
        sample.labels["cause"] for sample in exported("producer-host", tmp_path)["rackstream_records_dropped_total"]
    }
    assert {"refused", "retention", "unknown-schema"} <= {
        sample.labels["reason"] for sample in exported("sink-files", tmp_path)["rackstream_records_rejected_total"]
    }


def test_no_time_of_creation_stands_beside_each_counter(tmp_path):
    assert [] == [name for name in exported("sink-files", tmp_path) if name.endswith("_created")]


def test_the_disk_of_a_directory_that_is_not_there_yet_is_told(tmp_path):
    disk = exported("console", tmp_path / "not" / "yet")
    [free], [size] = disk["rackstream_disk_free_bytes"], disk["rackstream_disk_size_bytes"]

    assert 0 < free.value < size.value


def test_ages_are_counted_by_topic_and_are_never_negative():
    from datetime import UTC, datetime

    registry = CollectorRegistry()
    registry.register(metrics.SAMPLE_AGE)
    ages = observability.SampleAges("tested")
    ages.record("raw-host", [datetime.fromtimestamp(at, UTC) for at in (98.0, 99.5, 160.0)], now_s=100.0)

    def value(suffix, **labels):
        return registry.get_sample_value(
            f"rackstream_sample_age_seconds_{suffix}", {"hop": "tested", "topic": "raw-host"} | labels
        )

    assert (3.0, 2.5) == (value("count"), value("sum"))
    assert [1.0, 2.0, 3.0] == [value("bucket", le=le) for le in ("0.1", "0.5", "2.0")]


@pytest.mark.parametrize(
    ("vendor", "label"),
    [
        ("Dell", "dell"),
        ("Dell Inc.", "dell"),
        ("HPE", "hpe"),
        ("Hewlett Packard Enterprise", "hpe"),
        ("Super Micro Computer, Inc.", "supermicro"),
        ("Supermicro", "supermicro"),
        ("Lenovo", "lenovo"),
        ("American Megatrends International", "ami"),
        ("Dynamic Computing", "other"),
        ("x" * 10_000, "other"),
        ('a"b\n', "other"),
        ("  ", ""),
        (None, ""),
    ],
)
def test_a_vendor_is_one_of_few_words(vendor, label):
    assert label == vendors.vendor_label(vendor)


@pytest.fixture
def port_in_use():
    import socket

    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


@pytest.mark.parametrize("supervised", [False, True])
def test_a_port_that_is_taken_ends_a_process_unless_a_supervisor_chose_it(port_in_use, supervised, monkeypatch, capsys):
    monkeypatch.setenv("RACKSTREAM_METRICS_PORT", str(port_in_use))
    monkeypatch.setenv(SUPERVISED, "1" if supervised else "")
    settings = ProcessSettings.read()
    problem = f"metrics cannot be served on 127.0.0.1, port {port_in_use}: port in use"

    if supervised:
        observability.serve_metrics(settings.metrics_host, settings.metrics_port)
        assert problem in capsys.readouterr().out
    else:
        with pytest.raises(Misconfigured, match=f"{problem}; see RACKSTREAM_METRICS_HOST"):
            observability.serve_metrics(settings.metrics_host, settings.metrics_port)


def test_an_address_of_another_machine_is_named(monkeypatch):
    with pytest.raises(Misconfigured, match=r"metrics cannot be served on 192\.0\.2\.1, port 0: "):
        observability.serve_metrics("192.0.2.1", 0)
