"""Sends the output records of one batch and waits until the broker has confirmed them.

Batches share one publisher, but each waits for its own records only: a batch of many must not delay a batch of few.
"""

from __future__ import annotations

import asyncio

from confluent_kafka import KafkaError

from runtime.kafka import KafkaPublisher


class BatchDelivery:
    """The output records of one batch."""

    def __init__(self, publisher: KafkaPublisher, *, queue_timeout_s: float) -> None:
        """Starts with no records.

        Args:
            publisher: The publisher shared by all batches.
            queue_timeout_s: How long to wait for room in the publisher's queue.
        """
        self._publisher = publisher
        self._queue_timeout_s = queue_timeout_s
        self._unconfirmed = 0
        self._failure: KafkaError | None = None

    def send(self, topic: str, key: bytes, value: bytes, partition: int | None = None) -> None:
        """Queues one record. `partition`: the partition to send it to; None: chosen by the key.

        Raises:
            BufferError: The queue stayed full.
        """
        self._publisher.send(topic, key, value, self._on_delivery, wait_s=self._queue_timeout_s, partition=partition)
        self._unconfirmed += 1

    def _on_delivery(self, error: KafkaError | None) -> None:
        self._unconfirmed -= 1
        self._failure = self._failure or error

    async def wait_confirmed(self) -> None:
        """Returns when the broker has confirmed every record sent so far.

        Raises:
            Misconfigured: An ACL is missing, so a record can never be written.
            RuntimeError: A record can never be delivered.
        """
        self._publisher.poll(0)
        while self._unconfirmed:
            await asyncio.sleep(0.001)
            self._publisher.poll(0)
        if self._failure is not None and self._publisher.authorization_error is not None:
            raise self._publisher.authorization_error
        if self._failure is not None:
            raise RuntimeError(f"not delivered: {self._failure.str()}")
