"""Cancelling what waits, after every turn of the loop: no task, timer, future, socket or stream is left behind.

One end waits for the other on one event loop, so the turns are the same ones every time, more or less.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from balanced import Factory, balancer
from both_loops import on_both_loops
from handle_pair import SessionPair, connection_pair, session_pair
from leftovers import Leftovers, cancel_at_every_step, on_tracking_loop
from loopback import client_config, server_config, url_of

from wtransport.client import ReconnectingClient, WebTransportBrowser, WebTransportClient
from wtransport.exceptions import StreamError
from wtransport.pool import SessionPool, StreamPool
from wtransport.server import WebTransportServer
from wtransport.session import WebTransportSession
from wtransport.stream import WebTransportStream

WAIT = 30.0
LOCAL = ("tasks", "futures", "timers", "transports")


@contextlib.asynccontextmanager
async def a_server(certificate: Any) -> AsyncIterator[tuple[WebTransportServer, str]]:
    async with WebTransportServer(config=server_config(certificate)) as server:
        await server.listen()
        async with WebTransportClient(config=client_config(certificate)) as client:
            await client.connect(url=url_of(server))  # so that the listener's own timer is there from the beginning
        await until_nobody_is_left(server)
        yield server, url_of(server)


async def until_nobody_is_left(server: WebTransportServer) -> None:
    """The server has to hear of every end, too: nobody may leave it with a connection until its idle time-out."""
    async with asyncio.timeout(WAIT):
        while await server.connection_manager.get_all_resources():
            await asyncio.sleep(0.005)


async def close_session(session: WebTransportSession) -> None:
    await session.close(close_connection=True)


# Connecting.


@on_tracking_loop
async def test_connecting(certificate: Any) -> None:
    async with a_server(certificate) as (server, url):
        client = WebTransportClient(config=client_config(certificate))
        before = Leftovers.now()
        cancelled = await cancel_at_every_step(
            lambda: client.connect(url=url),
            undo=close_session,
            check=lambda what: before.check("tasks", "transports", what=what),
        )
        assert cancelled > 5
        await until_nobody_is_left(server)
        await before.check(*LOCAL, what="connecting")
        snapshot = await client.diagnostics()
        assert snapshot.connection_states == {}
        assert snapshot.stats.connections_attempted == cancelled  # the first was cancelled before it began
        await client.close()


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="open files are counted as Linux shows them")
@on_both_loops
async def test_connecting_leaves_no_open_socket(certificate: Any) -> None:
    """What the loop itself remembers is not to be seen on uvloop, but the system knows which sockets are open."""

    def open_files() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    async def until_as_before(what: str) -> None:
        async with asyncio.timeout(WAIT):
            while open_files() > files or len(asyncio.all_tasks()) > 1:
                await asyncio.sleep(0)

    async with a_server(certificate) as (server, url):
        client = WebTransportClient(config=client_config(certificate))
        files = open_files()
        await cancel_at_every_step(lambda: client.connect(url=url), undo=close_session, check=until_as_before)
        await until_nobody_is_left(server)
        await client.close()


@on_tracking_loop
async def test_connecting_by_name(certificate: Any) -> None:
    """The name is looked up in a thread, which nothing can cancel; what it finds must not open a socket."""
    async with a_server(certificate) as (server, url):
        client = WebTransportClient(config=client_config(certificate))
        by_name = url.replace("127.0.0.1", "localhost")
        await close_session(await client.connect(url=by_name))
        before = Leftovers.now()
        await cancel_at_every_step(
            lambda: client.connect(url=by_name),
            undo=close_session,
            check=lambda what: before.check("tasks", "transports", what=what),
        )
        await until_nobody_is_left(server)
        await before.check(*LOCAL, what="connecting by name")
        await client.close()


@on_tracking_loop
async def test_asking_a_load_balancer(certificate: Any) -> None:
    async with a_server(certificate) as (server, _):
        assert server.local_address is not None
        factory = Factory()
        before = Leftovers.now()
        async with balancer(certificate, [server.local_address], factory) as lb:

            async def close(_: Any) -> None:
                await lb.close_all_connections()

            async def check(what: str) -> None:
                await lb.close_all_connections()  # one that was made all the same is the load balancer's
                await before.check("tasks", "transports", what=what)

            await cancel_at_every_step(
                lambda: lb.get_connection(config=client_config(certificate)), undo=close, check=check
            )
            assert (await lb.get_load_balancer_stats())["failed_targets"] == 0
        await until_nobody_is_left(server)
        await before.check(*LOCAL, what="get_connection")


@on_tracking_loop
async def test_acquiring_a_session(certificate: Any) -> None:
    async with a_server(certificate) as (server, url), WebTransportClient(config=client_config(certificate)) as client:
        before = Leftovers.now()
        async with SessionPool(client=client, url=url, max_size=1) as pool:

            async def dispose(session: WebTransportSession) -> None:
                await close_session(session)
                await pool.release(session)

            await cancel_at_every_step(
                pool.acquire, undo=dispose, check=lambda what: before.check("tasks", "transports", what=what)
            )
            await dispose(await asyncio.wait_for(pool.acquire(), WAIT))  # there is still room for one
        await until_nobody_is_left(server)
        await before.check(*LOCAL, what="acquiring a session")


@on_tracking_loop
async def test_navigating(certificate: Any) -> None:
    async with a_server(certificate) as (server, url), WebTransportClient(config=client_config(certificate)) as client:
        before = Leftovers.now()
        async with WebTransportBrowser(client=client) as browser:
            await browser.navigate(url=url)

            async def check(what: str) -> None:
                current = browser.current_session
                assert current is not None
                assert not current.is_closed
                assert len(await browser.get_history()) == 1

            await cancel_at_every_step(browser.refresh, check=check)
        await until_nobody_is_left(server)
        await before.check(*LOCAL, what="navigating")


@on_tracking_loop
async def test_entering_and_leaving_a_reconnecting_client(certificate: Any) -> None:
    async with a_server(certificate) as (server, url), WebTransportClient(config=client_config(certificate)) as client:
        before = Leftovers.now()

        async def use() -> None:
            async with ReconnectingClient(url=url, client=client) as reconnecting:
                assert await reconnecting.get_session(wait_timeout=WAIT) is not None

        await cancel_at_every_step(use, check=lambda what: before.check("tasks", "transports", what=what))
        await until_nobody_is_left(server)
        await before.check(*LOCAL, what="a reconnecting client")


# Sessions and streams.


@contextlib.asynccontextmanager
async def a_session(certificate: Any, **settings: Any) -> AsyncIterator[SessionPair]:
    """Both ends of a session in which nothing happens any more; nothing is left when it is over."""
    nothing = Leftovers.now()
    async with session_pair(certificate, **settings) as pair:
        async with asyncio.timeout(WAIT):
            while pair.client.connection._engine.next_deadline() is None:
                await asyncio.sleep(0)
        yield pair
    await nothing.check(*LOCAL, what="the session")


async def streams_left(session: WebTransportSession) -> None:
    """Fail unless all streams of this end go away."""
    async with asyncio.timeout(WAIT):
        while (await session.connection.diagnostics()).stream_count:
            await asyncio.sleep(0.005)


async def abort(stream: Any) -> None:
    await stream.close(error_code=1)


@on_tracking_loop
async def test_creating_a_session(certificate: Any) -> None:
    async with connection_pair(certificate) as pair:
        await (await pair.open_session()).client.close()
        before = Leftovers.now()
        await cancel_at_every_step(
            lambda: pair.client.create_session(path="/"),
            undo=lambda session: session.close(),
            check=lambda what: before.check("tasks", "futures", what=what),
        )
        async with asyncio.timeout(WAIT):
            while pair.client.get_all_sessions() or pair.server.get_all_sessions():
                await asyncio.sleep(0.005)
        assert (await pair.client.diagnostics()).session_count == 0
        assert (await pair.server.diagnostics()).session_count == 0
        assert pair.client.is_connected


@pytest.mark.parametrize("kind", ["bidirectional", "unidirectional"])
@on_tracking_loop
async def test_creating_a_stream(certificate: Any, kind: str) -> None:
    async with a_session(certificate) as pair:
        before = Leftovers.now()
        await cancel_at_every_step(
            getattr(pair.client, f"create_{kind}_stream"),
            undo=abort,
            check=lambda what: before.check("tasks", "futures", what=what),
        )
        await streams_left(pair.client)


@on_tracking_loop
async def test_creating_a_stream_without_credit(certificate: Any) -> None:
    async with a_session(certificate, server={"initial_max_streams_bidi": 1}) as pair:
        first = await pair.client.create_bidirectional_stream()
        await first.write(data=b"?")
        before = Leftovers.now()

        async def create_and_make_room() -> WebTransportStream:
            create = asyncio.ensure_future(pair.client.create_bidirectional_stream())
            try:
                await asyncio.sleep(0)
                await pair.server.grant_streams_credit(
                    max_streams=(await pair.server.diagnostics()).peer_streams_bidi_opened + 2, is_unidirectional=False
                )
                return await create
            finally:
                create.cancel()

        await cancel_at_every_step(
            create_and_make_room, undo=abort, check=lambda what: before.check("tasks", "futures", what=what)
        )
        diagnostics = await pair.client.diagnostics()
        assert diagnostics.pending_bidi_stream_futures == []
        opened = diagnostics.local_streams_bidi_opened
        await pair.server.grant_streams_credit(max_streams=opened + 1, is_unidirectional=False)
        await asyncio.wait_for(pair.client.create_bidirectional_stream(), WAIT)  # nobody holds the place in the line


@on_tracking_loop
async def test_acquiring_a_stream(certificate: Any) -> None:
    async with a_session(certificate) as pair, StreamPool(session=pair.client, max_size=1) as pool:
        before = Leftovers.now()

        async def dispose(stream: WebTransportStream) -> None:
            await abort(stream)
            await pool.release(stream)

        async def acquire_when_there_is_room() -> WebTransportStream:
            lent = await pool.acquire()
            waiting = asyncio.ensure_future(pool.acquire())
            try:
                await asyncio.sleep(0)
                await pool.release(lent)
                return await waiting
            except asyncio.CancelledError:
                if pool._lent.get(id(lent)) is lent and not (waiting.done() and not waiting.cancelled()):
                    await pool.release(lent)
                raise
            finally:
                if not waiting.cancel() and not waiting.cancelled():
                    stream = waiting.result()
                    if asyncio.current_task().cancelling():  # type: ignore[union-attr]
                        await pool.release(stream)

        await cancel_at_every_step(
            acquire_when_there_is_room, undo=dispose, check=lambda what: before.check("tasks", "futures", what=what)
        )
        await dispose(await asyncio.wait_for(pool.acquire(), WAIT))
        await streams_left(pair.client)


@pytest.mark.parametrize("how", ["read", "read_all", "readexactly", "readuntil", "readline", "iterate"])
@on_tracking_loop
async def test_reading(certificate: Any, how: str) -> None:
    async def iterate(stream: WebTransportStream) -> bytes:
        return b"".join([chunk async for chunk in stream])

    reads: dict[str, Callable[[WebTransportStream], Awaitable[bytes]]] = {
        "read": lambda stream: stream.read(),
        "read_all": lambda stream: stream.read_all(),
        "readexactly": lambda stream: stream.readexactly(n=6),
        "readuntil": lambda stream: stream.readuntil(separator=b"o\n"),
        "readline": lambda stream: stream.readline(),
        "iterate": iterate,
    }
    async with a_session(certificate) as pair:
        stream = await pair.client.create_bidirectional_stream()
        await stream.write(data=b"?")
        end = await anext(pair.server.incoming_bidirectional_streams())
        before = Leftovers.now()

        async def read() -> bytes:
            await end.write(data=b"")
            return await reads[how](stream)

        for turns in range(20):
            task = asyncio.create_task(read())
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await before.check("tasks", "futures", what=f"cancelling {how} after {turns} turns")
        await end.write(data=b"hello\n", end_stream=True)
        assert await asyncio.wait_for(reads[how](stream), WAIT) == b"hello\n"  # nothing is lost, nobody else reads
        await stream.close()
        await streams_left(pair.client)


@on_tracking_loop
async def test_reading_while_bytes_come(certificate: Any) -> None:
    """A read that is cancelled takes no bytes with it."""
    async with a_session(certificate) as pair:
        stream = await pair.client.create_bidirectional_stream()
        await stream.write(data=b"?")
        end = await anext(pair.server.incoming_bidirectional_streams())
        before = Leftovers.now()
        got = bytearray()
        sent = 0

        async def exchange() -> bytes:
            nonlocal sent
            await end.write(data=b"%04d" % sent)
            sent += 1
            return await stream.readexactly(n=4)

        async def take(data: bytes) -> None:
            got.extend(data)

        await cancel_at_every_step(exchange, undo=take, check=lambda what: before.check("tasks", "futures", what=what))
        await end.write(data=b"", end_stream=True)
        got.extend(await asyncio.wait_for(stream.read_all(), WAIT))
        assert sorted(got[at : at + 4] for at in range(0, len(got), 4)) == [b"%04d" % number for number in range(sent)]


@on_tracking_loop
async def test_writing_into_a_full_buffer(certificate: Any) -> None:
    async with a_session(certificate, client={"max_stream_write_buffer": 4096}) as pair:
        chunk = b"x" * 4096

        async def drain(stream: WebTransportStream) -> None:
            with contextlib.suppress(StreamError):
                await stream.read_all()
            await abort(stream)

        async def serve() -> None:
            async with asyncio.TaskGroup() as group:
                async for stream in pair.server.incoming_bidirectional_streams():
                    group.create_task(drain(stream))

        async def write() -> None:
            async with await pair.client.create_bidirectional_stream() as stream:
                for _ in range(40):
                    await stream.write(data=chunk)

        serving = asyncio.create_task(serve())
        await asyncio.sleep(0)
        before = Leftovers.now()
        cancelled = await cancel_at_every_step(write, check=lambda what: before.check("tasks", "futures", what=what))
        assert cancelled > 5
        await streams_left(pair.client)
        await streams_left(pair.server)
        serving.cancel()


@on_tracking_loop
async def test_sending_datagrams_into_a_full_queue(certificate: Any) -> None:
    async with a_session(certificate) as pair:
        before = Leftovers.now()
        payload = b"d" * 100

        async def flood() -> None:
            for _ in range(1100):  # the queue has 1024 places
                await pair.client.send_datagram(data=payload)

        cancelled = await cancel_at_every_step(flood, check=lambda what: before.check("tasks", "futures", what=what))
        assert cancelled > 1
        await asyncio.wait_for(pair.client.send_datagram(data=b"last"), WAIT)


@on_tracking_loop
async def test_waiting_for_what_the_peer_sends(certificate: Any) -> None:
    async with a_session(certificate) as pair:
        before = Leftovers.now()
        session = pair.server
        for wait in (
            session.read_datagram,
            lambda: anext(session.incoming_datagrams()),
            lambda: anext(session.incoming_bidirectional_streams()),
            lambda: anext(session.incoming_unidirectional_streams()),
            lambda: session.events.wait_for(event_type="session_closed"),
        ):
            for turns in range(5):
                task = asyncio.ensure_future(wait())
                for _ in range(turns):
                    await asyncio.sleep(0)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
                await before.check("tasks", "futures", what=f"cancelling {wait} after {turns} turns")
        await pair.client.send_datagram(data=b"hello")
        assert await asyncio.wait_for(session.read_datagram(), WAIT) == b"hello"
        stream = await pair.client.create_bidirectional_stream()
        await stream.write(data=b"?")
        end = await asyncio.wait_for(anext(session.incoming_bidirectional_streams()), WAIT)
        assert end.stream_id == stream.stream_id
