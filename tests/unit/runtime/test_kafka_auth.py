"""Error callback of Kafka clients: login refusals are kept, other errors are ignored."""

import pytest
from confluent_kafka import KafkaError

from runtime.kafka_auth import AuthErrorCallback
from runtime.settings import KafkaSettings

ADDRESS = "sasl_ssl://localhost:9093/bootstrap: "


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
def test_only_refusals_are_kept(code: int, text: str, *, is_refusal: bool) -> None:
    callback = AuthErrorCallback(KafkaSettings(), silent=True)
    callback(KafkaError(code, ADDRESS + text))

    assert is_refusal == (callback.refusal is not None)
