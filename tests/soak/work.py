"""What the two ends of a stream do, and how many bytes they count doing it.

The end that opens a stream writes a line of JSON that says what both are to do. Each end keeps its own count; what the
library's diagnostics say of the stream is held against that, and against the other end's.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable
from random import Random
from typing import Any
from zlib import crc32

from wtransport import SessionError, StreamError, TimeoutError, WebTransportSession
from wtransport.types import EventType

CHUNK = 30_000
CODES = (0, 1, 7, 0xFFFFFFFF)

BIDIRECTIONAL = (
    "echo",
    "echo",
    "echo",
    "source",
    "source",
    "empty",
    "reset",
    "stopped",
    "refused",
    "ignored",
    "cancelled",
    "early",
    "failing",
)
UNIDIRECTIONAL = ("sink", "sink", "sink", "empty", "reset", "stopped", "ignored", "cancelled", "early", "failing")

ENDS = (StreamError, SessionError, TimeoutError, asyncio.IncompleteReadError)
"""How work on a stream may end early; anything else is a failure of the soak."""


class OnPurposeError(Exception):
    """Raised within `async with stream` to see it reset."""

    error_code = 77


class WrongContentError(Exception):
    """Bytes changed on their way."""


def draw_size(chance: Random) -> int:
    """Return how much to send: mostly little, sometimes some MiB."""
    kind = chance.random()
    if kind < 0.1:
        return 0
    if kind < 0.6:
        return chance.randrange(1, 200)
    if kind < 0.97:
        return chance.randrange(200, 50_000)
    return chance.randrange(500_000, 4_000_000)


def content(size: int, seed: int) -> bytes:
    """Return bytes that are not all the same."""
    block = Random(seed).randbytes(1021)
    return (block * (size // len(block) + 1))[:size]


class StreamWork:
    """One end of one stream."""

    def __init__(self, stream: Any, deed: str = "") -> None:
        self.stream = stream
        self.deed = deed
        self.written = 0
        self.read = 0
        self.is_exact = True
        self.failure: str | None = None
        self.is_parked = False
        """It will not come to its end before the session does."""
        self.over = asyncio.Event()
        self.is_complete = False
        """Both sides of the stream were over before the session was."""
        stream.events.once(event_type=EventType.STREAM_CLOSED, handler=self._on_over)

    def _on_over(self, _: Any) -> None:
        self.is_complete = not self.stream.session.is_closed
        self.over.set()

    async def write(self, data: bytes) -> None:
        try:
            await self.stream.write(data=data)
        except (StreamError, TimeoutError) as error:
            self.written += error.details.get("bytes_accepted", 0)
            raise
        except asyncio.CancelledError:
            self.is_exact = False
            raise
        self.written += len(data)

    async def write_much(self, data: bytes) -> None:
        for start in range(0, len(data), CHUNK):
            await self.write(data[start : start + CHUNK])

    async def write_line(self, order: dict[str, Any]) -> None:
        await self.write(json.dumps(order).encode() + b"\n")

    async def read_some(self, most: int = -1) -> bytes:
        data: bytes = await self.stream.read(max_bytes=most)
        self.read += len(data)
        return data

    async def read_to_end(self) -> int:
        """Read everything that is left; return its checksum."""
        checksum = 0
        while data := await self.read_some():
            checksum = crc32(data, checksum)
        return checksum

    async def read_line(self) -> dict[str, Any]:
        line: bytes = await self.stream.readline()
        self.read += len(line)
        order: dict[str, Any] = json.loads(line)
        self.deed = order.get("do", self.deed)
        return order

    async def leave(self) -> None:
        """End what is left of the stream."""
        with contextlib.suppress(*ENDS):
            await self.stream.close()

    async def run(self, work: Any) -> None:
        """Do the work; whatever a peer can do to it is no failure."""
        try:
            await work
        except asyncio.IncompleteReadError as error:
            self.read += len(error.partial)
        except ENDS:
            pass
        except OnPurposeError:
            pass
        except Exception as error:
            self.failure = f"{type(error).__name__}: {error}"
        await self.leave()

    async def is_settled(self) -> bool:
        """Tell whether nothing waits to be sent: until then an abort may drop it, even after the session's end."""
        return not (await self.stream.diagnostics()).bytes_unsent

    async def record(self) -> dict[str, Any]:
        """Return what there is to compare, once nothing more will happen."""
        figures = await self.stream.diagnostics()
        return {
            "id": figures.stream_id,
            "do": self.deed,
            "sent": figures.bytes_sent - figures.bytes_dropped,
            "got": self.read + figures.bytes_discarded + figures.read_buffer_size,
            "counted": self.written if self.is_exact else figures.bytes_sent,
            "written": figures.bytes_sent,
            "arrived": figures.bytes_received,
            "unsent": figures.bytes_unsent,
            # What a lost connection left unsent was neither sent nor dropped.
            "is_complete": self.is_complete and not figures.bytes_unsent,
            "is_parked": self.is_parked,
            "failure": self.failure,
        }


async def open_stream(session: WebTransportSession, chance: Random) -> tuple[StreamWork, Any] | None:
    """Open a stream of any kind; return its work, which has not begun. None when the session was over."""
    is_two_way = chance.random() < 0.6
    deed = chance.choice(BIDIRECTIONAL if is_two_way else UNIDIRECTIONAL)
    try:
        if is_two_way:
            work = StreamWork(await session.create_bidirectional_stream(), deed)
        else:
            work = StreamWork(await session.create_unidirectional_stream(), deed)
    except ENDS:
        return None
    order = {"do": deed, "size": draw_size(chance), "after": chance.randrange(5000), "code": chance.choice(CODES)}
    order["seed"] = chance.randrange(1 << 30)
    return work, work.run(_opener(work, order, is_two_way))


async def _opener(work: StreamWork, order: dict[str, Any], is_two_way: bool) -> None:
    stream, deed, size = work.stream, order["do"], order["size"]
    if deed == "empty":
        return
    if deed == "early":  # before anything was written
        await stream.close(error_code=order["code"])
        return
    await work.write_line(order)
    data = content(size, order["seed"])
    match deed:
        case "echo":
            writing = asyncio.ensure_future(_write_and_end(work, data))
            try:
                if await work.read_to_end() != crc32(data):
                    raise WrongContentError("echo differs")
            finally:
                with contextlib.suppress(*ENDS):
                    await writing
        case "source":
            await stream.write(data=b"", end_stream=True)
            if await work.read_to_end() != crc32(data):
                raise WrongContentError("source differs")
        case "reset":
            await work.write_much(data[: order["after"]])
            await stream.close(error_code=order["code"])
        case "cancelled":
            task = asyncio.ensure_future(work.write_much(data * 5))
            await asyncio.sleep(order["after"] / 1e6)
            task.cancel()
            await asyncio.wait([task])
            if not task.cancelled() and task.exception() is not None:
                await task
            await stream.close(error_code=order["code"])
        case "ignored":
            work.is_parked = True
            await _write_and_end(work, data[:20_000])
        case "failing":
            async with stream:
                await work.write_much(data)
                raise OnPurposeError
        case _:
            await _write_and_end(work, data)
            if is_two_way:
                await work.read_to_end()


async def _write_and_end(work: StreamWork, data: bytes) -> None:
    await work.write_much(data)
    await work.stream.write(data=b"", end_stream=True)


async def ask(session: WebTransportSession, order: dict[str, Any]) -> StreamWork:
    """Open a stream with an order that concerns the session as a whole, and end our side of it."""
    work = StreamWork(await session.create_bidirectional_stream(), order["do"])
    await work.write_line(order)
    await work.stream.write(data=b"", end_stream=True)
    return work


async def answer(
    work: StreamWork,
    *,
    session_over: asyncio.Event,
    asked: Callable[[dict[str, Any]], Awaitable[dict[str, Any]]],
) -> None:
    """Do what the other end's first line says; `asked` takes what concerns the session as a whole."""
    stream = work.stream
    order = await work.read_line()
    match order["do"]:
        case "wait" | "end":
            work.is_parked = True
            await work.read_to_end()
            reply = await asked(order)
            work.is_parked = False
            await work.write_line(reply)
        case "echo":
            while data := await work.read_some():
                await work.write(data)
        case "source":
            await work.write_much(content(order["size"], order["seed"]))
        case "stopped":
            await _read_up_to(work, order["after"])
            await stream.stop_receiving(error_code=order["code"])
        case "refused":
            await _read_up_to(work, order["after"])
            await stream.stop_receiving(error_code=order["code"])
            await stream.stop_sending(error_code=order["code"])
        case "ignored":
            work.is_parked = True
            await session_over.wait()
        case _:
            await work.read_to_end()


async def _read_up_to(work: StreamWork, size: int) -> None:
    while size > 0 and (data := await work.read_some(size)):
        size -= len(data)
