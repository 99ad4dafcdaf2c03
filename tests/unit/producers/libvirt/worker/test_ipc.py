"""Frames between a reader and its libvirt process."""

from __future__ import annotations

import socket
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producers.libvirt.worker.ipc import LENGTH, MessageSocket

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda parts: st.lists(parts) | st.dictionaries(st.text(), parts) | st.tuples(parts, parts),
    max_leaves=20,
)


@pytest.fixture
def ends():
    one, other = socket.socketpair()
    with one, other:
        yield one, other


@given(messages=st.lists(PLAIN, max_size=5))
def test_what_is_sent_is_received(messages):
    one, other = socket.socketpair()
    with one, other:
        sender, receiver = MessageSocket(one), MessageSocket(other)
        for message in messages:
            sender.send(message)

        assert messages == [receiver.receive(60) for _ in messages]


def test_a_message_larger_than_the_sockets_buffers_arrives_whole(ends):
    message = {"domains": ["x" * 1000] * 5000}
    thread = threading.Thread(target=MessageSocket(ends[0]).send, args=(message,))
    thread.start()
    received = MessageSocket(ends[1]).receive(60)
    thread.join()

    assert message == received


def test_nothing_in_time_is_a_timeout_and_half_a_message_is_kept(ends):
    receiver = MessageSocket(ends[1])
    sender = MessageSocket(ends[0])
    with pytest.raises(TimeoutError):
        receiver.receive(0.0)
    ends[0].send(LENGTH.pack(1))
    with pytest.raises(TimeoutError):
        receiver.receive(0.01)
    ends[0].send(b"N")
    sender.send([1])

    assert (None, [1]) == (receiver.receive(60), receiver.receive(60))


def test_the_end_of_the_other_end_is_said(ends):
    receiver = MessageSocket(ends[1])
    ends[0].close()

    with pytest.raises(EOFError):
        receiver.receive(60)
