"""What readers that take nothing cost in memory, measured on real connections, and who waits for them how long."""

from __future__ import annotations

import asyncio
import gc
import tracemalloc
from typing import Any, Self

import pytest
from handle_pair import SessionPair, connection_pair, session_pair
from leftovers import no_tasks_left
from toolkit import stands_still, until

from wtransport._protocol import limits
from wtransport._quic.factory import CONNECTION_WINDOW_FACTOR
from wtransport.exceptions import TimeoutError as WebTransportTimeoutError
from wtransport.exceptions import WebTransportError

KIB, MIB = 1 << 10, 1 << 20

WINDOW = 64 * KIB
BUFFER = 64 * KIB
SMALL = {"flow_control_window_size": WINDOW, "max_stream_write_buffer": BUFFER, "write_timeout": 60.0}

SLACK = 2 * MIB
"""Bytes for everything beside the contents: tasks, handles, packets on their way, what tracemalloc sees of the loop."""


class Traced:
    """Bytes that Python has allocated since the beginning of a block, at the most and at its end."""

    def __enter__(self) -> Self:
        gc.collect()
        tracemalloc.start()
        self._before = tracemalloc.get_traced_memory()[0]
        return self

    def __exit__(self, *_: object) -> None:
        tracemalloc.stop()

    @property
    def peak(self) -> int:
        return tracemalloc.get_traced_memory()[1] - self._before


async def write_without_end(stream: Any) -> None:
    while True:
        await stream.write(data=bytes(16 * KIB))


async def sends_no_more(pair: SessionPair, sender: str) -> None:
    """Return when no more bytes arrive."""
    receiving = pair.server if sender == "client" else pair.client

    async def arrived() -> int:
        return (await receiving.diagnostics()).peer_data_sent

    await stands_still(arrived)


@pytest.mark.parametrize("sender", ["client", "server"])
async def test_streams_that_nobody_reads_cost_windows_and_buffers(certificate: Any, sender: str) -> None:
    count = 20
    async with session_pair(certificate, client=SMALL, server=SMALL) as pair:
        sending = pair.client if sender == "client" else pair.server
        with Traced() as memory:
            streams = [await sending.create_unidirectional_stream() for _ in range(count)]
            writers = [asyncio.ensure_future(write_without_end(stream)) for stream in streams]
            await sends_no_more(pair, sender)
            receiving = limits.SESSION_WINDOW_FACTOR * WINDOW
            # Sent and not acknowledged, and written: no more at one end than the peer lets it send, and its buffers.
            assert memory.peak < 2 * receiving + count * (BUFFER + 16 * KIB) + SLACK
        other = await sending.connection.create_session(path="/") if sender == "client" else None
        if other is not None:
            await other.send_datagram(data=b"the connection is alive")
        for writer in writers:
            writer.cancel()
        await asyncio.gather(*writers, return_exceptions=True)


@pytest.mark.parametrize("sender", ["client", "server"])
async def test_sessions_that_nobody_reads_cost_the_connections_window(certificate: Any, sender: str) -> None:
    count = 6
    async with connection_pair(certificate, client=SMALL, server=SMALL) as connections, no_tasks_left():
        pairs = [await connections.open_session() for _ in range(count)]
        with Traced() as memory:
            writers = []
            for pair in pairs:
                for _ in range(5):
                    stream = await (pair.client if sender == "client" else pair.server).create_unidirectional_stream()
                    writers.append(asyncio.ensure_future(write_without_end(stream)))
            for pair in pairs:
                await sends_no_more(pair, sender)
            receiving = CONNECTION_WINDOW_FACTOR * WINDOW
            assert memory.peak < 2 * receiving + 5 * count * (BUFFER + 16 * KIB) + SLACK
        total = 0
        for pair in pairs:
            total += (await (pair.server if sender == "client" else pair.client).diagnostics()).peer_data_sent
        assert 0.9 * receiving < total <= receiving
        for writer in writers:
            writer.cancel()
        await asyncio.gather(*writers, return_exceptions=True)


async def test_datagrams_that_nobody_reads_are_dropped_and_counted(certificate: Any) -> None:
    count = 2 * limits.MAX_QUEUED_DATAGRAMS
    async with session_pair(certificate) as pair:
        with Traced() as memory:
            for _ in range(count):
                await pair.client.send_datagram(data=bytes(500))
            await pair.client.send_datagram(data=b"last")
            await until(lambda: pair.server._core.datagrams_received >= limits.MAX_QUEUED_DATAGRAMS + 1000)
            await until(lambda: len(pair.server._core.datagrams) == limits.MAX_QUEUED_DATAGRAMS)
            assert memory.peak < limits.MAX_QUEUED_DATAGRAMS * 700 + 2 * 1024 * 700 + SLACK
        diagnostics = await pair.server.diagnostics()
        assert diagnostics.datagrams_dropped > 0
        assert diagnostics.datagrams_received - diagnostics.datagrams_dropped == limits.MAX_QUEUED_DATAGRAMS
        stream = await pair.client.create_unidirectional_stream()
        await stream.write_all(data=b"still alive")
        received = await anext(pair.server.incoming_unidirectional_streams())
        assert await received.read_all() == b"still alive"


# Who waits for a peer that gives nothing.


async def test_a_writer_without_credit_gives_up_and_the_session_goes_on(certificate: Any) -> None:
    frugal = SMALL | {"initial_max_data": 1000, "flow_control_window_auto_scale": False}
    async with session_pair(certificate, client=SMALL | {"write_timeout": 0.2}, server=frugal) as pair, no_tasks_left():
        stream = await pair.client.create_unidirectional_stream()
        with pytest.raises(WebTransportTimeoutError):
            async with asyncio.timeout(10):
                await write_without_end(stream)
        assert pair.client.state.value == "connected"
        assert (await pair.client.diagnostics()).local_data_sent == 1000
        await pair.client.send_datagram(data=b"x")
        assert await pair.server.read_datagram() == b"x"


async def test_an_opener_without_credit_gives_up_and_the_session_goes_on(certificate: Any) -> None:
    frugal = {"initial_max_streams_uni": 2}
    impatient = {"stream_creation_timeout": 0.2}
    async with session_pair(certificate, client=impatient, server=frugal) as pair, no_tasks_left():
        for _ in range(2):
            await pair.client.create_unidirectional_stream()
        for _ in range(3):
            with pytest.raises(WebTransportTimeoutError):
                await pair.client.create_unidirectional_stream()
        assert (await pair.client.diagnostics()).pending_uni_stream_futures == []
        await pair.client.create_bidirectional_stream()


async def test_requests_that_are_never_answered_time_out_and_leave_nothing(certificate: Any) -> None:
    async with connection_pair(certificate) as connections, no_tasks_left():
        await connections.open_session()
        connections.accepts_at_once = False
        for _ in range(20):
            with pytest.raises((WebTransportError, TimeoutError)):
                async with asyncio.timeout(0.05):
                    await connections.client.create_session(path="/slow")
        await until(lambda: len(connections.server.get_all_sessions()) == 1)
        assert len(connections.client.get_all_sessions()) == 1
        diagnostics = await connections.client.diagnostics()
        assert diagnostics.session_count == 1
