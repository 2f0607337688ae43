"""What has happened when the `close()` of a client's connection returns."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest
from both_loops import on_both_loops
from handle_pair import HandlePair, connection_pair, session_pair

from wtransport.types import EventType

WAIT = 30.0


class Holding(socket.socket):
    """A socket that takes nothing for so many attempts; negative: for good."""

    refusals = 0

    def _hold(self) -> None:
        if self.refusals:
            self.refusals -= 1
            raise BlockingIOError("the test's socket is full")

    def send(self, *args: Any) -> int:
        self._hold()
        return super().send(*args)

    def sendto(self, *args: Any) -> int:
        self._hold()
        return super().sendto(*args)

    def sendmsg(self, *args: Any) -> int:
        self._hold()
        return super().sendmsg(*args)


async def established(pair: HandlePair) -> None:
    await pair.client.initialize()
    await pair.client.events.wait_for(event_type=EventType.CONNECTION_ESTABLISHED, timeout=WAIT)


@contextlib.asynccontextmanager
async def held(
    certificate: Any, monkeypatch: pytest.MonkeyPatch, refusals: int, **options: Any
) -> AsyncIterator[tuple[HandlePair, Any]]:
    """Give an established pair, and the client's socket, which takes nothing for so many attempts from now on."""
    monkeypatch.setattr(socket, "socket", Holding)
    async with connection_pair(certificate, **options) as pair:
        await established(pair)
        sock = socket_of(pair)
        sock.refusals = refusals
        yield pair, sock


def socket_of(pair: HandlePair) -> Any:
    transport = pair.client._protocol.transport
    assert transport is not None
    return transport.get_extra_info("socket")


@on_both_loops
@pytest.mark.parametrize("is_lost", [False, True])
async def test_handlers_that_are_coroutines_have_begun(certificate: Any, is_lost: bool) -> None:
    begun = []

    async def handler(event: Any) -> None:
        begun.append(event.type)

    async with connection_pair(certificate) as pair:
        await established(pair)
        pair.client.events.on(event_type=EventType.CONNECTION_CLOSED, handler=handler)
        if is_lost:
            pair.client._protocol.abort(OSError("the network is gone"))
        await pair.client.close()
        assert begun == [EventType.CONNECTION_CLOSED]


@on_both_loops
async def test_those_of_a_session_that_ends_with_the_connection_have_begun(certificate: Any) -> None:
    begun = []

    async def handler(event: Any) -> None:
        begun.append(event.type)

    async with session_pair(certificate) as pair:
        pair.client.events.on(event_type=EventType.SESSION_CLOSED, handler=handler)
        await pair.connections.client.close()
        assert begun == [EventType.SESSION_CLOSED]


async def test_no_turn_of_the_loop_is_taken_where_nothing_waits_for_one(certificate: Any) -> None:
    heard = []
    async with connection_pair(certificate) as pair:
        await established(pair)
        pair.client.events.on(event_type=EventType.CONNECTION_CLOSED, handler=heard.append)
        sock = socket_of(pair)
        with pytest.raises(StopIteration):
            pair.client.close().send(None)
        assert len(heard) == 1
        assert sock.fileno() == -1


@on_both_loops
async def test_a_full_socket_is_closed_when_it_has_taken_the_last_packet(
    certificate: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with held(certificate, monkeypatch, 10) as (pair, sock):
        await pair.client.close(reason="over")
        assert sock.refusals == 0
        assert sock.fileno() == -1
        event = await pair.server.events.wait_for(event_type=EventType.CONNECTION_CLOSED, timeout=WAIT)
        assert event.data["reason"] == "over"


@on_both_loops
async def test_a_socket_that_stays_full_is_closed_after_the_close_timeout(
    certificate: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with held(certificate, monkeypatch, -1, client={"close_timeout": 0.1}) as (pair, sock):
        await asyncio.wait_for(pair.client.close(), WAIT)
        assert sock.fileno() == -1
        await asyncio.wait_for(pair.client.close(), WAIT)  # nothing is left to wait for


@on_both_loops
async def test_two_who_close_at_a_time_wait_for_the_same_full_socket(
    certificate: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with held(certificate, monkeypatch, -1) as (pair, sock):
        first, second = (asyncio.ensure_future(pair.client.close()) for _ in range(2))
        await asyncio.sleep(0)
        assert sock.fileno() >= 0
        sock.refusals = 0
        await asyncio.wait_for(asyncio.gather(first, second), WAIT)
        assert sock.fileno() == -1


@on_both_loops
async def test_who_does_not_wait_for_a_full_socket_leaves_it_closed(
    certificate: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with held(certificate, monkeypatch, -1) as (pair, sock):
        closing = asyncio.ensure_future(pair.client.close())
        await asyncio.sleep(0)
        closing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await closing
        assert sock.fileno() == -1
