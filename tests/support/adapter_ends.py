"""Both ends of connections right above the adapter: engines and what they deliver, without the public handles."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

from wtransport._adapter import AdapterProtocol, Listener, dial, listen
from wtransport._protocol import events
from wtransport._protocol.engine import Engine
from wtransport.config import ClientConfig, ServerConfig

__all__ = ["End", "Server", "client_end", "open_client"]

WAIT = 30.0
"""Seconds for something on loopback that normally takes milliseconds."""


class End:
    """One end of a connection: its protocol, its engine, and its events as they come."""

    def __init__(self, protocol: AdapterProtocol, config: ClientConfig | ServerConfig, *, is_client: bool) -> None:
        self.protocol = protocol
        self.engine = Engine(config=config, port=protocol.port, is_client=is_client)
        self.seen: list[Any] = []
        self.on_event: Callable[[Any], None] = lambda event: None
        self._changed = asyncio.Event()
        protocol.bind(engine=self.engine, deliver=self._deliver)

    def _deliver(self, event: Any) -> None:
        self.seen.append(event)
        self._changed.set()
        self.on_event(event)

    async def expect(self, kind: type) -> Any:
        """Wait until an event of this class was delivered, and return the first one."""
        async with asyncio.timeout(WAIT):
            while True:
                for event in self.seen:
                    if isinstance(event, kind):
                        return event
                self._changed.clear()
                await self._changed.wait()

    async def close(self) -> None:
        self.engine.close()
        await self.protocol.wait_closed()
        self.protocol.close_transport()


class Server:
    """A listener whose connections accept every session and echo every datagram."""

    def __init__(self, config: ServerConfig) -> None:
        self.config = config
        self.ends: list[End] = []
        self.welcome: Callable[[Any], bool] = lambda address: True
        self.listener: Listener

    @contextlib.asynccontextmanager
    async def running(self, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[Server]:
        self.listener = await listen(
            host=host, port=port, config=self.config, on_connection=self._accept, may_accept=self._may_accept
        )
        try:
            yield self
        finally:
            for end in self.ends:
                end.engine.close()
            await self.listener.wait_closed()

    @property
    def port(self) -> int:
        address = self.listener.local_address
        assert address is not None
        return address[1]

    def _may_accept(self, address: Any) -> bool:
        return self.welcome(address)

    def _accept(self, protocol: AdapterProtocol, transport: asyncio.DatagramTransport) -> None:
        assert not transport.is_closing()
        end = End(protocol, self.config, is_client=False)
        end.on_event = self._answer
        self.ends.append(end)

    def _answer(self, event: Any) -> None:
        if isinstance(event, events.SessionRequested):
            event.session.accept()
        elif isinstance(event, events.DatagramsReceived):
            for data in event.session.datagrams.drain():
                event.session.send_datagram(data)


async def open_client(host: str, port: int, config: ClientConfig) -> End:
    """Dial and begin the handshake."""
    protocol, transport = await dial(host=host, port=port, config=config)
    assert protocol.transport is transport
    end = End(protocol, config, is_client=True)
    protocol.connect()
    return end


@contextlib.asynccontextmanager
async def client_end(host: str, port: int, config: ClientConfig) -> AsyncIterator[tuple[End, Any]]:
    """A connected client with one session."""
    end = await open_client(host, port, config)
    try:
        await end.expect(events.ConnectionReady)
        session = end.engine.open_session(authority=f"localhost:{port}", path="/", headers={})
        await end.expect(events.SessionOpened)
        yield end, session
    finally:
        await end.close()


async def echo(end: End, session: Any, data: bytes) -> bytes:
    """Send one datagram and return the one that comes back; again when it is lost, as where a server is too busy."""
    async with asyncio.timeout(WAIT):
        while True:
            end.seen.clear()
            assert session.send_datagram(data)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1.0):
                    await end.expect(events.DatagramsReceived)
            received: list[bytes] = session.datagrams.drain()
            if data in received:  # an earlier one that was sent twice may come back again
                return data
