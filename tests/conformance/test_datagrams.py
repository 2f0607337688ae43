"""Section 9: HTTP datagrams and the QUIC frames that carry them."""

from __future__ import annotations

from typing import Any

import pytest
from conformance_bench import CONNECT, POST, MakeBench
from port_pair import PortPair
from scripted_peer import DRAFT16, MakePeer, datagram

from wtransport._quic.port import DatagramsArrived, Terminated
from wtransport._speedups import encode_varint
from wtransport.constants import ErrorCodes
from wtransport.exceptions import SessionError

rule = pytest.mark.rule


@rule("9-quarter-id")
@pytest.mark.parametrize(
    "payload", [b"", b"\x40", b"\xc0" + bytes(6), encode_varint(1 << 60), b"\xff" * 8 + b"payload"]
)
def test_quarter_id(bench: MakeBench, payload: bytes) -> None:
    ends = bench()
    ends.peer.datagrams(payload)
    ends.check_connection_error(ErrorCodes.H3_DATAGRAM_ERROR)


@rule("9-beyond-stream-limit")
@pytest.mark.parametrize("quarter_id", [1 << 28, (1 << 60) - 1])
def test_beyond_stream_limit(bench: MakeBench, quarter_id: int) -> None:
    ends = bench()
    ends.peer.datagrams(encode_varint(quarter_id) + b"x")
    ends.check_connection_error(ErrorCodes.H3_ID_ERROR)


@rule("9-not-yet-open")
def test_not_yet_open(bench: MakeBench) -> None:
    ends = bench(pending_event_ttl=2.0)
    soon, late = (ends.peer.next_id(unidirectional=False) for _ in range(2))
    ends.peer.datagrams(datagram(soon, b"soon"), datagram(late, b"late"))
    for session_id, waiting in ((soon, [b"soon"]), (late, [])):
        ends.peer.send(session_id, ends.peer.headers(CONNECT))
        session = ends.peer.take_event("SessionRequested").session
        session.accept()
        ends.peer.pump()
        assert session.datagrams.drain() == waiting
        ends.peer.wait(3.0)
    ends.check_nothing_wrong()


@rule("9-closed")
@pytest.mark.parametrize("how", ["FIN", "we close", "reset"])
def test_closed(bench: MakeBench, how: str) -> None:
    ends = bench()
    if how == "FIN":
        ends.peer.send(ends.session_id, b"", fin=True)
    elif how == "reset":
        ends.peer.reset(ends.session_id, ErrorCodes.H3_REQUEST_CANCELLED)
    else:
        ends.session.close()
        ends.peer.pump()
    ends.peer.names()
    ends.peer.datagrams(*[datagram(ends.session_id, b"late")] * 3)
    assert ends.peer.names() == []
    ends.check_works()


@rule("9-no-datagram-semantics")
def test_no_datagram_semantics(bench: MakeBench) -> None:
    ends = bench()
    stream_id = ends.peer.next_id(unidirectional=False)
    ends.peer.datagrams(datagram(stream_id, b"for a POST"))
    ends.peer.send(stream_id, ends.peer.headers(POST))
    ends.check_stream_error(stream_id, ErrorCodes.H3_DATAGRAM_ERROR)


@rule("9-no-datagram-semantics")
@pytest.mark.in_memory
def test_no_datagram_semantics_of_what_is_answered(bench: MakeBench) -> None:
    # On a real connection the client's QUIC ends the stream as soon as the answer is there, and the datagram is late.
    ends = bench()
    stream_id = ends.begin_message(ends.peer.headers(POST))
    ends.peer.datagrams(datagram(stream_id, b"for a POST"))
    ends.check_stream_error(stream_id, ErrorCodes.H3_DATAGRAM_ERROR)


@rule("9-empty")
def test_empty(bench: MakeBench) -> None:
    ends = bench()
    ends.peer.datagrams(datagram(ends.session_id, b""), datagram(ends.session_id, b""))
    assert ends.session.datagrams.drain() == [b"", b""]
    assert ends.session.send_datagram(b"")
    ends.peer.pump()
    assert datagram(ends.session_id, b"") in ends.peer.datagrams_sent
    ends.check_nothing_wrong()


@rule("9-legacy-setting")
def test_legacy_setting(bench: MakeBench) -> None:
    ends = bench(settings={0x08: 1, 0xFFD277: 1, 0x2B603742: 1})
    assert ends.peer.engine.draft == 2
    ends.peer.datagrams(datagram(ends.bystander.stream_id, b"hi"))
    assert ends.bystander.datagrams.drain() == [b"hi"]
    ends.check_nothing_wrong()


@rule("9-send-while-open")
@pytest.mark.parametrize("how", ["FIN", "we close", "reset", "stopped"])
def test_send_while_open(bench: MakeBench, how: str) -> None:
    ends = bench()
    assert ends.session.send_datagram(b"open")
    if how == "FIN":
        ends.peer.send(ends.session_id, b"", fin=True)
    elif how == "we close":
        ends.session.close()
    else:
        (ends.peer.reset if how == "reset" else ends.peer.stop)(ends.session_id, ErrorCodes.H3_REQUEST_CANCELLED)
    with pytest.raises(SessionError):
        ends.session.send_datagram(b"closed")
    ends.peer.pump()
    assert ends.peer.datagrams_sent == [datagram(ends.session_id, b"open")]
    ends.check_works()


@rule("9-settings-first")
def test_settings_first(peer: MakePeer) -> None:
    ends = peer(settings=None)
    request = None if ends.port.is_client else ends.request()
    ends.pump()
    assert not ends.datagrams_sent
    ends.send_settings(DRAFT16)
    if request is None:
        session = ends.open_session()
    else:
        session = ends.take_event("SessionRequested").session
        with pytest.raises(SessionError):
            session.send_datagram(b"undecided")
        session.accept()
    assert session.send_datagram(b"now")
    ends.pump()
    assert ends.datagrams_sent == [datagram(session.stream_id, b"now")]


# The frames of QUIC.


def frame(payload: bytes, *, has_length: bool) -> bytes:
    return b"\x31" + encode_varint(len(payload)) + payload if has_length else b"\x30" + payload


@rule("9-frame-over-limit")
@pytest.mark.parametrize("has_length", [True, False])
@pytest.mark.parametrize(("limit", "size"), [(None, 0), (None, 5), (100, 100), (100, 99), (100, 98), (100, 97)])
def test_frame_over_limit(certificate: Any, role: str, limit: int | None, size: int, has_length: bool) -> None:
    # The limit counts the whole frame: type, length and payload (RFC 9221, 3).
    pair = PortPair(tuple(certificate), **{f"{role}_configuration": {"max_datagram_frame_size": limit}}).connect()
    near, far = (pair.client, pair.server) if role == "client" else (pair.server, pair.client)
    sent = frame(bytes(size), has_length=has_length)
    pair.inject(far, sent)
    pair.settle()
    if limit is not None and len(sent) <= limit:
        assert near.of(DatagramsArrived) == [DatagramsArrived([bytes(size)])]
        assert not near.of(Terminated)
    else:
        assert not near.of(DatagramsArrived)
        for end in (near, far):
            (terminated,) = end.of(Terminated)
            assert terminated.error_code == ErrorCodes.PROTOCOL_VIOLATION
            assert not terminated.is_application


@rule("9-frame-forms")
def test_frame_forms(wire_bench: MakeBench) -> None:
    ends = wire_bench()
    one, two, three = (datagram(ends.session_id, text) for text in (b"one", b"two", b"three"))
    ends.peer.inject(frame(one, has_length=True) + frame(two, has_length=True) + frame(three, has_length=False))
    assert ends.session.datagrams.drain() == [b"one", b"two", b"three"]
    ends.check_nothing_wrong()
