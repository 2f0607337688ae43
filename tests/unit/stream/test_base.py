"""What every stream handle has: how it is made, its events, and its end."""

from __future__ import annotations

import gc
import inspect
import weakref

import pytest
from fake_cores import FakeSession, FakeStreamCore, make_stream

import wtransport.stream.stream
from wtransport.exceptions import StreamError
from wtransport.stream import (
    StreamDiagnostics,
    WebTransportReceiveStream,
    WebTransportSendStream,
    WebTransportStream,
)
from wtransport.types import EventType, StreamDirection, StreamState


def test_the_classes_report_the_module_of_the_09_api():
    for each in (StreamDiagnostics, WebTransportReceiveStream, WebTransportSendStream, WebTransportStream):
        assert each.__module__ == "wtransport.stream.stream"
        assert getattr(wtransport.stream.stream, each.__name__) is each


@pytest.mark.parametrize("kind", [WebTransportReceiveStream, WebTransportSendStream, WebTransportStream])
def test_handles_have_no_dict(kind):
    assert "__dict__" not in dir(kind)


def test_a_bidirectional_stream_is_both():
    assert issubclass(WebTransportStream, WebTransportReceiveStream)
    assert issubclass(WebTransportStream, WebTransportSendStream)


def test_an_unknown_stream_has_no_handle():
    with pytest.raises(StreamError, match="no stream 8") as caught:
        WebTransportStream(session=FakeSession(), stream_id=8)
    assert caught.value.stream_id == 8


def test_a_stream_has_one_handle():
    stream = make_stream(FakeStreamCore())
    with pytest.raises(StreamError, match="handle"):
        WebTransportStream(session=stream.session, stream_id=stream.stream_id)


def test_the_class_must_suit_the_direction():
    session = FakeSession()
    session._core.streams[4] = FakeStreamCore(direction=StreamDirection.SEND_ONLY)
    with pytest.raises(StreamError, match="send_only"):
        WebTransportReceiveStream(session=session, stream_id=4)


async def test_the_end_is_told_to_whoever_listens():
    core = FakeStreamCore()
    stream, heard = make_stream(core), []
    stream.events.on(event_type=EventType.STREAM_CLOSED, handler=heard.append)
    stream._on_finished()
    stream._on_finished()
    assert [event.data for event in heard] == [{"stream": stream, "stream_id": 4}]
    assert (await stream.diagnostics()).closed_at is not None


async def test_the_end_is_told_to_whoever_asks_later():
    stream = make_stream(FakeStreamCore())
    stream._on_finished()
    event = await stream.events.wait_for(event_type=EventType.STREAM_CLOSED)
    assert event.data["stream"] is stream
    assert event.timestamp == (await stream.diagnostics()).closed_at


def test_a_finished_stream_is_held_by_the_program_alone():
    core = FakeStreamCore()
    stream = make_stream(core)
    stream._on_finished()
    assert core.handle is None
    gone = weakref.ref(stream)
    gc.disable()
    try:
        del stream
        assert gone() is None  # by reference count: not even a cycle is left
    finally:
        gc.enable()


async def test_closing_a_bidirectional_stream_ends_both_sides():
    core = FakeStreamCore()
    stream = make_stream(core)
    await stream.close()
    assert core.written == [(b"", True)]
    assert core.stops == [0]
    assert stream.is_closed


async def test_closing_a_bidirectional_stream_with_a_code_aborts_both_sides():
    core = FakeStreamCore()
    await make_stream(core).close(error_code=31)
    assert (core.resets, core.stops, core.written) == ([31], [31], [])


async def test_an_exception_in_the_block_aborts_both_sides():
    core = FakeStreamCore()
    with pytest.raises(LookupError):
        async with make_stream(core):
            raise LookupError
    assert (core.resets, core.stops, core.written) == ([12], [12], [])


async def test_reading_and_writing_ends_are_told_apart():
    core = FakeStreamCore()
    stream = make_stream(core)
    assert stream.can_read
    assert stream.can_write
    await stream.write(data=b"x", end_stream=True)
    assert not stream.can_write
    assert stream.can_read
    assert not stream.is_closed
    core.arrive(b"rest", end_stream=True)
    assert stream.can_read
    assert await stream.read() == b"rest"
    assert not stream.can_read
    assert stream.is_closed
    assert stream.state is StreamState.CLOSED


def test_the_repr_names_the_stream():
    assert "WebTransportStream 4 open" in repr(make_stream(FakeStreamCore()))


def test_signatures_are_keyword_only():
    for kind in (WebTransportReceiveStream, WebTransportSendStream, WebTransportStream):
        for name, method in inspect.getmembers(kind, inspect.iscoroutinefunction):
            if not name.startswith("_"):
                kinds = {each.kind for each in inspect.signature(method).parameters.values() if each.name != "self"}
                assert kinds <= {inspect.Parameter.KEYWORD_ONLY}
