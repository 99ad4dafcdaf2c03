"""Kafka clients and their librdkafka options, which are set nowhere else."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Final, TypeVar

import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, ClusterMetadata

from runtime import kafka_auth
from runtime.errors import Misconfigured, Retry
from runtime.settings import KafkaSettings

log = structlog.get_logger()
MAX_RECORD_BYTES: Final = 8 * 1024 * 1024
MAX_FETCH_BYTES: Final = 1024 * 1024
"""A consumer fetches at most this much (compressed) per request."""
NO_LEADER_CODES: Final = (
    KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError.UNKNOWN_TOPIC_OR_PART,
    KafkaError.OFFSET_NOT_AVAILABLE,
)
READER_GROUP: Final = "rackstream-reader"
"""Group id of consumers without a group: librdkafka looks up a coordinator for them all the same."""
Result = TypeVar("Result")
OffsetRange = tuple[int, int]
"""Offsets [first, end) of one partition."""


def client_config(settings: KafkaSettings, client_id: str) -> dict[str, object]:
    """Options common to all clients: addresses, login, quiet reconnects."""
    return {
        "bootstrap.servers": settings.bootstrap,
        "security.protocol": settings.security_protocol,
        "client.id": client_id,
        "reconnect.backoff.max.ms": 2000,
        "topic.metadata.refresh.interval.ms": 60000,
        "allow.auto.create.topics": False,
        "log_level": 2,  # connection failures show in lag and queue sizes; a log line for each would be noise
        "log.connection.close": False,
        "error_cb": kafka_auth.AuthErrorCallback(settings),
    } | kafka_auth.login_options(settings)


def create_admin_client(
    settings: KafkaSettings, *, on_error: Callable[[KafkaError], None] | None = None
) -> AdminClient:
    """Creates an admin client. `on_error`, if set, receives connection errors during `poll` and replaces the log."""
    callbacks = {"error_cb": on_error} if on_error else {}
    return AdminClient(client_config(settings, "rackstream-admin") | callbacks)


def cluster_metadata(settings: KafkaSettings, *, timeout_s: float = 15) -> ClusterMetadata:
    """Returns the brokers and the topics that the Kafka user may see.

    Raises:
        Misconfigured: Kafka refuses the login, or a certificate or key file is wrong.
        Retry: Kafka did not answer within `timeout_s`.
    """
    auth_errors = kafka_auth.AuthErrorCallback(settings, silent=True)
    kafka_auth.ssl_context(settings)  # its errors name the file; librdkafka's do not
    try:
        client = AdminClient(client_config(settings, "rackstream-admin") | {"error_cb": auth_errors})
    except KafkaException as error:
        raise Misconfigured(f"KAFKA_* settings: {error.args[0].str()}") from None
    deadline_s, request_timeout_s = time.monotonic() + timeout_s, 1.0
    while True:
        try:
            return client.list_topics(timeout=max(0.1, min(request_timeout_s, deadline_s - time.monotonic())))
        except KafkaException as error:
            client.poll(0)
            if auth_errors.refusal is not None:
                raise kafka_auth.login_refused(settings, auth_errors.refusal) from None
            if time.monotonic() >= deadline_s:
                raise Retry(f"no answer from Kafka at {settings.bootstrap}: {error.args[0].str()}") from error
            request_timeout_s *= 2


def create_consumer(settings: KafkaSettings, group: str, **options: object) -> Consumer:
    """Creates a consumer that commits manually and never resets its position (`auto.offset.reset=error`).

    `options` are librdkafka's and override the defaults.
    """
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
            "queued.max.messages.kbytes": 4 * MAX_FETCH_BYTES // 1024,
            # Counted compressed: librdkafka's default of 50 MiB becomes hundreds of megabytes of records in memory.
            "fetch.max.bytes": MAX_FETCH_BYTES,
            # Not a limit for a single batch: brokers send a larger one alone.
            "fetch.message.max.bytes": MAX_FETCH_BYTES // 4,
        }
        | options
    )


class KafkaPublisher:
    """Idempotent producer that keeps track of undelivered records.

    It uses Java's partitioner (murmur2), so that Faust, Kafka Streams and librdkafka map a host to the same partition.
    Must not be used after a fork.
    """

    def __init__(self, settings: KafkaSettings, client_id: str, **options: object) -> None:
        self._config = (
            client_config(settings, client_id)
            | {
                "enable.idempotence": True,
                "partitioner": "murmur2_random",
                "compression.type": "zstd",
                "linger.ms": 5,
                "message.max.bytes": MAX_RECORD_BYTES,
                "message.timeout.ms": 0,  # never give up: callers have deadlines of their own
                "queue.buffering.max.kbytes": 131072,
            }
            | options
        )
        self._producer = Producer(self._config)
        self._settings = settings
        self.delivery_failures: list[str] = []
        """Final delivery failures (topic and reason) of records sent without `on_delivery`."""
        self.may_be_denied = False
        """True if a missing ACL is no error for the log, because the caller can do without."""
        self.authorization_error: Misconfigured | None = None
        """The most recent missing ACL."""

    def send(
        self,
        topic: str,
        key: bytes,
        value: bytes | None,
        on_delivery: Callable[[KafkaError | None], None] | None = None,
        *,
        wait_s: float = 0,
        partition: int | None = None,
    ) -> None:
        """Queues one record.

        Args:
            topic: Name of the topic on Kafka.
            key: Key of the record.
            value: Value; None writes a tombstone.
            on_delivery: Called during `poll` with None, or with the error if delivery failed.
            wait_s: If the queue is full, wait up to this long for room.
            partition: Target partition; by default derived from the key.

        Raises:
            BufferError: The queue is full.
            KafkaException: The client has failed for good (see `recreate`), or the record is not acceptable.
        """

        def delivered(error: KafkaError | None, message: Message) -> None:
            if error is not None:
                self._check_authorization(error, message.topic())
            if on_delivery is not None:
                on_delivery(error)
            elif error is not None:
                self.delivery_failures.append(f"{message.topic()}: {error.str()}")

        deadline_s = time.monotonic() + wait_s
        options = {} if partition is None else {"partition": partition}
        while True:
            try:
                self._producer.produce(topic, key=key, value=value, on_delivery=delivered, **options)
            except BufferError:
                if time.monotonic() >= deadline_s:
                    raise
                self._producer.poll(0.05)
            else:
                return

    def _check_authorization(self, error: KafkaError, topic: str | None) -> None:
        missing_acl = kafka_auth.authorization_failed(self._settings, error, "Write", topic or "")
        is_new = missing_acl is not None and str(missing_acl) != str(self.authorization_error)
        if is_new and not self.may_be_denied:
            log.error("Kafka denies writing records", reason=str(missing_acl))
        self.authorization_error = missing_acl or self.authorization_error

    @property
    def undelivered(self) -> int:
        """Number of records neither delivered nor failed so far."""
        return len(self._producer)

    def poll(self, timeout_s: float = 0) -> None:
        """Handles delivery reports, waiting up to `timeout_s` for one."""
        self._producer.poll(timeout_s)

    def flush(self, timeout_s: float) -> int:
        """Waits up to `timeout_s` for delivery; returns the number of records still undelivered."""
        return int(self._producer.flush(timeout_s))

    def purge(self) -> int:
        """Discards undelivered records and returns their number."""
        undelivered = len(self._producer)
        self._producer.purge()
        self._producer.poll(0)
        return undelivered

    def recreate(self) -> None:
        """Discards undelivered records and replaces the client, as needed after a fatal error."""
        self.purge()
        self._producer = Producer(self._config)


def watermarks(settings: KafkaSettings, topic: str) -> dict[int, OffsetRange]:
    """Returns the offset range of every partition of a topic.

    Raises:
        KafkaException: The broker did not answer, or the topic does not exist.
        Misconfigured: An ACL is missing.
    """

    def fetch(reader: Consumer) -> dict[int, OffsetRange]:
        metadata = reader.list_topics(topic, timeout=15).topics[topic]
        if metadata.error is not None:
            raise KafkaException(metadata.error)
        return {partition: _offset_range(reader, topic, partition) for partition in sorted(metadata.partitions)}

    return _retry_without_leader(settings, topic, fetch)


def offset_at_time(settings: KafkaSettings, topic: str, partition: int, timestamp_ms: int) -> int:
    """Returns the offset of the first record appended at or after a time; without one, the end of the partition."""

    def fetch(reader: Consumer) -> int:
        position = reader.offsets_for_times([TopicPartition(topic, partition, timestamp_ms)], timeout=15)[0]
        if position.error is not None:
            raise KafkaException(position.error)
        return int(position.offset) if position.offset >= 0 else _offset_range(reader, topic, partition)[1]

    return _retry_without_leader(settings, topic, fetch)


def _offset_range(reader: Consumer, topic: str, partition: int) -> OffsetRange:
    first, end = reader.get_watermark_offsets(TopicPartition(topic, partition), timeout=15, cached=False)
    if first < 0 or end < 0:  # a new leader has no offsets yet; librdkafka returns -1001 without an error
        raise KafkaException(KafkaError(KafkaError.OFFSET_NOT_AVAILABLE, f"{topic}/{partition}: no offsets yet"))
    return first, end


def _retry_without_leader(
    settings: KafkaSettings, topic: str, fetch: Callable[[Consumer], Result], *, timeout_s: float = 15
) -> Result:
    """Calls `fetch`, again while a partition has no leader: just created, or its broker just restarted."""
    reader = _create_reader(settings)
    deadline_s = time.monotonic() + timeout_s
    try:
        while True:
            try:
                return fetch(reader)
            except KafkaException as error:
                if missing_acl := kafka_auth.authorization_failed(settings, error.args[0], "Describe", topic):
                    raise missing_acl from None
                if error.args[0].code() not in NO_LEADER_CODES or time.monotonic() > deadline_s:
                    raise
                time.sleep(0.1)
    finally:
        reader.close()


def read_ranges(
    settings: KafkaSettings, topic: str, ranges: Mapping[int, OffsetRange], *, timeout_s: float = 30
) -> Iterator[Message]:
    """Yields the records of offset ranges by partition; records of one partition come in order.

    Raises:
        KafkaException: Reading failed, or no record arrived for `timeout_s` seconds.
        Misconfigured: An ACL is missing.
    """
    ends = {partition: end for partition, (first, end) in ranges.items() if first < end}
    if not ends:
        return
    reader = _create_reader(settings)
    try:
        reader.assign([TopicPartition(topic, partition, ranges[partition][0]) for partition in ends])
        deadline_s = time.monotonic() + timeout_s
        while ends:
            for message in reader.consume(1000, timeout=0.05):
                partition = message.partition()
                error = message.error()
                if error is not None and error.code() != KafkaError._PARTITION_EOF:  # noqa: SLF001  public in librdkafka
                    raise _missing_acl(settings, error, topic, READER_GROUP) or KafkaException(error)
                deadline_s = time.monotonic() + timeout_s
                if partition not in ends:
                    continue
                if error is None and message.offset() < ends[partition]:
                    yield message
                    # Time that the caller spends on a record does not count as silence of the broker.
                    deadline_s = time.monotonic() + timeout_s
                if error is not None or message.offset() >= ends[partition] - 1:
                    del ends[partition]
            if time.monotonic() > deadline_s:
                raise KafkaException(KafkaError(KafkaError._TIMED_OUT, f"{topic}: nothing read for {timeout_s} s"))  # noqa: SLF001
    finally:
        reader.close()


def read_all(settings: KafkaSettings, topic: str) -> Iterator[Message]:
    """Yields all records of a topic up to its current end; records of one partition come in order."""
    yield from read_ranges(settings, topic, watermarks(settings, topic))


def _missing_acl(settings: KafkaSettings, error: KafkaError, topic: str, group: str) -> Misconfigured | None:
    is_group_error = error.code() == KafkaError.GROUP_AUTHORIZATION_FAILED
    return kafka_auth.authorization_failed(
        settings, error, *(("Describe", group) if is_group_error else ("Read", topic))
    )


def _create_reader(settings: KafkaSettings) -> Consumer:
    return create_consumer(settings, READER_GROUP, **{"enable.partition.eof": True, "fetch.wait.max.ms": 50})
