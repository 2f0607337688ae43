"""What the diagnostics of both ends say of the same sessions, streams and datagrams agrees."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from loopback import WAIT, client_config, running, server_config, url_of

from wtransport import ServerApp, WebTransportClient, WebTransportSession
from wtransport.connection import TrafficStats
from wtransport.exceptions import ClientError, StreamError
from wtransport.server import WebTransportServer


async def eventually(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(WAIT):
        while not condition():
            await asyncio.sleep(0.005)


def traffic_of(app: ServerApp) -> TrafficStats:
    (connection,) = app.server.connection_manager.snapshot()
    return connection.traffic()


@pytest.fixture
def app(certificate: Any) -> ServerApp:
    made = ServerApp(config=server_config(certificate))

    @made.route(path="/echo")
    async def echo(session: WebTransportSession) -> None:
        async for stream in session.incoming_bidirectional_streams():
            await stream.write_all(data=await stream.read_all())

    @made.route(path="/first-bytes")
    async def first_bytes(session: WebTransportSession) -> None:
        async for stream in session.incoming_unidirectional_streams():
            await stream.readexactly(n=10)
            await stream.stop_receiving(error_code=1)

    @made.route(path="/refused")
    async def refused(session: WebTransportSession) -> None:
        await session.reject(status_code=403)

    return made


async def test_both_ends_count_the_same(app: ServerApp, certificate: Any) -> None:
    async with running(app) as url, WebTransportClient(config=client_config(certificate)) as client:
        session = await client.connect(url=f"{url}/echo")
        for size in (0, 1, 100_000):
            stream = await session.create_bidirectional_stream()
            await stream.write_all(data=bytes(size))
            assert len(await stream.read_all()) == size
        connection = session.connection
        session_figures = await session.diagnostics()
        await session.close()
        await eventually(lambda: connection.is_closed)
        await eventually(lambda: not app.server.connection_manager.snapshot())
        theirs, ours = await app.server.diagnostics(), await client.diagnostics()
        assert (session_figures.streams_closed, session_figures.streams_aborted) == (3, 0)
        assert ours.traffic.bytes_sent == theirs.traffic.bytes_received == 100_001
        assert ours.traffic.bytes_received == theirs.traffic.bytes_sent == 100_001
        assert ours.traffic.streams_closed == theirs.traffic.streams_closed == 3
        assert ours.traffic.sessions_closed == theirs.traffic.sessions_closed == 1
        assert (theirs.stats.connections_accepted, theirs.stats.connections_closed) == (1, 1)


async def test_a_stopped_stream_says_what_of_it_never_went_out(app: ServerApp, certificate: Any) -> None:
    async with running(app) as url, WebTransportClient(config=client_config(certificate)) as client:
        session = await client.connect(url=f"{url}/first-bytes")
        stream = await session.create_unidirectional_stream()
        written = 0
        with pytest.raises(StreamError):
            while True:
                await stream.write(data=bytes(100_000))
                written += 100_000
        await eventually(lambda: traffic_of(app).bytes_received == session.connection.traffic().bytes_sent)
        figures, theirs = await stream.diagnostics(), traffic_of(app)
        assert figures.bytes_sent == written
        assert figures.bytes_unsent == 0
        assert written - figures.bytes_dropped == theirs.bytes_received == 10 + theirs.bytes_discarded
        assert (await session.diagnostics()).bytes_dropped == figures.bytes_dropped
        assert (await session.diagnostics()).local_data_sent == theirs.bytes_received


async def test_requests_that_are_refused_are_counted_at_both_ends(app: ServerApp, certificate: Any) -> None:
    async with running(app) as url, WebTransportClient(config=client_config(certificate)) as client:
        for path in ("/refused", "/nowhere"):
            with pytest.raises(ClientError):
                await client.connect(url=url + path)
        await eventually(lambda: not app.server.connection_manager.snapshot())
        ours, theirs = (await client.diagnostics()).traffic, (await app.server.diagnostics()).traffic
        assert (ours.sessions_opened, ours.sessions_rejected) == (0, 2)
        assert (theirs.sessions_opened, theirs.sessions_rejected) == (0, 2)


@pytest.mark.parametrize("has_session", [False, True])
async def test_a_peer_that_falls_silent_is_an_error_only_with_a_session(certificate: Any, has_session: bool) -> None:
    config = server_config(certificate, connection_idle_timeout=0.5, keep_alive=False)
    async with WebTransportServer(config=config) as server:
        await server.listen()
        async with WebTransportClient(config=client_config(certificate)) as client:
            session = await client.connect(url=url_of(server))
            connection = session.connection
            if not has_session:
                session.events.remove_all_listeners()  # the client's own would close the connection
                await session.close()
            await eventually(lambda: len(server.session_manager) == has_session)
            connection._transport.abort()
            await eventually(lambda: not server.connection_manager.snapshot())
        stats = (await server.diagnostics()).stats
        assert (stats.connections_accepted, stats.connections_closed) == (1, 1)
        assert stats.connection_errors == has_session
