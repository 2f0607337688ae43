"""What the engine says of a session, and the waiting of its handle.

`WebTransportSession` has the public methods; this base has the state behind them.
"""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import time
from typing import TYPE_CHECKING, Any, Self, TypeVar

from .._members import ON_DATAGRAM_RECEIVED, ON_STREAM_OPENED, SESSION_CONNECTING
from ..exceptions import SessionError
from ..stream import WebTransportReceiveStream, WebTransportSendStream, WebTransportStream
from ..stream._base import _BaseStream
from ..stream._events import EventSource, HandleEvents
from ..stream._waiter import WaitLine, timed_out, wake
from ..types import EventType, Headers, SessionId, StreamId
from ..utils import generate_session_id, get_logger
from ._incoming import IncomingDatagrams, IncomingStreams

if TYPE_CHECKING:
    from .._protocol.session import SessionCore
    from .._protocol.stream import StreamCore
    from ..connection import WebTransportConnection

__all__ = ["_BaseSession"]

_logger = get_logger(name=__name__)

_HANDLES = tuple((each, each._DIRECTION) for each in (WebTransportStream, WebTransportReceiveStream))
"""The classes of the streams that a peer opens, bidirectional first, and what events say of their direction."""

S = TypeVar("S", WebTransportStream, WebTransportReceiveStream)


class _SessionOver(Exception):
    """Nothing more will come: whoever waits for the peer's streams or datagrams is done."""


@contextmanager
def errors_of(session_id: SessionId) -> Iterator[None]:
    """Name the session, which the engine knows by another id, in the errors that come from there."""
    try:
        yield
    except SessionError as error:
        error.session_id = session_id
        raise


def _never(_: object) -> bool:
    """Stand in for what sends at once while somebody waits, whom nobody may overtake."""
    return False


def _tell(session: weakref.ref[_BaseSession]) -> Callable[[str | None], None]:
    """Return what tells a session who listens, for its emitter, which must not keep it alive."""

    def tell(event_type: str | None) -> None:
        alive = session()
        if alive is not None:
            alive._on_listener(event_type)

    return tell


class _BaseSession(EventSource):
    """The part of a session's handle that the connection talks to."""

    _NAMES = ("session",)
    _FORGOTTEN = EventType.SESSION_REQUEST

    __slots__ = (
        "__weakref__",
        "_accepts_on_use",
        "_arrivals",
        "_at_end",
        "_closed_at",
        "_closers",
        "_config",
        "_connection",
        "_core",
        "_created_at",
        "_datagrams",
        "_decision",
        "_has_told_end",
        "_headers",
        "_incoming_bidi",
        "_incoming_uni",
        "_is_delivery_scheduled",
        "_openers",
        "_path",
        "_ready_at",
        "_rejection",
        "_send_at_once",
        "_senders",
        "_session_id",
    )

    def __init__(
        self,
        *,
        connection: WebTransportConnection,
        session_id: SessionId,
        path: str,
        headers: Headers,
        control_stream_id: StreamId | None,
    ) -> None:
        """Make the handle of a session that the engine knows and that has no handle yet.

        Args:
            connection: the connection of the session.
            session_id: the id that the program sees.
            path: the path of the request, with its query.
            headers: the fields of the request.
            control_stream_id: the QUIC stream of the CONNECT request.

        Raises:
            SessionError: the connection has no such session, or it has a handle.
        """
        core = None if control_stream_id is None else connection._engine.sessions.get(control_stream_id)
        if core is None:
            raise SessionError(f"the connection has no session on stream {control_stream_id}", session_id=session_id)
        if core.handle is not None:
            raise SessionError(f"the session on stream {control_stream_id} has a handle", session_id=session_id)
        self._bind(connection, core, session_id, path, {name.lower(): value for name, value in headers.items()})

    @classmethod
    def _adopt(cls, connection: WebTransportConnection, core: SessionCore) -> Self:
        """Make the handle of a core that may have left the engine's tables since the event that brought it."""
        session = cls.__new__(cls)
        session._bind(connection, core, generate_session_id(), core.path, core.headers)  # names are in lower case there
        return session

    def _bind(
        self,
        connection: WebTransportConnection,
        core: SessionCore,
        session_id: SessionId,
        path: str,
        headers: Headers,
    ) -> None:
        self._connection = connection
        self._config = connection.config
        self._core = core
        self._session_id = session_id
        self._path = path
        self._headers = headers
        self._events = None
        self._told = []
        self._created_at = time()
        self._ready_at: float | None = None
        self._closed_at: float | None = None
        self._at_end: Callable[[Any], None] | None = None
        self._has_told_end = False
        self._accepts_on_use = False  # set by a server that accepts after the handler's first step
        self._decision: asyncio.Future[bool] | None = None
        self._rejection: tuple[int | None, str] | None = None
        self._openers = (WaitLine(), WaitLine())  # by direction, bidirectional first
        self._senders = WaitLine()
        self._send_at_once: Callable[[Any], bool] = core.datagram_sender.send  # unless somebody waits
        self._closers = WaitLine()
        self._incoming_bidi: IncomingStreams[WebTransportStream] = IncomingStreams()
        self._incoming_uni: IncomingStreams[WebTransportReceiveStream] = IncomingStreams()
        self._datagrams = IncomingDatagrams(core)
        self._arrivals = 0
        self._is_delivery_scheduled = False
        core.handle = self

    # What the engine tells, by way of the connection.

    def _on_requested(self) -> None:
        """Server: the request arrived."""
        # Nobody can have asked for the events yet.
        self._told.append((EventType.SESSION_REQUEST, time(), self._request_facts()))

    def _on_opened(self) -> None:
        """The session was accepted, by the peer or here."""
        self._ready_at = now = time()
        self._emit_once(EventType.SESSION_READY, {"ready_at": now})
        wake(self._decision)

    def _on_rejected(self, status: int | None, reason: str) -> None:
        """Client: the server refused."""
        self._rejection = (status, reason)
        self._let_go()

    def _on_draining(self) -> None:
        """The peer wants to wind the session down."""
        self._emit_once(EventType.SESSION_DRAINING, {})

    def _on_ended(self) -> None:
        """The session is over; its streams have been told before."""
        if self._closed_at is not None:
            return
        self._let_go()
        core = self._core
        code = core.close_code
        if code is None:
            code = 0 if core.end_error is None else core.end_error.error_code
        reason = core.close_reason or ""
        at_end, self._at_end = self._at_end, None
        if at_end is not None:
            try:
                at_end(self)
            except Exception:
                _logger.exception("taking note of the end of session %s failed", self._session_id)
        self._emit_once(EventType.SESSION_CLOSED, {"code": code, "reason": reason, "error_code": code})
        self._has_told_end = True

    def _call_at_end(self, hook: Callable[[Any], None]) -> None:
        """Call the client or server that holds the session with it once, just before SESSION_CLOSED is emitted."""
        if self._has_told_end:
            asyncio.get_running_loop().call_soon(hook, self)
        else:
            self._at_end = hook

    def _let_go(self) -> None:
        """Wake whoever waits, and let only the program hold this handle from here on."""
        self._closed_at = time()
        if self._core.datagrams.announce is not None:
            self.events._release_spare_task()
        self._core.handle = self._core.arrivals = self._core.datagrams.announce = None
        wake(self._decision)
        incoming = self._incoming_bidi.line, self._incoming_uni.line, self._datagrams.line
        if any(lines := (*self._openers, self._senders, self._closers, *incoming)):  # mostly nobody waits
            for line in lines:
                line.wake_all()

    def _on_credit_raised(self, kind: str) -> None:
        """The peer lets this end send or open more."""
        flow = self._core.flow
        match kind:
            case "data":
                event_type, name, limit = EventType.SESSION_MAX_DATA_UPDATED, "max_data", flow.local_max_data
            case "bidi":
                event_type = EventType.SESSION_MAX_STREAMS_BIDI_UPDATED
                name, limit = "max_streams_bidi", flow.local_max_streams_bidi
            case _:
                event_type = EventType.SESSION_MAX_STREAMS_UNI_UPDATED
                name, limit = "max_streams_uni", flow.local_max_streams_uni
        self.events.emit_nowait(event_type=event_type, data={"session_id": self._session_id, name: limit}, source=self)

    def _on_blocked(self, kind: str) -> None:
        """A limit of this end holds the peer back."""
        data: dict[str, Any] = {"session_id": self._session_id}
        event_type = EventType.SESSION_DATA_BLOCKED
        if kind != "data":
            event_type = EventType.SESSION_STREAMS_BLOCKED
            data["is_unidirectional"] = kind == "uni"
        self.events.emit_nowait(event_type=event_type, data=data, source=self)

    def _on_stream_credit(self) -> None:
        """Streams may be opened again."""
        for line in self._openers:
            line.wake_first()

    def _on_stream_opened(self, core: StreamCore) -> None:
        """The peer opened a stream."""
        stream: WebTransportStream | WebTransportReceiveStream
        incoming: IncomingStreams[Any]
        session: Any = self  # a WebTransportSession: no other class derives from this one
        self._arrivals += 1
        if core.stream_id & 2:
            stream, incoming = WebTransportReceiveStream._adopt(session, core), self._incoming_uni
        else:
            stream, incoming = WebTransportStream._adopt(session, core), self._incoming_bidi
        events = self._events
        is_heard = events is not None and events.has_listeners(event_type=ON_STREAM_OPENED)
        waits = incoming.is_pulled or self._incoming_bidi.kept or self._incoming_uni.kept or not is_heard
        if not waits or self._keep(incoming, stream, is_heard=is_heard):
            core.take()
            if events is not None:
                data = stream._opened_payload()
                events.emit_nowait(event_type=ON_STREAM_OPENED, data=data, source=self)
                self._have_streams_told(events)

    def _have_streams_told(self, events: HandleEvents) -> None:
        """Let the engine tell handlers of further streams with no call of ours."""
        if self._core.arrivals is None and self._closed_at is None:
            incoming = self._incoming_bidi, self._incoming_uni
            self._core.arrivals = events._announcing(
                ON_STREAM_OPENED, session=self, session_id=self._session_id, incoming=incoming, handles=_HANDLES
            )

    def _on_datagrams(self) -> None:
        """Datagrams wait in the core's queue."""
        arrivals = self._core.datagrams
        announce = arrivals.announce
        if announce is None:
            # What comes after the one event that a `wait_for` waited for is kept for its next call.
            announce = self.events._emitting_each(
                event_type=ON_DATAGRAM_RECEIVED,
                inbox=self._datagrams,
                key="data",
                shared={"session": self, "session_id": self._session_id},
                source=self,
            )
            if self._closed_at is None:
                arrivals.announce = announce  # from now on with no call of ours
        announce()

    def _on_datagram_room(self) -> None:
        """Datagrams may be sent again."""
        self._senders.wake_first()

    def _on_stream_finished(self, stream: _BaseStream) -> None:
        """A stream is over; if the peer opened it, nobody may have taken it yet."""
        for incoming in (self._incoming_bidi, self._incoming_uni):
            if incoming.copies:
                incoming.on_finished(stream.stream_id)

    # What is kept for handlers that come late.

    def _on_listener(self, event_type: str | None) -> None:
        """Somebody begins to listen."""
        if event_type is None or event_type == ON_STREAM_OPENED:
            self._schedule_delivery()
        if (event_type is None or event_type == ON_DATAGRAM_RECEIVED) and self._core.datagrams:
            asyncio.get_running_loop().call_soon(self._on_datagrams)

    def _keep(self, incoming: IncomingStreams[Any], stream: _BaseStream, *, is_heard: bool) -> bool:
        """Keep a stream for those who will take it; True when it goes to the handlers as well, or instead."""
        if incoming.is_pulled:
            if is_heard:
                self._core.tells_ends = True  # what handlers got as well is counted when it ends
            incoming.keep(stream, self._arrivals, is_copy=is_heard)
            return is_heard
        if is_heard and self._oldest_kept() is None:
            return True
        incoming.keep(stream, self._arrivals)  # also behind kept ones that are on their way to the handlers
        if is_heard:
            self._schedule_delivery()
        return False

    def _oldest_kept(self) -> IncomingStreams[Any] | None:
        """Return the queue whose first stream came first of all that the handlers may still get."""
        if not self._incoming_bidi.kept and not self._incoming_uni.kept:
            return None
        waiting = [each for each in (self._incoming_bidi, self._incoming_uni) if each.kept and not each.is_pulled]
        return min(waiting, key=lambda each: each.first_arrival, default=None)

    def _schedule_delivery(self) -> None:
        if not self._is_delivery_scheduled and self._oldest_kept() is not None:
            self._is_delivery_scheduled = True
            asyncio.get_running_loop().call_soon(self._deliver_kept)

    def _deliver_kept(self) -> None:
        """Give the oldest kept stream to the handlers, and the next one in the next turn of the loop.

        One in a turn, since a task that waits for one event must be able to wait for the next.
        """
        self._is_delivery_scheduled = False
        incoming = self._oldest_kept()
        if incoming is not None and self.events.has_listeners(event_type=ON_STREAM_OPENED):
            stream = incoming.take()
            if stream is not None:
                self._announce(stream)
            self._schedule_delivery()

    # Waiting.

    def _accept_on_use(self) -> bool:
        """Server: accept the request because its handler uses the session already; True when that was done."""
        if not self._accepts_on_use or self._core.state is not SESSION_CONNECTING:
            return False
        self._accept_now(None, None)
        return True

    def _accept_now(self, headers: Headers | None, wt_protocol: str | None, *, at_once: bool = False) -> None:
        """Accept the request; `at_once` if nothing is likely to follow that should share a packet with the answer."""
        core, protocol = self._core, wt_protocol
        if protocol is None and core.available_protocols:
            ours = self._config.wt_available_protocols
            protocol = next((each for each in core.available_protocols if each in ours), None)
        try:
            core.accept(headers, protocol, at_once=at_once)
        except SessionError as error:
            error.session_id = self._session_id
            raise
        if self._closed_at is None:
            self._on_opened()

    def _open_now(self, unidirectional: bool) -> StreamCore | None:
        """Open a stream, as nearly always; None when credit lacks, or others wait for it."""
        if self._accepts_on_use:
            self._accept_on_use()
        if self._openers[unidirectional]:
            return None
        try:
            stream: StreamCore | None = self._core.open_stream(unidirectional=unidirectional)
        except SessionError as error:
            error.session_id = self._session_id
            raise
        return stream

    async def _open_in_turn(self, unidirectional: bool) -> StreamCore:
        """Open a stream after `_open_now` did not."""
        core, timeout = self._core, self._config.stream_creation_timeout
        stream: StreamCore | None
        with errors_of(self._session_id):
            stream = await self._openers[unidirectional].until(
                lambda: core.open_stream(unidirectional=unidirectional), seconds=timeout
            )
        if stream is None:
            kind = "unidirectional" if unidirectional else "bidirectional"
            raise timed_out(f"create_{kind}_stream", timeout, session_id=self._session_id)
        return stream

    async def _send_in_turn(self, payload: bytes) -> None:
        """Send a datagram that could not be sent at once, waiting for room behind those who wait already."""
        core, line = self._core, self._senders
        try:
            if not line and core.send_datagram(payload):
                return
            timeout = self._config.write_timeout
            self._send_at_once = _never
            try:
                sent = await line.until(lambda: core.send_datagram(payload) or None, seconds=timeout)
            finally:
                if not line:
                    self._send_at_once = core.datagram_sender.send
            if sent is None:
                raise timed_out("send_datagram", timeout, session_id=self._session_id)
        except SessionError as error:
            if self._accept_on_use():
                await self._send_in_turn(payload)
                return
            error.session_id = self._session_id
            raise

    async def _next_stream(self, incoming: IncomingStreams[S]) -> S | None:
        """Take a stream of the peer, waiting for it; None when the session is over."""

        def take() -> S | None:
            stream = incoming.take()
            if stream is None and self._closed_at is not None:
                raise _SessionOver
            return stream

        try:
            stream = None if incoming.line else take()
            return await incoming.line.until(take, seconds=None) if stream is None else stream
        except _SessionOver:
            return None

    async def _next_datagram(self, seconds: float | None) -> bytes | None:
        """Take a datagram of the peer, waiting for it; None when so many seconds have passed.

        Raises:
            _SessionOver: the session is over, and nothing is left.
        """
        inbox = self._datagrams

        def take() -> bytes | None:
            data = inbox.take()
            if data is None and self._closed_at is not None:
                raise _SessionOver
            return data

        inbox.is_pulled = True
        data = None if inbox.line else take()
        return await inbox.line.until(take, seconds=seconds) if data is None else data

    async def _next_datagram_or_end(self) -> bytes | None:
        try:
            return await self._next_datagram(None)
        except _SessionOver:
            return None

    # Events.

    def _new_events(self) -> HandleEvents:
        return HandleEvents(on_listener=_tell(weakref.ref(self)))

    def _announce(self, stream: WebTransportStream | WebTransportReceiveStream | WebTransportSendStream) -> None:
        """Emit STREAM_OPENED to whoever listens, on the session and on the stream."""
        events = self._events
        if events is not None and events.has_listeners(event_type=ON_STREAM_OPENED):
            events.emit_nowait(event_type=ON_STREAM_OPENED, data=stream._opened_payload(), source=self)
        if stream._events is not None:
            stream._on_announced()

    def _payload(self) -> dict[str, Any]:
        return {"session": self, "session_id": self._session_id}

    def _request_payload(self) -> dict[str, Any]:
        """Return the data of SESSION_REQUEST, on the session, the connection and the server."""
        return {**self._payload(), **self._request_facts()}

    def _request_facts(self) -> dict[str, Any]:
        return {
            "control_stream_id": self._core.stream_id,
            "path": self._path,
            "headers": dict(self._headers),
            "connection": self._connection,
        }
