"""Telling handlers of the streams that a peer opens, as nearly all are: with no event of the engine in between."""

from __future__ import annotations

from typing import Any

from .handlers import HandlerCaller

__all__ = ["KeptStreams", "StreamArrivals"]


class KeptStreams:
    """What nobody has taken yet of the streams of one direction.

    Attributes:
        kept: the streams, or None; a subclass says how.
        is_pulled: whether every further stream is kept, for an iterator.
    """

    __slots__ = ("is_pulled", "kept")

    def __init__(self) -> None:
        """Begin with none."""
        self.kept: Any = None
        self.is_pulled = False


class StreamArrivals:
    """Makes the handles of the streams that a peer opens on a session, and emits an event for each.

    It does so while handlers get the streams and nobody else: no iterator takes them, none is kept for later, the
    emitter neither pauses nor makes its first event.

    Args:
        caller: that of the session's emitter.
        event_type: the type of the events.
        session: the handle of the session, which is the source of the events and which the streams belong to.
        session_id: the id that the program sees.
        incoming: what is kept of the streams by direction, bidirectional first.
        handles: by direction, the class of the handles, derived from `StreamHandle`, and what the event says of it.
    """

    __slots__ = ("_caller", "_event_type", "_handles", "_incoming", "_session", "_session_id")

    def __init__(
        self,
        caller: HandlerCaller,
        event_type: str,
        *,
        session: Any,
        session_id: str,
        incoming: tuple[KeptStreams, KeptStreams],
        handles: tuple[tuple[Any, Any], tuple[Any, Any]],
    ) -> None:
        """Begin; nothing is told before `announce` is called."""
        for each in incoming:
            if not isinstance(each, KeptStreams):
                raise TypeError(f"what is kept must be KeptStreams, not {each!r}")
        self._caller = caller
        self._event_type = event_type
        self._session = session
        self._session_id = session_id
        self._incoming = incoming
        self._handles = handles

    def announce(self, stream: Any) -> bool:
        """Tell of a stream, and log what that raises; False, and nothing has happened, when it is not simple."""
        caller, event_type = self._caller, self._event_type
        bidi, uni = self._incoming
        is_one_way = stream.stream_id >> 1 & 1
        route = caller._plain_route(event_type)
        if route is None or self._incoming[is_one_way].is_pulled or bidi.kept or uni.kept:
            return False
        handle_class, direction = self._handles[is_one_way]
        handle = handle_class._adopt(self._session, stream)
        stream.take()
        data = {
            "stream": handle,
            "stream_id": stream.stream_id,
            "session_id": self._session_id,
            "direction": direction,
        }
        try:
            caller._emit_on(route, event_type, data, self._session)
        except Exception as error:  # noqa: BLE001 - logged there
            caller._log_refusal(error, event_type)
        return True
