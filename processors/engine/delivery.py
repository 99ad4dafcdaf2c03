"""What one batch sends, and when the broker has it all. Knows the publisher that batches share, and nothing of steps.

Each batch waits for its own records only: one of many records must not hold up one of few.
"""

from __future__ import annotations

import asyncio

from confluent_kafka import KafkaError

from runtime.kafka import Publisher


class Delivery:
    """The records of one batch."""

    def __init__(self, publisher: Publisher, *, room_s: float) -> None:
        """`room_s`: how long to wait for room in the publisher's queue."""
        self._publisher = publisher
        self._room_s = room_s
        self._open = 0
        self._failure: KafkaError | None = None

    def send(self, topic: str, key: bytes, value: bytes, partition: int | None = None) -> None:
        """Queues one record; `partition`: where to, by its key if None.

        Raises:
            BufferError: the queue stayed full.
        """
        self._publisher.send(topic, key, value, self._done, wait_s=self._room_s, partition=partition)
        self._open += 1

    def _done(self, error: KafkaError | None) -> None:
        self._open -= 1
        self._failure = self._failure or error

    async def confirmed(self) -> None:
        """Returns when the broker has confirmed every record sent so far.

        Raises:
            Misconfigured: it never will, for we may not write there.
            RuntimeError: it never will.
        """
        self._publisher.poll(0)
        while self._open:
            await asyncio.sleep(0.001)
            self._publisher.poll(0)
        if self._failure is not None and self._publisher.denied is not None:
            raise self._publisher.denied
        if self._failure is not None:
            raise RuntimeError(f"not delivered: {self._failure.str()}")
