"""The two ends of a CONNECT stream: the request on a server, the response on a client (draft-16, section 3.2)."""

from __future__ import annotations

from typing import Final

from .._members import SESSION_CLOSED, SESSION_CONNECTING
from ..constants import WT_AVAILABLE_PROTOCOLS_HEADER, WT_PROTOCOL_HEADER, ErrorCodes
from ..exceptions import SessionError
from . import fields, handshake, limits, subprotocols
from .events import SessionRejected
from .handshake import ResponseOutcome
from .host import EngineHost
from .messages import DataRead, HeadersRead, MessageEnded, MessageItem, MessageReader
from .readers import StreamReader
from .session import SessionCore
from .violations import ProtocolViolation, StreamViolation

__all__ = ["ConnectReader", "RequestReader", "ResponseReader"]

_POLITE_CODES: Final = (ErrorCodes.H3_NO_ERROR, ErrorCodes.WT_SESSION_GONE)
"""With these a peer asks to stop sending that has said all, or says it on the other direction (RFC 9114, 4.1;
draft-16, section 6). QUIC keeps no order between the two."""


class ConnectReader(StreamReader):
    """What both ends have in common: frames in, capsules to the session, abnormal ends."""

    __slots__ = ("_has_ended", "_host", "_idle_at_close", "_message", "session", "stream_id")

    def __init__(self, host: EngineHost, stream_id: int) -> None:
        """Begin before the first frame."""
        self._host = host
        self._message = MessageReader(is_client=host.is_client)
        self._has_ended = False
        self._idle_at_close: int | None = None  # frames before WT_CLOSE_SESSION that brought nothing
        self.stream_id = stream_id
        self.session: SessionCore | None = None

    def on_data(self, data: bytes, end_stream: bool) -> None:
        """Take bytes of the stream; none are kept for flow control, so their credit is given back at once."""
        if data:
            self._host.port.consume(self.stream_id, len(data))
        self._has_ended |= end_stream
        if data and self.session is not None and self.session.has_read_close:
            raise _data_after_close()
        self._read(data, end_stream)

    def _read(self, data: bytes, end_stream: bool) -> None:
        message = self._message
        if data and self._read_whole(message, data):
            if not end_stream:
                return
            data = b""
        if data:
            for item in message.feed(data, False):
                self._on_item(item)
        if end_stream and message.end() and self.session is not None:
            self.session.on_fin()
        if self._idle_at_close is not None and message.idle_frames > self._idle_at_close:
            raise _data_after_close()
        if message.idle_frames:
            self._host.idle_actions.note(message.idle_frames)
            message.idle_frames = 0
        if end_stream:
            self._host.forget_stream(self.stream_id)

    def _read_whole(self, message: MessageReader, data: bytes) -> bool:
        """Read what is one frame that needs no assembling; False, and nothing has happened, when it is not."""
        payload = message.whole_headers(data)
        if payload is not None:
            self._on_headers(self._host.decoder.decode(self.stream_id, payload))
            return True
        payload = message.whole_data(data)
        if payload is not None:
            self._on_content(payload)
            return True
        return False

    def _on_content(self, data: bytes) -> None:
        session = self.session
        if session is not None:
            session.on_capsule_bytes(data)
            if self._idle_at_close is None and session.has_read_close:
                self._idle_at_close = self._message.idle_frames

    def _on_item(self, item: MessageItem) -> None:
        match item:
            case HeadersRead(payload, is_trailers):
                section = self._host.decoder.decode(self.stream_id, payload)
                if is_trailers:
                    fields.parse_trailers(section)
                else:
                    self._on_headers(section)
            case DataRead(data):
                self._on_content(data)
            case MessageEnded():
                if self.session is not None:
                    self.session.on_fin()

    def _on_headers(self, section: list[tuple[bytes, bytes]]) -> None:
        raise NotImplementedError

    def _expect_content(self, headers: dict[str, str]) -> None:
        length = fields.content_length(headers)
        if length is not None:
            self._message.expect_content(length)

    def tunnel(self) -> None:
        """Note that the CONNECT succeeded: only DATA may follow (RFC 9114, 4.4)."""
        self._message.tunnel()

    def on_reset(self, wire_code: int, final_size: int) -> None:
        """Take the peer's reset."""
        self._host.forget_stream(self.stream_id)
        self.end_abnormally(wire_code)

    def on_discarded(self, final_size: int) -> None:
        """Take the end of a stream that we stopped reading."""
        self._host.forget_stream(self.stream_id)

    def on_stopped(self, wire_code: int, unsent: int) -> None:
        """Take the peer's STOP_SENDING: an abnormal end, unless it goes with a CLOSE, which it may have overtaken."""
        if wire_code in _POLITE_CODES and self.session is not None and self.session.is_open:
            self._host.await_end(self.stream_id, wire_code)
        else:
            self.end_abnormally(wire_code)

    def end_abnormally(self, wire_code: int) -> None:
        """End the session, if there is one, without a CLOSE."""
        if self.session is not None:
            self.session.on_connect_reset(wire_code)

    def refuses_datagram(self) -> bool:
        """Take a datagram that is for no session; True when the request can have none, which ends the stream."""
        return False

    def fail(self, violation: ProtocolViolation) -> None:
        """Reset the stream for a violation of the peer's; ends the session, if there is one."""
        code = violation.error_code
        self._host.discard_stream(self.stream_id, code, has_ended=self._has_ended)
        if self.session is not None:
            self.session.abort(code, SessionError(violation.reason, error_code=code), by_peer=True)


class RequestReader(ConnectReader):
    """The server's end."""

    __slots__ = ("_held", "_held_fin", "_is_decided", "_takes_datagrams")

    def __init__(self, host: EngineHost, stream_id: int) -> None:
        """Begin before the request."""
        super().__init__(host, stream_id)
        self._held = bytearray()
        self._held_fin = False
        self._is_decided = False
        self._takes_datagrams = True

    @property
    def is_beginning(self) -> bool:
        """Tell whether the request is not complete, or waits for the client's SETTINGS."""
        return not self._is_decided

    def give_up(self) -> None:
        """Reset and stop the request."""
        self.fail(StreamViolation(ErrorCodes.H3_REQUEST_INCOMPLETE, "the request takes too long"))

    def _read(self, data: bytes, end_stream: bool) -> None:
        if self._host.has_settings:
            super()._read(data, end_stream)
            return
        # "The server MUST NOT process any incoming WebTransport requests until the client's SETTINGS" (draft-16, 3.1).
        self._held += data
        self._held_fin |= end_stream
        if len(self._held) > limits.MAX_EARLY_CAPSULE_BYTES:
            raise StreamViolation(ErrorCodes.H3_EXCESSIVE_LOAD, "too much before SETTINGS")

    def on_reset(self, wire_code: int, final_size: int) -> None:
        """Take the client's reset; one that comes before the answer made work for nothing."""
        is_answered = self.session is not None and self.session.state is not SESSION_CONNECTING
        super().on_reset(wire_code, final_size)
        if not is_answered:
            self._host.idle_actions.note()

    def on_stopped(self, wire_code: int, unsent: int) -> None:
        """Take the client's STOP_SENDING; an answer to come would reach nobody."""
        if self.session is None:
            self._host.discard_stream(self.stream_id, ErrorCodes.H3_REQUEST_CANCELLED, has_ended=self._has_ended)
        else:
            super().on_stopped(wire_code, unsent)

    def release(self) -> None:
        """Read what was held until SETTINGS arrived."""
        held, self._held = bytes(self._held), bytearray()
        if held or self._held_fin:
            super()._read(held, self._held_fin)

    def _on_headers(self, section: list[tuple[bytes, bytes]]) -> None:
        host = self._host
        request = fields.read_request(section)
        self._takes_datagrams = isinstance(request, fields.ConnectRequest)
        if not self._takes_datagrams and host.has_early_datagrams(self.stream_id):
            raise _no_datagrams()
        self._expect_content(request.headers)
        profile = host.profile
        if profile is None:
            if isinstance(request, fields.ConnectRequest):
                # The client lacks what the draft requires: "malformed" (draft-16, 3.1).
                raise StreamViolation(ErrorCodes.H3_MESSAGE_ERROR, "the client's settings do not allow sessions")
            self._is_decided = True
            host.refuse_request(self.stream_id, 404)
            return
        self._is_decided = True
        status = handshake.check_request(request, profile=profile, strict=host.is_strict)
        if status is not None or not isinstance(request, fields.ConnectRequest):
            host.refuse_request(self.stream_id, status or 404)
            return
        if host.is_request_refused(self.stream_id):
            return
        self.session = SessionCore(
            host,
            self.stream_id,
            authority=request.authority,
            path=request.path,
            headers=request.headers,
            available_protocols=subprotocols.parse_protocols(
                request.headers.get(WT_AVAILABLE_PROTOCOLS_HEADER), accepts_tokens=profile.accepts_protocol_tokens
            ),
        )
        host.session_requested(self.session)

    def refuses_datagram(self) -> bool:
        """Take a datagram that is for no session; True when the request can have none, which ends the stream."""
        if not self._takes_datagrams:
            self.fail(_no_datagrams())
        return not self._takes_datagrams

    def fail(self, violation: ProtocolViolation) -> None:
        """Reset the stream; before the request was read that is a refusal as well."""
        if not self._is_decided:
            self._is_decided = True
            self._host.traffic.sessions_rejected += 1
        super().fail(violation)


class ResponseReader(ConnectReader):
    """The client's end."""

    __slots__ = ("_is_answered", "_stop_code")

    def __init__(self, host: EngineHost, session: SessionCore) -> None:
        """Begin before the response."""
        super().__init__(host, session.stream_id)
        self.session = session
        self._is_answered = False
        self._stop_code: int | None = None

    def _on_headers(self, section: list[tuple[bytes, bytes]]) -> None:
        session, profile = self.session, self._host.profile
        if session is None or profile is None or session.state is SESSION_CLOSED:
            return
        status, headers = fields.read_response(section)
        outcome = handshake.accept_response(status, headers)
        if outcome is ResponseOutcome.INTERIM:
            self._message.interim()
            return
        self._is_answered = True
        self._expect_content(headers)
        if outcome is ResponseOutcome.REJECTED:
            self._reject(session, status, headers)
            return
        protocol = subprotocols.negotiated_protocol(
            headers.get(WT_PROTOCOL_HEADER), offered=session.available_protocols, profile=profile
        )
        self._message.tunnel()
        session.on_accepted(status, headers, protocol)
        if self._stop_code is not None:
            self.on_stopped(self._stop_code, 0)

    def _reject(self, session: SessionCore, status: int, headers: dict[str, str]) -> None:
        session.response_status = status
        session.response_headers = headers
        self.session = None
        self._host.port.send_stream(self.stream_id, b"", True)
        self._host.emit(SessionRejected(session, status, f"the server answered with status {status}"))
        session.on_rejected(f"rejected with status {status}")

    def on_stopped(self, wire_code: int, unsent: int) -> None:
        """Take the server's STOP_SENDING, which must not hide an answer that follows (RFC 9114, 4.1)."""
        if self._is_answered or wire_code not in _POLITE_CODES:
            super().on_stopped(wire_code, unsent)
        else:
            self._stop_code = wire_code

    def end_abnormally(self, wire_code: int) -> None:
        """End the session, or the hope for one, without a CLOSE."""
        session = self.session
        if session is not None and not self._is_answered:
            self.session = None
            self._host.emit(SessionRejected(session, None, f"the server reset the request with code {wire_code:#x}"))
        if session is not None:
            session.on_connect_reset(wire_code)

    def fail(self, violation: ProtocolViolation) -> None:
        """Reset the stream; a violation before or in the answer means that the session never opened."""
        session = self.session
        if session is not None and session.response_status is None:
            self._host.emit(SessionRejected(session, None, violation.reason))
        super().fail(violation)


def _data_after_close() -> StreamViolation:
    # "If any additional stream data is received", which need not be capsules (draft-16, section 6).
    return StreamViolation(ErrorCodes.H3_MESSAGE_ERROR, "data after WT_CLOSE_SESSION")


def _no_datagrams() -> StreamViolation:
    # Only methods that say what datagrams mean may have them (RFC 9297, section 2); GET and its like do not.
    return StreamViolation(ErrorCodes.H3_DATAGRAM_ERROR, "datagram for a request that can have none")
