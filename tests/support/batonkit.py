"""A game of Devious Baton for the peer programs, without any WebTransport library: an end of it as plain as can be.

Written apart from the example's, so that the two check each other; it knows no cheats and no time-outs of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any, Protocol
from urllib.parse import parse_qs, urlsplit

import peerkit

__all__ = ["PATH", "Session", "play", "play_for", "run_client"]

PATH = "/webtransport/devious-baton"
GAME_TIMEOUT = 40.0  # seconds


class Session(peerkit.Session, Protocol):
    """What a game needs of a session, at either end."""

    async def end(self) -> None:
        """End the session without an error."""

    async def ended(self) -> int:
        """Wait for the end of the session and return its code."""


async def play(session: Session, *, baton: int, count: int, is_client: bool) -> dict[str, Any]:
    """Play to the end and return the batons that came, those that came in datagrams, and the code of the end."""
    received: list[int] = []
    kept: list[int] = []
    datagrams: list[int] = []
    async with asyncio.TaskGroup() as tasks:

        def on_message(message: bytes, pass_on: Callable[[int], Awaitable[None]]) -> None:
            value = _value(message)
            received.append(value)
            tasks.create_task(_answer(value, pass_on))

        async def _answer(value: int, pass_on: Callable[[int], Awaitable[None]]) -> None:
            if value % 7 == int(is_client):
                await session.send_datagram(bytes([0, value]))
            if value:
                await pass_on((value + 1) % 256)
            else:
                kept.append(value)
                if len(kept) == count:
                    await session.end()

        async def on_new_uni(value: int) -> None:
            await (await session.open_unidirectional()).send(bytes([2, 0, 0, value]))

        async def on_new_bidi(value: int) -> None:
            stream = await session.open_bidirectional()
            await stream.send(bytes([0, value]))
            if value:
                on_message(await stream.receive(), on_new_uni)

        async def take_uni() -> None:
            while True:
                stream = await session.next_unidirectional()
                tasks.create_task(read(stream, on_new_bidi))

        async def take_bidi() -> None:
            while True:
                stream = await session.next_bidirectional()
                tasks.create_task(read(stream, lambda value, stream=stream: stream.send(bytes([1, 0, value]))))

        async def read(stream: peerkit.Stream, pass_on: Callable[[int], Awaitable[None]]) -> None:
            on_message(await stream.receive(), pass_on)

        async def take_datagrams() -> None:
            while True:
                datagrams.append(_value(await session.next_datagram()))

        accepting = [tasks.create_task(work()) for work in (take_uni, take_bidi, take_datagrams)]
        if not is_client:
            for _ in range(count):
                await on_new_uni(baton)
        code = await session.ended()
        for task in accepting:
            task.cancel()
    return {"received": received, "datagrams": datagrams, "code": code}


def _value(message: bytes) -> int:
    """Read a message whose padding has less than 16384 bytes."""
    size = 1 + (message[0] >> 6)
    padding = int.from_bytes(message[:size], "big") & (0x3F if size == 1 else 0x3FFF)
    if len(message) != size + padding + 1:
        raise ValueError(f"no message: {message.hex()}")
    return message[-1]


async def play_for(session: Session, path: str) -> None:
    """Play the server's end of the game that a request's path asks for."""
    query = parse_qs(urlsplit(path).query)
    await play(session, baton=int(query["baton"][0]), count=int(query["count"][0]), is_client=False)


def run_client(use: Callable[[str, int, str, Callable[[Session], Awaitable[Any]]], Awaitable[Any]]) -> None:
    """Run `use(host, port, path, game)` as the program and print what came of the game."""
    parser = argparse.ArgumentParser()
    for name in ("--port", "--baton", "--count"):
        parser.add_argument(name, type=int, required=True)
    given = parser.parse_args()

    async def game(session: Session) -> Any:
        return await play(session, baton=given.baton, count=given.count, is_client=True)

    async def whole() -> Any:
        path = f"{PATH}?version=0&baton={given.baton}&count={given.count}"
        async with asyncio.timeout(GAME_TIMEOUT):
            return await use(peerkit.HOST, given.port, path, game)

    print(json.dumps(asyncio.run(whole())), flush=True)
