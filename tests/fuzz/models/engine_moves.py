"""What the two sides of an engine may do, each move chosen by bytes; books are kept on what must come of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from fuzzing.byte_source import ByteSource
from fuzzing.certificates import certificate
from fuzzing.outcomes import Trace, check, outcome
from models.engine_pieces import DRAFT14, PIECES, data_frame
from scripted_peer import (
    CHROMIUM,
    DRAFT07,
    DRAFT16,
    MAX_DATA,
    MAX_STREAMS_BIDI,
    MAX_STREAMS_UNI,
    ScriptedPeer,
    datagram,
    stream_header,
    with_flow_control,
)

from wtransport._protocol import limits
from wtransport._protocol.error_codes import to_wire
from wtransport._speedups import encode_capsule
from wtransport.exceptions import DatagramError, SessionError, StreamError
from wtransport.types import SessionState

__all__ = ["Moves"]

DOCUMENTED = (SessionError, StreamError, DatagramError, ValueError)

_CONTENT = bytes(range(251)) * 40
_WIRE_CODES = [0x100, 0x10C, 0x10F, to_wire(0), to_wire(7), to_wire(0xFFFFFFFF), 0x170D7B68, 0x3994BD84, 2**62 - 1, 0]
_CODES = [0, 7, 30, 0xFFFFFFFF, 2**32, -1]
_CONFIGS: list[dict[str, Any]] = [
    {},
    {"initial_max_data": 300, "initial_max_streams_bidi": 3, "initial_max_streams_uni": 2},
    {"max_pending_events_per_session": 2, "max_total_pending_events": 3, "pending_event_ttl": 0.5},
    {"initial_max_data": 120, "flow_control_window_auto_scale": False, "strict": True},
]


class _Stream:
    """Books on one data stream: what the peer sent as its body, and how much of it was read."""

    def __init__(self, core: Any) -> None:
        self.core = core
        self.read = 0
        self.written = 0
        self.has_finished = False


class Moves:
    """An engine, its peer, and all moves of both; a move takes its choices from the source."""

    NAMES: ClassVar[tuple[str, ...]] = (
        *("ask", "answer", "open_here", "open_there", "write", "read", "arrive", "abort_here", "abort_there"),
        *("stop_there", "let_go", "datagrams", "limits_there", "limits_here", "end_session", "wait", "raw", "capsule"),
        *("settings", "goaway", "shut_down", "close_here", "close_there", "raise_streams", "bad_datagram", "odd_calls"),
    )
    SESSION_ENDS: ClassVar[int] = 9
    SETTINGS: ClassVar[list[Any]] = [
        DRAFT16,
        DRAFT07,
        CHROMIUM,
        DRAFT14,
        with_flow_control(data=50, bidi=2, uni=2),
        with_flow_control(data=1 << 20, bidi=9, uni=9),
        {},
        {0x33: 1, 0x2C7CF000: 7},
        None,
    ]

    def __init__(self, source: ByteSource) -> None:
        self.source = source
        self.trace: Trace = []
        is_client = source.flag()
        settings = source.pick(self.SETTINGS)
        self.config = source.pick(_CONFIGS)
        self.peer = ScriptedPeer(
            certificate(),
            is_client=is_client,
            settings=settings,
            max_streams=12,
            **self.config,
        )
        self.sessions: dict[int, Any] = {}
        self.streams: dict[int, _Stream] = {}
        self.bodies: dict[int, bytearray] = {}  # what the peer sent after the header of its well-formed streams
        self.ended: set[int] = set()
        self.is_over = False
        self.collect()

    # What there is.

    def some(self, things: dict[int, Any]) -> Any:
        return self.source.pick([*things.values()]) if things else None

    def some_open_id(self) -> int | None:
        """Return a stream that the peer can still send on, or a new one."""
        peer, choice = self.peer, self.source.byte()
        known = [stream_id for stream_id, stream in peer.port.streams.items() if not stream.receive_over]
        if known and choice % 4:
            return known[choice // 4 % len(known)]
        return peer.next_id(unidirectional=bool(choice & 4))

    def can_be_sent_on(self, stream_id: int) -> bool:
        stream = self.peer.port.streams.get(stream_id)
        return stream is not None and not stream.receive_over

    def do(self, call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Run a command of the program; return its result, or None."""
        result = outcome(call, *args, documented=DOCUMENTED, **kwargs)
        self.trace.append(
            (getattr(call, "__name__", "call"), result[0], *(result[1:] if result[0] == "raised" else ()))
        )
        return result[2] if result[0] == "returned" else None

    # Sessions.

    def ask(self) -> None:
        peer, offers = self.peer, self.source.pick([(), (), ("chat", "moq"), ("a b", '"')])
        if peer.port.is_client:
            headers = self.source.pick([{}, {"origin": "https://x"}, {"X": "1"}, {":bad": "1"}])
            session = self.do(
                peer.engine.open_session, authority="localhost", path="/", headers=headers, protocols=list(offers)
            )
            if session is not None:
                self.sessions[session.stream_id] = session
        else:
            token = self.source.pick(["webtransport-h3", "webtransport", "websocket"])
            more = self.source.pick([{}, {"wt_available_protocols": '"chat"'}, {"content_length": "0"}, {"Bad": "1"}])
            peer.request("/", fin=self.source.byte() % 16 == 15, token=token, **more)

    def answer(self) -> None:
        session, choice, more = self.some(self.sessions), self.source.byte(), self.source.byte()
        if session is None:
            return
        if not self.peer.port.is_client:
            if choice % 4 == 3:
                self.do(session.reject, [403, 404, 300, 599, 200, 99][more % 6])
            else:
                self.do(session.accept, {"x": "1"} if more & 1 else None, "chat" if more & 2 else None)
        elif self.can_be_sent_on(session.stream_id):
            status = [200, 200, 200, 200, 404, 100, 204, 301, 600][choice % 9]
            headers = {"wt_protocol": '"chat"'} if more & 1 else {}
            self.peer.send(session.stream_id, self.peer.response(status, **headers), fin=bool(more & 2))

    def end_session(self) -> None:
        session, kind = self.some(self.sessions), self.source.byte() % self.SESSION_ENDS
        code, reason = self.source.pick(_CODES), self.source.blob(40)
        if session is None:
            return
        stream_id = session.stream_id
        can_send = self.can_be_sent_on(stream_id)
        match kind:
            case 0:
                self.do(session.close, code, reason.decode("utf-8", "surrogateescape"))
            case 1:
                self.do(session.drain)
            case 2 if can_send:
                self.peer.send_close(stream_id, code & 0xFFFFFFFF, reason, fin=bool(reason))
            case 3 if can_send:
                self.peer.send(stream_id, b"", fin=True)
            case 4 if can_send:
                self.peer.reset(stream_id, self.source.pick(_WIRE_CODES))
            case 5:
                self.peer.stop(stream_id, self.source.pick(_WIRE_CODES))
            case 6 if can_send:
                self.peer.queue(stream_id, data_frame(encode_capsule(0x78AE, b"")))
                self.do(session.close, 1)
            case 7 if can_send:
                self.peer.queue_stop(stream_id, 0x100)
                self.peer.send_close(stream_id, 3)
            case _:
                self.do(session.close)

    # Streams.

    def open_here(self) -> None:
        session, one_way = self.some(self.sessions), self.source.flag()
        if session is not None:
            core = self.do(session.open_stream, unidirectional=one_way)
            if core is not None:
                self.streams[core.stream_id] = _Stream(core)
                self.bodies[core.stream_id] = bytearray()

    def open_there(self) -> None:
        session, one_way, size, fin = (
            self.some(self.sessions),
            self.source.flag(),
            self.source.byte(),
            self.source.flag(),
        )
        session_id = session.stream_id if session is not None else self.source.below(4) * 4
        stream_id = self.peer.next_id(unidirectional=one_way)
        self.bodies[stream_id] = bytearray(_CONTENT[:size])
        header = stream_header(session_id, unidirectional=one_way)
        self.peer.send(stream_id, header + _CONTENT[:size], fin)

    def arrive(self) -> None:
        stream, size, more = self.some(self.streams), self.source.byte(), self.source.byte()
        if stream is not None and self.can_be_sent_on(stream.core.stream_id):
            stream_id = stream.core.stream_id
            data = b""
            if stream_id in self.bodies:
                start = len(self.bodies[stream_id])
                data = _CONTENT[start : start + size]
                self.bodies[stream_id] += data
            (self.peer.queue if more & 2 else self.peer.send)(stream_id, data, bool(more & 1))

    def write(self) -> None:
        stream, size, fin, mark = self.some(self.streams), self.source.byte(), self.source.flag(), self.source.byte()
        if stream is not None:
            data = _CONTENT[stream.written : stream.written + size]
            before = stream.core.bytes_sent
            self.do(stream.core.write, data, end_stream=fin)
            stream.written += stream.core.bytes_sent - before
            if mark & 1:
                stream.core.watch_writable(mark)

    def read(self) -> None:
        stream, expected, wants, size = (
            self.some(self.streams),
            self.source.byte(),
            self.source.flag(),
            self.source.byte(),
        )
        if stream is None:
            return
        core = stream.core
        core.expect(expected if expected & 1 else 0)
        core.wants_readable = wants
        check(len(core.peek()) == core.buffered, "peek shows another size")
        self.trace.append((core.find(b"\x0a"), core.buffered, core.at_eof, core.can_receive, str(core.state)))
        data = self.do(core.read, size or -1)
        if data:
            self.took(stream, data)

    def took(self, stream: _Stream, data: bytes) -> None:
        body = self.bodies.get(stream.core.stream_id)
        end = stream.read + len(data)
        if body is not None:
            check(body[stream.read : end] == data, "other bytes than the peer sent")
        stream.read = end

    def abort_here(self) -> None:
        stream, kind, code = self.some(self.streams), self.source.flag(), self.source.pick(_CODES)
        if stream is not None:
            self.do(stream.core.reset if kind else stream.core.stop, code)

    def abort_there(self) -> None:
        stream, code, more = self.some(self.streams), self.source.pick(_WIRE_CODES), self.source.pick([0, 0, 1, 400])
        if stream is not None and self.can_be_sent_on(stream.core.stream_id):
            stream_id = stream.core.stream_id
            self.peer.reset(stream_id, code, self.peer.port.streams[stream_id].peer_sent + more)

    def stop_there(self) -> None:
        stream, code, is_queued = self.some(self.streams), self.source.pick(_WIRE_CODES), self.source.flag()
        if stream is not None and (stream.core.is_local or not stream.core.is_unidirectional):
            (self.peer.queue_stop if is_queued else self.peer.stop)(stream.core.stream_id, code)

    def let_go(self) -> None:
        port = self.peer.port
        port.hold, size = self.source.flag(), self.source.byte()
        for stream_id in [*port.streams]:
            port.let_go(stream_id, size)

    # Datagrams and credit.

    def datagrams(self) -> None:
        session, data = self.some(self.sessions), self.source.blob(40)
        room, size = self.source.byte(), self.source.pick([0, 1, 30, 1199, 1200, 70000])
        if session is not None:
            self.peer.port.datagram_room = len(self.peer.port.datagrams) + room % 3
            self.do(session.send_datagram, bytes(size))
            self.do(session.send_datagram, data)
            self.peer.port.make_datagram_room(1 << 30)
            self.peer.datagrams(datagram(session.stream_id, data), datagram(session.stream_id + 4, data))
            drained = session.datagrams.drain() if room & 4 else []
            self.trace.append(drained)

    def bad_datagram(self) -> None:
        self.peer.datagrams(*[self.source.blob(20) for _ in range(1 + self.source.below(3))])

    def limits_there(self) -> None:
        session, kind, limit = self.some(self.sessions), self.source.below(3), self.source.number()
        if session is not None and self.can_be_sent_on(session.stream_id):
            self.peer.send_limit(session.stream_id, [MAX_DATA, MAX_STREAMS_BIDI, MAX_STREAMS_UNI][kind], limit)

    def limits_here(self) -> None:
        session, one_way, limit = self.some(self.sessions), self.source.flag(), self.source.number()
        if session is not None:
            self.do(session.grant_data, limit)
            self.do(session.grant_streams, limit % 4000, unidirectional=one_way)

    def raise_streams(self) -> None:
        one_way, more = self.source.flag(), self.source.below(4)
        self.peer.raise_streams(unidirectional=one_way, limit=self.peer.port.max_streams[one_way] + more)

    # The connection.

    def settings(self) -> None:
        if not self.peer.port.streams.get(self.peer.control_id):
            self.peer.send_settings(self.source.pick(self.SETTINGS[:-1]))

    def goaway(self) -> None:
        if self.can_be_sent_on(self.peer.control_id):
            self.peer.send_goaway(self.source.number())

    def shut_down(self) -> None:
        self.do(self.peer.engine.shutdown)

    def close_here(self) -> None:
        if self.source.byte() % 4 == 1:
            self.do(self.peer.engine.close, self.source.number(), self.source.blob(30).decode("latin-1"))

    def close_there(self) -> None:
        if self.source.byte() % 8 == 1:
            self.peer.close(self.source.number(), "bye", is_application=self.source.flag())

    def wait(self) -> None:
        self.peer.wait(self.source.pick([0.0, 0.01, 0.1, 0.4, 1.0, 6.0, 60.0]))

    # What no honest peer sends.

    def raw(self) -> None:
        stream_id = self.some_open_id()
        choice, end = self.source.byte(), self.source.byte()
        data = PIECES[choice % len(PIECES)] if choice < 0xE0 else self.source.blob(60)
        self.send_raw(stream_id, data, end)

    def capsule(self) -> None:
        session, kind, end = self.some(self.sessions), self.source.number(), self.source.byte()
        value = self.source.blob(30)
        if session is not None and self.can_be_sent_on(session.stream_id):
            self.send_raw(session.stream_id, data_frame(encode_capsule(kind, value)), end)

    def send_raw(self, stream_id: int | None, data: bytes, end: int) -> None:
        if stream_id is None:
            return
        self.bodies.pop(stream_id, None)  # nobody can tell any longer what is its body
        if end < 0xC0:
            self.peer.send(stream_id, data)
        elif end < 0xE0:
            self.peer.send(stream_id, data, fin=True)
        elif end < 0xF0:
            self.peer.queue(stream_id, data)
        else:
            self.peer.reset(stream_id, _WIRE_CODES[end % len(_WIRE_CODES)])

    def odd_calls(self) -> None:
        session, stream, engine = self.some(self.sessions), self.some(self.streams), self.peer.engine
        self.trace.append((engine.is_ready, engine.draft, engine.max_datagram_size, engine.is_closed))
        if session is not None:
            self.do(session.accept, {"Content-Length": "1"})
            self.do(session.reject, 200)
            self.do(session.close, -1)
            self.do(session.grant_data, 2**62)
            self.trace.append((session.max_datagram_size, str(session.state), session.close_code, session.close_reason))
        if stream is not None:
            self.do(stream.core.reset, 2**32)
            self.do(stream.core.stop, -1)
            self.trace.append((stream.core.unsent, stream.core.bytes_received, stream.core.can_send))
        self.do(engine.close, 2**62)

    # The books.

    def collect(self) -> None:
        """Take the events, and see whether their order makes sense."""
        self.peer.pump()
        for event in self.peer.events:
            check(not self.is_over, f"{event} after the end of the connection")
            name = type(event).__name__
            subject = getattr(event, "stream", None) or getattr(event, "session", None)
            self.trace.append((name, getattr(subject, "stream_id", None), getattr(event, "kind", None)))
            match name:
                case "SessionRequested":
                    self.sessions[event.session.stream_id] = event.session
                case "SessionEnded":
                    check(event.session.stream_id not in self.ended, "a session ends twice")
                    check(event.session.state is SessionState.CLOSED and not event.session.streams, "not at its end")
                    self.ended.add(event.session.stream_id)
                case "StreamOpened":
                    self.streams[event.stream.stream_id] = _Stream(event.stream)
                case "StreamFinished":
                    stream = self.streams.get(event.stream.stream_id)
                    if stream is not None:
                        check(not stream.has_finished, "a stream finishes twice")
                        stream.has_finished = True
                case "ConnectionClosed":
                    self.is_over = True
                    self.trace.append((event.error_code, event.reason, event.by_peer, event.is_application))
        self.peer.events.clear()

    def check(self) -> None:
        """See whether the limits hold."""
        engine, port = self.peer.engine, self.peer.port
        waiting = engine._early.waiting.items()
        total = sum(
            len(each.datagrams) + (0 if session_id in engine.sessions else len(each.streams))
            for session_id, each in waiting
        )
        config = engine._config
        check(total <= config.max_total_pending_events, f"{total} early arrivals are kept")
        check(engine._early._total == sum(len(each.streams) + len(each.datagrams) for _, each in waiting), "total")
        check(len(engine.sessions) <= config.max_sessions, f"{len(engine.sessions)} sessions")
        check(port.held_credit >= 0, "more credit is given back than there was")
        for reader in engine._router.connects.values():
            held = getattr(reader, "_held", b"")
            check(len(held) <= limits.MAX_EARLY_CAPSULE_BYTES + 2048, f"{len(held)} bytes before SETTINGS")
        for session in engine.sessions.values():
            check(session.flow.send.data_sent >= 0, "less than nothing was sent")
            if session.flow.send.enabled and session.is_open:
                check(session.flow.send.data_sent <= session.flow.send.max_data, "sent beyond the session's credit")
            if session.flow.receive.enabled and session.is_open:
                check(session.flow.receive.data_received <= session.flow.receive.max_data, "received beyond its credit")
        for stream_id, stream in self.streams.items():
            if stream.core.is_local or not stream.core.is_unidirectional:
                sent = port.streams[stream_id].sent
                header = stream_header(stream.core.session.stream_id, unidirectional=bool(stream_id & 2))
                body = bytes(sent[len(header) :] if stream.core.is_local else sent)
                check(len(body) <= stream.written and body == _CONTENT[: len(body)], "other bytes than were written")

    def finish(self) -> None:
        """End everything as two ends do that part in order, and see that nothing is left."""
        peer = self.peer
        port, engine = peer.port, peer.engine
        port.hold = False
        for stream_id in [*port.streams]:
            port.let_go(stream_id)
        self.collect()
        if not engine.has_settings and not self.is_over:  # what is asked before waits for them
            if self.peer.control_id not in port.streams:
                self.peer.send_settings(DRAFT16)
                self.collect()
            if not engine.has_settings and not self.is_over:  # what ended here does not end once more
                peer.close()
            self.collect()
        for session in [*engine.sessions.values()]:
            session.close()
        self.collect()
        for stream_id, state in [*port.streams.items()]:
            is_critical = type(engine._router.readers.get(stream_id)).__name__ in ("_PeerControlReader", "_QpackReader")
            if not (is_critical or state.receive_over or self.is_over):
                peer.reset(stream_id, 0x10C)
                self.collect()
        peer.wait(100.0)
        self.collect()
        check((peer.closed is not None or self.is_over) == engine.is_closed, "closed, and not")
        peer.assert_nothing_left(has_credit=not self.is_over)
        for stream in self.streams.values():
            while data := self.do(stream.core.read):
                self.took(stream, data)
        check(self.is_over or port.held_credit == 0, f"credit of {port.held_credit} bytes is never given back")
        self.trace += [(stream_id, bytes(state.sent), state.reset_code, state.stop_code)
                       for stream_id, state in port.streams.items()]  # fmt: skip
        self.trace += [port.closes, port.datagrams]
