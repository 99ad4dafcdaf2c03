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
