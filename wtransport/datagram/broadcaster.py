"""One datagram to many sessions."""

from __future__ import annotations

import logging
from types import TracebackType
from typing import Self

from ..events import Event
from ..exceptions import DatagramError, SessionError, WebTransportError
from ..session import WebTransportSession
from ..stream._messages import is_worth_a_line
from ..types import Data, EventType
from ..utils import ensure_bytes

__all__ = ["DatagramBroadcaster"]

_logger = logging.getLogger(__name__)


class DatagramBroadcaster:
    """Sends datagrams to every session that was added. Use it in `async with`.

    A session that is over leaves by itself.
    """

    def __init__(self) -> None:
        self._sessions: dict[WebTransportSession, None] = {}
        self._is_active = False
        self._passed_over = 0

    async def __aenter__(self) -> Self:
        """Begin."""
        self._is_active = True
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc_val: BaseException | None, exc_tb: TracebackType | None
    ) -> None:
        """Forget all sessions; they stay open."""
        await self.shutdown()
        self._is_active = False

    async def add_session(self, *, session: WebTransportSession) -> None:
        """Send to this session from now on. Adding it twice is no error, nor is one that is closed.

        Raises:
            SessionError: not in `async with`.
        """
        self._check_active()
        if session in self._sessions or session.is_closed:
            return
        self._sessions[session] = None
        session.events.once(event_type=EventType.SESSION_CLOSED, handler=self._on_session_closed)

    async def remove_session(self, *, session: WebTransportSession) -> None:
        """Send to this session no more; one that is not there is no error.

        Raises:
            SessionError: not in `async with`.
        """
        self._check_active()
        self._forget(session)

    async def broadcast(self, *, data: Data) -> int:
        """Send a datagram to all sessions, without waiting for any.

        A session whose outgoing queue is full is passed over this time, as a datagram that waits is worth little; so is
        one that takes no datagrams of this size.

        Args:
            data: bytes-like or ``str``, which is sent as UTF-8.

        Returns:
            To how many sessions it was sent.

        Raises:
            SessionError: not in `async with`.
            TypeError: data has another type.
        """
        self._check_active()
        payload = ensure_bytes(data=data)
        sent = 0
        for session in list(self._sessions):
            try:
                if self._send_now(session, payload):
                    sent += 1
                else:
                    self._pass_over(session, "its outgoing queue is full")
            except DatagramError as error:
                self._pass_over(session, error)
            except WebTransportError as error:
                _logger.warning("broadcast to %r failed, and it was removed: %s", session, error)
                self._forget(session)
        return sent

    async def get_session_count(self) -> int:
        """Return how many open sessions there are.

        Raises:
            SessionError: not in `async with`.
        """
        self._check_active()
        return sum(not session.is_closed for session in self._sessions)

    async def shutdown(self) -> None:
        """Forget all sessions; they stay open."""
        for session in list(self._sessions):
            self._forget(session)

    @staticmethod
    def _send_now(session: WebTransportSession, payload: bytes) -> bool:
        """Send if that needs no waiting."""
        sending = session.send_datagram(data=payload)
        try:
            sending.send(None)  # the first step, which is all there is unless it has to wait
        except StopIteration:
            return True
        finally:
            sending.close()  # leaves the line in which it began to wait
        return False

    def _pass_over(self, session: WebTransportSession, reason: object) -> None:
        self._passed_over += 1
        if is_worth_a_line(self._passed_over):
            _logger.warning("%r was passed over (%d times so far): %s", session, self._passed_over, reason)

    def _on_session_closed(self, event: Event) -> None:
        self._sessions.pop(event.data["session"], None)

    def _forget(self, session: WebTransportSession) -> None:
        if session in self._sessions:
            del self._sessions[session]
            session.events.off(event_type=EventType.SESSION_CLOSED, handler=self._on_session_closed)

    def _check_active(self) -> None:
        if not self._is_active:
            raise SessionError("DatagramBroadcaster is not active: use it in `async with`")
