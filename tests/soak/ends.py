"""One end of a session under load: takes the peer's streams and datagrams, opens its own, and keeps the books."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable
from random import Random
from typing import Any

import work as stream_work
from watch import say
from work import ENDS, StreamWork

from wtransport import DatagramError, WebTransportSession
from wtransport.types import EventType

PATIENCE = 30.0
"""Seconds in which work must come to its end once its session has; more is a leak."""


class SessionEnd:
    """One end of one session."""

    def __init__(self, session: WebTransportSession, name: str, side: str, chance: Random) -> None:
        self.session = session
        self.name = name
        self.side = side
        self.chance = chance
        self.over = asyncio.Event()
        self.is_in_order = False
        """Everything was waited for before the end, so that the books of both ends must agree in every stream."""
        self._works: list[StreamWork] = []
        self._opened = 0
        self._taken = 0
        self._to_take: int | None = None
        """How many streams the other end opened in all, once it has said so."""
        self._is_opening = False
        self._tasks: dict[asyncio.Task[Any], StreamWork] = {}
        self.ending = asyncio.Event()
        """The other end asked this one to end the session."""
        self._idle: set[asyncio.Task[Any]] = set()  # those that end with the session only
        self._datagrams_sent = 0
        self._datagrams_got = 0
        session.events.once(event_type=EventType.SESSION_CLOSED, handler=lambda _: self.over.set())
        session.events.once(event_type=EventType.SESSION_DRAINING, handler=lambda _: self.ending.set())
        if session.is_closed:
            self.over.set()

    def begin(self, *, echo_datagrams: bool) -> None:
        """Take what the peer sends from now on."""
        two_way, one_way = (
            self.session.incoming_bidirectional_streams(),
            self.session.incoming_unidirectional_streams(),
        )
        for streams in (two_way, one_way):
            self._idle.add(asyncio.ensure_future(self._take(streams)))
        self._idle.add(asyncio.ensure_future(self._take_datagrams(echo_datagrams)))

    async def _take(self, streams: Any) -> None:
        async for stream in streams:
            work = StreamWork(stream)
            self._taken += 1
            self._start(work, work.run(stream_work.answer(work, session_over=self.over, asked=self._asked)))

    async def _asked(self, order: dict[str, Any]) -> dict[str, Any]:
        if order["do"] == "end":
            self.ending.set()
        else:
            self._to_take = order["opened"]
            await self.all_work()
            self.is_in_order = not self.over.is_set()
        return {"opened": self._opened}

    async def wait_for_both(self) -> None:
        """Return when both ends have done all their work; then the books of every stream must agree."""
        await self.all_work()
        self._opened += 1
        work = await stream_work.ask(self.session, {"do": "wait", "opened": self._opened})
        self._start(work, work.run(self._read_answer(work)))
        await self.all_work()
        self.is_in_order = self._to_take is not None and not self.over.is_set()
        if not self.is_in_order:
            say("failure", text=f"{self.side} {self.name}: the session was over before it was ended")

    async def _read_answer(self, work: StreamWork) -> None:
        self._to_take = (await work.read_line())["opened"]
        await work.read_to_end()

    async def ask_to_end(self) -> None:
        """Have the other end close the session."""
        self._opened += 1
        work = await stream_work.ask(self.session, {"do": "end"})
        work.is_parked = True
        self._start(work, work.run(work.read_to_end()))

    def _start(self, work: StreamWork, deed: Awaitable[None]) -> None:
        self._works.append(work)
        task = asyncio.ensure_future(deed)
        self._tasks[task] = work
        task.add_done_callback(self._tasks.pop)

    async def _take_datagrams(self, echo: bool) -> None:
        async for data in self.session.incoming_datagrams():
            self._datagrams_got += 1
            if echo:
                await self.send_datagram(data)

    async def send_datagram(self, data: bytes) -> None:
        with contextlib.suppress(*ENDS, DatagramError):
            await self.session.send_datagram(data=data)
            self._datagrams_sent += 1

    async def open_streams(self, number: int) -> None:
        """Open so many streams, a few at a time, and do something with each."""
        self._is_opening = True
        for _ in range(number):
            if self.over.is_set():
                break
            opened = await stream_work.open_stream(self.session, self.chance)
            if opened is None:
                break
            self._opened += 1
            self._start(*opened)
            if len(self._tasks) > 8:
                await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
        self._is_opening = False

    async def send_datagrams(self, number: int) -> None:
        """Send so many datagrams of any size that fits, in bursts."""
        for index in range(number):
            if self.over.is_set():
                return
            await self.send_datagram(self.chance.randbytes(self.chance.randrange(self.session.max_datagram_size + 1)))
            if not index % 20:
                await asyncio.sleep(0.002)

    async def all_work(self) -> None:
        """Wait for the work on every stream, as many as are known to come, and for the streams to be over."""
        while not self.over.is_set():
            works = [each for each in self._works if not each.is_parked]
            are_all_there = not self._is_opening and self._taken >= (self._to_take or 0)
            is_busy = any(work in works for work in self._tasks.values())
            if are_all_there and not is_busy and all(each.over.is_set() for each in works):
                return
            await asyncio.sleep(0.02)

    async def _settle(self) -> None:
        """Wait until all that was written was sent or dropped; if the connection is lost, some of it never is."""
        while not self.session.connection.is_closed:
            if all([await each.is_settled() for each in self._works]):
                return
            await asyncio.sleep(0.02)

    async def finish(self) -> None:
        """After the end of the session: wait for all tasks, and give the books away."""
        await asyncio.wait_for(self.over.wait(), PATIENCE)
        tasks = self._idle | set(self._tasks)
        if tasks:
            _, pending = await asyncio.wait(tasks, timeout=PATIENCE)
            for task in pending:
                say("failure", text=f"{self.side} {self.name}: work goes on after the end of its session: {task!r}")
                task.cancel()
            for task in tasks - pending:
                if not task.cancelled() and task.exception() is not None:
                    say("failure", text=f"{self.side} {self.name}: {task.exception()!r}")
        try:
            await asyncio.wait_for(self._settle(), PATIENCE)
        except TimeoutError:
            unsent = [await each.record() for each in self._works if not await each.is_settled()]
            say(
                "failure",
                text=f"{self.side} {self.name}: bytes wait to be sent after the end of their session: {unsent}",
            )
        figures = await self.session.diagnostics()
        say(
            "session",
            side=self.side,
            name=self.name,
            in_order=self.is_in_order,
            streams=[await each.record() for each in self._works],
            opened=figures.local_streams_bidi_opened + figures.local_streams_uni_opened,
            taken=figures.peer_streams_bidi_opened + figures.peer_streams_uni_opened,
            closed=figures.streams_closed,
            aborted=figures.streams_aborted,
            sent=figures.local_data_sent,
            received=figures.peer_data_sent,
            datagrams=[
                self._datagrams_sent,
                figures.datagrams_sent,
                self._datagrams_got,
                figures.datagrams_received - figures.datagrams_dropped,
            ],
        )
