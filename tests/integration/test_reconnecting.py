"""A client that keeps a session open: losing it, getting it back, and giving up."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from balanced import WAIT, RestartableServer, unused_port
from leftovers import no_tasks_left
from loopback import HOST, client_config

from wtransport.client import ReconnectingClient, WebTransportClient
from wtransport.events import Event
from wtransport.exceptions import ClientError, ConfigurationError
from wtransport.server import WebTransportServer
from wtransport.session import WebTransportSession
from wtransport.types import EventType


def url_at(address: tuple[str, int]) -> str:
    return f"https://{address[0]}:{address[1]}/"


async def sessions_of(server: RestartableServer) -> list[WebTransportSession]:
    assert isinstance(server.server, WebTransportServer)
    return await server.server.session_manager.get_all_resources()


class Recorder:
    """Keeps what a reconnecting client emits, and when."""

    def __init__(self, client: ReconnectingClient) -> None:
        self.events: list[Event] = []
        self.times: list[float] = []
        client.on_any(handler=self._on_event)

    def _on_event(self, event: Event) -> None:
        self.events.append(event)
        self.times.append(time.monotonic())

    @property
    def types(self) -> list[str]:
        return [event.type for event in self.events]


async def test_it_connects_and_connects_again(certificate: Any) -> None:
    config = client_config(certificate, retry_delay=0.05)
    async with (
        RestartableServer(certificate) as server,
        WebTransportClient(config=config) as client,
        no_tasks_left(),
    ):
        reconnecting = ReconnectingClient(url=url_at(server.address), client=client)
        recorder = Recorder(reconnecting)
        assert not reconnecting.is_connected
        assert await reconnecting.get_session() is None
        async with reconnecting:
            one = await reconnecting.get_session(wait_timeout=WAIT)
            assert one is not None
            assert reconnecting.is_connected
            assert await reconnecting.get_session() is one
            (end,) = await sessions_of(server)
            losing = asyncio.create_task(reconnecting.wait_for(event_type=EventType.CONNECTION_LOST, timeout=WAIT))
            await asyncio.sleep(0)  # it listens from its first step on
            await end.close(error_code=7, reason="enough")
            assert (await losing).data == {"url": url_at(server.address)}
            two = await reconnecting.get_session(wait_timeout=WAIT)
            assert two is not None
            assert two is not one
            assert recorder.types == ["connection_established", "connection_lost", "connection_established"]
            assert recorder.events[0].data == {"session": one, "attempt": 1}
            assert recorder.events[2].data == {"session": two, "attempt": 1}
        assert two.is_closed
        assert not reconnecting.is_connected
        assert not client.is_closed
        assert await reconnecting.get_session() is None
        assert len(recorder.events) == 3


async def test_a_session_that_is_over_is_never_given_out(certificate: Any) -> None:
    config = client_config(certificate, retry_delay=0.01)
    async with (
        RestartableServer(certificate) as server,
        WebTransportClient(config=config) as client,
        ReconnectingClient(url=url_at(server.address), client=client) as reconnecting,
    ):
        one = await reconnecting.get_session(wait_timeout=WAIT)
        assert one is not None
        closing = asyncio.create_task(one.close())
        while not one.is_closed:
            await asyncio.sleep(0)
        two = await reconnecting.get_session(wait_timeout=WAIT)  # before anybody was told of the end
        assert two is not None
        assert not two.is_closed
        await closing


@pytest.mark.parametrize("auto_reconnect", [False, True])
async def test_it_waits_longer_after_each_failure_and_gives_up(certificate: Any, auto_reconnect: bool) -> None:
    config = client_config(
        certificate,
        auto_reconnect=auto_reconnect,
        max_retries=3,
        retry_delay=0.1,
        retry_backoff=2.0,
        max_retry_delay=0.2,
    )
    async with WebTransportClient(config=config) as client:
        began = time.monotonic()
        async with ReconnectingClient(url=f"https://{HOST}:{unused_port()}/", client=client) as reconnecting:
            recorder = Recorder(reconnecting)
            assert await reconnecting.get_session(wait_timeout=WAIT) is None  # as soon as it is known
            assert recorder.types == [EventType.CONNECTION_FAILED]
            data = recorder.events[0].data
            assert data["reason"] == "max_retries_exceeded"
            assert "refused" in data["last_error"]
            assert 0.5 <= recorder.times[0] - began < WAIT / 2
            assert await reconnecting.get_session() is None
        stats = (await client.diagnostics()).stats
        assert stats.connections_attempted == 4


async def test_negative_retries_mean_for_ever(certificate: Any) -> None:
    config = client_config(certificate, max_retries=-1, retry_delay=0.01, max_retry_delay=0.02)
    server = RestartableServer(certificate)
    async with (
        WebTransportClient(config=config) as client,
        ReconnectingClient(url=url_at(server.address), client=client) as reconnecting,
    ):
        recorder = Recorder(reconnecting)
        while (await client.diagnostics()).stats.connections_failed < 6:
            await asyncio.sleep(0.01)
        await server.start()
        session = await reconnecting.get_session(wait_timeout=WAIT)
        assert session is not None
        assert recorder.types == [EventType.CONNECTION_ESTABLISHED]
        assert recorder.events[0].data["attempt"] >= 7
    await server.stop()


async def test_a_server_that_stops_is_found_again(certificate: Any) -> None:
    config = client_config(certificate, max_retries=-1, retry_delay=0.02, max_retry_delay=0.05)
    async with (
        RestartableServer(certificate) as server,
        WebTransportClient(config=config) as client,
        ReconnectingClient(url=url_at(server.address), client=client) as reconnecting,
    ):
        one = await reconnecting.get_session(wait_timeout=WAIT)
        await server.stop()
        assert await reconnecting.get_session(wait_timeout=0.1) is None
        assert not reconnecting.is_connected
        await server.start()
        two = await reconnecting.get_session(wait_timeout=WAIT)
        assert two is not None
        assert two is not one


async def test_a_server_that_hangs_up_on_everybody_gets_a_pause(certificate: Any) -> None:
    config = client_config(certificate, retry_delay=0.2)
    async with RestartableServer(certificate) as server, WebTransportClient(config=config) as client:
        assert server.server is not None
        server.server.on(event_type=EventType.SESSION_REQUEST, handler=lambda event: hang_up(event.data["session"]))
        async with ReconnectingClient(url=url_at(server.address), client=client) as reconnecting:
            recorder = Recorder(reconnecting)
            async with asyncio.timeout(WAIT):
                while recorder.types.count("connection_established") < 3:
                    await asyncio.sleep(0.01)
            times = [at for at, kind in zip(recorder.times, recorder.types, strict=True) if "established" in kind]
            assert times[2] - times[0] >= 0.38


async def hang_up(session: WebTransportSession) -> None:
    await session.accept()
    await session.close()


async def test_closing_stops_an_attempt(certificate: Any) -> None:
    config = client_config(certificate, retry_delay=WAIT)
    async with WebTransportClient(config=config) as client, no_tasks_left():
        reconnecting = ReconnectingClient(url=f"https://{HOST}:{unused_port()}/", client=client)
        async with reconnecting:
            waiting = asyncio.create_task(reconnecting.get_session(wait_timeout=WAIT))
            await asyncio.sleep(0)
            await reconnecting.close()
            assert await waiting is None
        with pytest.raises(ClientError, match="closed"):
            await reconnecting.__aenter__()


async def test_a_client_closed_by_others_ends_it(certificate: Any) -> None:
    config = client_config(certificate, max_retries=-1, retry_delay=0.01)
    async with RestartableServer(certificate) as server:
        client = WebTransportClient(config=config)
        async with ReconnectingClient(url=url_at(server.address), client=client) as reconnecting:
            assert await reconnecting.get_session(wait_timeout=WAIT) is not None
            recorder = Recorder(reconnecting)
            await client.close()
            assert await reconnecting.get_session(wait_timeout=WAIT) is None  # as soon as it is known
            assert recorder.types[-1] == EventType.CONNECTION_FAILED
            assert recorder.events[-1].data["reason"] == "client_closed"
            assert await reconnecting.get_session() is None


async def test_a_client_that_overrides_connect_is_asked(certificate: Any) -> None:
    class WithToken(WebTransportClient):
        async def connect(self, **arguments: Any) -> WebTransportSession:
            return await super().connect(**arguments, headers={"authorization": "token"})

    async with (
        RestartableServer(certificate) as server,
        WithToken(config=client_config(certificate)) as client,
        ReconnectingClient(url=url_at(server.address), client=client) as reconnecting,
    ):
        assert await reconnecting.get_session(wait_timeout=WAIT) is not None
        (end,) = await sessions_of(server)
        assert end.headers["authorization"] == "token"


async def test_an_impossible_url_is_refused_at_once(certificate: Any) -> None:
    async with WebTransportClient(config=client_config(certificate)) as client:
        with pytest.raises(ConfigurationError, match="https"):
            ReconnectingClient(url="http://localhost/", client=client)
