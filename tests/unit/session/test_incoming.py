"""What is kept of the peer's streams and datagrams while nobody takes them."""

from __future__ import annotations

import asyncio
import logging
from types import SimpleNamespace

import pytest
from fake_cores import FakeStreamCore, make_stream

from wtransport._speedups import DatagramQueue
from wtransport.session._incoming import (
    MAX_COPIED_DATAGRAMS,
    MAX_COPIED_FINISHED,
    IncomingDatagrams,
    IncomingIterator,
    IncomingStreams,
)
from wtransport.types import StreamDirection


def incoming_stream(stream_id: int):
    stream = make_stream(FakeStreamCore(direction=StreamDirection.RECEIVE_ONLY, stream_id=stream_id))
    stream._core.is_taken = False  # it was made for the queue, no program has it
    return stream


def test_streams_are_handed_out_in_order():
    incoming = IncomingStreams()
    streams = [incoming_stream(stream_id) for stream_id in (3, 7, 11)]
    for arrival, stream in enumerate(streams, 5):
        incoming.keep(stream, arrival)
    assert len(incoming) == 3
    assert incoming.first_arrival == 5
    assert [incoming.take() for _ in range(4)] == [*streams, None]


def test_a_stream_holds_its_place_until_it_is_taken():
    incoming = IncomingStreams()
    stream = incoming_stream(3)
    incoming.keep(stream, 0)
    assert not stream._core.is_taken
    assert incoming.take() is stream
    assert stream._core.is_taken


@pytest.mark.parametrize("is_copy", [False, True])
def test_live_streams_are_never_dropped(is_copy):
    incoming = IncomingStreams()
    for number in range(MAX_COPIED_FINISHED * 2):
        incoming.keep(incoming_stream(number), number, is_copy=is_copy)
    assert len(incoming) == MAX_COPIED_FINISHED * 2


def test_streams_that_nobody_got_are_never_dropped(caplog):
    incoming = IncomingStreams()
    for number in range(MAX_COPIED_FINISHED * 2):
        incoming.keep(incoming_stream(number), number)
        incoming.on_finished(number)
    assert len(incoming) == MAX_COPIED_FINISHED * 2
    assert caplog.records == []


def test_of_copies_that_ended_the_oldest_is_dropped_and_logged(caplog):
    incoming = IncomingStreams()
    first = incoming_stream(3)
    first._core.arrive(b"unread", end_stream=True)
    incoming.keep(first, 0, is_copy=True)
    incoming.on_finished(3)
    for number in range(1, MAX_COPIED_FINISHED + 1):
        incoming.keep(incoming_stream(number * 4 + 3), number, is_copy=True)
        with caplog.at_level(logging.WARNING):
            incoming.on_finished(number * 4 + 3)
    assert len(incoming) == MAX_COPIED_FINISHED
    assert incoming.first_arrival == 1
    assert first._core.stops == []  # the handlers have it, and may still read it
    assert [record.message for record in caplog.records] == [
        "<WebTransportReceiveStream 3 open> ended and was dropped: handlers had it, no iterator takes it"
    ]


def test_streams_that_were_taken_do_not_count(caplog):
    incoming = IncomingStreams()
    for number in range(MAX_COPIED_FINISHED * 2):
        incoming.keep(incoming_stream(number), number, is_copy=True)
        incoming.on_finished(number)
        assert incoming.take() is not None
        incoming.on_finished(number)
    assert caplog.records == []


def received(*data: bytes):
    queue = DatagramQueue(10)
    for each in data:
        queue.push(each)
    return SimpleNamespace(datagrams=queue)


def test_without_a_reader_handlers_leave_no_copy():
    inbox = IncomingDatagrams(received(b"a", b"b"))
    assert [inbox.take_for_handlers() for _ in range(3)] == [b"a", b"b", None]
    assert inbox.take() is None


def test_a_reader_gets_what_handlers_got_and_then_the_rest():
    core = received(b"a", b"b")
    inbox = IncomingDatagrams(core)
    inbox.is_pulled = True
    assert inbox.take_for_handlers() == b"a"
    assert [inbox.take() for _ in range(3)] == [b"a", b"b", None]


def test_copies_are_bounded():
    core = SimpleNamespace(datagrams=DatagramQueue(MAX_COPIED_DATAGRAMS * 2))
    inbox = IncomingDatagrams(core)
    inbox.is_pulled = True
    for number in range(MAX_COPIED_DATAGRAMS + 5):
        core.datagrams.push(b"%d" % number)
        inbox.take_for_handlers()
    assert inbox.take() == b"5"


async def test_an_iterator_ends_when_there_is_nothing_more():
    items = ["a", "b", None]

    async def take() -> str | None:
        await asyncio.sleep(0)
        return items.pop(0)

    iterator = IncomingIterator(take)
    assert aiter(iterator) is iterator
    assert [item async for item in iterator] == ["a", "b"]
    items.append(None)
    with pytest.raises(StopAsyncIteration):
        await anext(iterator)
