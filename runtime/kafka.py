"""Kafka clients. The one place with librdkafka options."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, TypeVar

import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, ClusterMetadata

from runtime import kafka_auth
from runtime.errors import Misconfigured, Retry
from runtime.settings import KafkaSettings

log = structlog.get_logger()
MAX_RECORD_BYTES: Final = 8 * 1024 * 1024
FETCH_BYTES: Final = 1024 * 1024
"""What a consumer asks of a broker at once, compressed."""
NO_LEADER: Final = (
    KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError.UNKNOWN_TOPIC_OR_PART,
    KafkaError.OFFSET_NOT_AVAILABLE,
)
READER: Final = "rackstream-reader"
"""Group of those who read without being in one: librdkafka asks for its coordinator all the same."""
Answer = TypeVar("Answer")
Span = tuple[int, int]
"""Offsets [first, end) of one partition."""


def client_config(settings: KafkaSettings, client_id: str) -> dict[str, Any]:
    """What every client needs: addresses, login, quiet reconnects."""
    return {
        "bootstrap.servers": settings.bootstrap,
        "security.protocol": settings.security_protocol,
        "client.id": client_id,
        "reconnect.backoff.max.ms": 2000,
        "topic.metadata.refresh.interval.ms": 60000,
        "allow.auto.create.topics": False,
        "log_level": 2,  # connection trouble is told by lag and queues, not line by line
        "log.connection.close": False,
        "error_cb": kafka_auth.Trouble(settings),
    } | kafka_auth.options(settings)


def admin(settings: KafkaSettings, *, on_error: Callable[[KafkaError], None] | None = None) -> AdminClient:
    """An admin client; `on_error` hears of connection trouble, from `poll`, instead of the log."""
    told = {"error_cb": on_error} if on_error else {}
    return AdminClient(client_config(settings, "rackstream-admin") | told)


def cluster(settings: KafkaSettings, *, timeout_s: float = 15) -> ClusterMetadata:
    """Brokers and topics, as far as this login may see them.

    Raises:
        Misconfigured: the login is refused, or its files are wrong.
        Retry: no answer.
    """
    trouble = kafka_auth.Trouble(settings, silent=True)
    kafka_auth.ssl_context(settings)  # says what is wrong with which file; librdkafka does not
    try:
        client = AdminClient(client_config(settings, "rackstream-admin") | {"error_cb": trouble})
    except KafkaException as error:
        raise Misconfigured(f"KAFKA_* settings: {error.args[0].str()}") from None
    deadline, patience_s = time.monotonic() + timeout_s, 1.0
    while True:
        try:
            return client.list_topics(timeout=max(0.1, min(patience_s, deadline - time.monotonic())))
        except KafkaException as error:
            client.poll(0)
            if trouble.refusal is not None:
                raise kafka_auth.refused(settings, trouble.refusal) from None
            if time.monotonic() >= deadline:
                raise Retry(f"no answer from Kafka at {settings.bootstrap}: {error.args[0].str()}") from error
            patience_s *= 2


def consumer(settings: KafkaSettings, group: str, **options: Any) -> Consumer:
    """A consumer that never resets its position by itself: `auto.offset.reset=error`, commits by hand."""
    return Consumer(
        client_config(settings, group)
        | {
            "group.id": group,
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "auto.offset.reset": "error",
            "partition.assignment.strategy": "cooperative-sticky",
            "session.timeout.ms": 6000,
            "heartbeat.interval.ms": 1500,
            "queued.max.messages.kbytes": 4 * FETCH_BYTES // 1024,
            # Counted compressed: of a backlog, librdkafka's 50 MiB are hundreds of megabytes of records in memory.
            "fetch.max.bytes": FETCH_BYTES,
            # Brokers send a batch that is larger all the same, alone.
            "fetch.message.max.bytes": FETCH_BYTES // 4,
        }
        | options
    )


class Publisher:
    """An idempotent producer that knows what is not yet delivered.

    The partitioner is Java's (murmur2), so Faust, Kafka Streams and librdkafka agree where a host's records are.
    Not for use after fork.
    """

    def __init__(self, settings: KafkaSettings, client_id: str, **options: Any) -> None:
        self._config = (
            client_config(settings, client_id)
            | {
                "enable.idempotence": True,
                "partitioner": "murmur2_random",
                "compression.type": "zstd",
                "linger.ms": 5,
                "message.max.bytes": MAX_RECORD_BYTES,
                "message.timeout.ms": 0,  # keep trying; whoever waits has a deadline of its own
                "queue.buffering.max.kbytes": 131072,
            }
            | options
        )
        self._producer = Producer(self._config)
        self._settings = settings
        self.failures: list[str] = []
        """What could not be delivered and will not be, of records without `done`: topic and reason."""
        self.denied: Misconfigured | None = None
        """The right that lacked last."""

    def send(
        self,
        topic: str,
        key: bytes,
        value: bytes | None,
        done: Callable[[KafkaError | None], None] | None = None,
        *,
        wait_s: float = 0,
        partition: int | None = None,
    ) -> None:
        """Queues one record, waiting up to `wait_s` for room; `done` is called from `poll` with None or the error.

        `partition`: where to; default: by the key.

        Raises:
            BufferError: the queue is full.
            KafkaException: the client has failed for good (see `renew`), or takes no such record.
        """

        def delivered(error: KafkaError | None, message: Message) -> None:
            if error is not None:
                self._deny(error, message.topic())
            if done is not None:
                done(error)
            elif error is not None:
                self.failures.append(f"{message.topic()}: {error.str()}")

        deadline = time.monotonic() + wait_s
        options = {} if partition is None else {"partition": partition}
        while True:
            try:
                self._producer.produce(topic, key=key, value=value, on_delivery=delivered, **options)
            except BufferError:
                if time.monotonic() >= deadline:
                    raise
                self._producer.poll(0.05)
            else:
                return

    def _deny(self, error: KafkaError, topic: str | None) -> None:
        denied = kafka_auth.denied(self._settings, error, "Write", topic or "")
        if denied is not None and str(denied) != str(self.denied):
            log.error("records are not taken", why=str(denied))
        self.denied = denied or self.denied

    @property
    def outstanding(self) -> int:
        """Records not yet delivered or failed."""
        return len(self._producer)

    def poll(self, timeout_s: float = 0) -> None:
        """Serves delivery reports."""
        self._producer.poll(timeout_s)

    def flush(self, timeout_s: float) -> int:
        """Waits for delivery; returns how many records are still not delivered."""
        return int(self._producer.flush(timeout_s))

    def purge(self) -> int:
        """Gives up what is not delivered yet and returns its number."""
        left = len(self._producer)
        self._producer.purge()
        self._producer.poll(0)
        return left

    def renew(self) -> None:
        """Gives up what is not delivered yet and goes on with a new client, as after an error that ended the old."""
        self.purge()
        self._producer = Producer(self._config)


def watermarks(settings: KafkaSettings, topic: str) -> dict[int, Span]:
    """First offset and end of every partition of a topic.

    Raises:
        KafkaException: the broker did not answer, or there is no such topic.
        Misconfigured: a right lacks.
    """

    def ask(reader: Consumer) -> dict[int, Span]:
        known = reader.list_topics(topic, timeout=15).topics[topic]
        if known.error is not None:
            raise KafkaException(known.error)
        return {number: _span(reader, topic, number) for number in sorted(known.partitions)}

    return _patiently(settings, topic, ask)


def offsets_at(settings: KafkaSettings, topic: str, partition: int, timestamp_ms: int) -> int:
    """The first offset appended at or after a time; the partition's end if there is none."""

    def ask(reader: Consumer) -> int:
        found = reader.offsets_for_times([TopicPartition(topic, partition, timestamp_ms)], timeout=15)[0]
        if found.error is not None:
            raise KafkaException(found.error)
        return int(found.offset) if found.offset >= 0 else _span(reader, topic, partition)[1]

    return _patiently(settings, topic, ask)


def _span(reader: Consumer, topic: str, partition: int) -> Span:
    low, end = reader.get_watermark_offsets(TopicPartition(topic, partition), timeout=15, cached=False)
    if low < 0 or end < 0:  # a new leader does not know them yet; librdkafka says -1001 and no error
        raise KafkaException(KafkaError(KafkaError.OFFSET_NOT_AVAILABLE, f"{topic}/{partition}: not known yet"))
    return low, end


def _patiently(
    settings: KafkaSettings, topic: str, ask: Callable[[Consumer], Answer], *, timeout_s: float = 15
) -> Answer:
    """Asks again while a partition has no leader yet: just created, or its broker just restarted."""
    reader = _reader(settings)
    deadline = time.monotonic() + timeout_s
    try:
        while True:
            try:
                return ask(reader)
            except KafkaException as error:
                if denied := kafka_auth.denied(settings, error.args[0], "Describe", topic):
                    raise denied from None
                if error.args[0].code() not in NO_LEADER or time.monotonic() > deadline:
                    raise
                time.sleep(0.1)
    finally:
        reader.close()


def read(settings: KafkaSettings, topic: str, spans: Mapping[int, Span], *, timeout_s: float = 30) -> Iterator[Message]:
    """The records of some partitions in [first, end), each partition in its order.

    Raises:
        KafkaException: reading failed, or nothing came for `timeout_s` seconds.
        Misconfigured: a right lacks.
    """
    open_spans = {number: span for number, span in spans.items() if span[0] < span[1]}
    if not open_spans:
        return
    reader = _reader(settings)
    try:
        reader.assign([TopicPartition(topic, number, first) for number, (first, _) in open_spans.items()])
        deadline = time.monotonic() + timeout_s
        while open_spans:
            for message in reader.consume(1000, timeout=0.05):
                number = message.partition()
                error = message.error()
                if error is not None and error.code() != KafkaError._PARTITION_EOF:  # noqa: SLF001  librdkafka's name of it
                    denied = _denied(settings, error, topic, READER)
                    raise denied or KafkaException(error)
                deadline = time.monotonic() + timeout_s
                if number not in open_spans:
                    continue
                if error is None and message.offset() < open_spans[number][1]:
                    yield message
                    # The time that whoever reads this takes over a record is not the broker's silence.
                    deadline = time.monotonic() + timeout_s
                if error is not None or message.offset() >= open_spans[number][1] - 1:
                    del open_spans[number]
            if time.monotonic() > deadline:
                raise KafkaException(KafkaError(KafkaError._TIMED_OUT, f"{topic}: nothing read for {timeout_s} s"))  # noqa: SLF001
    finally:
        reader.close()


def read_all(settings: KafkaSettings, topic: str) -> Iterator[Message]:
    """Every record of a topic up to the ends it has now, each partition in its order."""
    yield from read(settings, topic, watermarks(settings, topic))


def _denied(settings: KafkaSettings, error: KafkaError, topic: str, group: str) -> Misconfigured | None:
    of_group = error.code() == KafkaError.GROUP_AUTHORIZATION_FAILED
    return kafka_auth.denied(settings, error, *(("Describe", group) if of_group else ("Read", topic)))


def _reader(settings: KafkaSettings) -> Consumer:
    return consumer(settings, READER, **{"enable.partition.eof": True, "fetch.wait.max.ms": 50})
