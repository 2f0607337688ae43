"""Stream handles at both ends of a real connection on loopback."""

from __future__ import annotations

import asyncio
import hashlib

import pytest
from handle_pair import SessionPair, session_pair

from wtransport.exceptions import StreamError
from wtransport.exceptions import TimeoutError as WebTransportTimeoutError
from wtransport.stream import WebTransportReceiveStream, WebTransportSendStream, WebTransportStream
from wtransport.types import EventType, StreamDirection, StreamState

SMALL_WINDOW = {"flow_control_window_size": 65536}


@pytest.fixture
async def pair(certificate):
    async with session_pair(certificate) as pair:
        yield pair


async def bidirectional(pair: SessionPair) -> tuple[WebTransportStream, WebTransportStream]:
    """A stream opened by the client, at both ends; the first byte is read."""
    stream = await pair.client.create_bidirectional_stream()
    await stream.write(data=b"!")
    other = await anext(pair.server.incoming_bidirectional_streams())
    assert await other.readexactly(n=1) == b"!"
    return stream, other


async def unidirectional(pair: SessionPair) -> tuple[WebTransportSendStream, WebTransportReceiveStream]:
    """A stream opened by the server, at both ends."""
    stream = await pair.server.create_unidirectional_stream()
    return stream, await anext(pair.client.incoming_unidirectional_streams())


async def write_for_ever(stream: WebTransportSendStream) -> None:
    while True:
        await stream.write(data=b"x" * 1000)
        await asyncio.sleep(0)


async def test_request_and_answer(pair):
    stream, other = await bidirectional(pair)
    await stream.write_all(data=b"question")
    assert await other.read_all() == b"question"
    await other.write(data="answer", end_stream=True)
    assert await stream.read_all() == b"answer"
    for each in (stream, other):
        assert each.is_closed
        assert each.state is StreamState.CLOSED


async def test_tiny_streams_that_nobody_takes_stop_their_opener_and_are_all_there_later(certificate):
    few = {"initial_max_streams_uni": 8}
    async with session_pair(certificate, server=few, client={"stream_creation_timeout": 1.0}) as pair:
        opened = 0
        with pytest.raises(WebTransportTimeoutError):
            while True:
                stream = await pair.client.create_unidirectional_stream()
                await stream.write_all(data=b"%d" % opened)
                opened += 1
        assert opened == 8
        incoming = pair.server.incoming_unidirectional_streams()
        for number in range(opened):
            assert await (await anext(incoming)).read_all() == b"%d" % number
        await (await pair.client.create_unidirectional_stream()).write_all(data=b"more")
        assert await (await anext(incoming)).read_all() == b"more"


async def test_a_stream_is_seen_before_anything_is_written(pair):
    stream, other = await unidirectional(pair)
    assert other.stream_id == stream.stream_id
    assert (stream.direction, other.direction) == (StreamDirection.SEND_ONLY, StreamDirection.RECEIVE_ONLY)


async def test_megabytes_arrive_whole(pair):
    size = 6_000_000
    data = hashlib.shake_256(b"seed").digest(size)
    stream, other = await bidirectional(pair)

    async def echo() -> None:
        async for chunk in other:
            await other.write(data=chunk)
        await other.close()

    echoing = asyncio.create_task(echo())
    sending = asyncio.create_task(stream.write(data=data, end_stream=True))
    assert await stream.read_all() == data
    await asyncio.gather(sending, echoing)


async def test_many_streams_at_once(pair):
    async def echo_all() -> None:
        async with asyncio.TaskGroup() as tasks:
            async for stream in pair.server.incoming_bidirectional_streams():
                tasks.create_task(echo(stream))

    async def echo(stream: WebTransportStream) -> None:
        await stream.write_all(data=await stream.read_all())

    async def ask(number: int) -> None:
        stream = await pair.client.create_bidirectional_stream()
        await stream.write_all(data=b"%d" % number * 100)
        assert await stream.read_all() == b"%d" % number * 100

    serving = asyncio.create_task(echo_all())
    await asyncio.gather(*(ask(number) for number in range(600)))
    await pair.client.close()
    await serving


async def test_a_reset_carries_its_code(pair):
    stream, other = await unidirectional(pair)
    await stream.close(error_code=0xDEADBEEF)
    with pytest.raises(StreamError) as caught:
        await other.read()
    assert caught.value.application_code == caught.value.error_code == 0xDEADBEEF
    assert other.state is StreamState.RESET_RECEIVED
    assert stream.state is StreamState.RESET_SENT
    diagnostics = await other.diagnostics()
    assert diagnostics.close_code == 0xDEADBEEF


async def test_stop_sending_carries_its_code(pair):
    stream, other = await unidirectional(pair)
    await other.stop_receiving(error_code=17)
    with pytest.raises(StreamError) as caught:
        await write_for_ever(stream)
    assert caught.value.application_code == 17
    assert not stream.can_write


@pytest.mark.parametrize("code", [0, 255, 2**32 - 1])
async def test_both_sides_are_aborted_with_a_code(pair, code):
    stream, other = await bidirectional(pair)
    await stream.close(error_code=code)
    with pytest.raises(StreamError) as reading:
        await other.read()
    with pytest.raises(StreamError) as writing:
        await other.write(data=b"x")
    assert reading.value.application_code == writing.value.application_code == code


async def test_closing_a_stream_stops_a_peer_that_still_sends(pair):
    stream, other = await bidirectional(pair)
    await stream.close()
    assert await other.read() == b""
    with pytest.raises(StreamError) as caught:
        await write_for_ever(other)
    assert caught.value.application_code == 0


async def test_one_side_may_go_on_after_the_other_ended(pair):
    stream, other = await bidirectional(pair)
    await stream.write(data=b"", end_stream=True)
    assert stream.state is StreamState.HALF_CLOSED_LOCAL
    assert await other.read() == b""
    assert other.state is StreamState.HALF_CLOSED_REMOTE
    for number in range(3):
        await other.write(data=b"%d" % number)
        assert await stream.readexactly(n=1) == b"%d" % number


async def test_a_writer_waits_for_a_reader_that_does_not_read(certificate):
    async with session_pair(certificate, client={"write_timeout": 0.3, "max_stream_write_buffer": 50_000}) as pair:
        stream, other = await bidirectional(pair)
        with pytest.raises(WebTransportTimeoutError, match="write"):
            await stream.write(data=bytes(20_000_000))
        await stream.stop_sending(error_code=5)
        with pytest.raises(StreamError):
            await other.read_all()
        assert (await other.diagnostics()).bytes_received < 20_000_000


async def test_reading_gives_credit(certificate):
    async with session_pair(certificate, server=SMALL_WINDOW) as pair:
        stream, other = await bidirectional(pair)
        sending = asyncio.create_task(stream.write_all(data=bytes(1_000_000)))
        total = 0
        while data := await other.read(max_bytes=10_000):
            total += len(data)
        await sending
        assert total == 1_000_000


async def test_readexactly_of_more_than_the_window(certificate):
    async with session_pair(certificate, server=SMALL_WINDOW) as pair:
        stream, other = await bidirectional(pair)
        sending = asyncio.create_task(stream.write_all(data=bytes(700_000)))
        assert len(await other.readexactly(n=600_000)) == 600_000
        assert len(await other.read_all()) == 100_000
        await sending


async def test_a_line_longer_than_the_window(certificate):
    async with session_pair(certificate, server=SMALL_WINDOW) as pair:
        stream, other = await bidirectional(pair)
        sending = asyncio.create_task(stream.write_all(data=b"x" * 300_000 + b"\n"))
        assert len(await other.readline(limit=400_000)) == 300_001
        await sending


async def test_bytes_thrown_away_give_their_credit_back(certificate):
    """A program that closes streams without reading them must not wear out the connection's window."""
    async with session_pair(certificate, server=SMALL_WINDOW) as pair:
        incoming = pair.server.incoming_bidirectional_streams()
        for _ in range(30):
            stream = await pair.client.create_bidirectional_stream()
            await stream.write(data=bytes(40_000), end_stream=True)
            other = await anext(incoming)
            await other.readexactly(n=40_000 - 10)
            await other.close()
            await other.diagnostics()
            assert await stream.read() == b""


async def test_the_end_of_the_session_wakes_readers_and_writers(pair):
    stream, other = await bidirectional(pair)
    reading = asyncio.create_task(other.read())
    writing = asyncio.create_task(other.write(data=bytes(30_000_000)))
    await asyncio.sleep(0.05)
    await pair.server.close(error_code=3)
    for task in (reading, writing):
        with pytest.raises(StreamError):
            async with asyncio.timeout(30):
                await task
    await pair.client.events.wait_for(event_type=EventType.SESSION_CLOSED, timeout=30)
    with pytest.raises(StreamError):
        await stream.write(data=b"x")
    await stream.close()
    await other.close()


async def test_the_loss_of_the_connection_wakes_readers_and_writers(pair):
    _, other = await bidirectional(pair)
    reading = asyncio.create_task(other.read())
    writing = asyncio.create_task(other.write(data=bytes(30_000_000)))
    await asyncio.sleep(0.05)
    pair.connections.client._protocol.abort(OSError("the network is gone"))
    for task in (reading, writing):
        with pytest.raises(StreamError):
            async with asyncio.timeout(30):
                await task


async def test_events_of_opening_and_closing(pair):
    opened, closed = [], []
    pair.client.events.on(event_type=EventType.STREAM_OPENED, handler=opened.append)
    stream = await pair.client.create_bidirectional_stream()
    stream.events.on(event_type=EventType.STREAM_CLOSED, handler=closed.append)
    assert [event.data for event in opened] == [
        {
            "stream": stream,
            "stream_id": stream.stream_id,
            "session_id": pair.client.session_id,
            "direction": StreamDirection.BIDIRECTIONAL,
        }
    ]
    await stream.write_all(data=b"x")
    other = await anext(pair.server.incoming_bidirectional_streams())
    await other.write_all(data=await other.read_all())
    assert await stream.read_all() == b"x"
    await stream.events.wait_for(event_type=EventType.STREAM_CLOSED, timeout=30)
    assert [event.data for event in closed] == [{"stream": stream, "stream_id": stream.stream_id}]


async def test_diagnostics_count_bytes(pair):
    stream, other = await bidirectional(pair)
    await stream.write_all(data=bytes(1000))
    await other.read_all()
    sent, received = await stream.diagnostics(), await other.diagnostics()
    assert sent.bytes_sent == received.bytes_received == 1001
    assert sent.session_id == pair.client.session_id
    assert sent.created_at <= received.created_at


async def test_streams_that_the_program_drops_give_their_credit_back(certificate):
    """A program that lets go of streams half read must not wear out the connection's window."""
    async with session_pair(certificate, client={"write_timeout": 5.0}, server=SMALL_WINDOW) as pair:

        async def drop_all() -> None:
            async for stream in pair.server.incoming_unidirectional_streams():
                await stream.readexactly(n=1)

        dropping = asyncio.create_task(drop_all())
        for _ in range(50):
            stream = await pair.client.create_unidirectional_stream()
            await stream.write(data=bytes(30_000), end_stream=True)
            await asyncio.sleep(0.002)
        size = 1_000_000
        last, other = await bidirectional(pair)
        sending = asyncio.create_task(last.write_all(data=bytes(size)))
        assert len(await other.read_all()) == size
        await sending
        await pair.client.close()
        await dropping
