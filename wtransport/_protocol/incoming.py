"""Streams that the peer opened and what they turn out to be (RFC 9114, section 6.2; draft-16, sections 4.2 and 4.3)."""

from __future__ import annotations

from .._speedups import StreamBytes, decode_stream_header
from ..constants import (
    H3_FRAME_TYPE_HEADERS,
    H3_FRAME_TYPE_WEBTRANSPORT_STREAM,
    H3_STREAM_TYPE_CONTROL,
    H3_STREAM_TYPE_PUSH,
    H3_STREAM_TYPE_QPACK_DECODER,
    H3_STREAM_TYPE_QPACK_ENCODER,
    H3_STREAM_TYPE_WEBTRANSPORT,
    ErrorCodes,
)
from .control import ControlReader, GoawayRead, SettingsRead, read_opening
from .host import EngineHost
from .qpack import FieldDecoder, FieldEncoder
from .readers import DiscardingReader, StreamReader
from .requests import RequestReader
from .violations import ConnectionViolation

__all__ = [
    "CriticalStreamTypes",
    "IncomingBidiReader",
    "IncomingUniReader",
    "OwnCriticalStream",
    "begin_stream",
    "new_stream_reader",
]


class OwnCriticalStream(StreamReader):
    """Our control stream: the peer may not stop it (RFC 9114, 6.2.1)."""

    __slots__ = ()

    def on_stopped(self, wire_code: int, unsent: int) -> None:
        """Refuse."""
        raise ConnectionViolation(ErrorCodes.H3_CLOSED_CRITICAL_STREAM, "the peer stopped our control stream")


class _CriticalReader(StreamReader):
    """A stream of the peer that must stay open as long as the connection (RFC 9114, 6.2.1; RFC 9204, 4.2)."""

    __slots__ = ("_host", "_stream_id")

    def __init__(self, host: EngineHost, stream_id: int) -> None:
        self._host = host
        self._stream_id = stream_id

    def on_data(self, data: bytes, end_stream: bool) -> None:
        if data:
            self._host.port.consume(self._stream_id, len(data))
            self._read(data)
        if end_stream:
            raise _closed_critical_stream()

    def on_reset(self, wire_code: int, final_size: int) -> None:
        raise _closed_critical_stream()

    def _read(self, data: bytes) -> None:
        raise NotImplementedError


class _PeerControlReader(_CriticalReader):
    """The peer's control stream."""

    __slots__ = ("_control",)

    def __init__(self, host: EngineHost, stream_id: int) -> None:
        super().__init__(host, stream_id)
        self._control: ControlReader | None = None  # most streams end with their first bytes, see `begin_stream`

    def _read(self, data: bytes) -> None:
        control = self._control
        if control is None:
            host = self._host
            control = self._control = ControlReader(is_client=host.is_client, settings_read=host.has_settings)
        for item in control.feed(data):
            match item:
                case SettingsRead(settings):
                    self._host.on_settings(settings)
                case GoawayRead(identifier):
                    self._host.on_goaway(identifier)
        if control.idle_frames:
            self._host.idle_actions.note(control.idle_frames)
            control.idle_frames = 0


class _QpackReader(_CriticalReader):
    """One of the peer's QPACK streams; without a dynamic table there is little it may say."""

    __slots__ = ("_feed",)

    def __init__(self, host: EngineHost, stream_id: int, coder: FieldDecoder | FieldEncoder) -> None:
        super().__init__(host, stream_id)
        self._feed = coder.feed_encoder_stream if isinstance(coder, FieldDecoder) else coder.feed_decoder_stream

    def _read(self, data: bytes) -> None:
        self._feed(data)


class CriticalStreamTypes:
    """Makes the readers of the peer's critical streams, each of which exists once."""

    def __init__(self, host: EngineHost, decoder: FieldDecoder, encoder: FieldEncoder) -> None:
        """The coders take what the QPACK streams say."""
        self._host = host
        self._coders: dict[int, FieldDecoder | FieldEncoder] = {
            H3_STREAM_TYPE_QPACK_ENCODER: decoder,
            H3_STREAM_TYPE_QPACK_DECODER: encoder,
        }
        self._seen: set[int] = set()

    def reader_for(self, stream_type: int, stream_id: int) -> StreamReader | None:
        """Return the reader of a critical stream, or None for a type that is not critical.

        Raises:
            ConnectionViolation: there is a stream of this type already.
        """
        if stream_type != H3_STREAM_TYPE_CONTROL and stream_type not in self._coders:
            return None
        if stream_type in self._seen:
            raise ConnectionViolation(
                ErrorCodes.H3_STREAM_CREATION_ERROR, f"second unidirectional stream of type {stream_type:#x}"
            )
        self._seen.add(stream_type)
        if stream_type == H3_STREAM_TYPE_CONTROL:
            return _PeerControlReader(self._host, stream_id)
        return _QpackReader(self._host, stream_id, self._coders[stream_type])


class _HeaderReader(StreamReader):
    """A stream whose header is not complete; keeps at most a header's bytes."""

    __slots__ = ("_head", "_host", "_stop_code", "_stream_id")

    _signal: int

    def __init__(self, host: EngineHost, stream_id: int) -> None:
        self._host = host
        self._stream_id = stream_id
        self._head = b""
        self._stop_code: int | None = None

    def on_data(self, data: bytes, end_stream: bool) -> None:
        head = self._head + data if self._head else data
        header = decode_stream_header(head, self._signal)
        if header is None:
            self._head = head
            if end_stream:
                self._ended_early(len(head))
            return
        stream_type, session_id, size = header
        if stream_type == self._signal:
            if session_id & 3:
                # Only a client's bidirectional stream can hold a CONNECT (draft-16, section 4).
                raise ConnectionViolation(ErrorCodes.H3_ID_ERROR, f"{session_id} is no session id")
            reader = self._host.route_data_stream(self._stream_id, session_id, size)
            self._host.port.consume(self._stream_id, size)
            rest = head[size:]
        else:
            reader, rest = self._other(stream_type, head, size)
            self._host.read_stream(self._stream_id, reader)
        if rest or end_stream:
            reader.on_data(rest, end_stream)
        if self._stop_code is not None:
            reader.on_stopped(self._stop_code, 0)

    def on_stopped(self, wire_code: int, unsent: int) -> None:
        """Keep the wish for whoever reads on."""
        self._stop_code = wire_code

    def on_reset(self, wire_code: int, final_size: int) -> None:
        self._ended_early(len(self._head))
        self._host.idle_actions.note_abort()

    def _ended_early(self, nbytes: int) -> None:
        """Drop a stream that ended inside its header: it belongs to nobody."""
        self._host.port.consume(self._stream_id, nbytes)
        self._host.traffic.streams_unclaimed += 1
        self._host.forget_stream(self._stream_id)
        if not self._stream_id & 2:
            self._host.port.reset_stream(self._stream_id, ErrorCodes.H3_REQUEST_INCOMPLETE)

    def _other(self, stream_type: int, head: bytes, size: int) -> tuple[StreamReader, bytes]:
        raise NotImplementedError


class IncomingUniReader(_HeaderReader):
    """A unidirectional stream of the peer before its type is known."""

    __slots__ = ("_critical",)

    _signal = H3_STREAM_TYPE_WEBTRANSPORT

    def __init__(self, host: EngineHost, stream_id: int, critical: CriticalStreamTypes) -> None:
        """`critical` knows the connection's control and QPACK streams."""
        super().__init__(host, stream_id)
        self._critical = critical

    def _other(self, stream_type: int, head: bytes, size: int) -> tuple[StreamReader, bytes]:
        host, stream_id = self._host, self._stream_id
        reader = self._critical.reader_for(stream_type, stream_id)
        if reader is not None:
            host.port.consume(stream_id, size)
            return reader, head[size:]
        if stream_type == H3_STREAM_TYPE_PUSH:
            if host.is_client:
                raise ConnectionViolation(ErrorCodes.H3_ID_ERROR, "push stream, but push was never allowed")
            raise ConnectionViolation(ErrorCodes.H3_STREAM_CREATION_ERROR, "push stream of a client")
        # RFC 9114, 6.2.3: an unknown type is no error; nobody here will read it.
        host.port.stop_stream(stream_id, ErrorCodes.H3_STREAM_CREATION_ERROR)
        host.idle_actions.note()
        return DiscardingReader(host, stream_id), head


class IncomingBidiReader(_HeaderReader):
    """A bidirectional stream of the peer before it is known to be a data stream or a request."""

    __slots__ = ()

    _signal = H3_FRAME_TYPE_WEBTRANSPORT_STREAM

    @property
    def is_beginning(self) -> bool:
        """Tell that it is."""
        return True

    def give_up(self) -> None:
        """Reset and stop the stream: it belongs to nobody."""
        self._host.port.consume(self._stream_id, len(self._head))
        self._host.traffic.streams_unclaimed += 1
        self._host.discard_stream(self._stream_id, ErrorCodes.H3_REQUEST_INCOMPLETE, has_ended=False)

    def _other(self, stream_type: int, head: bytes, size: int) -> tuple[StreamReader, bytes]:
        if self._host.is_client:
            raise ConnectionViolation(
                ErrorCodes.H3_STREAM_CREATION_ERROR, "bidirectional stream of a server that is no data stream"
            )
        return RequestReader(self._host, self._stream_id), head


def begin_stream(host: EngineHost, event: StreamBytes, critical: CriticalStreamTypes) -> bool:
    """Read the first bytes of a stream at once if they are what nearly all of its kind begin with.

    That is the control stream with the whole SETTINGS, and a request. False, and nothing has happened, otherwise.
    """
    stream_id, data = event.stream_id, event.data
    if bool(stream_id & 1) != host.is_client or not data:
        return False
    if stream_id & 2:
        settings = read_opening(data, is_client=host.is_client)
        if settings is None:
            return False
        reader = critical.reader_for(H3_STREAM_TYPE_CONTROL, stream_id)
        if reader is None:
            return False
        host.read_stream(stream_id, reader)
        host.port.consume(stream_id, len(data))
        host.on_settings(settings)
        if event.end_stream:
            raise _closed_critical_stream()
        return True
    if host.is_client or data[0] != H3_FRAME_TYPE_HEADERS:
        return False
    request = RequestReader(host, stream_id)
    host.read_stream(stream_id, request)
    request.on_data(data, event.end_stream)
    return True


def new_stream_reader(host: EngineHost, stream_id: int, critical: CriticalStreamTypes) -> StreamReader | None:
    """Return the reader of a stream that the peer just opened; None for one of ours that is over."""
    if bool(stream_id & 1) != host.is_client:
        return None
    if stream_id & 2:
        return IncomingUniReader(host, stream_id, critical)
    return IncomingBidiReader(host, stream_id)


def _closed_critical_stream() -> ConnectionViolation:
    return ConnectionViolation(ErrorCodes.H3_CLOSED_CRITICAL_STREAM, "the peer closed a critical stream")
