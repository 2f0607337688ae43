"""What sessions and stream readers may ask of the connection they belong to; the engine implements it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from .._quic.port import QuicPort
    from .._speedups import StreamPlaces
    from .deadlines import Deadlines
    from .early import EarlyStream
    from .events import EngineEvent
    from .flow_control import SessionFlow
    from .idleness import IdleActions
    from .profiles import Profile
    from .qpack import FieldDecoder
    from .readers import StreamReader
    from .routing import StreamRouter
    from .session import SessionCore
    from .stream import StreamCore
    from .traffic import TrafficStats

__all__ = ["EngineHost", "nobody_sends"]


def nobody_sends() -> None:
    """Stand in for `send_now` while nobody drives the engine."""


class EngineHost(Protocol):
    """The engine as seen from below."""

    port: QuicPort
    is_client: bool
    emit: Callable[[EngineEvent], None]
    send_now: Callable[[], None]
    """Sends what there is to send, without waiting for the end of the turn."""
    profile: Profile | None
    """The draft in force; None until the peer's SETTINGS arrived, and when it speaks no WebTransport."""
    has_settings: bool
    """The peer's SETTINGS arrived."""
    is_strict: bool
    max_datagram_size_configured: int
    """The program's own limit on datagrams it sends, in bytes."""
    decoder: FieldDecoder
    sessions: dict[int, SessionCore]
    streams: dict[int, StreamCore]
    places: StreamPlaces
    """Which streams of the peer count as open."""
    stream_registry: StreamRouter
    idle_actions: IdleActions
    deadlines: Deadlines
    traffic: TrafficStats
    """The figures of what is over: ended sessions, and what never came to one."""

    def new_flow(self) -> SessionFlow:
        """Return the flow control of a new session."""

    def guard(self, session: SessionCore, action: Callable[..., Any], *args: Any) -> bool:
        """Run what may raise a violation outside of the reading of frames; False when it did, and was dealt with."""

    def read_stream(self, stream_id: int, reader: StreamReader) -> None:
        """Let a reader take what arrives on a stream from now on."""

    def forget_stream(self, stream_id: int) -> None:
        """Take note that nothing more will come on a stream."""

    def await_end(self, stream_id: int, wire_code: int) -> None:
        """Give a CONNECT stream whose other direction the peer stopped a while to tell how the session ended."""

    def discard_stream(self, stream_id: int, wire_code: int, *, has_ended: bool) -> None:
        """Reset and stop a stream; unless its end has come, wait for that."""

    def discard_early(self, early: EarlyStream, wire_code: int) -> None:
        """Reset and stop a data stream whose session is not there, and count what came of it."""

    def send_response(
        self, session: SessionCore, status: int, headers: Mapping[str, str], protocol: str | None
    ) -> None:
        """Send the answer to a CONNECT; a refusal ends the stream."""

    def refuse_request(self, stream_id: int, status: int) -> None:
        """Answer a request that is no session with a status, and end the stream."""

    def is_request_refused(self, stream_id: int) -> bool:
        """Tell whether a new request comes too late (GOAWAY) or is one too many; it is then reset."""

    def session_requested(self, session: SessionCore) -> None:
        """Take a new session of the peer."""

    def session_ended(self, session: SessionCore) -> None:
        """Take note that a session is over."""

    def has_early_datagrams(self, session_id: int) -> bool:
        """Tell whether a datagram came for a request that is no session yet."""

    def take_early(self, session_id: int) -> tuple[list[EarlyStream], list[bytes]]:
        """Hand out what arrived for a session before it was open."""

    def route_data_stream(self, stream_id: int, session_id: int, header_size: int) -> StreamReader:
        """Return who reads a data stream whose header was read: its session, the early arrivals, or nobody."""

    def allow_streams(self, *, unidirectional: bool) -> None:
        """Make sure that QUIC's limit does not hold back the streams that the sessions' limits allow."""

    def on_settings(self, settings: Mapping[int, int]) -> None:
        """Take the peer's SETTINGS."""

    def on_goaway(self, identifier: int) -> None:
        """Take the peer's GOAWAY."""
