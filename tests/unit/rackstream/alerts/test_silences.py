"""What `rackstream silence add` does not take."""

import pytest
from click.testing import CliRunner

from rackstream.commands.alerts import silence
from runtime.errors import Misconfigured


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        pytest.param(["kvm-1", "--for", "1h"], "kvm-1: give NAME=PATTERN", id="no name"),
        pytest.param(["host=", "--for", "1h"], "host=: give NAME=PATTERN", id="no pattern"),
        pytest.param(["host=*", "--for", "1h"], "a silence must not match every alert", id="everything"),
        pytest.param(["host=h"], "either --for or --until", id="no end"),
        pytest.param(["host=h", "--for", "1h", "--until", "now"], "either --for or --until", id="two ends"),
        pytest.param(["host=h", "--for", "soon"], "'soon' is not a duration", id="no duration"),
        pytest.param(["host=h", "--for", "1h", "--from", "-2h"], "would never be active", id="an end that is past"),
    ],
)
def test_a_silence_that_cannot_be_meant_is_refused(arguments, says):
    done = CliRunner().invoke(silence, ["add", "--why", "test", "--who", "ann", *arguments])

    assert isinstance(done.exception, Misconfigured)
    assert says in str(done.exception)
