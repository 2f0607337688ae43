"""Writing to a stream handle, over a core whose room the test controls."""

from __future__ import annotations

import asyncio

import pytest
from fake_cores import FakeStreamCore, make_stream

from wtransport.exceptions import StreamError
from wtransport.exceptions import TimeoutError as WebTransportTimeoutError
from wtransport.types import StreamDirection, StreamState


@pytest.fixture
def core() -> FakeStreamCore:
    return FakeStreamCore(direction=StreamDirection.SEND_ONLY, stream_id=14, is_local=True)


def finish_at_once(coroutine) -> None:
    """Run a coroutine that must not wait, outside of any loop."""
    with pytest.raises(StopIteration):
        coroutine.send(None)


async def begin(coroutine) -> asyncio.Task:
    task = asyncio.create_task(coroutine)
    await turns()
    return task


async def turns() -> None:
    for _ in range(4):
        await asyncio.sleep(0)


def data_of(core: FakeStreamCore) -> bytes:
    return b"".join(data for data, _ in core.written)


@pytest.mark.parametrize("data", [b"abc", bytearray(b"abc"), memoryview(b"abc"), "abc"])
def test_every_kind_of_data_is_accepted_at_once(core, data):
    finish_at_once(make_stream(core).write(data=data))
    assert core.written == [(b"abc", False)]


def test_bytes_are_passed_on_uncopied(core):
    data = bytes(1000)
    finish_at_once(make_stream(core).write(data=data))
    assert core.written[0][0] is data


def test_text_is_sent_as_utf8(core):
    finish_at_once(make_stream(core).write(data="é"))
    assert data_of(core) == b"\xc3\xa9"


async def test_other_types_are_refused(core):
    with pytest.raises(TypeError, match="int"):
        await make_stream(core).write(data=5)
    assert core.written == []


def test_nothing_is_written_for_empty_data(core):
    stream = make_stream(core)
    finish_at_once(stream.write(data=b""))
    assert core.written == []
    finish_at_once(stream.write(data=b"", end_stream=True))
    assert core.written == [(b"", True)]


@pytest.mark.parametrize("data", [b"x", b""])
async def test_writing_after_the_end_is_an_error(core, data):
    stream = make_stream(core)
    await stream.write(data=b"x", end_stream=True)
    assert not stream.can_write
    with pytest.raises(StreamError, match="sending side was closed"):
        await stream.write(data=data)


async def test_writing_after_a_reset_of_ours_is_an_error(core):
    stream = make_stream(core)
    await stream.stop_sending(error_code=5)
    assert core.resets == [5]
    with pytest.raises(StreamError, match="reset"):
        await stream.write(data=b"x")


async def test_writing_after_the_peer_stopped_raises_its_code(core):
    stream = make_stream(core)
    core.fail_writing(99)
    for _ in range(2):
        with pytest.raises(StreamError) as caught:
            await stream.write(data=b"x")
        assert caught.value.application_code == 99


def test_a_full_buffer_is_not_yet_too_much(core):
    stream = make_stream(core, max_stream_write_buffer=10)
    finish_at_once(stream.write(data=b"0123456789"))
    assert core.unsent == 10


async def test_more_than_the_buffer_waits(core):
    stream = make_stream(core, max_stream_write_buffer=10)
    await stream.write(data=b"0123456789")
    task = await begin(stream.write(data=b"x", end_stream=True))
    assert len(core.written) == 1
    assert core.low_water == 5
    diagnostics = await stream.diagnostics()
    assert [(data, end) for data, _, end in diagnostics.write_buffer] == [(b"x", True)]
    core.drain(5)
    await task
    assert core.written[1] == (b"x", True)
    assert (await stream.diagnostics()).write_buffer == []


async def test_large_data_is_queued_in_pieces_that_fit(core):
    stream = make_stream(core, max_stream_write_buffer=10)
    data = bytes(range(100))
    task = await begin(stream.write(data=data, end_stream=True))
    highest = core.unsent
    while not task.done():
        core.drain(core.unsent - core.low_water)
        await turns()
        highest = max(highest, core.unsent)
    await task
    assert highest <= 10
    assert data_of(core) == data
    assert [end for _, end in core.written].count(True) == 1
    assert core.written[-1][1] is True


async def test_a_write_buffer_of_one_byte_works(core):
    stream = make_stream(core, max_stream_write_buffer=1)
    task = await begin(stream.write(data=b"abc"))
    while not task.done():
        core.drain(core.unsent)
        await turns()
    assert data_of(core) == b"abc"


async def test_a_time_out_of_small_data_means_that_nothing_was_queued(core):
    stream = make_stream(core, max_stream_write_buffer=10, write_timeout=0.02)
    await stream.write(data=b"01234567")
    with pytest.raises(WebTransportTimeoutError, match="write on stream 14") as caught:
        await stream.write(data=b"abcdef")
    assert caught.value.details["bytes_accepted"] == 0
    assert data_of(core) == b"01234567"
    await stream.write(data=b"ab")
    assert data_of(core) == b"01234567ab"


async def test_a_time_out_of_large_data_tells_how_much_was_queued(core):
    stream = make_stream(core, max_stream_write_buffer=10, write_timeout=0.02)
    with pytest.raises(WebTransportTimeoutError) as caught:
        await stream.write(data=bytes(50))
    assert caught.value.details["bytes_accepted"] == len(data_of(core)) == 10


async def test_time_is_counted_from_the_last_progress(core):
    stream = make_stream(core, max_stream_write_buffer=100, write_timeout=0.1)
    await stream.write(data=bytes(100))
    task = await begin(stream.write(data=bytes(100)))
    for _ in range(5):
        await asyncio.sleep(0.06)
        assert not task.done()
        core.drain(10)  # far from the mark, but something went out
    core.drain(core.unsent)
    await task


async def test_a_write_that_waits_learns_that_the_peer_stopped(core):
    stream = make_stream(core, max_stream_write_buffer=10)
    task = await begin(stream.write(data=bytes(50)))
    core.fail_writing(4)
    with pytest.raises(StreamError) as caught:
        await task
    assert caught.value.application_code == 4
    assert caught.value.details["bytes_accepted"] == 10


async def test_a_write_that_waits_learns_of_our_own_reset(core):
    stream = make_stream(core, max_stream_write_buffer=10)
    tasks = [await begin(stream.write(data=bytes(50))), await begin(stream.write(data=b"x"))]
    await stream.close(error_code=8)
    for task in tasks:
        with pytest.raises(StreamError):
            await task
    assert core.resets == [8]


async def test_writers_take_turns_and_do_not_mix(core):
    stream = make_stream(core, max_stream_write_buffer=10)
    big = await begin(stream.write(data=b"a" * 35))
    small = await begin(stream.write(data=b"b"))
    last = await begin(stream.write(data=b"c", end_stream=True))
    while not last.done():
        core.drain(core.unsent - (core.low_water or 0))
        await turns()
    await asyncio.gather(big, small, last)
    assert data_of(core) == b"a" * 35 + b"bc"


async def test_a_write_behind_a_waiting_one_does_not_overtake_it(core):
    stream = make_stream(core, max_stream_write_buffer=10)
    await stream.write(data=b"12345")
    waiting = await begin(stream.write(data=b"1234567"))
    fitting = await begin(stream.write(data=b"x"))
    assert not fitting.done()
    core.drain(5)
    await asyncio.gather(waiting, fitting)
    assert data_of(core) == b"123451234567x"


async def test_a_cancelled_writer_lets_the_next_one_go(core):
    stream = make_stream(core, max_stream_write_buffer=10)
    await stream.write(data=bytes(10))
    first = await begin(stream.write(data=b"a" * 10))
    second = await begin(stream.write(data=b"b"))
    core.drain(5)
    first.cancel()
    await second
    with pytest.raises(asyncio.CancelledError):
        await first
    assert data_of(core).endswith(b"\x00b")
    assert [timer for timer in asyncio.get_running_loop()._scheduled if not timer.cancelled()] == []


async def test_write_all_sends_pieces_and_the_end(core):
    await make_stream(core).write_all(data=b"abcdefg", chunk_size=3)
    assert core.written == [(b"abc", False), (b"def", False), (b"g", True)]


@pytest.mark.parametrize("data", [b"", b"ab", b"abc"])
async def test_write_all_of_one_piece_is_one_write(core, data):
    await make_stream(core).write_all(data=data, chunk_size=3)
    assert core.written == [(data, True)]


async def test_write_all_takes_a_view(core):
    await make_stream(core).write_all(data=memoryview(b"abcd"), chunk_size=3)
    assert data_of(core) == b"abcd"


async def test_write_all_refuses_a_chunk_of_nothing(core):
    with pytest.raises(ValueError, match="chunk_size"):
        await make_stream(core).write_all(data=b"x", chunk_size=0)


async def test_closing_ends_the_stream_once(core):
    stream = make_stream(core)
    await stream.close()
    await stream.close()
    assert core.written == [(b"", True)]
    assert stream.is_closed
    assert stream.state is StreamState.CLOSED


async def test_closing_with_a_code_resets(core):
    stream = make_stream(core)
    await stream.close(error_code=0)
    assert core.resets == [0]
    assert stream.state is StreamState.RESET_SENT


@pytest.mark.parametrize("code", [-1, 2**32])
async def test_codes_that_the_peer_cannot_get_are_refused(core, code):
    stream = make_stream(core)
    with pytest.raises(ValueError, match="error_code"):
        await stream.close(error_code=code)
    with pytest.raises(ValueError, match="error_code"):
        await stream.stop_sending(error_code=code)
    with pytest.raises(TypeError, match="error_code"):
        await stream.stop_sending(error_code="5")
    assert core.resets == []


async def test_leaving_the_block_ends_the_stream(core):
    async with make_stream(core) as stream:
        await stream.write(data=b"x")
    assert core.written == [(b"x", False), (b"", True)]


@pytest.mark.parametrize(
    ("exception", "code"),
    [(RuntimeError("own"), 12), (StreamError("x", error_code=77), 77), (StreamError("x", error_code=2**40), 12)],
)
async def test_leaving_the_block_with_an_exception_resets(core, exception, code):
    with pytest.raises(type(exception)):
        async with make_stream(core):
            raise exception
    assert core.resets == [code]
    assert core.written == []
