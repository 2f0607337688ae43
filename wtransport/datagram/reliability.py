"""Datagrams that are sent again until the peer confirms them.

The wire format is that of the 0.9 API: one byte with the length of the type's name, the name, and for ``DATA`` a 4-byte
big-endian sequence number and the payload, for ``ACK`` the sequence number in decimal ASCII.
"""

from __future__ import annotations

import asyncio
import logging
import struct
from collections import OrderedDict, deque
from types import TracebackType
from typing import Self

from ..events import Event
from ..exceptions import DatagramError, SessionError, TimeoutError, WebTransportError
from ..session import WebTransportSession
from ..stream._messages import cancel, is_worth_a_line, wait_for_end
from ..stream._waiter import WaitLine, sleep_on, timed_out, wake
from ..types import Data, EventType
from ..utils import ensure_bytes

__all__ = ["DatagramReliabilityLayer"]

_DATA = b"\x04DATA"
_ACK = b"\x03ACK"
_SEQUENCE = struct.Struct("!I")
_SEQUENCES = 1 << 32  # they begin anew after that many
_DATA_HEADER = len(_DATA) + _SEQUENCE.size
_MAX_ACK = len(_ACK) + 10  # bytes: the largest sequence number has ten digits

_SEND_WINDOW = 1024
"""Distance from the oldest unconfirmed sequence number to the newest. A receiver of the 0.9 API remembers this many to
tell what it has had already."""

_REMEMBERED = 4096
"""Sequence numbers that a receiver remembers: four windows, as a 0.9 sender has no window."""

_MAX_RECEIVED = 1024  # messages that wait for `receive`; beyond, they are not confirmed and so come again
_MAX_RECEIVED_BYTES = 4 * 1024 * 1024
_MAX_ACKS = 4096  # confirmations that wait for room; beyond, the oldest is dropped and the peer sends again

_logger = logging.getLogger(__name__)


class _Unconfirmed:
    """A message on its way: the whole datagram, how often it was sent again, and when to do so next."""

    __slots__ = ("frame", "next_time", "retries")

    def __init__(self, frame: bytes, next_time: float) -> None:
        self.frame = frame
        self.retries = 0
        self.next_time = next_time


class DatagramReliabilityLayer:
    """Sends messages as datagrams, again and again until they are confirmed. Use it in `async with`.

    Messages arrive once; they may overtake each other. Both ends need this layer. One that is not confirmed after
    `max_retries` is given up: that is logged, counted in `given_up`, and DATAGRAM_ERROR is emitted on the session with
    session, session_id, sequence and data.

    Args:
        session: the session whose datagrams are used. Its other receivers get them as well.
        ack_timeout: seconds to wait for a confirmation before a message is sent again.
        max_retries: how often it is sent again.

    Raises:
        ValueError: ack_timeout is not positive, or max_retries is negative.
    """

    def __init__(self, session: WebTransportSession, *, ack_timeout: float = 2.0, max_retries: int = 5) -> None:
        if not ack_timeout > 0:
            raise ValueError(f"ack_timeout must be more than 0 seconds, not {ack_timeout}")
        if max_retries < 0:
            raise ValueError(f"max_retries must not be negative, not {max_retries}")
        self._session = session
        self._ack_timeout = ack_timeout
        self._max_retries = max_retries
        self._task: asyncio.Task[None] | None = None
        self._alarm: asyncio.Future[bool] | None = None
        self._is_closed = False
        # Sending. `_unconfirmed` is in the order of `next_time`: every message waits for the same time.
        self._next_sequence = 0
        self._oldest = 0
        self._starting: set[int] = set()
        self._unconfirmed: OrderedDict[int, _Unconfirmed] = OrderedDict()
        self._senders = WaitLine()
        self._flushers = WaitLine()
        self._given_up = 0
        # Receiving.
        self._received: deque[bytes] = deque()
        self._received_bytes = 0
        self._receivers = WaitLine()
        self._seen: OrderedDict[int, None] = OrderedDict()
        self._acks: OrderedDict[int, None] = OrderedDict()
        self._refused = 0

    def __repr__(self) -> str:
        return f"<DatagramReliabilityLayer {self._session!r} {len(self._unconfirmed)} unconfirmed>"

    @property
    def is_closed(self) -> bool:
        """Tell whether this layer was closed, or its session is over."""
        return self._is_closed or self._session.is_closed

    @property
    def unconfirmed(self) -> int:
        """Return how many messages were sent and not yet confirmed."""
        return len(self._unconfirmed)

    @property
    def given_up(self) -> int:
        """Return how many messages were never confirmed."""
        return self._given_up

    async def __aenter__(self) -> Self:
        """Begin to receive and to send again.

        Raises:
            DatagramError: this layer was closed, or its session is over.
        """
        if self.is_closed:
            raise self._closed()
        if self._task is None:
            events = self._session.events
            self._task = asyncio.get_running_loop().create_task(self._run())
            events.once(event_type=EventType.SESSION_CLOSED, handler=self._on_session_closed)
            events.on(event_type=EventType.DATAGRAM_RECEIVED, handler=self._on_datagram)
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc_val: BaseException | None, exc_tb: TracebackType | None
    ) -> None:
        """Close; what is not confirmed yet is not sent again. Call `flush` before, where that matters."""
        await self.close()

    async def send(self, *, data: Data) -> None:
        """Send a message; it is on its way when this returns.

        Waits while 1024 messages are unconfirmed. Cancelled, it has sent nothing.

        Args:
            data: bytes-like or ``str``, which is sent as UTF-8; 9 bytes less than a datagram takes.

        Raises:
            DatagramError: too large (a ValueError, too), or this layer is not in `async with` or closed.
            SessionError: the session was closed meanwhile.
            TimeoutError: for `write_timeout` seconds nothing was confirmed, or no datagram could be sent.
            TypeError: data has another type.
        """
        self._check_usable()
        payload = ensure_bytes(data=data)
        sequence = None if self._senders else self._take_sequence()
        if sequence is None:
            timeout = self._session.connection.config.write_timeout
            sequence = await self._senders.until(self._take_sequence, seconds=timeout)
            if sequence is None:
                raise timed_out("send", timeout, session_id=self._session.session_id)
        frame = _DATA + _SEQUENCE.pack(sequence) + payload
        try:
            await self._session.send_datagram(data=frame)
            self._await_confirmation(sequence, frame)
        finally:
            self._starting.discard(sequence)
            self._advance()

    async def receive(self, *, timeout: float | None = None) -> bytes:
        """Return the next message.

        Args:
            timeout: seconds to wait; None waits until one comes or the session ends.

        Raises:
            DatagramError: this layer is not in `async with` or was closed, or its session is over and nothing is left.
            TimeoutError: none came in time.
        """
        if self._task is None:
            self._check_usable()
        data = None if self._receivers else self._take_message()
        if data is None:
            data = await self._receivers.until(self._take_message, seconds=timeout)
        if data is None:
            raise timed_out("receive", timeout, session_id=self._session.session_id)
        return data

    async def flush(self, *, timeout: float | None = None) -> None:
        """Wait until every message was confirmed or given up, which ``ack_timeout * (max_retries + 1)`` seconds bound.

        Args:
            timeout: seconds to wait at most; None relies on that bound.

        Raises:
            DatagramError: this layer is not in `async with`, or it or its session was closed with some unconfirmed.
            TimeoutError: some are still unconfirmed.
        """
        self._check_usable()
        if self._all_confirmed() is None and not await self._flushers.until(self._all_confirmed, seconds=timeout):
            raise timed_out("flush", timeout, session_id=self._session.session_id)

    async def close(self) -> None:
        """End: nothing is received or sent again, and whoever waits gets DatagramError. Closing twice is no error."""
        self._is_closed = True
        events = self._session.events
        events.off(event_type=EventType.DATAGRAM_RECEIVED, handler=self._on_datagram)
        events.off(event_type=EventType.SESSION_CLOSED, handler=self._on_session_closed)
        for kept in (self._received, self._acks, self._seen):
            kept.clear()
        self._wake_everybody()
        if self._task is not None:
            await wait_for_end(cancel({self._task}), seconds=self._session.connection.config.close_timeout)

    # Sending.

    def _take_sequence(self) -> int | None:
        """Return the next sequence number, or None while the window is full."""
        self._check_usable()
        if (self._next_sequence - self._oldest) % _SEQUENCES >= _SEND_WINDOW:
            return None
        sequence = self._next_sequence
        self._next_sequence = (sequence + 1) % _SEQUENCES
        self._starting.add(sequence)
        return sequence

    def _await_confirmation(self, sequence: int, frame: bytes) -> None:
        loop = asyncio.get_running_loop()
        self._unconfirmed[sequence] = _Unconfirmed(frame, loop.time() + self._ack_timeout)
        if len(self._unconfirmed) == 1:
            wake(self._alarm)

    def _advance(self) -> None:
        """Move the window past what is confirmed or given up."""
        before = self._oldest
        while (
            self._oldest != self._next_sequence
            and self._oldest not in self._unconfirmed
            and self._oldest not in self._starting
        ):
            self._oldest = (self._oldest + 1) % _SEQUENCES
        if self._oldest != before:
            self._senders.wake_first()
        if not self._unconfirmed:
            self._flushers.wake_all()

    def _all_confirmed(self) -> bool | None:
        if not self._unconfirmed:
            return True
        self._check_usable()
        return None

    # The task that confirms and sends again.

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while not self.is_closed:
                await self._confirm()
                await self._send_again(loop.time())
                if self._acks or self.is_closed:
                    continue  # they came, or it did, while this waited for room; no alarm was set then
                first = next(iter(self._unconfirmed.values()), None)
                self._alarm = loop.create_future()
                await sleep_on(self._alarm, None if first is None else first.next_time - loop.time())
        except SessionError:
            pass  # it was closed meanwhile, and everybody knows
        finally:
            self._alarm = None

    async def _confirm(self) -> None:
        while self._acks:
            sequence, _ = self._acks.popitem(last=False)
            try:
                await self._session.send_datagram(data=b"%b%d" % (_ACK, sequence))
            except (DatagramError, TimeoutError) as error:
                self._complain("could not confirm a message", error)  # the peer will send it again

    async def _send_again(self, now: float) -> None:
        while self._unconfirmed:
            sequence, message = next(iter(self._unconfirmed.items()))
            if message.next_time > now:
                return
            if message.retries >= self._max_retries:
                self._give_up(sequence, message)
                continue
            message.retries += 1
            message.next_time = asyncio.get_running_loop().time() + self._ack_timeout
            self._unconfirmed.move_to_end(sequence)
            try:
                await self._session.send_datagram(data=message.frame)
            except (DatagramError, TimeoutError) as error:
                self._complain("could not send a message again", error)  # the path may let it through next time

    def _give_up(self, sequence: int, message: _Unconfirmed) -> None:
        del self._unconfirmed[sequence]
        self._given_up += 1
        _logger.warning("%r: message %d was not confirmed after %d retries", self, sequence, message.retries)
        self._session.events.emit_nowait(
            event_type=EventType.DATAGRAM_ERROR,
            data={
                "session": self._session,
                "session_id": self._session.session_id,
                "sequence": sequence,
                "data": message.frame[_DATA_HEADER:],
            },
            source=self,
        )
        self._advance()

    # Receiving.

    def _on_datagram(self, event: Event) -> None:
        data: bytes = event.data["data"]
        if data.startswith(_DATA) and len(data) >= _DATA_HEADER:
            self._on_message(_SEQUENCE.unpack_from(data, len(_DATA))[0], data[_DATA_HEADER:])
        elif data.startswith(_ACK):
            self._on_ack(data)

    def _on_message(self, sequence: int, payload: bytes) -> None:
        if sequence not in self._seen:
            if len(self._received) >= _MAX_RECEIVED or self._received_bytes + len(payload) > _MAX_RECEIVED_BYTES:
                return  # not confirmed, so it comes again
            self._seen[sequence] = None
            if len(self._seen) > _REMEMBERED:
                self._seen.popitem(last=False)
            self._received.append(payload)
            self._received_bytes += len(payload)
            self._receivers.wake_first()
        self._acks[sequence] = None
        if len(self._acks) > _MAX_ACKS:
            self._acks.popitem(last=False)
        wake(self._alarm)

    def _on_ack(self, data: bytes) -> None:
        digits = data[len(_ACK) :]
        if len(data) > _MAX_ACK or not digits.isdigit():
            self._complain("refused a datagram", "its sequence number is no number")
            return
        if self._unconfirmed.pop(int(digits), None) is not None:
            self._advance()

    def _take_message(self) -> bytes | None:
        if self._received:
            payload = self._received.popleft()
            self._received_bytes -= len(payload)
            return payload
        if self.is_closed:
            raise self._closed()
        return None

    # Ends.

    def _on_session_closed(self, event: Event) -> None:
        self._wake_everybody()
        wake(self._alarm)

    def _wake_everybody(self) -> None:
        for line in (self._senders, self._flushers, self._receivers):
            line.wake_all()

    def _check_usable(self) -> None:
        if self.is_closed:
            raise self._closed()
        if self._task is None:
            raise DatagramError("DatagramReliabilityLayer is not active: use it in `async with`")

    def _closed(self) -> DatagramError:
        what = "the reliability layer" if self._is_closed else "the session"
        return DatagramError(f"{what} is closed", details={"session_id": self._session.session_id})

    def _complain(self, what: str, why: WebTransportError | str) -> None:
        self._refused += 1
        if is_worth_a_line(self._refused):
            _logger.warning("%r: %s (%d times so far): %s", self, what, self._refused, why)
