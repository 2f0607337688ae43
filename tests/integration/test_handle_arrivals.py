"""Handlers of STREAM_OPENED on real sessions: the first stream goes the way of all events, further ones a short way."""

from __future__ import annotations

import asyncio

import pytest
from handle_pair import barrier, session_pair

from wtransport.types import EventType, StreamDirection


@pytest.fixture
async def pair(certificate):
    async with session_pair(certificate) as pair:
        yield pair


async def test_every_stream_is_told_with_the_same_data(pair):
    heard = []
    pair.server.events.on(event_type=EventType.STREAM_OPENED, handler=heard.append)
    for _ in range(2):
        bidi, uni = await pair.client.create_bidirectional_stream(), await pair.client.create_unidirectional_stream()
        await barrier(pair)
        for opened in (bidi, uni):
            event = heard.pop(0)
            stream = event.data["stream"]
            direction = StreamDirection.BIDIRECTIONAL if opened is bidi else StreamDirection.RECEIVE_ONLY
            assert event.source is pair.server
            assert event.data == {
                "stream": stream,
                "stream_id": opened.stream_id,
                "session_id": pair.server.session_id,
                "direction": direction,
            }
            assert (stream.stream_id, stream.direction) == (opened.stream_id, direction)


async def test_a_handler_that_fails_gets_the_next_stream(pair, caplog):
    heard = []

    def fail(event):
        heard.append(event.data["stream_id"])
        raise ValueError("a handler's failure")

    pair.server.events.on(event_type=EventType.STREAM_OPENED, handler=fail)
    opened = []
    for _ in range(3):
        opened.append((await pair.client.create_bidirectional_stream()).stream_id)
        await barrier(pair)
    assert heard == opened
    failures = [record for record in caplog.records if record.name == "wtransport.events.delivery"]
    assert [record.exc_info[0] for record in failures] == [ValueError] * 3


async def test_a_handler_can_leave_further_streams_to_an_iterator(pair):
    heard = []

    def once_twice(event):
        heard.append(event.data["stream_id"])
        if len(heard) == 2:
            pair.server.events.off(event_type=EventType.STREAM_OPENED)

    pair.server.events.on(event_type=EventType.STREAM_OPENED, handler=once_twice)
    opened = []
    for _ in range(4):
        opened.append((await pair.client.create_bidirectional_stream()).stream_id)
        await barrier(pair)
    incoming = pair.server.incoming_bidirectional_streams()
    assert heard == opened[:2]
    assert [(await anext(incoming)).stream_id for _ in range(2)] == opened[2:]


async def test_streams_of_a_pause_are_told_in_order(pair):
    heard = []

    def note(event):
        heard.append(event.data["stream_id"])

    pair.server.events.on(event_type=EventType.STREAM_OPENED, handler=note)
    opened = []
    for number in range(5):
        opened.append((await pair.client.create_bidirectional_stream()).stream_id)
        await barrier(pair)
        if number == 1:
            pair.server.events.pause()
        if number == 3:
            assert heard == opened[:2]
            await pair.server.events.resume()
    assert heard == opened


async def test_a_handler_can_end_the_session_in_the_middle(pair):
    heard, closing = [], []

    def close(event):
        heard.append(event.data["stream_id"])
        if len(heard) == 2:
            closing.append(asyncio.ensure_future(pair.server.close(error_code=7)))

    pair.server.events.on(event_type=EventType.STREAM_OPENED, handler=close)
    closed = asyncio.ensure_future(pair.client.events.wait_for(event_type=EventType.SESSION_CLOSED, timeout=30))
    opened = [(await pair.client.create_bidirectional_stream()).stream_id for _ in range(2)]
    assert (await closed).data["code"] == 7
    await asyncio.gather(*closing)
    assert heard == opened
