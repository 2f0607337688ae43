"""`SessionManager`: the live sessions of a server, or of anything else that holds many."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..events import EventEmitter
from ..types import EventType, SessionId, SessionState
from ._base import _BaseResourceManager

if TYPE_CHECKING:
    from ..session import WebTransportSession

__all__ = ["SessionManager"]


class SessionManager(_BaseResourceManager["SessionId", "WebTransportSession"]):
    """Holds sessions while they live, at most `max_sessions` at a time."""

    _RESOURCE_NAME = "session"
    _END_EVENTS = (EventType.SESSION_CLOSED,)

    def __init__(self, *, max_sessions: int) -> None:
        """Create a manager of at most `max_sessions` sessions (at least 1, else ValueError)."""
        super().__init__(limit=max_sessions)

    async def add_session(self, *, session: WebTransportSession) -> SessionId:
        """Take a session and return its id.

        Raises:
            RuntimeError: the manager was not entered, is shutting down, or is full.
            ValueError: the session is closed already.

        """
        return self.register(resource=session)

    async def remove_session(self, *, session_id: SessionId) -> WebTransportSession | None:
        """Let go of a session without closing it and return it; None when it is not held.

        Raises:
            RuntimeError: the manager was not entered.

        """
        self._check_entered()
        return self.discard(resource_id=session_id)

    async def get_sessions_by_state(self, *, state: SessionState) -> list[WebTransportSession]:
        """Return the sessions that are in `state`, oldest first.

        Raises:
            RuntimeError: the manager was not entered.

        """
        self._check_entered()
        return [session for session in self.snapshot() if session.state == state]

    def _id_of(self, resource: WebTransportSession) -> SessionId:
        return resource.session_id

    def _emitter_of(self, resource: WebTransportSession) -> EventEmitter:
        return resource.events

    def _is_closed(self, resource: WebTransportSession) -> bool:
        return resource.is_closed

    def _state_of(self, resource: WebTransportSession) -> SessionState:
        return resource.state

    async def _close(self, resource: WebTransportSession) -> None:
        await resource.close()
