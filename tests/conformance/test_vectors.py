"""Section 13: the test vectors, read and written by the engine."""

from __future__ import annotations

from typing import Any

import pytest
from conformance_bench import MakeBench
from scripted_peer import DATA, MakePeer, ScriptedPeer
from wire_vectors import (
    BAD_CAPSULES,
    BAD_CONTROL_STREAMS,
    BAD_DATAGRAM_IDS,
    BATONS,
    CAPSULES,
    CAPSULES_IN_FRAMES,
    CLIENT_CONTROL_STREAMS,
    CONNECT_REQUESTS,
    DATAGRAMS,
    LONG_PREAMBLES,
    NON_MINIMAL_VARINTS,
    RESPONSES,
    SERVER_CONTROL_STREAMS,
    STREAM_PREAMBLES,
    TRUNCATED_VARINTS,
    VARINTS,
)

from wtransport._protocol.control import goaway
from wtransport._speedups import decode_varint, encode_capsule, encode_frame, encode_varint
from wtransport.constants import ErrorCodes
from wtransport.types import SessionState

rule = pytest.mark.rule

MAX_STREAMS = 1 << 60


@rule("13-varints")
def test_varints(role: str) -> None:
    for value, encoded in VARINTS:
        assert encode_varint(value) == encoded
        assert decode_varint(encoded) == (value, len(encoded))
    for value, encoded in NON_MINIMAL_VARINTS:
        assert decode_varint(encoded) == (value, len(encoded))
    for encoded in TRUNCATED_VARINTS:
        assert decode_varint(encoded) is None
    with pytest.raises(ValueError, match="62"):
        encode_varint(1 << 62)


def session_of(ends: ScriptedPeer, session_id: int) -> Any:
    """Return a session of this id: the streams before it are left out, which the port in memory lets pass."""
    ends.port.local_max_streams_bidi = MAX_STREAMS
    if ends.port.is_client:
        ends.port.max_streams[0] = MAX_STREAMS
        ends.port._next_ids[0] = session_id
        session = ends.open_session()
    else:
        ends._next_ids[0] = session_id
        session = ends.open_session()
    assert session.stream_id == session_id
    return session


@rule("13-stream-preambles")
@pytest.mark.in_memory
@pytest.mark.parametrize(("session_id", "uni", "bidi"), STREAM_PREAMBLES, ids=lambda value: str(value)[:12])
def test_stream_preambles(peer: MakePeer, session_id: int, uni: bytes, bidi: bytes) -> None:
    ends = peer()
    session = session_of(ends, session_id)
    streams = (1, 7) if ends.port.is_client else (0 if session_id else 4, 6)
    for unidirectional, preamble in ((True, uni), (False, bidi)):
        ends.send(streams[unidirectional], preamble + b"data")
        stream = ends.take_event("StreamOpened").stream
        assert stream.session is session
        assert stream.read() == b"data"
        if session_id < 2**62 - 4 or unidirectional:  # the client of the last session has no stream left to open
            mine = session.open_stream(unidirectional=unidirectional)
            assert mine is not None
            assert ends.sent(mine.stream_id) == preamble


@rule("13-stream-preambles")
@pytest.mark.parametrize(("session_id", "preamble"), LONG_PREAMBLES)
def test_stream_preambles_longer_than_needed(bench: MakeBench, session_id: int, preamble: bytes) -> None:
    ends = bench()
    ends.peer.send(ends.peer.next_id(unidirectional=session_id == 0), preamble + b"data")
    stream = ends.peer.take_event("StreamOpened").stream
    assert stream.session.stream_id == session_id
    assert stream.read() == b"data"
    ends.check_nothing_wrong()


@rule("13-stream-preambles")
@pytest.mark.parametrize("preamble", ["405401", "404102", "404103"])
def test_stream_preambles_of_no_session(bench: MakeBench, preamble: str) -> None:
    ends = bench()
    ends.peer.send(ends.peer.next_id(unidirectional=preamble == "405401"), bytes.fromhex(preamble))
    ends.check_connection_error(ErrorCodes.H3_ID_ERROR)


HEARD = {
    0x2843: "SessionEnded",
    0x78AE: "SessionDraining",
    0x190B4D41: "SessionBlocked",
    0x190B4D43: "SessionBlocked",
    0x190B4D44: "SessionBlocked",
    0x00: "DatagramsReceived",
}


@rule("13-capsules")
@pytest.mark.parametrize(("capsule_type", "value", "encoded"), CAPSULES, ids=lambda value: str(value)[:12])
def test_capsules(bench: MakeBench, capsule_type: int, value: bytes, encoded: bytes) -> None:
    assert encode_capsule(capsule_type, value) == encoded
    ends = bench()
    ends.peer.send(ends.session_id, encode_frame(DATA, encoded))
    if capsule_type in HEARD:
        assert HEARD[capsule_type] in ends.peer.names()
    if capsule_type == 0x2843:
        assert ends.session.close_code == int.from_bytes(value[:4], "big")
        assert ends.session.close_reason == value[4:].decode()
        ends.check_works()
    else:
        ends.check_nothing_wrong()


@rule("13-capsules")
@pytest.mark.parametrize("encoded", BAD_CAPSULES.values(), ids=BAD_CAPSULES)
def test_capsules_that_are_bad(bench: MakeBench, encoded: bytes) -> None:
    ends = bench()
    ends.peer.send(ends.session_id, encode_frame(DATA, encoded))
    ends.check_message_error()


@rule("13-capsules")
@pytest.mark.parametrize("wire", CAPSULES_IN_FRAMES.values(), ids=CAPSULES_IN_FRAMES)
def test_capsules_in_frames(bench: MakeBench, wire: bytes) -> None:
    ends = bench()
    ends.peer.send(ends.session_id, wire)
    ended = wire in (CAPSULES_IN_FRAMES["CLOSE 42 bye"], CAPSULES_IN_FRAMES["DRAIN and CLOSE 0"])
    assert ends.session.state is (SessionState.CLOSED if ended else SessionState.DRAINING)
    ends.check_works()


@rule("13-capsules")
@pytest.mark.parametrize(("limit", "is_good"), [("d000000000000000", True), ("d000000000000001", False)])
def test_capsules_of_the_most_streams(bench: MakeBench, limit: str, is_good: bool) -> None:
    ends = bench()
    ends.peer.send(ends.session_id, encode_frame(DATA, bytes.fromhex("990b4d3f08" + limit)))
    if is_good:
        ends.check_nothing_wrong()
    else:
        ends.check_session_error(ErrorCodes.WT_FLOW_CONTROL_ERROR)


@rule("13-capsules")
def test_capsules_with_a_session_error(bench: MakeBench) -> None:
    ends = bench()
    ends.peer.send(ends.session_id, encode_frame(DATA, bytes.fromhex("6843040817b3dd")), fin=True)
    assert ends.session.end_error is not None
    assert ends.session.end_error.error_code == ErrorCodes.WT_ALPN_ERROR
    ends.check_works()


@rule("13-datagrams")
@pytest.mark.in_memory
@pytest.mark.parametrize(("session_id", "payload", "encoded"), DATAGRAMS, ids=lambda value: str(value)[:12])
def test_datagrams(peer: MakePeer, session_id: int, payload: bytes, encoded: bytes) -> None:
    ends = peer()
    session = session_of(ends, session_id)
    ends.datagrams(encoded)
    assert session.datagrams.drain() == [payload]
    assert session.send_datagram(payload)
    assert ends.datagrams_sent == [encoded]


@rule("13-datagrams")
@pytest.mark.parametrize("encoded", [*BAD_DATAGRAM_IDS, b"", b"\x40"])
def test_datagrams_that_are_bad(bench: MakeBench, encoded: bytes) -> None:
    ends = bench()
    ends.peer.datagrams(encoded)
    ends.check_connection_error(ErrorCodes.H3_DATAGRAM_ERROR)


@rule("13-datagrams")
@pytest.mark.parametrize("frame", ["3103006869", "30006869"])
def test_datagrams_in_frames(wire_bench: MakeBench, frame: str) -> None:
    ends = wire_bench()
    ends.peer.inject(bytes.fromhex(frame))
    first = ends.session if ends.session_id == 0 else ends.bystander
    assert first.datagrams.drain() == [b"hi"]
    ends.check_nothing_wrong()


@rule("13-control-streams")
def test_control_streams(peer: MakePeer) -> None:
    for wire, draft in (SERVER_CONTROL_STREAMS if peer().port.is_client else CLIENT_CONTROL_STREAMS).values():
        ends = peer(settings=None)
        ends.send(ends.control_id, wire)
        assert ends.closed is None
        assert ends.engine.draft == draft
        assert ends.open_session().is_open


@rule("13-control-streams")
@pytest.mark.parametrize("wire", BAD_CONTROL_STREAMS.values(), ids=BAD_CONTROL_STREAMS)
def test_control_streams_that_are_bad(peer: MakePeer, wire: bytes) -> None:
    ends = peer(settings=None)
    ends.send(ends.control_id, wire)
    assert ends.closed == ErrorCodes.H3_SETTINGS_ERROR


@rule("13-control-streams")
def test_control_streams_with_goaway(bench: MakeBench) -> None:
    ends = bench()
    for identifier, wire in ((2**62 - 4, "0708fffffffffffffffc"), (0, "070100")):
        assert goaway(identifier) == bytes.fromhex(wire)
        ends.peer.send(ends.peer.control_id, bytes.fromhex(wire))
    assert ends.peer.closed is None
    assert "GoawayReceived" in ends.peer.names()


@rule("13-headers")
@pytest.mark.in_role("client")
@pytest.mark.parametrize(("status", "wire"), RESPONSES)
def test_headers_of_responses(bench: MakeBench, status: int, wire: bytes) -> None:
    ends = bench()
    stream_id = ends.begin_message(wire)
    if status == 200:
        assert ends.peer.engine.sessions[stream_id].is_open
    else:
        assert ends.peer.take_event("SessionRejected").status == status
    ends.check_nothing_wrong()


@rule("13-headers")
@pytest.mark.in_role("client")
def test_headers_with_a_subprotocol(bench: MakeBench) -> None:
    ends = bench()
    session = ends.peer.engine.open_session(authority="localhost", path="/", headers={}, protocols=["moq-00"])
    ends.peer.send(session.stream_id, bytes.fromhex("0119 0000 d9 270477742d70726f746f636f6c 08226d6f712d303022"))
    assert session.protocol == "moq-00"
    ends.check_nothing_wrong()


@rule("13-headers")
@pytest.mark.in_role("server")
@pytest.mark.parametrize(("token", "origin", "wire"), CONNECT_REQUESTS)
def test_headers_of_requests(bench: MakeBench, token: str, origin: str | None, wire: bytes) -> None:
    ends = bench()
    ends.begin_message(wire)
    session = ends.peer.take_event("SessionRequested").session
    assert (session.authority, session.path) == ("example.com", "/wt")
    assert (session.headers[":protocol"], session.headers.get("origin")) == (token, origin)
    session.accept()
    ends.peer.pump()
    ends.check_session_works(session)
    ends.check_nothing_wrong()


APP_0, APP_7, SESSION_GONE = "c00052e4a40fa8db", "c00052e4a40fa8e2", "970d7b68"


@rule("13-resets")
@pytest.mark.parametrize(
    ("before", "after", "code"),
    [
        ("04", APP_0 + "43e8", 0),
        ("24", APP_0 + "43e803", 0),
        ("24", APP_7 + "40c803", 7),
    ],
    ids=["RESET_STREAM", "RESET_STREAM_AT, code 0", "RESET_STREAM_AT, code 7"],
)
@pytest.mark.parametrize("unidirectional", [True, False])
def test_resets(wire_bench: MakeBench, before: str, after: str, code: int, unidirectional: bool) -> None:
    # As in the documents, but for the stream, which is the peer's next here; its header is 3 bytes long.
    ends = wire_bench()
    stream_id = ends.peer.open_stream(ends.session_id, unidirectional=unidirectional)
    ends.peer.inject(bytes.fromhex(before) + encode_varint(stream_id) + bytes.fromhex(after))
    stream = ends.peer.take_event("StreamOpened").stream
    assert stream.reset_code == code
    assert stream.receive_error is not None
    assert stream.receive_error.application_code == code
    assert ends.peer.closed is None
    assert ends.session.is_open
    assert ends.session.flow.receive.data_received == 4 + int.from_bytes(bytes.fromhex(after)[8:10], "big") - 0x4000 - 3


@rule("13-resets")
def test_resets_of_an_ended_session(wire_bench: MakeBench) -> None:
    ends = wire_bench()
    stream_id = ends.peer.open_stream(ends.session_id, unidirectional=True)
    stream = ends.peer.take_event("StreamOpened").stream
    ends.peer.inject(b"\x24" + encode_varint(stream_id) + bytes.fromhex(SESSION_GONE + "0303"))
    ends.peer.wait(1.0)
    assert stream.receive_error is not None
    assert stream.receive_error.error_code == ErrorCodes.WT_SESSION_GONE
    assert stream.reset_code is None
    ends.check_nothing_wrong()


@rule("13-resets")
def test_resets_by_stop_sending(wire_bench: MakeBench) -> None:
    ends = wire_bench()
    ends.peer.inject(b"\x05" + encode_varint(ends.stream_id) + bytes.fromhex(APP_0))
    assert ends.peer.stream(ends.stream_id).stop_code == 0
    ends.check_session_works(ends.session)


@rule("13-resets")
def test_resets_with_too_much_that_is_reliable(wire_bench: MakeBench) -> None:
    ends = wire_bench()
    stream_id = ends.peer.open_stream(ends.session_id, unidirectional=True)
    ends.peer.inject(b"\x24" + encode_varint(stream_id) + bytes.fromhex(APP_0 + "0304"))
    assert ends.peer.closed == ErrorCodes.FRAME_ENCODING_ERROR


@rule("13-batons")
def test_batons(bench: MakeBench) -> None:
    ends = bench()
    for baton, message in [*BATONS, (1, bytes.fromhex("406401"))]:
        ends.peer.open_stream(ends.session_id, message, unidirectional=True, fin=True)
        received = ends.peer.take_event("StreamOpened").stream.read()
        assert received == message
        assert received[-1] == baton
        stream = ends.session.open_stream(unidirectional=True)
        assert stream is not None
        stream.write(message, end_stream=True)
        ends.peer.pump()
        assert ends.peer.sent(stream.stream_id).endswith(message)
    ends.check_nothing_wrong()
