"""What every test may rely on."""

from __future__ import annotations

import pytest
import structlog


@pytest.fixture(autouse=True)
def _logs_as_a_new_process_has_them() -> None:
    """A command run in this process by another test has set logging up for itself."""
    structlog.reset_defaults()
