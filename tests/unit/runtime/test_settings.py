"""Where settings come from: environment, .env, secret files."""

import pytest

from rackstream.api.settings import ConsoleSettings
from runtime.errors import Misconfigured
from runtime.settings import KafkaSettings
from sinks.settings import InfluxSettings

INFLUX = {"url": "http://127.0.0.1:8181", "database": "fleet"}


@pytest.fixture
def secrets(tmp_path, monkeypatch):
    for name in ("INFLUX_TOKEN", "KAFKA_SASL_PASSWORD"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("RACKSTREAM_SECRETS_DIR", str(tmp_path))
    return tmp_path


def test_a_secret_is_read_from_the_file_that_is_called_as_its_variable(secrets):
    (secrets / "INFLUX_TOKEN").write_text("apiv3_secret\n")
    (secrets / "KAFKA_SASL_PASSWORD").write_text("hunter2\n")

    assert "apiv3_secret" == InfluxSettings.read(**INFLUX).token.get_secret_value()
    assert "hunter2" == KafkaSettings.read().sasl_password.get_secret_value()


def test_the_environment_wins_over_a_secret_file(secrets, monkeypatch):
    (secrets / "INFLUX_TOKEN").write_text("apiv3_file")
    monkeypatch.setenv("INFLUX_TOKEN", "apiv3_environment")

    assert "apiv3_environment" == InfluxSettings.read(**INFLUX).token.get_secret_value()


def test_a_secret_that_is_nowhere_is_named(secrets):
    with pytest.raises(Misconfigured, match=r"secret files\): INFLUX_TOKEN: not set"):
        InfluxSettings.read(**INFLUX)


def test_an_empty_secret_file_is_no_token(secrets):
    (secrets / "INFLUX_TOKEN").write_text("\n")

    with pytest.raises(Misconfigured, match="INFLUX_TOKEN: empty"):
        InfluxSettings.read(**INFLUX)


@pytest.mark.parametrize(
    ("token", "says"),
    [
        pytest.param("", "RACKSTREAM_API_TOKEN: empty", id="empty"),
        pytest.param(" \n", "RACKSTREAM_API_TOKEN: empty", id="blank"),
        pytest.param("canary-15-chars", "RACKSTREAM_API_TOKEN: too short: at least 16 characters", id="short"),
    ],
)
def test_an_api_token_that_protects_nothing_is_refused_by_name_and_not_shown(monkeypatch, token, says):
    monkeypatch.setenv("RACKSTREAM_API_TOKEN", token)

    with pytest.raises(Misconfigured, match=says) as caught:
        ConsoleSettings.read()

    assert "canary" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "more"),
    [
        pytest.param(
            "KAFKA_SASL_PASSWORD", {"KAFKA_SECURITY_PROTOCOL": "SASL_SSL", "KAFKA_SASL_USERNAME": "u"}, id="sasl"
        ),
        pytest.param("KAFKA_SSL_KEY_PASSWORD", {}, id="key"),
    ],
)
@pytest.mark.parametrize("value", ["", " "])
def test_an_empty_kafka_password_is_refused_by_name(monkeypatch, name, more, value):
    for variable, text in {name: value, **more}.items():
        monkeypatch.setenv(variable, text)

    with pytest.raises(Misconfigured, match=name):
        KafkaSettings.read()


def test_a_directory_of_secrets_that_is_not_there_is_named(secrets, monkeypatch):
    monkeypatch.setenv("RACKSTREAM_SECRETS_DIR", str(secrets / "gone"))

    with pytest.raises(Misconfigured, match=r"RACKSTREAM_SECRETS_DIR: .*gone is not a directory"):
        KafkaSettings.read()


def test_the_console_listens_on_loopback_unless_told_otherwise(monkeypatch):
    monkeypatch.delenv("RACKSTREAM_CONSOLE_HOST", raising=False)

    assert "127.0.0.1" == ConsoleSettings.read().host
