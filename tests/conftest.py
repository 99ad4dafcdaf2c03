"""What every test may rely on. Examples are not timed: on a busy machine that fails tests of anything but speed."""

from __future__ import annotations

import pytest
import structlog
from hypothesis import HealthCheck, settings

settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")


@pytest.fixture(autouse=True)
def _logs_as_a_new_process_has_them() -> None:
    """A command run in this process by another test has set logging up for itself."""
    structlog.reset_defaults()


LONG = (
    *("replay", "documents", "worker", "demo", "sinks", "security", "spool", "shared_targets", "influx_facts", "web"),
    *("control", "broker", "telemetry", "libvirt_qemu", "recipes", "redfish_fleet", "spool_limits", "doctor"),
)
"""Files that take longest, begun first: a long one that begins last is waited for by all other cores."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    ranks = {f"test_{name}.py": rank for rank, name in enumerate(LONG)}
    items.sort(key=lambda item: ranks.get(item.path.name, len(LONG)))
