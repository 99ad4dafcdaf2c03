"""With a real schema registry configured, everyone's deserialiser reads the topics by its ids, and so do we."""

import copy
import json
import struct
import subprocess
import sys
import urllib.request

import pytest
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer
from confluent_kafka.serialization import MessageField, SerializationContext
from fastapi import FastAPI
from fastapi.testclient import TestClient
from pydantic import SecretStr

from rackstream.api import schemas
from rackstream.topics.schema_lookup import SchemaLookup
from runtime import kafka as clients
from runtime import schema_registry, topics
from runtime.errors import Retry
from schemas import catalog
from schemas.testing import make_record
from tests.e2e.support import apicurio
from tests.e2e.support.parts import part, records

pytestmark = pytest.mark.kafka


@pytest.mark.soak
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # confluent-kafka leaves its socket open
def test_records_carry_the_registrys_ids_and_one_deserialiser_reads_all_topics(kafka, tmp_path):
    with apicurio.registry(tmp_path / "apicurio") as url:
        # In a process of its own: the ids written are a matter of the whole process.
        code = """
import json, sys
from runtime.settings import KafkaSettings
from runtime.topics import publish_schemas
from schemas.testing import make_record
from tests.e2e.support.parts import publish
settings = KafkaSettings.read()
publish_schemas(settings)
publish(settings, "alerts", make_record("Alert", id="a", host="h1"))
publish(settings, "state-targets", make_record("TargetStatus", host="h1", source="redfish"))
publish(settings, "raw-libvirt", make_record("LibvirtSample", host="h1"))
"""
        environment = part(kafka, "x", RACKSTREAM_SCHEMA_REGISTRY_URL=url).environment
        for _ in range(2):  # the second finds them registered
            done = subprocess.run(
                [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=90
            )
            assert 0 == done.returncode, done.stderr
        with urllib.request.urlopen(f"{url}/subjects", timeout=10) as answer:
            subjects = set(json.load(answer))
        deserialise = AvroDeserializer(SchemaRegistryClient({"url": url}))
        found = {}
        for alias in ("alerts", "state-targets", "raw-libvirt"):
            name = kafka.catalog[alias].name
            for message in clients.read_all(kafka, name):
                assert struct.unpack_from(">bI", message.value())[1] not in catalog.published_schemas()
                found.setdefault(alias, []).append(
                    deserialise(message.value(), SerializationContext(name, MessageField.VALUE))
                )

    avro = {f"{topic.name}-value" for topic in kafka.catalog.topics.values() if topic.schema != "json"}
    assert avro == subjects
    assert {"alerts", "state-targets", "raw-libvirt"} == set(found)
    # The registry is gone, and our own readers need it no more: its ids are on the schemas topic.
    assert found == {alias: records(kafka, alias) for alias in found}
    assert make_record("Alert", id="a", host="h1") == records(kafka, "alerts")[0]


def test_a_registry_that_is_away_or_none_is_named_without_its_password(kafka):
    nobody = kafka.model_copy(update={"schema_registry": SecretStr("http://ann:pa55@127.0.0.1:9")})
    with pytest.raises(Retry, match=r"schema registry http://127\.0\.0\.1:9 not reached") as caught:
        topics.publish_schemas(nobody, ("Alert",))
    assert "pa55" not in f"{caught.value} {nobody!r}"


@pytest.mark.soak
def test_a_registrys_id_of_an_unknown_schema_is_believed_if_the_registry_confirms_it(kafka, tmp_path):
    definition = copy.deepcopy(catalog.schema("Alert").definition)
    definition["fields"].append({"name": "newer", "type": "long", "default": 0})
    with apicurio.registry(tmp_path / "apicurio") as url:
        registered = kafka.model_copy(update={"schema_registry": SecretStr(url)})
        id_ = schema_registry.register(registered, "newer-value", definition)
        publisher = clients.KafkaPublisher(kafka, "test")
        for stated in (id_, id_ + 1000):
            value = json.dumps({"id": stated, "subject": "Alert", "schema": definition})
            publisher.send(kafka.catalog["schemas"].name, str(stated).encode(), value.encode())
        assert 0 == publisher.flush(20)
        own = {catalog.schema(name).id for name in catalog.schema_names()}

        assert own == topics.published_schemas(kafka).keys()
        assert {id_, *own} == topics.published_schemas(registered).keys()


def test_the_console_tells_the_registrys_id_of_a_subject_where_one_is_configured(kafka):
    schema, name = catalog.schema("Alert"), kafka.catalog["schemas"].name
    publisher = clients.KafkaPublisher(kafka, "test")
    for id_ in (schema.id, 7):
        said = {"id": id_, "subject": schema.name, "schema": schema.definition}
        publisher.send(name, str(id_).encode(), json.dumps(said).encode())
    assert 0 == publisher.flush(20)
    registered = kafka.model_copy(update={"schema_registry": SecretStr("http://127.0.0.1:9")})
    path = f"/subjects/{kafka.catalog['alerts'].name}-value/versions/latest"

    for settings, expected in ((kafka, schema.id), (registered, 7)):
        api = FastAPI()
        api.include_router(schemas.routes(settings, SchemaLookup(lambda: kafka)))
        found = TestClient(api).get(path).json()
        assert (expected, schema.definition) == (found["id"], json.loads(found["schema"]))
