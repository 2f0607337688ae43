"""`WebTransportConnection`: a program's view of one connection, and the place where the engine's events become its own.

The engine runs the protocol and the adapter moves the packets; this handle passes the engine's events on to the
handles of sessions and streams, and waits for what the program wants to wait for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from .. import exceptions
from .._adapter import AdapterProtocol
from .._config_validation import normalized_origin
from .._members import CONNECTION_CLOSED, CONNECTION_CLOSING, CONNECTION_CONNECTED, SESSION_CLOSED
from .._protocol.ending import check_close_code
from .._protocol.engine import Engine
from .._protocol.events import ConnectionClosed
from .._protocol.session import SessionCore
from .._protocol.session_request import SessionRequest
from .._protocol.traffic import TrafficStats, add_traffic, traffic_of
from ..config import ClientConfig, ServerConfig
from ..constants import ErrorCodes
from ..session import WebTransportSession
from ..stream._events import EventSource
from ..stream._waiter import WaitLine, sleep_on, timed_out, wake
from ..types import Address, ConnectionId, ConnectionState, EventType, Headers
from ..utils import get_logger, get_timestamp, random_uuid
from ._dispatch import HANDLERS
from ._ending import over_error
from ._opening import Opening, merged_headers, refusal
from .diagnostics import ConnectionDiagnostics

__all__ = ["ConnectionDiagnostics", "WebTransportConnection"]

ConnectionDiagnostics.__module__ = __name__  # where 0.9 programs see it, wherever the code is kept

_OVER = frozenset({CONNECTION_CLOSED, ConnectionState.FAILED})
_FORBIDDEN = 403  # the status for a page that may not connect (draft-16, 3.2)
_NOBODY_THERE = 404  # the status for a request on a connection whose program takes none

_logger = get_logger(name=__name__)


class WebTransportConnection(EventSource):
    """One QUIC connection, and the sessions on it. In `async with`, it is closed at the end of the block.

    Clients and servers make it; a program reaches it by `session.connection`.

    Args:
        config: the settings of this end.
        protocol: the asyncio side of the connection, not yet bound to an engine.
        transport: the UDP transport below; it belongs to `protocol`.
        is_client: this end begins the handshake.
    """

    _NAMES = ("connection",)

    on_session_request: Callable[[WebTransportSession], None] | None = None
    """The server's hook: gets each requested session, which it must accept or reject at some time."""
    on_established: Callable[[], None] | None = None
    """Called when the connection is ready for sessions, before its events."""
    on_end: Callable[[WebTransportConnection, EventType, int], None] | None = None
    """The hook of the client or server that holds the connection: gets the connection, CONNECTION_CLOSED, LOST or
    FAILED, and the error code, just before the event of this type."""

    _connection_id: ConnectionId | None = None  # once somebody asked for it, as with the emitter
    _connected_at: float | None = None
    _closed_at: float | None = None
    _end: ConnectionClosed | None = None
    _was_left = False

    def __init__(
        self,
        *,
        config: ClientConfig | ServerConfig,
        protocol: AdapterProtocol,
        transport: asyncio.DatagramTransport,
        is_client: bool,
    ) -> None:
        self._config = config
        self._protocol = protocol
        self._transport = transport
        self._is_client = is_client
        self._state = ConnectionState.IDLE if is_client else ConnectionState.CONNECTING
        self._events = None
        self._told = []
        self._sessions: dict[int, WebTransportSession] = {}
        self._openings: list[Opening] = []  # requests that wait for the connection to be ready
        self._ready_line = WaitLine()
        self._idle_line = WaitLine()
        self._engine = Engine(config=config, port=protocol.port, is_client=is_client)
        protocol.bind(engine=self._engine, deliver=self._deliver)

    def __repr__(self) -> str:
        side = "client" if self._is_client else "server"
        return f"<WebTransportConnection {side} {self._state} remote={self.remote_address}>"

    # What it is.

    @property
    def config(self) -> ClientConfig | ServerConfig:
        """Return the settings of this end."""
        return self._config

    @property
    def connection_id(self) -> ConnectionId:
        """Return the id of this connection at this end, a UUID."""
        if self._connection_id is None:
            self._connection_id = random_uuid()
        return self._connection_id

    @property
    def is_client(self) -> bool:
        """Tell whether this end began the connection."""
        return self._is_client

    @property
    def state(self) -> ConnectionState:
        """Return the state of the connection."""
        return self._state

    @property
    def is_connected(self) -> bool:
        """Tell whether the state is CONNECTED: sessions can be opened."""
        return self._state is CONNECTION_CONNECTED

    @property
    def is_closing(self) -> bool:
        """Tell whether the state is CLOSING."""
        return self._state is CONNECTION_CLOSING

    @property
    def is_closed(self) -> bool:
        """Tell whether the state is CLOSED."""
        return self._state is CONNECTION_CLOSED

    @property
    def was_established(self) -> bool:
        """Tell whether both ends agreed to speak WebTransport, be it over by now or not."""
        return self._connected_at is not None

    @property
    def was_left(self) -> bool:
        """Tell whether it ended as browsers leave theirs: without sessions, by silence."""
        return self._was_left

    @property
    def local_address(self) -> Address | None:
        """Return the ``(host, port)`` that packets come from, if there is one."""
        return self._protocol.local_address

    @property
    def remote_address(self) -> Address | None:
        """Return the ``(host, port)`` of the peer now; it follows the peer's migration."""
        return self._protocol.remote_address

    @property
    def peer_certificate(self) -> bytes | None:
        """Return the certificate of the other end as DER; None before the handshake is over, or when it sent none.

        On a server it was verified, see `ServerConfig.verify_mode`; on a client unless its `verify_mode` is
        ssl.CERT_NONE. ``cryptography.x509.load_der_x509_certificate`` reads it.
        """
        return self._engine.port.peer_certificate

    def get_all_sessions(self) -> list[WebTransportSession]:
        """Return the sessions that are open, or being opened."""
        return list(self._sessions.values())

    async def diagnostics(self) -> ConnectionDiagnostics:
        """Return a snapshot of the connection."""
        engine = self._engine
        return ConnectionDiagnostics(
            connection_id=self.connection_id,
            state=self._state,
            is_client=self._is_client,
            connected_at=self._connected_at,
            closed_at=self._closed_at,
            max_datagram_size=engine.max_datagram_size,
            remote_max_datagram_frame_size=engine.remote_max_datagram_frame_size,
            session_count=len(engine.sessions),
            stream_count=len(engine.streams),
            active_session_handles=len(self._sessions),
            active_stream_handles=sum(stream.handle is not None for stream in engine.streams.values()),
            draft=engine.draft,
            round_trip_time=engine.round_trip_time,
            traffic=self.traffic(),
        )

    def traffic(self) -> TrafficStats:
        """Return what went through the connection so far."""
        return traffic_of(self._engine)

    def _add_traffic(self, total: TrafficStats) -> None:
        """Add that to the figures of the client or server that holds the connection."""
        add_traffic(self._engine, total)

    # Its life.

    async def initialize(self) -> None:
        """Begin: a client starts the handshake, without waiting for its end; a server listens already.

        Calling it again has no effect.

        Raises:
            ConnectionError: the connection is over.
        """
        if self._state is not ConnectionState.IDLE:
            if self._state in _OVER:
                raise self._over_error()
            return
        self._state = ConnectionState.CONNECTING
        self._protocol.connect()

    async def create_session(
        self,
        *,
        path: str,
        headers: Headers | None = None,
        wt_available_protocols: list[str] | None = None,
        authority: str | None = None,
    ) -> WebTransportSession:
        """Client: open a session, beginning with the handshake if that has not been done.

        Args:
            path: the path of the request, with its query.
            headers: fields of the request; they win over those of the configuration.
            wt_available_protocols: subprotocols to offer, in order of preference; None: the configuration's.
            authority: host and port as in the URL; None: the address of the peer.

        Returns:
            The session, accepted by the server.

        Raises:
            ClientError: the server refused; its text and ``details["status"]`` have the HTTP status, which is None when
                it gave no answer.
            ConnectionError: this is a server's connection, or the connection is over.
            SessionError: the connection takes no more sessions.
            TimeoutError: the session was not there within `connect_timeout` seconds; says what was waited for.
            ValueError: path, a field or a protocol cannot be sent.
        """
        config = self._config
        if not isinstance(config, ClientConfig) or not self._is_client:
            raise exceptions.ConnectionError("only the client's end of a connection can open sessions")
        await self.initialize()  # which sends the first packet, so that the rest is done while the server is at work
        is_ready = self._ready_or_raise()
        opening = Opening(
            SessionRequest(
                authority=self._default_authority() if authority is None else authority,
                path=path,
                headers=merged_headers(config, headers),
                protocols=config.wt_available_protocols if wt_available_protocols is None else wt_available_protocols,
            ),
            asyncio.get_running_loop().create_future(),
        )
        if is_ready:
            self._request(opening)
        else:
            if not self._openings:
                opening.prepared = WebTransportSession._adopt(self, self._engine.prepare(opening.request))
            self._openings.append(opening)
        return await self._answer(opening, config.connect_timeout)

    def _request(self, opening: Opening) -> None:
        """Send a session's request: the connection is ready."""
        prepared = opening.prepared
        core = self._engine.open_requested(opening.request, None if prepared is None else prepared._core)
        session = opening.session = opening.take_prepared(core) or WebTransportSession._adopt(self, core)
        session._decision = opening.future
        self._sessions[core.stream_id] = session

    async def _answer(self, opening: Opening, seconds: float) -> WebTransportSession:
        """Wait for the answer to a session's request, and before that for the connection if it must be."""
        try:
            answered = await sleep_on(opening.future, seconds)
        except asyncio.CancelledError:
            if opening.session is not None:
                self._give_up(opening.session)
            raise
        finally:
            opening.withdraw()
            if opening in self._openings:
                self._openings.remove(opening)
        session = opening.session
        if session is None:
            self._ready_or_raise()
            if opening.error is None:
                raise timed_out("waiting for the QUIC handshake and the server's SETTINGS", seconds)
            try:
                raise opening.error
            finally:
                opening.error = None  # it knows this frame by now, which knows the opening
        session._decision = None
        if not answered and session._ready_at is None and session._closed_at is None:
            self._give_up(session)
            raise timed_out("waiting for the server's answer to the session request", seconds)
        if session._rejection is not None and self._state not in _OVER:
            raise refusal(*session._rejection)
        if session._ready_at is None:
            raise self._over_error()
        return session

    async def close(self, *, error_code: int = ErrorCodes.NO_ERROR, reason: str = "Closed by application") -> None:
        """Close the connection; sessions that are left end with it. Closing twice is no error.

        Returns within `close_timeout` seconds, with a client's socket closed and the handlers of these ends begun.

        Args:
            error_code: the code for the peer, 0..2**62-1; 0 is sent as H3_NO_ERROR.
            reason: a text for the peer.

        Raises:
            ValueError: error_code is out of range.
        """
        check_close_code(error_code)
        protocol, told = self._protocol, [self, *self._sessions.values()]
        began = protocol.now()
        if self._state not in _OVER:
            self._state = CONNECTION_CLOSING
            self._engine.close(error_code, reason)
            try:
                if not await protocol.wait_closed(self._config.close_timeout):
                    _logger.warning("%r did not close in time", self)
            finally:
                is_done = protocol.close_transport()
                if self._closed_at is None:
                    self._on_closed(ConnectionClosed(error_code, reason, False, True))
        else:
            is_done = protocol.close_transport()
        self._state = CONNECTION_CLOSED
        if not is_done:
            await protocol.wait_socket_closed(self._config.close_timeout - (protocol.now() - began))
        elif any(each._is_handling for each in told):
            await asyncio.sleep(0)  # handlers that are coroutines begin

    async def graceful_shutdown(self) -> None:
        """Take no more sessions (GOAWAY), ask those that are left to wind down, wait for them, and close.

        Those that are still open after `close_timeout` seconds end with the connection.
        """
        if self._state in (CONNECTION_CONNECTED, ConnectionState.DRAINING):
            self._state = ConnectionState.DRAINING
            self._engine.shutdown()
            if self._sessions:
                await self._idle_line.until(lambda: not self._sessions or None, seconds=self._config.close_timeout)
        await self.close(reason="Shut down")

    async def __aenter__(self) -> Self:
        """Begin, see `initialize`."""
        await self.initialize()
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc_val: BaseException | None, exc_tb: TracebackType | None
    ) -> None:
        """Close the connection."""
        await self.close()

    async def _wait_ready(self, seconds: float) -> None:
        """Wait until sessions can be opened.

        Raises:
            ConnectionError: the connection failed, or is over.
            TimeoutError: not in time.
        """
        await self.initialize()
        is_ready = self._ready_or_raise() or await self._ready_line.until(self._ready_or_raise, seconds=seconds)
        if not is_ready:
            raise timed_out("waiting for the QUIC handshake and the server's SETTINGS", seconds)

    def _ready_or_raise(self) -> bool | None:
        if self._state in _OVER or self._state is CONNECTION_CLOSING:
            raise self._over_error()
        return None if self._connected_at is None else True

    def _over_error(self) -> exceptions.ConnectionError:
        """Return why nothing can be done with this connection any more."""
        cause, remote = self._protocol.error, self.remote_address
        return over_error(self._end, cause=cause, was_established=self.was_established, remote_address=remote)

    def _default_authority(self) -> str:
        address = self.remote_address
        if address is None:
            raise exceptions.ConnectionError("the connection has no remote address")
        host, port = address
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    def _give_up(self, session: WebTransportSession) -> None:
        """Withdraw a request that nobody waits for any more."""
        session._core.close()
        self._drop(session)

    def _drop(self, session: WebTransportSession) -> None:
        self._sessions.pop(session._core.stream_id, None)
        if self._events is not None and not self._is_client:
            self._events._release(event_type=EventType.SESSION_REQUEST, key="session", handle=session)
        if not self._sessions:
            self._idle_line.wake_all()

    # What the engine tells.

    def _deliver(self, event: Any) -> None:
        """Take one event of the engine."""
        HANDLERS[event.__class__](self, event)

    def _on_ready(self) -> None:
        if self._connected_at is not None or self._state in _OVER:
            return
        self._connected_at = get_timestamp()
        if self._state is not CONNECTION_CLOSING:
            self._state = CONNECTION_CONNECTED
        if self.on_established is not None:
            self.on_established()
        openings, self._openings = self._openings, []
        if self._state is CONNECTION_CONNECTED:
            for opening in openings:
                try:
                    self._request(opening)
                except Exception as error:  # noqa: BLE001 - raised where the session is waited for
                    opening.error = error
                    wake(opening.future)
        self._emit_once(EventType.CONNECTION_ESTABLISHED, {})
        self._ready_line.wake_all()

    def _on_goaway(self) -> None:
        if self._state is CONNECTION_CONNECTED:
            self._state = ConnectionState.DRAINING

    def _on_closed(self, event: ConnectionClosed) -> None:
        """Take note of the end: tell the sessions that the engine did not, then the program."""
        if self._closed_at is not None:
            return
        was_closing = self._state is CONNECTION_CLOSING
        self._closed_at = get_timestamp()
        self._end = event
        self._was_left = event.timed_out and not event.open_sessions
        has_failed = self._connected_at is None and not was_closing
        self._state = ConnectionState.FAILED if has_failed else CONNECTION_CLOSED
        for session in list(self._sessions.values()):
            session._on_ended()
            self._drop(session)
        for opening in self._openings:
            wake(opening.future)
        self._ready_line.wake_all()
        self._idle_line.wake_all()
        facts = {"error_code": event.error_code, "reason": event.reason}
        if has_failed:
            self._tell_end(EventType.CONNECTION_FAILED, facts)
            return
        if not was_closing and not (event.by_peer and event.is_application):
            self._tell_end(EventType.CONNECTION_LOST, facts)
        self._tell_end(EventType.CONNECTION_CLOSED, facts)

    def _tell_end(self, event_type: EventType, facts: dict[str, Any]) -> None:
        if self.on_end is not None:
            try:
                self.on_end(self, event_type, facts["error_code"])
            except Exception:
                _logger.exception("taking note of the end of %r failed", self)
        self._emit_once(event_type, facts)

    def _on_session_requested(self, core: SessionCore) -> None:
        if core.state is SESSION_CLOSED:
            return  # it ended before anybody could hear of it
        if not self._is_origin_allowed(core.headers.get("origin")):
            _logger.info(
                "%r: request for %s refused, it is not allowed from %s", self, core.path, core.headers["origin"]
            )
            core.reject(_FORBIDDEN)
            return
        session = WebTransportSession._adopt(self, core)
        self._sessions[core.stream_id] = session
        session._on_requested()
        hook = self.on_session_request
        # Only if it is heard: the history of a server's long connection would keep sessions that are long over.
        events = self._events
        is_heard = events is not None and events.has_listeners(event_type=EventType.SESSION_REQUEST)
        if events is not None and is_heard:
            data = session._request_payload()
            events.emit_nowait(event_type=EventType.SESSION_REQUEST, data=data, source=self)
        if hook is not None:
            hook(session)
        elif not is_heard:
            core.reject(_NOBODY_THERE)

    def _is_origin_allowed(self, origin: str | None) -> bool:
        """Tell whether a page of this origin may open sessions; whoever sends no origin is no browser.

        Source: draft-ietf-webtrans-http3-16, section 3.2.
        """
        allowed = self._config.allowed_origins if isinstance(self._config, ServerConfig) else None
        if allowed is None or origin is None:
            return True
        return normalized_origin(origin) in {normalized_origin(each) for each in allowed}

    def _payload(self) -> dict[str, Any]:
        return {"connection": self, "connection_id": self.connection_id}
