"""Long random sequences of what a program and its peer may do, and random bytes: no surprise, and nothing left over."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripted_peer import (
    DRAFT07,
    DRAFT16,
    DRAIN,
    MAX_DATA,
    MAX_STREAMS_BIDI,
    MAX_STREAMS_UNI,
    MakePeer,
    ScriptedPeer,
    datagram,
    stream_header,
    with_flow_control,
)

from wtransport._protocol.error_codes import to_wire
from wtransport.constants import ErrorCodes
from wtransport.exceptions import SessionError, StreamError

SETTINGS = [DRAFT16, DRAFT07, with_flow_control(data=50, bidi=2, uni=2), with_flow_control(data=1 << 20, bidi=99)]
CODES = [0, 30, 0xFFFFFFFF]


class Play:
    """Random moves of both sides; the peer keeps to the rules, as far as QUIC and the capsules go."""

    def __init__(self, peer: ScriptedPeer, seed: int) -> None:
        self.peer = peer
        self.random = Random(seed)
        self.streams: dict[int, Any] = {}
        self.sessions: dict[int, Any] = {}
        self.limits = [0, 0, 0]

    def run(self, steps: int) -> None:
        moves: list[Callable[[], None]] = [
            *[self.open_here, self.open_there, self.write, self.read, self.arrive, self.pump] * 4,
            *[self.abort_here, self.abort_there, self.stop_there, self.let_go, self.datagrams, self.credit] * 2,
            self.ask,
            self.end_session,
            self.wait,
        ]
        for _ in range(steps):
            with suppress(SessionError, StreamError):  # a move that came too late
                self.random.choice(moves)()
            self.collect()
            assert self.peer.closed is None

    def collect(self) -> None:
        for event in self.peer.events:
            if type(event).__name__ == "StreamOpened":
                self.streams[event.stream.stream_id] = event.stream
            elif type(event).__name__ == "SessionRequested":
                self.sessions[event.session.stream_id] = event.session
        self.peer.events.clear()

    def some_session(self) -> Any:
        return self.random.choice([*self.sessions.values()]) if self.sessions else None

    def some_stream(self) -> Any:
        return self.random.choice([*self.streams.values()]) if self.streams else None

    def data(self) -> bytes:
        return b"x" * self.random.choice([0, 1, 10, 60, 300])

    def pump(self) -> None:
        self.peer.pump()

    def wait(self) -> None:
        self.peer.wait(self.random.choice([0.1, 1.0, 6.0]))

    def ask(self) -> None:
        peer = self.peer
        if peer.port.is_client:
            session = peer.engine.open_session(authority="localhost", path="/", headers={})
            self.sessions[session.stream_id] = session
        elif len(peer.engine.sessions) < 4:
            session_id = peer.next_id(unidirectional=False)
            for unidirectional in self.random.sample([False, True], self.random.randrange(3)):
                peer.open_stream(session_id, b"early", unidirectional=unidirectional)
            peer.send(session_id, peer.connect_frame())

    def answer(self, session: Any) -> None:
        peer, good = self.peer, self.random.random() < 0.8
        if not peer.port.is_client:
            session.accept() if good else session.reject(404)
        elif not peer.port.streams[session.stream_id].receive_over:
            peer.send(session.stream_id, peer.response(200 if good else 404), fin=not good)

    def open_here(self) -> None:
        session = self.some_session()
        if session is None:
            self.ask()
        elif session.state == "connecting":
            self.answer(session)
        else:
            stream = session.open_stream(unidirectional=self.random.random() < 0.5)
            if stream is not None:
                self.streams[stream.stream_id] = stream

    def open_there(self) -> None:
        session = self.some_session()
        if session is not None:
            unidirectional = self.random.random() < 0.5
            fin = self.random.random() < 0.2
            self.peer.open_stream(session.stream_id, self.data(), unidirectional=unidirectional, fin=fin)

    def write(self) -> None:
        stream = self.some_stream()
        if stream is not None:
            stream.write(self.data(), end_stream=self.random.random() < 0.2)
            if self.random.random() < 0.3:
                stream.watch_writable(self.random.randrange(50))

    def read(self) -> None:
        stream = self.some_stream()
        if stream is not None:
            stream.expect(self.random.choice([0, 0, 100]))
            stream.wants_readable = self.random.random() < 0.5
            stream.read(self.random.choice([-1, 1, 50]))

    def arrive(self) -> None:
        stream = self.some_stream()
        if stream is not None:
            state = self.peer.port.streams[stream.stream_id]
            if not state.receive_over:
                fin = self.random.random() < 0.2
                (self.peer.send if self.random.random() < 0.7 else self.peer.queue)(stream.stream_id, self.data(), fin)

    def abort_here(self) -> None:
        stream = self.some_stream()
        if stream is not None:
            (stream.reset if self.random.random() < 0.5 else stream.stop)(self.random.choice(CODES))

    def abort_there(self) -> None:
        stream = self.some_stream()
        if stream is not None and not self.peer.port.streams[stream.stream_id].receive_over:
            state = self.peer.port.streams[stream.stream_id]
            self.peer.reset(stream.stream_id, to_wire(1), state.peer_sent + self.random.choice([0, 0, 40]))

    def stop_there(self) -> None:
        stream = self.some_stream()
        if stream is not None and not (stream.is_unidirectional and not stream.is_local):
            self.peer.stop(stream.stream_id, to_wire(2))

    def let_go(self) -> None:
        port = self.peer.port
        port.hold = self.random.random() < 0.5
        for stream_id in self.random.sample([*port.streams], min(5, len(port.streams))):
            port.let_go(stream_id, self.random.choice([1, 20, 1000]))

    def datagrams(self) -> None:
        session = self.some_session()
        if session is not None:
            self.peer.datagrams(datagram(session.stream_id, b"x"))
            self.peer.port.datagram_room = self.random.randrange(3)
            session.send_datagram(b"y")
            self.peer.port.make_datagram_room(1000)

    def credit(self) -> None:
        session = self.some_session()
        if session is not None and session.is_open and not self.peer.port.streams[session.stream_id].receive_over:
            which = self.random.randrange(3)
            self.limits[which] += 100
            kind = [MAX_DATA, MAX_STREAMS_BIDI, MAX_STREAMS_UNI][which]
            self.peer.send_limit(session.stream_id, kind, self.limits[which])
            session.grant_data(session.flow.peer_max_data + 10)
            session.grant_streams(session.flow.peer_max_streams_uni + 1, unidirectional=True)

    def end_session(self) -> None:
        session = self.some_session()
        if session is None:
            return
        del self.sessions[session.stream_id]
        can_send = not self.peer.port.streams[session.stream_id].receive_over and session.state != "connecting"
        match self.random.randrange(6):
            case 0 if can_send:
                self.peer.send_close(session.stream_id, 1)
            case 1 if can_send:
                self.peer.send(session.stream_id, b"", fin=True)
            case 2 if can_send:
                self.peer.reset(session.stream_id, 0x10C)
            case 3 if can_send:
                self.peer.stop(session.stream_id, int(ErrorCodes.WT_SESSION_GONE))
            case 4 if can_send:
                self.peer.send_capsule(session.stream_id, DRAIN)
                session.close(2)
            case _:
                session.close(3)

    def finish(self) -> None:
        """End everything, as two ends that part in order do."""
        peer = self.peer
        peer.port.hold = False
        for stream_id in [*peer.port.streams]:
            peer.port.let_go(stream_id)
        for session in [*peer.engine.sessions.values()]:
            session.close()
        for stream_id, state in [*peer.port.streams.items()]:
            is_connect = stream_id in peer.engine._router.connects
            if is_connect and not state.receive_over and state.stop_code is None:
                peer.reset(stream_id, 0x10C)
        peer.answer_ends()
        peer.wait(30.0)
        peer.answer_ends()
        self.collect()


@pytest.mark.parametrize("seed", range(60))
def test_nothing_is_left_of_long_sequences(engine: MakePeer, seed: int) -> None:
    limits = {"initial_max_data": 5000, "initial_max_streams_bidi": 50} if seed & 1 else {}
    peer = engine(settings=SETTINGS[seed % len(SETTINGS)], **limits)
    play = Play(peer, seed)
    play.run(400)
    play.finish()
    peer.assert_nothing_left()
    for stream in play.streams.values():
        with suppress(StreamError):
            while stream.read():
                pass
    assert peer.port.held_credit == 0


PIECES = st.one_of(
    st.binary(max_size=12),
    st.sampled_from(
        [
            stream_header(0, unidirectional=True),
            stream_header(0, unidirectional=False),
            b"\x00",
            b"\x00\x04\x00",
            b"\x01\x02\x00\x00",
            b"\x00\x07\x68\x43\x04\x00\x00\x00\x01",
            b"\x00\x05\x80\x00\x78\xae\x00",
        ]
    ),
)
ARRIVALS = st.lists(st.tuples(st.integers(0, 11), PIECES, st.sampled_from(["", "", "", "fin", "reset", "stop"])))


@given(arrivals=ARRIVALS, is_client=st.booleans(), has_session=st.booleans())
def test_random_bytes_raise_nothing(
    certificate: Any, arrivals: list[tuple[int, bytes, str]], is_client: bool, has_session: bool
) -> None:
    peer = ScriptedPeer(tuple(certificate), is_client=is_client, settings=with_flow_control(data=9, bidi=9))
    if has_session:
        peer.open_session()
    for stream_id, data, end in arrivals:
        known = peer.port.streams.get(stream_id)
        if known is None and bool(stream_id & 1) != is_client:
            continue
        if (known is None or not known.receive_over) and not (stream_id & 2 and bool(stream_id & 1) != is_client):
            if end == "reset":
                peer.reset(stream_id, 0x10C)
            elif end != "stop":
                peer.send(stream_id, data, fin=end == "fin")
        if end == "stop" and not (stream_id & 2 and bool(stream_id & 1) == is_client):
            peer.stop(stream_id, 0x10C)
    peer.close()
    assert peer.names()[-1] == "ConnectionClosed"
    peer.assert_nothing_left(has_credit=False)


@given(data=st.binary(max_size=40), is_client=st.booleans())
def test_random_datagrams_raise_nothing(certificate: Any, data: bytes, is_client: bool) -> None:
    peer = ScriptedPeer(tuple(certificate), is_client=is_client)
    session = peer.open_session()
    peer.datagrams(data)
    assert peer.closed in (None, ErrorCodes.H3_DATAGRAM_ERROR, ErrorCodes.H3_ID_ERROR)
    assert session.is_open == (peer.closed is None)
