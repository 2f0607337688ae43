"""Shared by the peer programs: the echo service's rules, the client's exercise, and the line protocol with the tests.

Imports no WebTransport library: each program brings its own and runs in that library's environment.

The echo service, on every path:

- a bidirectional stream of the client: everything back, FIN after FIN;
- a unidirectional stream of the client: its content back on a unidirectional stream of the server. But if the content
  is `OPEN`, the server opens a bidirectional stream, writes `OFFER` and FIN, reads the client's answer up to FIN, and
  sends that answer on a unidirectional stream of its own;
- a datagram: back as it is.

Line protocol: a server prints `READY PORT` and serves until its stdin ends; a client prints one line of JSON and exits.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import sys
import threading
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Protocol

HOST = "127.0.0.1"
OPEN = b"open a bidirectional stream"
OFFER = b"offered by the server"
ANSWER = b"answered by the client"
DATAGRAM_RETRY = 0.5  # seconds before a datagram without an echo is sent again
DATAGRAM_TRIES = 10
STEP_TIMEOUT = 20.0  # seconds for one step of the exercise


class Stream(Protocol):
    """What the exercise needs of a stream; a unidirectional one has half of it."""

    async def send(self, data: bytes) -> None:
        """Write all of `data`, then FIN."""

    async def receive(self) -> bytes:
        """Read up to FIN."""


class Session(Protocol):
    """What the exercise needs of a client's session."""

    async def open_bidirectional(self) -> Stream: ...

    async def open_unidirectional(self) -> Stream: ...

    async def next_bidirectional(self) -> Stream: ...

    async def next_unidirectional(self) -> Stream: ...

    async def send_datagram(self, data: bytes) -> None: ...

    async def next_datagram(self) -> bytes: ...


def pattern(size: int, seed: int) -> bytes:
    """`size` bytes that differ along the way and by `seed`."""
    return hashlib.shake_256(seed.to_bytes(8, "big")).digest(size)


async def exercise(session: Session, *, size: int, streams: int, datagram_size: int) -> dict[str, int]:
    """Try every service of an echo server and count what came back right.

    `size` is that of a stream's content, `streams` how many run at once, `datagram_size` the largest datagram.
    """
    steps: dict[str, Awaitable[int]] = {
        "bidirectional": _echo_bidirectional(session, size, streams),
        "unidirectional": _echo_unidirectional(session, size, streams),
        "opened_by_server": _answer_offer(session),
        "datagrams": _echo_datagrams(session, datagram_size),
    }
    results = {}
    for name, step in steps.items():
        async with asyncio.timeout(STEP_TIMEOUT):
            results[name] = await step
    return results


async def _echo_bidirectional(session: Session, size: int, streams: int) -> int:
    async def one(seed: int) -> bool:
        stream = await session.open_bidirectional()
        data = pattern(size, seed)
        _, received = await asyncio.gather(stream.send(data), stream.receive())
        return received == data

    return sum(await asyncio.gather(*(one(seed) for seed in range(streams))))


async def _echo_unidirectional(session: Session, size: int, streams: int) -> int:
    wanted = {pattern(size, seed) for seed in range(streams)}

    async def send(data: bytes) -> None:
        await (await session.open_unidirectional()).send(data)

    async def receive() -> set[bytes]:
        return {await (await session.next_unidirectional()).receive() for _ in range(streams)}

    _, received = await asyncio.gather(asyncio.gather(*map(send, wanted)), receive())
    return len(wanted & received)


async def _answer_offer(session: Session) -> int:
    await (await session.open_unidirectional()).send(OPEN)
    stream = await session.next_bidirectional()
    if await stream.receive() != OFFER:
        return 0
    await stream.send(ANSWER)
    return int(await (await session.next_unidirectional()).receive() == ANSWER)


async def _echo_datagrams(session: Session, largest: int) -> int:
    echoed = 0
    for size in (1, 100, largest):
        data = pattern(size, size)
        for _ in range(DATAGRAM_TRIES):
            await session.send_datagram(data)
            try:
                async with asyncio.timeout(DATAGRAM_RETRY):
                    while await session.next_datagram() != data:
                        pass
            except TimeoutError:
                continue
            echoed += 1
            break
    return echoed


class Tasks:
    """Keeps the tasks of a server alive; what ends with a session is no news."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            print(f"{task.get_name()}: {task.exception()!r}", file=sys.stderr)


async def until_stdin_ends() -> None:
    """Wait until the test closes our stdin."""
    loop = asyncio.get_running_loop()
    over = asyncio.Event()

    def wait() -> None:
        sys.stdin.buffer.read()
        loop.call_soon_threadsafe(over.set)

    threading.Thread(target=wait, daemon=True).start()
    await over.wait()


def ready(port: int) -> None:
    print(f"READY {port}", flush=True)


def run_server(serve: Callable[[str, str, int], Awaitable[None]]) -> None:
    """Run `serve(certfile, keyfile, port)` as the program; it calls `ready` and returns when stdin has ended."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--cert", required=True)
    parser.add_argument("--key", required=True)
    parser.add_argument("--port", type=int, required=True)
    given = parser.parse_args()
    asyncio.run(_awaited(serve(given.cert, given.key, given.port)))


def run_client(use: Callable[[str, int, str, Callable[[Session], Awaitable[dict[str, int]]]], Awaitable[Any]]) -> None:
    """Run `use(host, port, path, exercise)` as the program and print the exercise's results, or what went wrong."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--path", default="/echo")
    parser.add_argument("--size", type=int, required=True)
    parser.add_argument("--streams", type=int, required=True)
    parser.add_argument("--datagram-size", type=int, required=True)
    given = parser.parse_args()

    async def bound(session: Session) -> dict[str, int]:
        return await exercise(session, size=given.size, streams=given.streams, datagram_size=given.datagram_size)

    results = asyncio.run(_awaited(use(HOST, given.port, given.path, bound)))
    print(json.dumps(results), flush=True)


async def _awaited(work: Awaitable[Any]) -> Any:
    return await work
