"""Reading from a stream handle, over a core whose bytes the test controls."""

from __future__ import annotations

import asyncio

import pytest
from fake_cores import FakeStreamCore, make_stream

from wtransport.exceptions import StreamError
from wtransport.exceptions import TimeoutError as WebTransportTimeoutError
from wtransport.types import StreamDirection, StreamState


@pytest.fixture
def core() -> FakeStreamCore:
    return FakeStreamCore(direction=StreamDirection.RECEIVE_ONLY, stream_id=15)


def finish_at_once(coroutine):
    """Run a coroutine that must not wait, outside of any loop, and return its result."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value
    coroutine.close()
    raise AssertionError("it waits")


async def begin(coroutine) -> asyncio.Task:
    """Start a task and let it come to where it sleeps."""
    task = asyncio.create_task(coroutine)
    await asyncio.sleep(0)
    return task


def test_buffered_bytes_are_returned_without_a_loop(core):
    stream = make_stream(core)
    core.arrive(b"hello")
    assert finish_at_once(stream.read(max_bytes=2)) == b"he"
    assert finish_at_once(stream.read()) == b"llo"


def test_the_end_is_read_as_often_as_asked(core):
    stream = make_stream(core)
    core.arrive(b"x", end_stream=True)
    assert [finish_at_once(stream.read()) for _ in range(3)] == [b"x", b"", b""]
    assert finish_at_once(stream.read_all()) == b""


def test_zero_bytes_are_no_end(core):
    assert finish_at_once(make_stream(core).read(max_bytes=0)) == b""


def test_a_negative_size_is_refused(core):
    stream = make_stream(core)
    with pytest.raises(ValueError, match="max_bytes"):
        finish_at_once(stream.read(max_bytes=-2))
    with pytest.raises(ValueError, match="n must not be negative"):
        finish_at_once(stream.readexactly(n=-1))
    with pytest.raises(ValueError, match="limit"):
        finish_at_once(stream.readline(limit=-2))
    with pytest.raises(ValueError, match="separator"):
        finish_at_once(stream.readuntil(separator=b""))


async def test_a_reader_waits_for_bytes(core):
    stream = make_stream(core)
    task = await begin(stream.read())
    assert core.wants_readable
    diagnostics = await stream.diagnostics()
    assert len(diagnostics.pending_read_requests) == 1
    core.arrive(b"late")
    assert await task == b"late"
    assert not core.wants_readable


async def test_a_reader_waits_for_the_end(core):
    stream = make_stream(core)
    task = await begin(stream.read())
    core.arrive(end_stream=True)
    assert await task == b""


@pytest.mark.parametrize(
    "operation",
    [
        lambda stream: stream.read(),
        lambda stream: stream.read_all(),
        lambda stream: stream.readexactly(n=5),
        lambda stream: stream.readline(),
        lambda stream: stream.readuntil(separator=b"--"),
        anext,
    ],
    ids=["read", "read_all", "readexactly", "readline", "readuntil", "anext"],
)
class TestEveryWayToRead:
    async def test_raises_the_code_of_a_reset(self, core, operation):
        stream = make_stream(core)
        task = await begin(operation(stream))
        core.fail_reading(77)
        with pytest.raises(StreamError) as caught:
            await task
        assert caught.value.application_code == 77
        assert caught.value.error_code == 77
        assert stream.state is StreamState.RESET_RECEIVED
        assert not stream.can_read

    async def test_times_out_naming_operation_and_stream(self, core, operation):
        stream = make_stream(core, read_timeout=0.01)
        with pytest.raises(WebTransportTimeoutError, match=r"read.* on stream 15") as caught:
            await operation(stream)
        assert caught.value.timeout_duration == 0.01
        core.arrive(b"after\n--", end_stream=True)
        assert await stream.read() == b"after\n--"

    async def test_refuses_a_second_reader_by_name(self, core, operation):
        stream = make_stream(core)
        task = await begin(operation(stream))
        with pytest.raises(StreamError, match="stream 15 while another task is in read"):
            await stream.read()
        with pytest.raises(StreamError, match="readexactly on stream 15"):
            await stream.readexactly(n=1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        core.arrive(b"for the next reader")
        assert await stream.read() == b"for the next reader"

    async def test_leaves_nothing_when_cancelled(self, core, operation):
        stream = make_stream(core)
        task = await begin(operation(stream))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not core.wants_readable
        assert [timer for timer in asyncio.get_running_loop()._scheduled if not timer.cancelled()] == []
        assert (await stream.diagnostics()).pending_read_requests == []
        if core.expected:
            assert core.expected[-1] == 0

    async def test_raises_when_reading_is_stopped_here(self, core, operation):
        stream = make_stream(core)
        task = await begin(operation(stream))
        await stream.stop_receiving(error_code=9)
        with pytest.raises(StreamError, match="stopped here"):
            await task
        assert core.stops == [9]
        assert stream.is_closed


async def test_the_second_reader_is_refused_even_when_bytes_have_come(core):
    stream = make_stream(core)
    task = await begin(stream.read())
    core.arrive(b"for the first")
    with pytest.raises(StreamError, match="another task"):
        await stream.read()
    assert await task == b"for the first"


async def test_bytes_that_come_with_a_cancellation_stay(core):
    stream = make_stream(core)
    task = await begin(stream.read())
    core.arrive(b"kept")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await stream.read() == b"kept"


async def test_a_slow_but_steady_peer_does_not_time_out(core):
    stream = make_stream(core, read_timeout=0.15)
    task = await begin(stream.read_all())
    for _ in range(4):
        await asyncio.sleep(0.06)
        core.arrive(b".")
    core.arrive(end_stream=True)
    assert await task == b"...."


async def test_no_timeout_waits_without_a_timer(core):
    stream = make_stream(core, read_timeout=None)
    task = await begin(stream.read())
    assert [timer for timer in asyncio.get_running_loop()._scheduled if not timer.cancelled()] == []
    core.arrive(b"x")
    assert await task == b"x"


async def test_read_all_joins_what_comes(core):
    stream = make_stream(core)
    task = await begin(stream.read_all())
    for part in (b"a", b"bc", b"def"):
        core.arrive(part)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    core.arrive(b"!", end_stream=True)
    assert await task == b"abcdef!"


async def test_read_all_raises_on_a_reset_instead_of_returning_a_part(core):
    stream = make_stream(core)
    core.arrive(b"part")
    task = await begin(stream.read_all())
    core.fail_reading(3)
    with pytest.raises(StreamError):
        await task


async def test_readexactly_waits_for_all_of_it_and_takes_no_more(core):
    stream = make_stream(core)
    core.arrive(b"abc")
    task = await begin(stream.readexactly(n=5))
    assert core.expected == [5]
    core.arrive(b"d")
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert not task.done()
    core.arrive(b"efgh")
    assert await task == b"abcde"
    assert core.expected[-1] == 0
    assert await stream.read() == b"fgh"


def test_readexactly_of_what_is_there_does_not_wait(core):
    stream = make_stream(core)
    core.arrive(b"abc")
    assert finish_at_once(stream.readexactly(n=0)) == b""
    assert finish_at_once(stream.readexactly(n=3)) == b"abc"


async def test_readexactly_past_the_end_gives_what_there_was(core):
    stream = make_stream(core)
    core.arrive(b"ab")
    task = await begin(stream.readexactly(n=5))
    core.arrive(b"c", end_stream=True)
    with pytest.raises(asyncio.IncompleteReadError) as caught:
        await task
    assert caught.value.partial == b"abc"
    assert caught.value.expected == 5
    assert await stream.read() == b""


async def test_readexactly_that_is_cancelled_has_read_nothing(core):
    stream = make_stream(core)
    core.arrive(b"ab")
    task = await begin(stream.readexactly(n=5))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await stream.read() == b"ab"


async def test_a_reset_leaves_what_arrived_to_be_read_piece_by_piece(core):
    stream = make_stream(core)
    core.arrive(b"ab")
    core.fail_reading(1)
    with pytest.raises(StreamError):
        await stream.readexactly(n=3)
    assert await stream.read() == b"ab"
    with pytest.raises(StreamError):
        await stream.read()


@pytest.mark.parametrize("cut", range(1, 12))
async def test_a_separator_is_found_wherever_it_is_cut(core, cut):
    stream = make_stream(core)
    text = b"one\r\n\r\ntwo\n"
    core.arrive(text[:cut])
    task = await begin(stream.readuntil(separator=b"\r\n\r\n"))
    core.arrive(text[cut:])
    assert await task == b"one\r\n\r\n"
    assert await stream.readline() == b"two\n"


async def test_a_limit_that_is_passed_leaves_the_bytes(core):
    stream = make_stream(core)
    core.arrive(b"0123456789\n")
    with pytest.raises(StreamError, match="10 bytes"):
        await stream.readline(limit=10)
    assert await stream.readline(limit=11) == b"0123456789\n"


async def test_a_limit_is_not_waited_beyond(core):
    stream = make_stream(core)
    task = await begin(stream.readline(limit=4))
    core.arrive(b"012")
    await asyncio.sleep(0)
    core.arrive(b"3")
    with pytest.raises(StreamError, match="4 bytes"):
        await task
    assert await stream.read() == b"0123"


async def test_the_limit_is_that_of_the_configuration_by_default(core):
    stream = make_stream(core, max_stream_read_buffer=8)
    core.arrive(b"123456789\n")
    with pytest.raises(StreamError, match="8 bytes"):
        await stream.readline()


async def test_a_line_without_its_end_gives_what_there_was(core):
    stream = make_stream(core)
    core.arrive(b"no end", end_stream=True)
    with pytest.raises(asyncio.IncompleteReadError) as caught:
        await stream.readline()
    assert caught.value.partial == b"no end"
    assert caught.value.expected is None


async def test_iterating_ends_with_the_stream(core):
    stream = make_stream(core)
    core.arrive(b"a")

    async def collect() -> list[bytes]:
        return [chunk async for chunk in stream]

    task = await begin(collect())
    core.arrive(b"b")
    await asyncio.sleep(0)
    core.arrive(b"c", end_stream=True)
    assert b"".join(await task) == b"abc"


async def test_leaving_the_block_stops_the_peer(core):
    async with make_stream(core) as stream:
        core.arrive(b"unread")
    assert core.stops == [0]
    assert stream.is_closed
    assert stream.state is StreamState.CLOSED
    assert not stream.can_read


async def test_leaving_the_block_with_an_exception_gives_its_code(core):
    with pytest.raises(StreamError):
        async with make_stream(core):
            raise StreamError("mine", error_code=42)
    assert core.stops == [42]


async def test_diagnostics_show_what_is_buffered_without_taking_it(core):
    stream = make_stream(core)
    core.arrive(b"abc")
    diagnostics = await stream.diagnostics()
    assert (diagnostics.read_buffer, diagnostics.read_buffer_size) == (b"abc", 3)
    assert diagnostics.bytes_received == 3
    assert diagnostics.session_id == "fake"
    assert diagnostics.direction is StreamDirection.RECEIVE_ONLY
    assert await stream.read() == b"abc"


async def test_the_error_of_a_stream_does_not_hold_its_readers(core):
    stream = make_stream(core)
    core.fail_reading(5)
    caught = []
    for operation in (stream.read, stream.read_all, stream.readline):
        with pytest.raises(StreamError) as each:
            await operation()
        caught.append(each.value)
    assert [error.application_code for error in caught] == [5, 5, 5]
    assert len({id(error) for error in caught}) == 3
    assert core.receive_error.__traceback__ is None
