"""One engine on a QUIC port in memory, and a peer that a test plays by hand: bytes in, and what the engine did out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

from memory_port import MemoryPort, PortStream

from wtransport._protocol.engine import Engine
from wtransport._protocol.incoming import OwnCriticalStream, _CriticalReader
from wtransport._protocol.qpack import FieldDecoder, FieldEncoder
from wtransport._protocol.session import SessionCore
from wtransport._protocol.settings import encode_settings
from wtransport._protocol.stream import StreamCore
from wtransport._quic import port as quic
from wtransport._speedups import decode_varint, encode_capsule, encode_frame, encode_varint
from wtransport.config import ClientConfig, ServerConfig

DATA, HEADERS, SETTINGS, GOAWAY = 0x00, 0x01, 0x04, 0x07
CLOSE, DRAIN = 0x2843, 0x78AE
MAX_DATA, MAX_STREAMS_BIDI, MAX_STREAMS_UNI = 0x190B4D3D, 0x190B4D3F, 0x190B4D40
DATA_BLOCKED, STREAMS_BLOCKED_BIDI, STREAMS_BLOCKED_UNI = 0x190B4D41, 0x190B4D43, 0x190B4D44
INITIAL_MAX_DATA, INITIAL_MAX_STREAMS_UNI, INITIAL_MAX_STREAMS_BIDI = 0x2B61, 0x2B64, 0x2B65

DRAFT16 = {0x08: 1, 0x33: 1, 0x2C7CF000: 1}
"""Settings of a peer that speaks drafts 15 and 16 without flow control."""

DRAFT07 = {0x08: 1, 0x33: 1, 0xC671706A: 16}
CHROMIUM = {0x01: 65536, 0x06: 16384, 0x07: 100, 0x33: 1, 0xFFD277: 1, 0x2B603742: 1}


def with_flow_control(*, data: int = 0, bidi: int = 0, uni: int = 0) -> dict[int, int]:
    """Return settings of a draft-16 peer that limits us to these in each session."""
    limits = {INITIAL_MAX_DATA: data, INITIAL_MAX_STREAMS_UNI: uni, INITIAL_MAX_STREAMS_BIDI: bidi}
    return DRAFT16 | {identifier: limit for identifier, limit in limits.items() if limit}


class ScriptedPeer:
    """Plays the other end of one engine."""

    def __init__(
        self,
        certificate: tuple[str, str] | None = None,
        *,
        is_client: bool,
        settings: Mapping[int, int] | None = DRAFT16,
        max_streams: int = 1 << 20,
        **config: Any,
    ) -> None:
        """Make an engine of this role; with `settings` the peer's control stream opens at once.

        `certificate` is needed for a server, whose configuration wants to name one; `max_streams` is how many of each
        direction the peer's QUIC lets the engine open.
        """
        engine_config: ClientConfig | ServerConfig
        if is_client:
            engine_config = ClientConfig(**config)
        else:
            certfile, keyfile = certificate or ("", "")
            engine_config = ServerConfig(certfile=certfile, keyfile=keyfile, **config)
        self.port = MemoryPort(is_client=is_client)
        self.port.max_streams = [max_streams, max_streams]
        self.engine = Engine(config=engine_config, port=self.port, is_client=is_client)
        self.events: list[Any] = []
        self.now = 0.0
        self._next_ids = [1, 3] if is_client else [0, 2]
        self._encoder = FieldEncoder()
        self._put(quic.HandshakeStarted("h3"))
        self.control_id = self.next_id(unidirectional=True)
        if settings is not None and self.closed is None:
            self.send_settings(settings)

    # What the peer does.

    def _put(self, event: quic.QuicEvent) -> None:
        self.port.events.append(event)
        self.pump()

    def pump(self) -> None:
        """Let the engine look at what arrived, and take its events."""
        self.engine.receive_datagram(b"", None, self.now)
        while (event := self.engine.next_event()) is not None:
            self.events.append(event)

    def next_id(self, *, unidirectional: bool) -> int:
        """Return the id of the next stream of the peer."""
        stream_id = self._next_ids[unidirectional]
        self._next_ids[unidirectional] += 4
        return stream_id

    def send_settings(self, settings: Mapping[int, int]) -> None:
        self.send(self.control_id, b"\x00" + encode_frame(SETTINGS, encode_settings(settings)))

    def send_goaway(self, identifier: int) -> None:
        self.send(self.control_id, encode_frame(GOAWAY, encode_varint(identifier)))

    def _stream(self, stream_id: int) -> PortStream:
        stream = self.port.streams.get(stream_id)
        if stream is None:
            if bool(stream_id & 1) != self.port.is_client:
                raise AssertionError(f"the engine did not open stream {stream_id}")
            stream = self.port.streams[stream_id] = PortStream(can_send=not stream_id & 2, can_receive=True)
            stream.is_new = True
        return stream

    def send(self, stream_id: int, data: bytes, fin: bool = False) -> None:
        """Let stream bytes arrive."""
        self.queue(stream_id, data, fin)
        self.pump()

    def queue(self, stream_id: int, data: bytes, fin: bool = False) -> None:
        """Let stream bytes arrive in the same packet as what follows: the engine has not looked yet."""
        stream = self._stream(stream_id)
        if stream.receive_over:
            raise AssertionError(f"the peer's side of stream {stream_id} is over")
        stream.peer_sent += len(data)
        stream.receive_over = fin
        if stream.stop_code is None:
            stream.delivered += len(data)
            self.port.events.append(quic.StreamBytes(stream_id, data, fin))
        elif fin:
            self.port.events.append(quic.StreamDiscarded(stream_id, stream.peer_sent))
        stream.is_new = False
        if stream.early_stop is not None:
            self.port.events.append(stream.early_stop)
            stream.early_stop = None

    def reset(self, stream_id: int, code: int, final_size: int | None = None) -> None:
        """Let RESET_STREAM arrive; the final size is what was sent unless told otherwise."""
        self.queue_reset(stream_id, code, final_size)
        self.pump()

    def queue_reset(self, stream_id: int, code: int, final_size: int | None = None) -> None:
        """Let RESET_STREAM arrive in the same packet as what follows."""
        stream = self._stream(stream_id)
        if stream.receive_over:
            raise AssertionError(f"the peer's side of stream {stream_id} is over")
        stream.receive_over = True
        size = stream.peer_sent if final_size is None else final_size
        self.port.events.append(quic.StreamReset(stream_id, code, size))

    def stop(self, stream_id: int, code: int) -> None:
        """Let STOP_SENDING arrive; QUIC answers it with a reset."""
        self.queue_stop(stream_id, code)
        self.pump()

    def queue_stop(self, stream_id: int, code: int) -> None:
        """Let STOP_SENDING arrive in the same packet as what follows."""
        stream = self._stream(stream_id)
        stream.peer_stop = code
        if not stream.send_over:
            event = quic.StreamStopped(stream_id, code, stream.reset(code))
            if stream.is_new:
                stream.early_stop = event  # a stream begins with bytes or a reset
            else:
                self.port.events.append(event)

    def datagrams(self, *payloads: bytes) -> None:
        """Let DATAGRAM frames arrive, in one packet."""
        self._put(quic.DatagramsArrived(list(payloads)))

    def raise_streams(self, *, unidirectional: bool, limit: int) -> None:
        """Raise QUIC's limit on the engine's streams."""
        self.port.max_streams[unidirectional] = limit
        self._put(quic.StreamCreditRaised(unidirectional))

    def close(self, code: int = 0x100, reason: str = "", *, is_application: bool = True) -> None:
        """Let CONNECTION_CLOSE arrive."""
        self._put(quic.Terminated(code, reason, is_application, by_peer=True))

    def answer_ends(self, code: int = 0x10C) -> None:
        """Do what QUIC does for a peer: reset what it was asked to stop sending, as far as it was not over."""
        for stream_id, stream in list(self.port.streams.items()):
            if stream.stop_code is not None and not stream.receive_over:
                self.reset(stream_id, code)

    def wait(self, seconds: float) -> None:
        """Let time pass, serving the deadlines on the way."""
        end = self.now + seconds
        self.engine.datagrams_to_send(self.now)
        while (deadline := self.engine.next_deadline()) is not None and deadline <= end:
            self.now = max(self.now, deadline)
            self.engine.handle_timeout(self.now)
            self.pump()
            self.engine.datagrams_to_send(self.now)
        self.now = end

    # Requests, responses and capsules.

    def headers(self, fields: Iterable[tuple[bytes, bytes]]) -> bytes:
        """Return a HEADERS frame."""
        return encode_frame(HEADERS, self._encoder.encode(0, list(fields)))

    def connect_frame(self, path: str = "/", *, token: str = "webtransport-h3", **headers: str) -> bytes:
        """Return the HEADERS frame of a CONNECT; underscores in names of headers become hyphens."""
        fields = {":method": "CONNECT", ":scheme": "https", ":authority": "localhost"}
        fields |= {":path": path, ":protocol": token}
        fields.update({name.replace("_", "-"): value for name, value in headers.items()})
        return self.headers((name.encode(), value.encode()) for name, value in fields.items())

    def request(self, path: str = "/", *, fin: bool = False, **headers: str) -> int:
        """Client: send a CONNECT, return its stream's id."""
        stream_id = self.next_id(unidirectional=False)
        self.send(stream_id, self.connect_frame(path, **headers), fin)
        return stream_id

    def response(self, status: int = 200, **headers: str) -> bytes:
        """Return the HEADERS frame of a response."""
        fields = {":status": str(status)} | {name.replace("_", "-"): value for name, value in headers.items()}
        return self.headers((name.encode(), value.encode()) for name, value in fields.items())

    def send_capsule(self, session_id: int, capsule_type: int, value: bytes = b"", fin: bool = False) -> None:
        self.send(session_id, encode_frame(DATA, encode_capsule(capsule_type, value)), fin)

    def send_limit(self, session_id: int, capsule_type: int, limit: int) -> None:
        self.send_capsule(session_id, capsule_type, encode_varint(limit))

    def send_close(self, session_id: int, code: int = 0, reason: bytes = b"", fin: bool = True) -> None:
        self.send_capsule(session_id, CLOSE, code.to_bytes(4, "big") + reason, fin)

    # Sessions and streams.

    def open_session(self, **kwargs: Any) -> SessionCore:
        """Open a session with the engine, whichever its role, and return its end of it."""
        if self.port.is_client:
            session = self.engine.open_session(authority="localhost", path="/", headers={}, **kwargs)
            self.send(session.stream_id, self.response())
        else:
            self.request(**kwargs)
            session = self.take_event("SessionRequested").session
            session.accept()
        self.pump()
        return session

    def open_stream(self, session_id: int, data: bytes = b"", *, unidirectional: bool, fin: bool = False) -> int:
        """Open a stream of the peer in a session, return its id."""
        stream_id = self.next_id(unidirectional=unidirectional)
        self.send(stream_id, stream_header(session_id, unidirectional=unidirectional) + data, fin)
        return stream_id

    def stream(self, stream_id: int) -> StreamCore:
        """Return the engine's end of a stream."""
        return self.engine.streams[stream_id]

    # What the engine did.

    def names(self) -> list[str]:
        """Return the names of the events so far, without `ConnectionReady`, and forget them."""
        names = [type(event).__name__ for event in self.events]
        self.events.clear()
        return [name for name in names if name != "ConnectionReady"]

    def take_event(self, name: str) -> Any:
        """Return the first event of a kind, and forget it; fails when there is none."""
        for index, event in enumerate(self.events):
            if type(event).__name__ == name:
                return self.events.pop(index)
        raise AssertionError(f"no {name} among {[type(event).__name__ for event in self.events]}")

    def sent(self, stream_id: int) -> bytes:
        """Return the bytes that the engine sent on a stream."""
        return bytes(self.port.streams[stream_id].sent)

    def frames(self, stream_id: int) -> list[tuple[int, bytes]]:
        """Return the HTTP/3 frames that the engine sent on a request stream."""
        return _whole(self.sent(stream_id))

    def status(self, stream_id: int) -> int:
        """Return the status of the response that the engine sent."""
        return int(dict(self.fields(stream_id))[b":status"])

    def fields(self, stream_id: int) -> list[tuple[bytes, bytes]]:
        """Return the field section that the engine sent first on a request stream."""
        frame_type, payload = self.frames(stream_id)[0]
        if frame_type != HEADERS:
            raise AssertionError(f"frame {frame_type:#x} is no HEADERS")
        return FieldDecoder().decode(stream_id, payload)

    def capsules(self, stream_id: int) -> list[tuple[int, bytes]]:
        """Return the capsules that the engine sent on a CONNECT stream."""
        return _whole(b"".join(payload for frame_type, payload in self.frames(stream_id) if frame_type == DATA))

    def limits(self, stream_id: int, capsule_type: int) -> list[int]:
        """Return the numbers in the capsules of one type that the engine sent."""
        return [_number(value) for kind, value in self.capsules(stream_id) if kind == capsule_type]

    def control_frames(self) -> list[tuple[int, bytes]]:
        """Return the frames on the engine's control stream."""
        data = self.sent(2 if self.port.is_client else 3)
        if data[0] != 0:
            raise AssertionError("no control stream")
        return _whole(data[1:])

    @property
    def closed(self) -> int | None:
        """Return the code that the engine closed the connection with, or None."""
        return self.port.closes[0][0] if self.port.closes else None

    def ends(self, stream_id: int) -> tuple[int | None, int | None]:
        """Return the codes that the engine reset and stopped a stream with; None where it did not."""
        stream = self.port.streams[stream_id]
        return (None if stream.reset_code == stream.peer_stop else stream.reset_code), stream.stop_code

    def aborted(self) -> dict[int, tuple[int | None, int | None]]:
        """Return `ends` of every stream that the engine reset or stopped."""
        ends = {stream_id: self.ends(stream_id) for stream_id in self.port.streams}
        return {stream_id: codes for stream_id, codes in ends.items() if codes != (None, None)}

    def has_fin(self, stream_id: int) -> bool:
        """Tell whether the engine ended its side of a stream."""
        return self.port.streams[stream_id].fin

    @property
    def datagrams_sent(self) -> list[bytes]:
        """Return the payloads of the DATAGRAM frames that the engine sent."""
        return self.port.datagrams

    def assert_nothing_left(self, *, has_credit: bool = True) -> None:
        """Fail unless the engine has forgotten every session and stream, and given back all credit.

        A connection that is over has no credit to be given back.
        """
        engine = self.engine
        readers = engine._router.readers.items()
        left = {
            "sessions": engine.sessions,
            "streams": engine.streams,
            "readers": {stream_id: reader for stream_id, reader in readers if not _is_critical(reader)},
            "connects": engine._router.connects,
            "early": engine._early.waiting,
        }
        if any(left.values()) or engine._early._total or (has_credit and self.port.held_credit):
            raise AssertionError(f"left: {left}, early {engine._early._total}, credit {self.port.held_credit}")


def stream_header(session_id: int, *, unidirectional: bool) -> bytes:
    """Return what a data stream begins with (draft-16, 4.2 and 4.3)."""
    return encode_varint(0x54 if unidirectional else 0x41) + encode_varint(session_id)


def our_stream(peer: ScriptedPeer, *, unidirectional: bool = False) -> StreamCore:
    """Open a stream of the engine's in session 0."""
    stream = peer.engine.sessions[0].open_stream(unidirectional=unidirectional)
    assert stream is not None
    return stream


def body(peer: ScriptedPeer, stream: StreamCore) -> bytes:
    """Return what the engine sent on a stream, without the header."""
    sent = peer.sent(stream.stream_id)
    if not stream.is_local:
        return sent
    header = stream_header(stream.session.stream_id, unidirectional=stream.is_unidirectional)
    assert sent.startswith(header)
    return sent.removeprefix(header)


def datagram(session_id: int, payload: bytes) -> bytes:
    """Return the payload of a DATAGRAM frame (RFC 9297, 2.1)."""
    return encode_varint(session_id >> 2) + payload


def _is_critical(reader: Any) -> bool:
    """Tell whether a stream has to stay open as long as the connection."""
    return isinstance(reader, (OwnCriticalStream, _CriticalReader))


def _number(value: bytes) -> int:
    decoded = decode_varint(value)
    if decoded is None or decoded[1] != len(value):
        raise AssertionError(f"{value.hex()} is not one number")
    return decoded[0]


def _whole(data: bytes) -> list[tuple[int, bytes]]:
    """Read frames or capsules, which are laid out alike, and fail unless they end where the bytes do."""
    items: list[tuple[int, bytes]] = []
    position = 0
    while position < len(data):
        kind = decode_varint(data, position)
        length = None if kind is None else decode_varint(data, kind[1])
        if kind is None or length is None or length[1] + length[0] > len(data):
            raise AssertionError(f"cut off: {data[position:].hex()}")
        position = length[1] + length[0]
        items.append((kind[0], data[length[1] : position]))
    return items


__all__ = ["MakePeer", "ScriptedPeer", "body", "datagram", "our_stream", "stream_header", "with_flow_control"]

MakePeer: TypeAlias = Callable[..., ScriptedPeer]
"""What the fixtures of tests/unit/protocol give: makes an engine with options of its configuration, and its peer."""
