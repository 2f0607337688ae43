"""The conformance suite's workplace: an engine with sessions and streams that a violation elsewhere must not touch."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeAlias

from scripted_peer import ScriptedPeer, datagram, with_flow_control

from wtransport._protocol.session import SessionCore
from wtransport.constants import ErrorCodes
from wtransport.types import SessionState

__all__ = ["CONNECT", "DRAFT02", "DRAFT14", "FLOW_CONTROL", "POST", "PROFILES", "Bench", "MakeBench"]

FLOW_CONTROL = with_flow_control(data=1 << 20, bidi=100, uni=100)
"""Settings of a draft-16 peer with session flow control, so that a connection holds several sessions."""

DRAFT14 = {0x08: 1, 0x33: 1, 0x14E9CD29: 16, 0x2B61: 1 << 20, 0x2B64: 100, 0x2B65: 100}
DRAFT02 = {0x08: 1, 0x33: 1, 0xFFD277: 1, 0x2B603742: 1}

CONNECT = [
    (b":method", b"CONNECT"),
    (b":protocol", b"webtransport-h3"),
    (b":scheme", b"https"),
    (b":authority", b"localhost"),
    (b":path", b"/"),
]
POST = [(b":method", b"POST"), (b":scheme", b"https"), (b":authority", b"localhost"), (b":path", b"/")]

PROFILES = {
    16: FLOW_CONTROL,
    14: DRAFT14,
    7: {0x08: 1, 0x33: 1, 0xC671706A: 16},
    2: DRAFT02,
}
"""Settings of a peer of each profile; each lets a connection hold several sessions."""


class Bench:
    """Two sessions on one connection, each with a stream of the peer: one to hurt, one to stay as it is.

    A check of an error fails unless it was the right one, and nothing else was reset, stopped or closed and all that is
    left still works, both ways.
    """

    def __init__(self, peer: ScriptedPeer) -> None:
        self.peer = peer
        self.is_client: bool = peer.port.is_client
        self.session = peer.open_session()
        self.session_id = self.session.stream_id
        self.bystander = peer.open_session()
        self.stream_id = peer.open_stream(self.session_id, b"here", unidirectional=False)
        self._bystander_stream = peer.open_stream(self.bystander.stream_id, b"there", unidirectional=False)
        peer.names()

    # Messages on request streams.

    def begin_message(self, *frames: bytes, fin: bool = False) -> int:
        """Send these as the beginning of a request, or of the response to one, and return the stream's id."""
        peer = self.peer
        if self.is_client:
            stream_id = peer.engine.open_session(authority="localhost", path="/", headers={}).stream_id
        else:
            stream_id = peer.next_id(unidirectional=False)
        peer.send(stream_id, b"".join(frames), fin)
        return stream_id

    def head(self, *more: tuple[bytes, bytes], opens: bool = True) -> bytes:
        """Return the HEADERS frame of a good message; one that does not open a session may have content."""
        if self.is_client:
            return self.peer.headers([(b":status", b"200" if opens else b"404"), *more])
        return self.peer.headers([*(CONNECT if opens else POST), *more])

    # What went wrong, and what did not.

    def check_connection_error(self, code: int) -> None:
        """Fail unless the connection was closed with this code, which every session was told of."""
        closed = self.peer.closed
        assert closed == code, f"the connection was closed with {_name(closed)}, not {_name(code)}"
        assert self.session.state is SessionState.CLOSED
        assert self.bystander.state is SessionState.CLOSED
        assert self.session.close_code is None
        assert self.peer.names()[-1] == "ConnectionClosed"

    def check_stream_error(self, stream_id: int, code: int, *, and_streams: Iterable[int] = ()) -> None:
        """Fail unless this stream alone was reset or stopped with this code; also the `and_streams` were, with any."""
        self._check_open()
        aborted = self.peer.aborted()
        codes = aborted.pop(stream_id, (None, None))
        # A request that was answered, with STOP_SENDING, before the violation in it came can only be reset.
        good = ((code, code), (code, None), (None, code), (code, ErrorCodes.H3_NO_ERROR))
        assert codes in good, f"{list(map(_name, codes))}, not {_name(code)}"
        for other in and_streams:
            aborted.pop(other, None)
        assert not aborted, f"also reset or stopped: {aborted}"
        self.check_works()

    def check_session_error(self, code: int, *, session: SessionCore | None = None) -> None:
        """Fail unless the session ended with this code, on both directions of its CONNECT stream, and only it."""
        hurt = session or self.session
        self._check_open()
        assert hurt.state is SessionState.CLOSED
        assert hurt.close_code is None
        assert hurt.end_error is not None
        assert hurt.end_error.error_code == code, f"{_name(hurt.end_error.error_code)}, not {_name(code)}"
        aborted = self.peer.aborted()
        codes = aborted.pop(hurt.stream_id, (None, None))
        assert codes == (code, code), f"{list(map(_name, codes))}, not {_name(code)}"
        assert all(code in (None, ErrorCodes.WT_SESSION_GONE) for codes in aborted.values() for code in codes), aborted
        assert self._bystander_stream not in aborted
        self.check_works()

    def check_message_error(self, *, also: Iterable[int] = ()) -> None:
        """Fail unless the session's CONNECT stream, and so the session, ended with H3_MESSAGE_ERROR, and only it."""
        self._check_open()
        code = ErrorCodes.H3_MESSAGE_ERROR
        aborted = self.peer.aborted()
        codes = aborted.pop(self.session_id, (None, None))
        assert codes in ((code, code), (code, None), (None, code)), f"{list(map(_name, codes))}, not {_name(code)}"
        assert self._bystander_stream not in aborted
        for codes in aborted.values():  # streams of the session
            assert all(each in (None, ErrorCodes.WT_SESSION_GONE) for each in codes), aborted
        assert self.session.state is SessionState.CLOSED
        self.check_works()

    def check_nothing_wrong(self) -> None:
        """Fail if anything was reset, stopped or closed, or does not work."""
        self._check_open()
        assert not self.peer.aborted(), f"reset or stopped: {self.peer.aborted()}"
        self.check_session_works(self.session)
        self.check_works()

    def _check_open(self) -> None:
        assert self.peer.closed is None, f"the connection was closed with {_name(self.peer.closed)}"

    # What still works.

    def check_works(self) -> None:
        """Fail unless the other session, its old stream, and new sessions work."""
        there = self.peer.engine.streams[self._bystander_stream]
        assert there.can_send
        self.peer.send(self._bystander_stream, b"!")
        assert there.peek().startswith(b"there!")
        self.check_session_works(self.bystander)
        self.check_session_works(self.peer.open_session())

    def check_session_works(self, session: SessionCore) -> None:
        """Fail unless streams and datagrams get through both ways."""
        peer = self.peer
        assert session.is_open, session.state
        stream_id = peer.open_stream(session.stream_id, b"ping", unidirectional=False)
        stream = peer.stream(stream_id)
        assert stream.read() == b"ping"
        stream.write(b"pong")
        mine = session.open_stream(unidirectional=True)
        assert mine is not None
        mine.write(b"news", end_stream=True)
        peer.send(stream_id, b"", fin=True)
        stream.write(b"", end_stream=True)
        assert session.send_datagram(b"from here")
        peer.datagrams(datagram(session.stream_id, b"from there"))
        peer.pump()
        assert peer.sent(stream_id) == b"pong"
        assert peer.has_fin(stream_id)
        assert peer.sent(mine.stream_id).endswith(b"news")
        assert datagram(session.stream_id, b"from here") in peer.datagrams_sent
        assert b"from there" in session.datagrams.drain()


def _name(code: int | None) -> str:
    if code is None:
        return "nothing"
    try:
        return ErrorCodes(code).name
    except ValueError:
        return hex(code)


MakeBench: TypeAlias = Callable[..., Bench]
