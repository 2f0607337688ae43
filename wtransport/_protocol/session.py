"""One WebTransport session: its life from CONNECT to CLOSE, its streams, datagrams and credit (draft-16, 3 to 6)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING

from .._members import SESSION_CLOSED, SESSION_CONNECTED, SESSION_CONNECTING, SESSION_DRAINING
from .._speedups import DatagramInbox, SessionStreams, encode_stream_header, encode_varint, varint_size
from ..constants import (
    H3_FRAME_TYPE_WEBTRANSPORT_STREAM,
    H3_STREAM_TYPE_WEBTRANSPORT,
    ErrorCodes,
)
from ..exceptions import SessionError, StreamError, datagram_too_large
from . import capsules, events, limits
from .credit import SessionCredit
from .traffic import SessionTally
from .violations import SessionViolation, StreamViolation

if TYPE_CHECKING:
    from .._quic.port import QuicPort
    from .early import EarlyStream
    from .flow_control import SessionFlow
    from .host import EngineHost
    from .stream import StreamCore

__all__ = ["OPEN_STATES", "STREAM_SIGNALS", "SessionCore"]

STREAM_SIGNALS = (H3_FRAME_TYPE_WEBTRANSPORT_STREAM, H3_STREAM_TYPE_WEBTRANSPORT)
"""What a stream begins with, by direction, bidirectional first."""

_SESSION_ERRORS = (ErrorCodes.WT_ALPN_ERROR, ErrorCodes.WT_FLOW_CONTROL_ERROR)
"""Codes of session errors. Drafts 15 and 16 do not say how these travel: some peers reset the CONNECT stream, as
draft-14 wanted it, others (webtransport-go) put them into WT_CLOSE_SESSION, where they are not the application's."""

OPEN_STATES = (SESSION_CONNECTED, SESSION_DRAINING)
"""While streams and datagrams may be used."""


@lru_cache(maxsize=64)
def _stream_headers(session_id: int) -> tuple[bytes, bytes]:
    """Return what the streams of a session begin with, bidirectional first."""
    bidi, uni = STREAM_SIGNALS
    return encode_stream_header(bidi, session_id), encode_stream_header(uni, session_id)


class SessionCore(SessionStreams):
    """The engine's side of a session."""

    # fmt: off
    __slots__ = (
        "_capsules", "_datagrams_event", "_early_capsules", "_fin_received", "_has_closed", "_host",
        "_quarter_id", "_wants_datagram_room", "authority", "available_protocols", "close_code", "close_reason",
        "datagram_sender", "datagrams", "end_error", "ended_by_peer", "headers", "idle_actions", "is_client", "is_told",
        "path", "protocol", "response_headers", "response_status", "state", "tally",
    )
    # fmt: on

    _OPENED = events.StreamOpened
    _FINISHED = events.StreamFinished

    port: QuicPort
    emit: Callable[[events.EngineEvent], None]
    flow: SessionFlow
    credit: SessionCredit
    streams: dict[int, StreamCore]
    tally: SessionTally

    def __init__(
        self,
        host: EngineHost,
        stream_id: int,
        *,
        authority: str,
        path: str,
        headers: Mapping[str, str],
        available_protocols: list[str],
    ) -> None:
        """Begin a session whose CONNECT was sent or has arrived; `stream_id` is the stream of that."""
        flow = host.new_flow()
        credit = SessionCredit(self, host, flow)
        super().__init__(host.stream_registry, stream_id, flow, credit, _stream_headers(stream_id))
        self._host = host
        self.idle_actions = host.idle_actions
        self.is_client = host.is_client
        self.authority = authority
        self.path = path
        self.headers = dict(headers)
        self.available_protocols = available_protocols
        self.protocol: str | None = None
        self.response_status: int | None = None
        self.response_headers: dict[str, str] = {}
        self.state = SESSION_CONNECTING
        self.tally = SessionTally(host.traffic)
        self.datagrams = DatagramInbox(limits.MAX_QUEUED_DATAGRAMS, limits.MAX_QUEUED_DATAGRAM_BYTES)
        self.close_code: int | None = None
        self.close_reason: str | None = None
        self.ended_by_peer = False
        self.end_error: SessionError | None = None
        self.is_told = False  # the end was sent to the peer at once
        self._quarter_id = stream_id >> 2
        # Its limit is what fits whatever the peer's connection id and the path; -1 unless the session is open.
        self.datagram_sender = self.port.datagram_sender(encode_varint(self._quarter_id))
        self._capsules: capsules.CapsuleReader | None = None  # most sessions have one capsule, which ends them
        self._early_capsules: bytearray | None = bytearray()
        self._has_closed = False  # the peer, with its first capsule
        self._fin_received = False
        self._wants_datagram_room = False
        self._datagrams_event: events.DatagramsReceived | None = None  # always the same, once there was one

    # Opening.

    def withdraw(self) -> None:
        """Let go of a session that was made before its request could be sent, and is not to be."""
        self.handle = None
        self.credit.forget_session()

    @property
    def has_read_close(self) -> bool:
        """Tell whether the peer's WT_CLOSE_SESSION was read: nothing may follow it."""
        return self._has_closed or (self._capsules is not None and self._capsules.has_read_close)

    def accept(
        self, headers: Mapping[str, str] | None = None, protocol: str | None = None, *, at_once: bool = False
    ) -> None:
        """Server: answer the CONNECT with 200.

        Args:
            headers: more fields of the response.
            protocol: the subprotocol chosen, one of `available_protocols`; None sends no choice.
            at_once: send the answer before anything else is done.

        Raises:
            SessionError: the request is already answered or gone.
            ValueError: the protocol was not offered, or a header is not allowed.
        """
        self._check_undecided()
        if protocol is not None and protocol not in self.available_protocols:
            raise ValueError(f"protocol {protocol!r} is not among those the client offered")
        self._host.send_response(self, 200, headers or {}, protocol)
        self.protocol = protocol
        self.response_status = 200
        self.response_headers = dict(headers or {})
        if at_once:
            self._host.send_now()
            if self.state is SESSION_CLOSED:
                return  # with the connection, which could not send
        self._enter_open()

    def reject(self, status: int, headers: Mapping[str, str] | None = None) -> None:
        """Server: refuse the CONNECT with an HTTP status from 300 to 599.

        Raises:
            SessionError: the request is already answered or gone.
            ValueError: the status or a header is not allowed.
        """
        self._check_undecided()
        if not 300 <= status <= 599:
            raise ValueError(f"status must be from 300 to 599 to refuse a session, not {status}")
        self._host.send_response(self, status, headers or {}, None)
        self.response_status = status
        self._end(code=None, reason=f"rejected with status {status}", by_peer=False)

    def on_rejected(self, reason: str) -> None:
        """Client: take the refusal, whose status is in `response_status`."""
        self._end(code=None, reason=reason, by_peer=True)

    def _check_undecided(self) -> None:
        if self.is_client or self.state is not SESSION_CONNECTING:
            raise SessionError("the session is not waiting for an answer of ours", session_state=self.state)

    def on_accepted(self, status: int, headers: Mapping[str, str], protocol: str | None) -> None:
        """Client: take the 2xx response."""
        self.response_status = status
        self.response_headers = dict(headers)
        self.protocol = protocol
        self.emit(events.SessionOpened(self))
        self._enter_open()

    def _enter_open(self) -> None:
        self.state = SESSION_CONNECTED
        self.is_open = self.datagrams.is_open = True
        safe_size = min(self._datagram_room - limits.MAX_CONNECTION_ID, limits.SAFE_DATAGRAM_SIZE)
        self.datagram_sender.limit = safe_size if safe_size > -1 else -1
        early, self._early_capsules = self._early_capsules, None
        streams, datagrams = self._host.take_early(self.stream_id)
        for stream in streams:
            self._adopt(stream)
        if datagrams and self.is_open:
            self.on_datagrams(datagrams)
        if early and self.is_open:
            self._host.guard(self, self.on_capsule_bytes, bytes(early))
        if self._fin_received and self.is_open:
            self._host.guard(self, self.on_fin)

    # Ending.

    def close(self, code: int = 0, reason: str = "") -> None:
        """End the session with a code (32 bits) and a text, cut to 1024 bytes. Without effect when it is over.

        Raises:
            ValueError: code is out of range.
        """
        if not 0 <= code <= 0xFFFFFFFF:
            raise ValueError(f"error_code must be from 0 to 2**32-1, not {code}")
        if self.state is SESSION_CLOSED:
            return
        if self.state is SESSION_CONNECTING:
            if self.is_client:
                self.abort(ErrorCodes.H3_REQUEST_CANCELLED, None)
            else:
                self.reject(403)
            return
        self._finish_stream(capsules.encode_close(code, reason))
        self._end(code=code, reason=reason, by_peer=False)

    def drain(self) -> None:
        """Ask the peer to wind the session down (DRAIN capsule); everything stays allowed (draft-16, 4.7).

        Raises:
            SessionError: the session is not open.
        """
        self._check_open()
        if self.state is SESSION_CONNECTED:
            self.send_capsule(capsules.encode_drain())
            self.state = SESSION_DRAINING

    def abort(self, wire_code: int, error: SessionError | None, *, by_peer: bool = False) -> None:
        """End the session abnormally: both directions of the CONNECT stream are reset with an HTTP/3 code."""
        if self.state is SESSION_CLOSED:
            return
        self.port.reset_stream(self.stream_id, wire_code)
        self.port.stop_stream(self.stream_id, wire_code)
        self.end_error = error
        reason = "" if error is None else error.message
        self._end(code=None, reason=reason, by_peer=by_peer)

    def on_connection_lost(self, error: SessionError, *, by_peer: bool) -> None:
        """End the session because the connection is gone."""
        if self.state is not SESSION_CLOSED:
            self.end_error = error
            self._end(code=None, reason=error.message, by_peer=by_peer)

    def _end(self, *, code: int | None, reason: str, by_peer: bool) -> None:
        if self.state is SESSION_CLOSED:
            return  # the connection was lost while the peer was told
        was_open = self.is_open
        self.state = SESSION_CLOSED
        self.is_open = self.datagrams.is_open = False
        self.is_over = True
        self.datagram_sender.limit = -1
        self.close_code = code
        self.close_reason = reason
        self.ended_by_peer = by_peer
        self._early_capsules = None
        self._host.session_ended(self)
        if self.streams:
            error_code = code if self.end_error is None else self.end_error.error_code
            why = "" if self.end_error is None else f": {self.end_error.message}"
            gone = StreamError(f"the session is closed{why}", error_code=error_code)
            for stream in list(self.streams.values()):
                still_arriving = stream.is_receiving
                stream.abandon(gone, ErrorCodes.WT_SESSION_GONE)
                self.stream_finished(stream, still_arriving=still_arriving)
        if self._host.stream_registry.has_sending:
            # Of streams that were over but for bytes to send, those go out that are in line before the peer is told.
            self.port.watch_unsent(self.stream_id, 0)
        self.tally.settle(self, was_open=was_open)
        self.credit.end()
        if self._wants_streams[0] or self._wants_streams[1]:
            self.emit(events.StreamCreditAvailable(self))  # whoever waits finds the session closed
        if self._wants_datagram_room:
            self.emit(events.DatagramsWritable(self))
        self.emit(events.SessionEnded(self))

    # What arrives on the CONNECT stream.

    def on_capsule_bytes(self, data: bytes) -> None:
        """Take the payload of DATA frames; before the answer it is kept, within bounds (draft-16, 3.2).

        Raises:
            StreamViolation: malformed capsules.
            ConnectionViolation: too many capsules that bring nothing.
            SessionViolation: a capsule that breaks a rule of the session.
        """
        if self._early_capsules is not None:
            if len(self._early_capsules) + len(data) > limits.MAX_EARLY_CAPSULE_BYTES:
                raise StreamViolation(ErrorCodes.H3_EXCESSIVE_LOAD, "too many capsule bytes before the answer")
            self._early_capsules += data
            return
        reader = self._capsules
        if reader is None:
            if self._has_closed:
                raise StreamViolation(ErrorCodes.H3_MESSAGE_ERROR, "data after WT_CLOSE_SESSION")
            close = capsules.read_whole_close(data)
            if close is not None and self.is_open:
                self._has_closed = True
                self._on_close(close.code, close.reason)
                return
            profile = self._host.profile
            if profile is None:
                return  # there are no sessions without
            reader = self._capsules = capsules.CapsuleReader(profile)
        for item in reader.feed(data):
            if self.is_open:
                self._on_capsule(item)
        if reader.idle_capsules:
            idle, reader.idle_capsules = reader.idle_capsules, 0
            self.idle_actions.note(idle)

    def on_fin(self) -> None:
        """Take the end of the CONNECT stream: a clean one means CLOSE with code 0 (draft-16, section 6).

        Raises:
            StreamViolation: it comes inside a capsule.
        """
        self._fin_received = True
        if self.state is SESSION_CONNECTING or self.state is SESSION_CLOSED:
            return
        if self._capsules is not None:
            self._capsules.finish()
        self._answer_end(0, "")

    def on_connect_reset(self, wire_code: int) -> None:
        """Take a reset or STOP_SENDING of the CONNECT stream: an abnormal end (draft-16, section 6)."""
        error = SessionError(
            f"the peer aborted the session with code {wire_code:#x}", error_code=wire_code, session_state=self.state
        )
        self.abort(ErrorCodes.H3_REQUEST_CANCELLED, error, by_peer=True)

    def _answer_end(self, code: int | None, reason: str) -> None:
        self._finish_stream(b"")
        self._end(code=code, reason=reason, by_peer=True)

    def _finish_stream(self, data: bytes) -> None:
        """Send the last bytes of the CONNECT stream; now, if nothing is about to follow that could share a packet."""
        self.port.send_stream(self.stream_id, data, True)
        host = self._host
        if not self.streams and len(host.sessions) == 1 and not host.stream_registry.has_sending:
            self.is_told = True
            host.send_now()  # the peer waits, and need not until this end has settled everything

    def _on_capsule(self, item: capsules.CapsuleItem) -> None:
        match item:
            case capsules.CloseRead(code, reason):
                self._on_close(code, reason)
            case capsules.DrainRead():
                self.on_drain()
            case capsules.MaxDataRead(limit):
                if self.flow.send.raise_max_data(limit):
                    self.credit.flush_blocked_streams()
                    self.emit(events.SessionCreditRaised(self, "data"))
            case capsules.MaxStreamsRead(limit, unidirectional):
                if self.flow.send.raise_max_streams(limit, unidirectional=unidirectional):
                    self.emit(events.SessionCreditRaised(self, "uni" if unidirectional else "bidi"))
                    self.on_stream_credit(unidirectional=unidirectional)
            case capsules.DataBlockedRead():
                self.emit(events.SessionBlocked(self, "data"))
            case capsules.StreamsBlockedRead(_, unidirectional):
                self.emit(events.SessionBlocked(self, "uni" if unidirectional else "bidi"))
            case capsules.DatagramRead(payload):
                self.on_datagrams([payload])

    def _on_close(self, code: int, reason: str) -> None:
        if code in _SESSION_ERRORS:
            self.end_error = SessionError(
                f"the peer ended the session with code {code:#x}", error_code=code, session_state=self.state
            )
        self._answer_end(None if code in _SESSION_ERRORS else code, reason)

    def on_drain(self) -> None:
        """Take the peer's wish to wind down."""
        if self.state is SESSION_CONNECTED:
            self.state = SESSION_DRAINING
            self.emit(events.SessionDraining(self))

    def send_capsule(self, capsule: bytes) -> None:
        """Send a capsule, already in its DATA frame; the session is open."""
        self.port.send_stream(self.stream_id, capsule, False)

    # Streams.

    def _report_blocked(self, *, unidirectional: bool) -> None:
        """Tell the peer once that its limit on streams holds us back."""
        allowance = self.flow.send
        if allowance.should_report_blocked_streams(unidirectional=unidirectional):
            limit = allowance.max_streams[unidirectional]
            self.send_capsule(capsules.encode_streams_blocked(limit, unidirectional=unidirectional))

    def on_stream_credit(self, *, unidirectional: bool) -> None:
        """Tell whoever waits that a stream may be opened now."""
        if self._wants_streams[unidirectional]:
            self._wants_streams[unidirectional] = False
            self.emit(events.StreamCreditAvailable(self))

    def _adopt(self, early: EarlyStream) -> None:
        """Take over a stream of the peer, with what arrived on it so far, unless the one before ended the session."""
        stream = self.on_stream_opened(early.stream_id, early.header_size) if self.is_open else None
        if stream is None:
            self._host.discard_early(early, ErrorCodes.WT_SESSION_GONE)
        elif not self._host.guard(self, early.replay, stream) and early.has_ended:
            self._host.forget_stream(early.stream_id)

    def _refuse_stream(self, *, unidirectional: bool) -> None:
        """End the session: the peer opened a stream more than it may."""
        try:
            self.flow.receive.refuse_stream(unidirectional=unidirectional)
        except SessionViolation as violation:
            error = SessionError(violation.reason, error_code=violation.error_code)
            self.abort(violation.error_code, error, by_peer=True)

    def grant_data(self, max_data: int) -> None:
        """Let the peer send up to `max_data` bytes in all; without effect below the current limit.

        Raises:
            SessionError: the session is not open.
            ValueError: max_data is above 2**62-1.
        """
        self._check_open()
        self.credit.grant_data(max_data)

    def grant_streams(self, max_streams: int, *, unidirectional: bool) -> None:
        """Let the peer open up to `max_streams` streams in all; without effect below the current limit.

        Raises:
            SessionError: the session is not open.
        """
        self._check_open()
        self.credit.grant_streams(max_streams, unidirectional=unidirectional)

    # Datagrams.

    @property
    def max_datagram_size(self) -> int:
        """Return the largest datagram that can be sent now, in bytes; 0 when none can."""
        return max(self._datagram_room, 0)

    @property
    def _datagram_room(self) -> int:
        """As `max_datagram_size`, but negative when not even an empty datagram fits."""
        room = self.port.max_datagram_payload - varint_size(self._quarter_id)
        return min(room, self._host.max_datagram_size_configured)

    def send_datagram(self, data: bytes) -> bool:
        """Queue a datagram; False, with nothing queued, when the queue is full: `DatagramsWritable` follows.

        Raises:
            SessionError: the session is not open.
            DatagramError: it is larger than `max_datagram_size` (also a ValueError).
        """
        if self.state not in OPEN_STATES:
            self._check_open()
        sender = self.datagram_sender
        size = len(data)
        if size > sender.limit and size > self._datagram_room:
            raise datagram_too_large(size=size, max_size=self.max_datagram_size)
        if not sender.push(data):
            self._wants_datagram_room = True
            return False
        return True

    @property
    def datagrams_sent(self) -> int:
        """Return how many datagrams were handed to the transport."""
        return self.datagram_sender.sent

    @property
    def datagram_bytes_sent(self) -> int:
        """Return the bytes of those."""
        return self.datagram_sender.bytes_sent

    @property
    def datagrams_received(self) -> int:
        """Return how many datagrams of the peer arrived."""
        return self.datagrams.received

    @property
    def datagram_bytes_received(self) -> int:
        """Return the bytes of those."""
        return self.datagrams.bytes_received

    def on_datagrams(self, datagrams: list[bytes]) -> None:
        """Take datagrams of the peer; the oldest unread ones give way when too many pile up."""
        if self.datagrams.arrive(datagrams):
            event = self._datagrams_event
            if event is None:
                event = self._datagrams_event = events.DatagramsReceived(self)
            self.emit(event)

    def on_datagram_room(self) -> None:
        """Tell whoever waits that a datagram may be sent now."""
        if self._wants_datagram_room:
            self._wants_datagram_room = False
            self.emit(events.DatagramsWritable(self))

    def _check_open(self) -> None:
        if self.state not in OPEN_STATES:
            raise SessionError(f"the session is {self.state.value}", session_state=self.state)
