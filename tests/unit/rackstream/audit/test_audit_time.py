"""The audit at the end of a demo is bounded in time."""

import pytest

from rackstream.audit.audit import Audit
from runtime.errors import Retry
from runtime.settings import KafkaSettings


def test_an_audit_that_takes_too_long_is_given_up_and_says_what_to_do(tmp_path):
    audit = Audit(KafkaSettings.read(bootstrap="nowhere:1", data_dir=tmp_path), files=tmp_path, timeout_s=-1)

    with pytest.raises(Retry, match="rackstream audit"):
        audit.check_time()


def test_an_audit_without_a_limit_takes_its_time(tmp_path):
    Audit(KafkaSettings.read(bootstrap="nowhere:1", data_dir=tmp_path), files=tmp_path).check_time()
