"""`WebTransportSession`: a program's view of one session.

The rules of a session (its life, credit, capsules) are the engine's `SessionCore`. This handle adds waiting and
time-outs, the public events, and it keeps what arrived before anybody asked for it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from types import TracebackType
from typing import TYPE_CHECKING, Self

from .._members import SESSION_CLOSED
from .._protocol import exporter
from ..exceptions import SessionError
from ..stream import WebTransportReceiveStream, WebTransportSendStream, WebTransportStream
from ..stream._base import checked_code, code_of_exception
from ..stream._waiter import timed_out
from ..types import Buffer, Data, Headers, SessionId, SessionState
from ..utils import ensure_bytes
from ._base import _BaseSession, _SessionOver, errors_of
from ._incoming import IncomingIterator
from .diagnostics import SessionDiagnostics

if TYPE_CHECKING:
    from ..connection import WebTransportConnection

__all__ = ["SessionDiagnostics", "WebTransportSession"]

SessionDiagnostics.__module__ = __name__  # where 0.9 programs see it, wherever the code is kept


class WebTransportSession(_BaseSession):
    """One WebTransport session. Clients get it from `connect`, servers hand it to their handlers.

    Streams and datagrams of the peer come as events (STREAM_OPENED, DATAGRAM_RECEIVED on `events`) or through the
    `incoming_...` iterators and `read_datagram`; what comes before the program asks is kept. In `async with`, the
    session is closed at the end of the block.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return f"<WebTransportSession {self._session_id} {self._path} {self.state}>"

    # What it is.

    @property
    def session_id(self) -> SessionId:
        """Return the id of this session: random and URL-safe, known to this end only."""
        return self._session_id

    @property
    def connection(self) -> WebTransportConnection:
        """Return the connection of this session."""
        return self._connection

    @property
    def peer_certificate(self) -> bytes | None:
        """Return the certificate of the other end as DER, see `WebTransportConnection.peer_certificate`."""
        return self._connection.peer_certificate

    @property
    def path(self) -> str:
        """Return the path of the request, with its query."""
        return self._path

    @property
    def headers(self) -> Headers:
        """Return a copy of the request's fields, names in lower case; on a server with ``:path`` and its like."""
        return dict(self._headers)

    @property
    def state(self) -> SessionState:
        """Return the state of the session."""
        return self._core.state

    @property
    def is_closed(self) -> bool:
        """Tell whether the session is over, or was refused."""
        return self._core.state is SESSION_CLOSED

    @property
    def wt_available_protocols(self) -> list[str]:
        """Return the subprotocols that the client offered, in its order of preference."""
        return list(self._core.available_protocols)

    @property
    def wt_protocol(self) -> str | None:
        """Return the subprotocol that the server chose, or None."""
        return self._core.protocol

    @property
    def response_status(self) -> int | None:
        """Return the HTTP status with which the server answered; None before."""
        return self._core.response_status

    @property
    def response_headers(self) -> Headers:
        """Return a copy of the fields of the server's answer."""
        return dict(self._core.response_headers)

    @property
    def max_datagram_size(self) -> int:
        """Return the largest datagram that can be sent now, in bytes; it follows the path. 0: none can."""
        return self._core.max_datagram_size

    @property
    def close_code(self) -> int | None:
        """Return the code with which either end closed the session; None while open and after an abnormal end."""
        return self._core.close_code

    @property
    def close_reason(self) -> str | None:
        """Return the text that came with `close_code`, or what ended the session; None while open."""
        return self._core.close_reason

    # Its life.

    async def accept(self, *, headers: Headers | None = None, wt_protocol: str | None = None) -> None:
        """Server: accept the request.

        Args:
            headers: further fields of the response.
            wt_protocol: the subprotocol chosen, one of `wt_available_protocols`. None chooses the client's favourite
                among those of the configuration's `wt_available_protocols`, if there is one.

        Raises:
            SessionError: this is not a server's session, or it was answered already or is gone.
            ValueError: the protocol was not offered, or a field is not allowed.
        """
        self._accept_now(headers, wt_protocol)

    async def reject(self, *, status_code: int = 403, headers: Headers | None = None) -> None:
        """Server: refuse the request.

        Args:
            status_code: the HTTP status of the response, 300 to 599.
            headers: further fields of the response.

        Raises:
            SessionError: this is not a server's session, or it was answered already or is gone.
            ValueError: the status or a field is not allowed.
        """
        with errors_of(self._session_id):
            self._core.reject(status_code, headers)

    async def drain(self) -> None:
        """Ask the peer to wind this session down; everything stays possible until one end closes it.

        Raises:
            SessionError: the session is not open.
        """
        self._accept_on_use()
        with errors_of(self._session_id):
            self._core.drain()

    async def close(self, *, error_code: int = 0, reason: str | None = None, close_connection: bool = False) -> None:
        """End the session: the peer gets code and reason, and all streams are reset. Closing twice is no error.

        A stream that has its FIN is not reset at once: what is in line to be sent goes out before the peer is told.
        A request that a server has not answered is refused with 403, unless the server accepts requests by itself.

        Args:
            error_code: the code that the peer sees, 0..2**32-1.
            reason: a text for the peer, cut to 1024 bytes of UTF-8.
            close_connection: close the connection as well.

        Raises:
            ValueError: error_code is out of range.
        """
        code = checked_code(error_code)
        self._accept_on_use()
        self._core.close(code, reason or "")
        if self._closed_at is None:
            # The engine's word comes with the next flush. After it SESSION_CLOSED has been emitted.
            await self._closers.until(lambda: self._closed_at, seconds=self._config.close_timeout)
        if close_connection:
            await self._connection.close(reason=reason or "Closed by application")

    async def __aenter__(self) -> Self:
        """Enter the block that ends with the session closed."""
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc_val: BaseException | None, exc_tb: TracebackType | None
    ) -> None:
        """Close the session; after an exception with its `error_code`, or APPLICATION_ERROR if it has none."""
        await self.close(error_code=0 if exc_val is None else code_of_exception(exc_val))

    # Streams.

    async def create_bidirectional_stream(self) -> WebTransportStream:
        """Open a stream on which both ends send; waits for the peer's credit.

        Raises:
            SessionError: the session is not open.
            TimeoutError: no credit came within `stream_creation_timeout` seconds.
        """
        stream = WebTransportStream._adopt(self, self._open_now(False) or await self._open_in_turn(False))
        if self._events is not None:
            self._announce(stream)
        return stream

    async def create_unidirectional_stream(self) -> WebTransportSendStream:
        """Open a stream on which only this end sends; waits for the peer's credit.

        Raises:
            SessionError: the session is not open.
            TimeoutError: no credit came within `stream_creation_timeout` seconds.
        """
        stream = WebTransportSendStream._adopt(self, self._open_now(True) or await self._open_in_turn(True))
        if self._events is not None:
            self._announce(stream)
        return stream

    def incoming_bidirectional_streams(self) -> AsyncIterator[WebTransportStream]:
        """Return an async iterator over the bidirectional streams that the peer opens, until the session is over.

        Iterators share: each stream goes to one of them. Handlers of STREAM_OPENED get every stream all the same.
        """
        self._incoming_bidi.is_pulled = True
        return IncomingIterator(lambda: self._next_stream(self._incoming_bidi))

    def incoming_unidirectional_streams(self) -> AsyncIterator[WebTransportReceiveStream]:
        """Return an async iterator over the unidirectional streams that the peer opens, until the session is over.

        Iterators share: each stream goes to one of them. Handlers of STREAM_OPENED get every stream all the same.
        """
        self._incoming_uni.is_pulled = True
        return IncomingIterator(lambda: self._next_stream(self._incoming_uni))

    # Datagrams.

    async def send_datagram(self, *, data: Data) -> None:
        """Send a datagram. It may be lost on the way, but not here: when the outgoing queue is full, this waits.

        Args:
            data: bytes-like or ``str``, which is sent as UTF-8.

        Raises:
            DatagramError: larger than `max_datagram_size`; it is a ValueError, too.
            SessionError: the session is not open.
            TimeoutError: the queue had no room for `write_timeout` seconds.
            TypeError: data has another type.
        """
        if not self._send_at_once(data):
            await self._send_in_turn(ensure_bytes(data=data))

    async def read_datagram(self) -> bytes:
        """Return the next datagram of the peer; waits for one.

        Readers share: each datagram goes to one of them. Handlers of DATAGRAM_RECEIVED get every one all the same.

        Raises:
            SessionError: the session is over, and what had arrived was read.
            TimeoutError: none came within `read_timeout` seconds.
        """
        timeout = self._config.read_timeout
        try:
            data = await self._next_datagram(timeout)
        except _SessionOver:
            raise SessionError(
                "the session is closed", session_id=self._session_id, session_state=self.state
            ) from self._core.end_error
        if data is None:
            raise timed_out("read_datagram", timeout, session_id=self._session_id)
        return data

    def incoming_datagrams(self) -> AsyncIterator[bytes]:
        """Return an async iterator over the datagrams of the peer, until the session is over; see `read_datagram`."""
        self._datagrams.is_pulled = True
        return IncomingIterator(self._next_datagram_or_end)

    # Credit and diagnostics.

    async def grant_data_credit(self, *, max_data: int) -> None:
        """Let the peer send up to `max_data` bytes in this session, counted from its beginning.

        Credit never shrinks: less than the current limit has no effect.

        Raises:
            SessionError: the session is not open.
            ValueError: max_data is negative.
        """
        if max_data < 0:
            raise ValueError(f"max_data must not be negative, not {max_data}")
        self._accept_on_use()
        with errors_of(self._session_id):
            self._core.grant_data(max_data)

    async def grant_streams_credit(self, *, max_streams: int, is_unidirectional: bool) -> None:
        """Let the peer open up to `max_streams` streams of one direction, counted from the session's beginning.

        Credit never shrinks: less than the current limit has no effect.

        Raises:
            SessionError: the session is not open.
            ValueError: max_streams is negative.
        """
        if max_streams < 0:
            raise ValueError(f"max_streams must not be negative, not {max_streams}")
        self._accept_on_use()
        with errors_of(self._session_id):
            self._core.grant_streams(max_streams, unidirectional=is_unidirectional)

    async def export_keying_material(self, *, label: str, context: Buffer = b"", length: int = 32) -> bytes:
        """Return a secret that both ends of this session can make, and nobody else (TLS 1.3 exporter).

        The other end gets the same bytes for the same arguments. A server may ask before it accepts the session.

        Args:
            label: what the secret is for, at most 255 bytes of UTF-8.
            context: what else it shall depend on, at most 255 bytes.
            length: bytes wanted, 1..8160.

        Raises:
            SessionError: the session is over.
            ValueError: an argument is out of range.

        Source: draft-ietf-webtrans-http3-16, section 4.8.
        """
        if self.is_closed:
            raise SessionError("the session is closed", session_id=self._session_id, session_state=self.state)
        return exporter.export_keying_material(self._core, label=label.encode(), context=bytes(context), length=length)

    async def diagnostics(self) -> SessionDiagnostics:
        """Return a snapshot of the session."""
        core = self._core
        flow = core.flow
        return SessionDiagnostics(
            session_id=self._session_id,
            control_stream_id=core.stream_id,
            state=core.state,
            path=self._path,
            headers=self.headers,
            created_at=self._created_at,
            local_max_data=flow.local_max_data,
            local_data_sent=flow.local_data_sent,
            peer_max_data=flow.peer_max_data,
            peer_data_sent=flow.peer_data_sent,
            local_max_streams_bidi=flow.local_max_streams_bidi,
            local_streams_bidi_opened=flow.local_streams_bidi_opened,
            peer_max_streams_bidi=flow.peer_max_streams_bidi,
            peer_streams_bidi_opened=flow.peer_streams_bidi_opened,
            local_max_streams_uni=flow.local_max_streams_uni,
            local_streams_uni_opened=flow.local_streams_uni_opened,
            peer_max_streams_uni=flow.peer_max_streams_uni,
            peer_streams_uni_opened=flow.peer_streams_uni_opened,
            pending_bidi_stream_futures=list(self._openers[0].futures),
            pending_uni_stream_futures=list(self._openers[1].futures),
            datagrams_sent=core.datagrams_sent,
            datagram_bytes_sent=core.datagram_bytes_sent,
            datagrams_received=core.datagrams_received,
            datagram_bytes_received=core.datagram_bytes_received,
            close_code=core.close_code,
            close_reason=core.close_reason,
            closed_at=self._closed_at,
            ready_at=self._ready_at,
            streams_closed=core.streams_closed,
            streams_aborted=core.streams_aborted,
            bytes_dropped=core.tally.bytes_dropped,
            bytes_discarded=core.tally.bytes_discarded,
            datagrams_dropped=core.datagrams.dropped_full,
        )
