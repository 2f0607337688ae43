"""What the tests of RPC, publish/subscribe, structured messages and reliable datagrams share."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from handle_pair import SessionPair, session_pair
from loopback import CertificateFiles

from wtransport.stream import WebTransportStream

__all__ = [
    "WAIT",
    "StreamPair",
    "both_ends",
    "cancelled_after",
    "leaves_no_task",
    "stands_still",
    "stream_pair",
    "until",
]

WAIT = 30.0
"""Seconds for something on loopback that normally takes milliseconds."""


class StreamPair:
    """Both ends of a bidirectional stream, and of the session it is in."""

    def __init__(self, sessions: SessionPair, client: WebTransportStream, server: WebTransportStream) -> None:
        self.sessions = sessions
        self.client = client
        self.server = server

    @property
    def session_id(self) -> str:
        return self.sessions.client.session_id


async def both_ends(sessions: SessionPair) -> StreamPair:
    """Open a stream at the client; the server sees it before anything is written."""
    streams = sessions.server.incoming_bidirectional_streams()
    client = await sessions.client.create_bidirectional_stream()
    return StreamPair(sessions, client, await anext(streams))


@contextlib.asynccontextmanager
async def stream_pair(certificate: CertificateFiles, **settings: dict[str, Any]) -> AsyncIterator[StreamPair]:
    """Both ends of a stream on a connection of its own; `client` and `server` are settings of theirs."""
    async with session_pair(certificate, **settings) as sessions:
        yield await both_ends(sessions)


async def until(condition: Callable[[], bool]) -> None:
    """Let the loop run until something is so that no event tells of."""
    async with asyncio.timeout(WAIT):
        while not condition():
            await asyncio.sleep(0.001)


async def stands_still(figure: Callable[[], Awaitable[int]]) -> int:
    """Return a figure once it changes no more: nothing tells of what does not happen.

    Half a second in many steps, as a machine that is busy with something else would stand still in a single one.
    """
    before, quiet = await figure(), 0
    while quiet < 10:
        await asyncio.sleep(0.05)
        now = await figure()
        before, quiet = now, quiet + 1 if now == before else 0
    return before


async def cancelled_after(turns: int, operation: Callable[[], Awaitable[Any]]) -> bool:
    """Begin an operation, let the loop turn so many times, and cancel it; False when it was done by then."""
    task = asyncio.ensure_future(operation())
    for _ in range(turns):
        await asyncio.sleep(0)
    if task.done():
        task.result()
        return False
    task.cancel()
    async with asyncio.timeout(WAIT):
        await asyncio.wait([task])
    return task.cancelled()


@contextlib.asynccontextmanager
async def leaves_no_task() -> AsyncIterator[None]:
    """Fail when a task that was not there before does not end soon after the block."""
    before = asyncio.all_tasks()
    yield
    before |= {
        task for task in [asyncio.current_task()] if task is not None
    }  # a fixture begins in one task and ends in another
    with contextlib.suppress(TimeoutError):
        await until(lambda: not asyncio.all_tasks() - before)
    left = asyncio.all_tasks() - before
    if left:
        raise AssertionError(f"tasks left behind: {left}")
