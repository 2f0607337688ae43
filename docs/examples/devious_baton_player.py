"""One end of a game of Devious Baton, the server's or the client's."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from devious_baton import Game, MalformedError, SessionCode, StreamCode, decode_message, encode_message, read_message

from wtransport import (
    SessionError,
    StreamError,
    WebTransportReceiveStream,
    WebTransportSendStream,
    WebTransportSession,
    WebTransportStream,
)

S = TypeVar("S")


class Player:
    """Plays until the session is over, whoever ended it; then `received` has the batons that came, in their order."""

    def __init__(
        self,
        session: WebTransportSession,
        *,
        game: Game,
        is_client: bool,
        patience: float = 10.0,
        lies: Callable[[int], bool] = lambda baton: False,
    ) -> None:
        """`patience` is in seconds; `lies` says whether a baton is kept instead of passed on."""
        self.received: list[int] = []
        self.datagrams: list[int] = []
        self.lost = 0
        self._session = session
        self._game = game
        self._is_client = is_client
        self._patience = patience
        self._lies = lies
        self._active = game.count
        # What may come on streams of the other end: first the server's `count`, then whatever follows on what we sent.
        self._first = game.count if is_client else 0
        self._expected: Counter[int] = Counter()
        self._news = asyncio.Event()

    async def play(self) -> None:
        session = self._session
        async with asyncio.TaskGroup() as tasks:
            boredom = tasks.create_task(self._get_bored())
            # All these iterators end with the session.
            incoming = [
                tasks.create_task(_each(session.incoming_unidirectional_streams(), self._on_uni)),
                tasks.create_task(_each(session.incoming_bidirectional_streams(), self._on_bidi)),
                tasks.create_task(_each(session.incoming_datagrams(), self._on_datagram)),
            ]
            if not self._is_client:
                await self._begin()
            await asyncio.wait(incoming)
            boredom.cancel()

    async def _begin(self) -> None:
        baton = self._game.baton or random.randint(1, 255)  # noqa: S311  # no secret
        for _ in range(self._game.count):
            await self._send_on_uni(baton)

    # What comes: each stream is one message.

    async def _on_uni(self, stream: WebTransportReceiveStream) -> None:
        baton = await self._read(stream)
        if baton is not None and await self._is_expected(baton):
            await self._take(baton, self._send_on_bidi)

    async def _on_bidi(self, stream: WebTransportStream) -> None:
        baton = await self._read(stream)
        if baton is not None and await self._is_expected(baton):
            await self._take(baton, lambda following: self._send(stream, following))

    async def _on_answer(self, stream: WebTransportStream, sent: int) -> None:
        baton = await self._read(stream)
        if baton == _next(sent):
            await self._take(baton, self._send_on_uni)
        elif baton is not None:
            await self._break_off(SessionCode.SUS, f"{baton} does not follow {sent}")

    async def _on_datagram(self, data: bytes) -> None:
        try:
            self.datagrams.append(decode_message(data))
        except MalformedError as error:
            await self._break_off(SessionCode.BRUH, str(error))

    async def _read(self, stream: WebTransportReceiveStream) -> int | None:
        """Return the baton of a stream, None if there is none."""
        try:
            baton = await read_message(stream)
        except MalformedError as error:
            await self._break_off(SessionCode.BRUH, str(error))
            return None
        except StreamError as error:
            if error.application_code is not None:  # otherwise it is the session that has ended
                if isinstance(stream, WebTransportSendStream):
                    await stream.stop_sending(error_code=StreamCode.WHATEVER)
                await self._drop_one()
            return None
        except TimeoutError:
            await self._break_off(SessionCode.BORED, "half a message")
            return None
        if baton is None:
            await stream.stop_receiving(error_code=StreamCode.IDC)
            await self._drop_one()
        return baton

    async def _is_expected(self, baton: int) -> bool:
        """Tell whether the other end can be passing on such a baton on a stream of its own."""
        if self._expected[baton]:
            self._expected[baton] -= 1
        elif self._first and baton and self._game.baton in (None, baton):
            self._first -= 1
        else:
            await self._break_off(SessionCode.SUS, f"nobody can be passing on {baton}")
            return False
        return True

    async def _take(self, baton: int, pass_on: Callable[[int], Awaitable[None]]) -> None:
        self.received.append(baton)
        self._news.set()
        if baton % 7 == (1 if self._is_client else 0):
            await self._send_datagram(baton)
        if baton:
            await pass_on(_next(baton))
        else:
            await self._count_down()

    # What goes.

    async def _send_on_uni(self, baton: int) -> None:
        stream = await self._open(self._session.create_unidirectional_stream)
        if stream is not None:
            await self._send(stream, baton)

    async def _send_on_bidi(self, baton: int) -> None:
        stream = await self._open(self._session.create_bidirectional_stream)
        if stream is not None and await self._write(stream, baton) and baton:
            await self._on_answer(stream, baton)

    async def _open(self, create: Callable[[], Awaitable[S]]) -> S | None:
        try:
            return await create()
        except TimeoutError:
            await self._break_off(SessionCode.DA_YAMN, "no more streams allowed")
        except SessionError:
            pass  # it is over
        return None

    async def _send(self, stream: WebTransportSendStream, baton: int) -> None:
        """Send a baton whose follower will come on a stream of the other end."""
        if baton:
            self._expected[_next(baton)] += 1
        await self._write(stream, baton)

    async def _write(self, stream: WebTransportSendStream, baton: int) -> bool:
        try:
            if self._lies(baton):
                await stream.stop_sending(error_code=StreamCode.I_LIED)
                await self._drop_one()
                return False
            await stream.write_all(data=encode_message(baton, random.randrange(64)))  # noqa: S311  # no secret
        except TimeoutError:
            await self._break_off(SessionCode.BORED, "nobody reads")
            return False
        except StreamError as error:
            # The other end wants no more of it, which the transport has answered; or the session has ended.
            if error.application_code is not None:
                await self._drop_one()
            return False
        return True

    async def _send_datagram(self, baton: int) -> None:
        with contextlib.suppress(SessionError, TimeoutError):  # it may get lost anyway
            await self._session.send_datagram(data=encode_message(baton))

    # How it ends.

    async def _drop_one(self) -> None:
        self.lost += 1
        self._news.set()
        await self._count_down()

    async def _count_down(self) -> None:
        self._active -= 1
        if not self._active:
            await self._session.close()

    async def _get_bored(self) -> None:
        with contextlib.suppress(TimeoutError):
            while True:
                async with asyncio.timeout(self._patience):
                    await self._news.wait()
                self._news.clear()
        await self._break_off(SessionCode.BORED, "nothing happens")

    async def _break_off(self, code: SessionCode, reason: str) -> None:
        await self._session.close(error_code=code, reason=reason)


def _next(baton: int) -> int:
    return (baton + 1) % 256


async def _each(things: AsyncIterator[S], take: Callable[[S], Coroutine[Any, Any, None]]) -> None:
    """Take each thing in a task of its own."""
    async with asyncio.TaskGroup() as tasks:
        async for thing in things:
            tasks.create_task(take(thing))
