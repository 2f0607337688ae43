"""A server that dies without a word under many busy clients and comes back at the same port."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from balanced import KillableProcess
from leftovers import Leftovers, on_tracking_loop
from loopback import client_config

from wtransport import WebTransportClient, WebTransportSession
from wtransport.client import ReconnectingClient
from wtransport.exceptions import WebTransportError
from wtransport.types import ConnectionState

CLIENTS = 8
WAIT = 20.0

IMPATIENT = {
    "connection_idle_timeout": 0.8,
    "connection_keepalive_timeout": 0.25,
    "retry_delay": 0.05,
    "max_retry_delay": 0.2,
    "max_retries": -1,
    "connect_timeout": 1.0,
}
"""A server that is away is noticed after 0.8 seconds of silence."""


async def busy_until_lost(session: WebTransportSession) -> list[BaseException]:
    """Have one operation of each kind under way; what each of them raised when the session was lost."""
    stream = await session.create_bidirectional_stream()
    incoming = session.incoming_unidirectional_streams()

    async def write() -> None:
        while True:
            await stream.write(data=bytes(100_000))

    async def read_datagrams() -> None:
        while True:
            await session.read_datagram()

    async def accept() -> None:
        async for _ in incoming:
            pass
        raise WebTransportError("no more streams")

    results = await asyncio.gather(stream.read(), write(), read_datagrams(), accept(), return_exceptions=True)
    return [result for result in results if isinstance(result, BaseException)]


@on_tracking_loop
async def test_all_clients_are_back_and_nothing_is_left_of_the_lost_sessions(certificate: Any) -> None:
    before = Leftovers.now()
    async with KillableProcess(certificate) as server:
        url = "https://{}:{}/".format(*server.address)
        async with asyncio.timeout(2 * WAIT), asyncio.TaskGroup() as group:
            # All clients at once: busy, then without the server, then back.
            steps = [asyncio.Barrier(CLIENTS + 1) for _ in range(3)]
            for _ in range(CLIENTS):
                group.create_task(live_through_it(certificate, url, *steps))
            await steps[0].wait()
            await server.kill()
            await steps[1].wait()
            await server.start()
            await steps[2].wait()
    await before.check("tasks", "futures", "timers", "transports", what="eight clients")


async def live_through_it(
    certificate: Any, url: str, busy: asyncio.Barrier, lost: asyncio.Barrier, back: asyncio.Barrier
) -> None:
    async with (
        WebTransportClient(config=client_config(certificate, **IMPATIENT)) as client,
        ReconnectingClient(url=url, client=client) as reconnecting,
    ):
        first = await reconnecting.get_session(wait_timeout=WAIT)
        assert first is not None
        operations = asyncio.ensure_future(busy_until_lost(first))
        await busy.wait()
        errors = await operations
        assert len(errors) == 4
        assert all(isinstance(error, WebTransportError) for error in errors), errors
        assert first.is_closed
        await lost.wait()
        second = await reconnecting.get_session(wait_timeout=WAIT)
        assert second is not None
        assert second is not first
        stream = await second.create_unidirectional_stream()
        await stream.write(data=b"back", end_stream=True)
        await back.wait()
        states = (await client.diagnostics()).connection_states
        assert states[ConnectionState.CONNECTED] == 1
        assert sum(states.values()) == 1, states


@pytest.mark.parametrize("step", ["request", "handshake"])
async def test_a_connection_attempt_to_a_server_that_dies_meanwhile_ends_in_time(certificate: Any, step: str) -> None:
    """The server takes the first packets, or even the request, and is gone."""
    async with KillableProcess(certificate) as server:
        url = "https://{}:{}/".format(*server.address)
        async with WebTransportClient(config=client_config(certificate, **IMPATIENT, auto_reconnect=False)) as client:
            if step == "request":
                session = await client.connect(url=url)
                connection = session.connection
                await server.kill()
                with pytest.raises((WebTransportError, ConnectionError, TimeoutError)):
                    async with asyncio.timeout(WAIT):
                        await connection.create_session(path="/again")
            else:
                await server.kill()
                with pytest.raises((WebTransportError, ConnectionError, TimeoutError)):
                    async with asyncio.timeout(WAIT):
                        await client.connect(url=url)
