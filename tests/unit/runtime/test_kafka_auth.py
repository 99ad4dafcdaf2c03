"""What librdkafka reports of a login: a refusal is told and kept, anything else heals by itself."""

import pytest
from confluent_kafka import KafkaError

from runtime.kafka_auth import Trouble
from runtime.settings import KafkaSettings

AT = "sasl_ssl://localhost:9093/bootstrap: "


@pytest.mark.parametrize(
    ("code", "text", "is_refusal"),
    [
        (KafkaError._AUTHENTICATION, "SASL authentication error: Authentication failed", True),
        (KafkaError._SSL, "SSL handshake failed: certificate verify failed", True),
        (KafkaError._TRANSPORT, "ssl/tls alert certificate required", True),
        (KafkaError._TRANSPORT, "Connect to ipv4#127.0.0.1:9093 failed: Connection refused", False),
        pytest.param(
            KafkaError._AUTHENTICATION,
            "SASL SCRAM-SHA-512 mechanism handshake failed: Local: Broker transport failure: "
            "broker's supported mechanisms: (n/a)",
            False,
            id="the connection ended within the handshake",
        ),
    ],
)
def test_a_refusal_is_kept_and_nothing_else(code: int, text: str, *, is_refusal: bool) -> None:
    trouble = Trouble(KafkaSettings(), silent=True)
    trouble(KafkaError(code, AT + text))

    assert is_refusal == (trouble.refusal is not None)
