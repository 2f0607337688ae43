"""WebTransport over HTTP/3 on one QUIC connection, sans I/O.

Calling order, for the driver: after `receive_datagram`, `handle_timeout` or any command, pull `next_event` until it is
None, send `datagrams_to_send(now)`, pull events again, and call `handle_timeout` at `next_deadline`. Times are seconds
of one monotonic clock. Commands that leave something to send call the port's `request_flush` by themselves.

The engine finds out whom an event concerns and forwards it; the rules live with sessions, streams and readers.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from .._members import SESSION_CONNECTING
from .._quic import port as quic
from .._speedups import PortEvents, StreamPlaces, sort_datagrams
from ..config import ClientConfig, ServerConfig
from ..constants import ErrorCodes
from ..exceptions import SessionError
from . import control, events, limits
from .deadlines import Deadlines
from .early import EarlyArrivals, EarlyStream
from .ending import ConnectionEnding, check_close_code
from .field_sections import FieldSectionSender
from .flow_control import SessionFlow
from .host import nobody_sends
from .idleness import IdleActions
from .incoming import CriticalStreamTypes, OwnCriticalStream, begin_stream, new_stream_reader
from .parameters import begin_session_flow, new_session_flow, settings_of
from .profiles import Profile, announced_sessions, choose_profile
from .qpack import FieldDecoder, FieldEncoder
from .readers import StreamReader
from .requests import RequestReader, ResponseReader
from .routing import StreamRouter
from .session import SessionCore
from .session_request import SessionRequest
from .stream import StreamCore
from .traffic import no_traffic
from .violations import ConnectionViolation, ProtocolViolation, SessionViolation, StreamViolation

__all__ = ["Engine"]


class Engine(PortEvents):
    """One end of a connection; see the module's docstring."""

    # On the class as long as it is so: each is made while a peer waits.
    profile: Profile | None = None
    has_settings = False
    _remote_settings: Mapping[int, int] = MappingProxyType({})
    _control_id: int | None = None

    def __init__(self, *, config: ClientConfig | ServerConfig, port: quic.QuicPort, is_client: bool) -> None:
        """Begin on a port whose handshake has not finished."""
        self._early = EarlyArrivals(
            max_per_session=config.max_pending_events_per_session,
            max_total=config.max_total_pending_events,
            ttl=config.pending_event_ttl,
        )
        readers: dict[int, StreamReader] = {}
        super().__init__(
            port.receive_datagrams,
            port.next_event,
            readers,
            (ProtocolViolation, quic.StreamBytes, quic.DatagramsArrived),
        )
        self.sessions: dict[int, SessionCore]
        self.events: deque[events.EngineEvent]
        self.port = port
        self.is_client = is_client
        self.is_strict = config.strict
        self.max_datagram_size_configured = config.max_datagram_size
        self.streams: dict[int, StreamCore] = {}
        self.decoder = FieldDecoder()
        self.places: StreamPlaces = StreamPlaces(port)
        self.traffic = no_traffic()
        self.idle_actions = IdleActions(lambda: self.now)
        self.emit: Callable[[events.EngineEvent], None] = self.events.append
        self.send_now: Callable[[], None] = nobody_sends
        self.has_work: Callable[[], bool] = port.has_events
        self.datagrams_to_send: Callable[[float], list[tuple[bytes, quic.NetworkAddress]]] = port.datagrams_to_send
        self._config = config
        self._router: StreamRouter = StreamRouter(self, self._early, readers)
        self.stream_registry = self._router
        self.opens_stream = self._router.opens_data_stream
        encoder = FieldEncoder()
        self._sender = FieldSectionSender(port, encoder)
        self._critical = CriticalStreamTypes(self, self.decoder, encoder)
        self._local_settings = settings_of(config, is_client=is_client)
        self._ending = ConnectionEnding(port)
        self.deadlines: Deadlines = Deadlines(port, self._router, self._ending)

    # The driver's side.

    def receive_datagram(self, data: bytes, addr: quic.NetworkAddress, now: float) -> None:
        """Take one UDP payload."""
        self.receive_datagrams(((data, addr),), now)

    def handle_timeout(self, now: float) -> None:
        """Do what is due at `now`."""
        self.now = now
        self.port.handle_timeout(now)
        if self._router.has_deadlines:
            self._router.expire(now)
        if self._ending.deadline is not None and now >= self._ending.deadline:
            self._ending.finish()

    def _datagrams_of_close(self, now: float) -> list[tuple[bytes, quic.NetworkAddress]]:
        """Take the place of `datagrams_to_send` when the connection is being closed."""
        self._ending.start_clock(now)
        return self.port.datagrams_to_send(now)

    def next_deadline(self) -> float | None:
        """Return when `handle_timeout` must be called, or None."""
        return self.deadlines.next()

    def clear(self) -> None:
        """Let go of what refers back to the engine: the connection is over. Getters go on to answer."""
        self._router.leave()
        self.idle_actions.stop()
        self.datagrams_to_send = self.port.datagrams_to_send
        self.send_now = nobody_sends
        self.deadlines.clear()
        del self._critical  # nothing arrives any more

    def next_event(self) -> events.EngineEvent | None:
        """Return the next event, or None."""
        while not self.events:
            if not self.step():
                return None
        return self.events.popleft()

    def _on_event(self, event: quic.QuicEvent) -> None:
        """Take an event of the port that is not stream bytes for a reader, or datagrams that are waited for."""
        handler = _HANDLERS.get(event.__class__)
        if handler is None or (self.has_failed and event.__class__ is not quic.Terminated):
            return
        try:
            handler(self, event)
        except ProtocolViolation as violation:
            self._on_violation(event, violation)

    def _on_violation(self, event: quic.QuicEvent, violation: ProtocolViolation) -> None:
        if isinstance(violation, ConnectionViolation):
            self._fail_connection(violation)
        else:
            self._fail_stream(getattr(event, "stream_id", -1), violation)

    # State.

    @property
    def is_ready(self) -> bool:
        """Tell whether the peer's SETTINGS arrived and allow sessions."""
        return self.profile is not None and not self.is_closed

    @property
    def draft(self) -> int | None:
        """Return the draft in force, 2, 7, 14 or 16, or None."""
        return None if self.profile is None else self.profile.draft

    @property
    def max_datagram_size(self) -> int:
        """Return the largest datagram that a first session could send now, in bytes."""
        return max(min(self.port.max_datagram_payload - 1, self.max_datagram_size_configured), 0)

    @property
    def remote_max_datagram_frame_size(self) -> int:
        """Return the peer's max_datagram_frame_size transport parameter, in bytes."""
        return self.port.remote_max_datagram_frame_size

    @property
    def remote_address(self) -> quic.NetworkAddress | None:
        """Return where packets are sent to now."""
        return self.port.remote_address

    @property
    def round_trip_time(self) -> float:
        """Return the smoothed round-trip time, in seconds; 0.0 before the first measurement."""
        return self.port.round_trip_time

    # Commands.

    def open_session(
        self, *, authority: str, path: str, headers: Mapping[str, str], protocols: Sequence[str] = ()
    ) -> SessionCore:
        """Client: send a CONNECT made of these, see `SessionRequest` and `open_requested`."""
        self._check_can_request()
        return self.open_requested(SessionRequest(authority=authority, path=path, headers=headers, protocols=protocols))

    def prepare(self, request: SessionRequest) -> SessionCore:
        """Client: make the first session of a connection that is not ready yet, for `open_requested`."""
        return request.new_session(self, 0)

    def open_requested(self, request: SessionRequest, prepared: SessionCore | None = None) -> SessionCore:
        """Client: send a CONNECT; `SessionOpened` or `SessionRejected` follows. Returns `prepared` if that will do.

        Raises:
            SessionError: the connection takes no new session now.
        """
        profile = self._check_can_request()
        stream_id = self.port.open_stream(unidirectional=False)
        if stream_id is None:
            raise SessionError("the server's limit of streams allows no new session now")
        if prepared is not None and prepared.stream_id == stream_id:
            session = prepared
            begin_session_flow(session.flow, enabled=profile.flow_control, remote=self._remote_settings)
        else:
            session = request.new_session(self, stream_id)
        self.sessions[stream_id] = session
        self._router.read(stream_id, ResponseReader(self, session))
        self._sender.send_request(stream_id, request.fields(profile))
        return session

    def _check_can_request(self) -> Profile:
        profile = self.profile
        if not self.is_client or profile is None or self.is_closed or self._ending.is_closing:
            raise SessionError("the connection is not ready for sessions")
        if self._ending.goaway_received:
            raise SessionError("the server takes no new sessions on this connection (GOAWAY)")
        if self.sessions:
            if profile.single_session:
                raise SessionError("without flow control a connection holds one session only")
            limit = announced_sessions(profile, self._remote_settings)
            if limit is not None and len(self.sessions) >= limit:
                raise SessionError(f"the server allows {limit} sessions on a connection, and no more")
        return profile

    def close(self, error_code: int = 0, reason: str = "") -> None:
        """Close the connection, after its sessions have told their ends; without effect when it is closing.

        Code 0 goes out as H3_NO_ERROR.

        Raises:
            ValueError: error_code is not in 0..2**62-1.
        """
        check_close_code(error_code)
        if self.is_closed or self._ending.is_closing:
            return
        self._ending.begin(error_code or int(ErrorCodes.H3_NO_ERROR), reason)
        self.deadlines.watch()
        self.datagrams_to_send = self._datagrams_of_close
        for session in list(self.sessions.values()):
            session.close()
        self._finish_close_if_quiet()
        self.port.request_flush()

    def shutdown(self) -> None:
        """Announce that no new sessions are taken (GOAWAY), and ask every session to wind down (DRAIN)."""
        if self.is_closed or self._control_id is None:
            return
        identifier = self._ending.goaway(is_client=self.is_client)
        if identifier is None:
            return
        self.port.send_stream(self._control_id, control.goaway(identifier), False)
        for session in self.sessions.values():
            if session.is_open:
                session.drain()

    def _finish_close_if_quiet(self) -> None:
        """Close once no CONNECT stream is open: CONNECTION_CLOSE would overtake a CLOSE capsule (draft-16, 6)."""
        if self._ending.is_closing and not self._router.connects and not self.is_closed:
            self._ending.finish()

    # QUIC events.

    def _on_handshake_started(self, event: quic.HandshakeStarted) -> None:
        self._control_id = self.port.open_stream(unidirectional=True)
        if self._control_id is None:
            raise ConnectionViolation(ErrorCodes.H3_STREAM_CREATION_ERROR, "the peer allows no control stream")
        self._router.read(self._control_id, OwnCriticalStream())
        self.port.send_stream(self._control_id, control.control_stream_opening(self._local_settings), False)

    def _on_first_bytes(self, event: quic.StreamBytes) -> None:
        if begin_stream(self, event, self._critical):
            self._router.await_beginning(event.stream_id, self.now)
        elif (reader := self._new_reader(event.stream_id)) is not None:
            reader.on_data(event.data, event.end_stream)
            self._router.await_beginning(event.stream_id, self.now)
        else:
            self.port.consume(event.stream_id, len(event.data))

    def _new_reader(self, stream_id: int) -> StreamReader | None:
        reader = new_stream_reader(self, stream_id, self._critical)
        if reader is not None:
            self._router.readers[stream_id] = reader
        return reader

    def _on_stream_reset(self, event: quic.StreamReset) -> None:
        reader = self._router.readers.get(event.stream_id) or self._new_reader(event.stream_id)
        if reader is not None and not self._router.postpones(event, reader, self.now):
            reader.on_reset(event.error_code, event.final_size)

    def _on_datagrams(self, event: quic.DatagramsArrived) -> None:
        for quarter, datagrams in sort_datagrams(event.datagrams):
            if quarter < 0:
                raise ConnectionViolation(ErrorCodes.H3_DATAGRAM_ERROR, "datagram without a valid quarter stream id")
            session = self.sessions.get(quarter << 2)
            if session is not None and session.datagrams.is_open:
                session.on_datagrams(datagrams)
                continue
            for data in datagrams:
                self._router.early_datagram(quarter << 2, data, self.now)

    def _on_datagrams_drained(self, event: quic.DatagramsDrained) -> None:
        for session in list(self.sessions.values()):
            session.on_datagram_room()

    def _on_stream_credit(self, event: quic.StreamCreditRaised) -> None:
        for session in list(self.sessions.values()):
            session.on_stream_credit(unidirectional=event.unidirectional)

    def _on_terminated(self, event: quic.Terminated) -> None:
        self.is_closed = True
        self._ending.clear()
        sessions = list(self.sessions.values())
        open_sessions = sum([session.is_open for session in sessions])
        for session in sessions:
            message = f"the connection was closed by the {'peer' if event.by_peer else 'local end'}"
            if event.reason:
                message = f"{message}: {event.reason}"
            if self.is_client and session.state is SESSION_CONNECTING:
                self.emit(events.SessionRejected(session, None, message))
            error = SessionError(message, error_code=event.error_code, session_state=session.state)
            session.on_connection_lost(error, by_peer=event.by_peer)
        self._router.clear()
        self.places.clear()
        how = event.error_code, event.reason, event.by_peer, event.is_application, event.timed_out
        self.emit(events.ConnectionClosed(*how, open_sessions))

    # Violations.

    def guard(self, session: SessionCore, action: Callable[..., Any], *args: Any) -> bool:
        """Run what may raise a violation outside of the reading of frames; False when it did, and was dealt with."""
        try:
            action(*args)
        except ConnectionViolation as violation:
            self._fail_connection(violation)
        except ProtocolViolation as violation:
            session.abort(
                violation.error_code, SessionError(violation.reason, error_code=violation.error_code), by_peer=True
            )
        else:
            return True
        return False

    def _fail_connection(self, violation: ConnectionViolation) -> None:
        self.has_failed = True
        self.port.close(violation.error_code, violation.reason)

    def _fail_stream(self, stream_id: int, violation: ProtocolViolation) -> None:
        """Let a violation end what it concerns: the session of a data stream, or the stream it came on."""
        connect = self._router.connects.get(stream_id)
        stream = self.streams.get(stream_id)
        if connect is not None:
            connect.fail(violation)
        elif stream is not None:
            error = SessionError(violation.reason, error_code=violation.error_code)
            stream.session.abort(violation.error_code, error, by_peer=True)
        else:
            self._router.discard(stream_id, violation.error_code, has_ended=False)

    # What readers and sessions ask for, see `EngineHost`.

    def read_stream(self, stream_id: int, reader: StreamReader) -> None:
        """Let a reader take what arrives on a stream from now on."""
        self._router.read(stream_id, reader)

    def forget_stream(self, stream_id: int) -> None:
        """Take note that nothing more will come on a stream."""
        self._router.forget(stream_id)
        self._finish_close_if_quiet()

    def await_end(self, stream_id: int, wire_code: int) -> None:
        """Give a CONNECT stream whose other direction the peer stopped a while to tell how the session ended."""
        self._router.await_end(stream_id, wire_code, self.now)

    def discard_stream(self, stream_id: int, wire_code: int, *, has_ended: bool) -> None:
        """Reset and stop a stream; unless its end has come, wait for that."""
        self._router.discard(stream_id, wire_code, has_ended=has_ended)
        self._finish_close_if_quiet()

    def discard_early(self, early: EarlyStream, wire_code: int) -> None:
        """Reset and stop a data stream whose session is not there, and count what came of it."""
        self._router.discard_early(early, wire_code)

    def route_data_stream(self, stream_id: int, session_id: int, header_size: int) -> StreamReader:
        """Return who reads a data stream whose header was read."""
        return self._router.route_data_stream(stream_id, session_id, header_size, self.now)

    def has_early_datagrams(self, session_id: int) -> bool:
        """Tell whether a datagram came for a request that is no session yet."""
        return self._early.has_datagrams(session_id)

    def take_early(self, session_id: int) -> tuple[list[EarlyStream], list[bytes]]:
        """Hand out what arrived for a session before it was open."""
        return self._early.take(session_id)

    def allow_streams(self, *, unidirectional: bool) -> None:
        """Make sure that QUIC's limit does not hold back streams that the sessions' limits allow."""
        allowances = [session.flow.receive for session in self.sessions.values()]
        alive = sum(allowance.streams_allowed(unidirectional=unidirectional) for allowance in allowances)
        self.port.allow_streams(alive + len(allowances) + limits.OTHER_STREAMS, unidirectional=unidirectional)

    def session_requested(self, session: SessionCore) -> None:
        """Take a new session of the peer."""
        self.sessions[session.stream_id] = session
        self._ending.request_seen(session.stream_id)
        self.emit(events.SessionRequested(session))

    def session_ended(self, session: SessionCore) -> None:
        """Take note that a session is over."""
        self.sessions.pop(session.stream_id, None)
        self._router.session_ended(session.stream_id)

    def is_request_refused(self, stream_id: int) -> bool:
        """Refuse a request that comes too late (GOAWAY) or is one too many; True when it was."""
        is_second = self.profile is not None and self.profile.single_session and bool(self.sessions)
        if is_second or self._ending.refuses(stream_id):
            self.discard_stream(stream_id, ErrorCodes.H3_REQUEST_REJECTED, has_ended=False)
            self.traffic.sessions_rejected += 1
            return True
        if len(self.sessions) >= self._config.max_sessions:
            self.refuse_request(stream_id, 429)
            return True
        return False

    def refuse_request(self, stream_id: int, status: int) -> None:
        """Answer a request that is no session with a status, and end the stream."""
        self._ending.request_seen(stream_id)
        self.traffic.sessions_rejected += 1
        self._sender.send_response(stream_id, status, headers={})

    def send_response(
        self, session: SessionCore, status: int, headers: Mapping[str, str], protocol: str | None
    ) -> None:
        """Send the answer to a CONNECT; a refusal ends the stream."""
        self._sender.send_response(
            session.stream_id, status, headers=headers, protocol=protocol, request=session.headers
        )
        connect = self._router.connects.get(session.stream_id)
        if connect is not None and 200 <= status < 300:
            connect.tunnel()

    def new_flow(self) -> SessionFlow:
        """Return the flow control of a new session."""
        enabled = self.profile is not None and self.profile.flow_control
        local, remote = self._local_settings, self._remote_settings
        return new_session_flow(enabled=enabled, local=local, remote=remote, config=self._config)

    def on_settings(self, settings: Mapping[int, int]) -> None:
        """Take the peer's SETTINGS: choose the draft, and let the requests in that came before."""
        self.has_settings = True
        self._remote_settings = settings
        self.profile = choose_profile(
            local=self._local_settings,
            remote=settings,
            is_client=self.is_client,
            strict=self.is_strict,
            remote_has_datagrams=self.port.remote_max_datagram_frame_size > 0,
            remote_has_reset_stream_at=self.port.remote_has_reset_stream_at,
        )
        if self.profile is None and self.is_client:
            raise ConnectionViolation(ErrorCodes.WT_REQUIREMENTS_NOT_MET, "the server does not offer WebTransport")
        self.emit(events.ConnectionReady())
        for reader in list(self._router.connects.values()):
            if isinstance(reader, RequestReader):
                try:
                    reader.release()
                except (StreamViolation, SessionViolation) as violation:
                    reader.fail(violation)

    def on_goaway(self, identifier: int) -> None:
        """Take the peer's GOAWAY."""
        if not self._ending.goaway_received:
            self._ending.goaway_received = True
            self.emit(events.GoawayReceived())
        for session in list(self.sessions.values()):
            session.on_drain()


# Functions and no bound methods: those would keep every engine that is over until the garbage collector comes.
_HANDLERS: dict[type, Callable[[Engine, Any], None]] = {
    quic.HandshakeStarted: lambda engine, event: engine._on_handshake_started(event),  # a subclass may have its own
    quic.StreamBytes: Engine._on_first_bytes,
    quic.StreamReset: Engine._on_stream_reset,
    quic.StreamStopped: lambda engine, event: engine._router.on_stopped(event),
    quic.StreamDiscarded: lambda engine, event: engine._router.on_discarded(event),
    quic.StreamOver: lambda engine, event: engine.places.on_over(event),
    quic.StreamDrained: lambda engine, event: engine._router.on_drained(event),
    quic.StreamRoomRaised: lambda engine, event: engine._router.on_room(event),
    quic.DatagramsArrived: Engine._on_datagrams,
    quic.DatagramsDrained: Engine._on_datagrams_drained,
    quic.StreamCreditRaised: Engine._on_stream_credit,
    quic.Terminated: Engine._on_terminated,
}
