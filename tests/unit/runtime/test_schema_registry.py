"""What the answers of a schema registry mean."""

import json

import pytest
from pydantic import SecretStr

from runtime import schema_registry
from runtime.errors import Misconfigured, Retry
from runtime.settings import KafkaSettings
from tests.e2e.support.receiver import Receiver


def settings(url):
    return KafkaSettings.read(schema_registry=SecretStr(url))


@pytest.mark.parametrize(
    ("status", "headers", "error"),
    [
        pytest.param(401, {}, Misconfigured, id="a login refused"),
        pytest.param(409, {}, Misconfigured, id="a schema refused"),
        pytest.param(302, {"Location": "http://127.0.0.1:9/"}, Misconfigured, id="a redirect"),
        pytest.param(200, {}, Misconfigured, id="no registry at all"),
        pytest.param(503, {}, Retry, id="not now"),
    ],
)
def test_an_answer_says_what_happens_next_and_no_message_tells_the_password(status, headers, error):
    with Receiver(lambda _: (status, headers)) as receiver, pytest.raises(error) as caught:
        schema_registry.register(settings(receiver.url.replace("//", "//ann:pa55@")), "a/b-value", {"type": "string"})

    (asked,) = receiver.seen
    assert "/subjects/a%2Fb-value/versions" == asked.path
    assert "Basic YW5uOnBhNTU=" == asked.headers["Authorization"]
    assert {"type": "string"} == json.loads(asked.json["schema"])
    assert "pa55" not in str(caught.value)


def test_an_address_that_is_none_is_named():
    with pytest.raises(Misconfigured, match=r"RACKSTREAM_SCHEMA_REGISTRY_URL.*expected http"):
        KafkaSettings.read(RACKSTREAM_SCHEMA_REGISTRY_URL="registry:8081")
