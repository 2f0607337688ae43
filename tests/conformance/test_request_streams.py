"""Section 8.3: the frames of request streams; what stands in their field sections is for `test_field_sections`."""

from __future__ import annotations

import pytest
from conformance_bench import Bench, MakeBench
from scripted_peer import DATA, GOAWAY, HEADERS, SETTINGS, MakePeer

from wtransport._protocol.limits import (
    ABORTED_STREAMS_PER_SECOND,
    IDLE_ACTIONS_PER_SECOND,
    MAX_ABORTED_STREAMS,
    MAX_IDLE_ACTIONS,
)
from wtransport._protocol.settings import MAX_FIELD_SECTION_SIZE
from wtransport._speedups import encode_capsule, encode_frame, encode_varint
from wtransport.constants import DRAIN_WEBTRANSPORT_SESSION_TYPE, ErrorCodes

rule = pytest.mark.rule

GREASE = 0x1F * 5 + 0x21
CANCEL_PUSH, PUSH_PROMISE, MAX_PUSH_ID = 0x03, 0x05, 0x0D
UNEXPECTED = ErrorCodes.H3_FRAME_UNEXPECTED
PLACES = ["first", "after the head", "in a tunnel"]


def put(ends: Bench, place: str, data: bytes, *, fin: bool = False) -> int:
    """Send these bytes in a place of a request stream."""
    if place == "in a tunnel":
        ends.peer.send(ends.session_id, data, fin)
        return ends.session_id
    return ends.begin_message(b"" if place == "first" else ends.head(opens=False), data, fin=fin)


@rule("8.3-data-before-headers")
@pytest.mark.parametrize("payload", [b"", b"content"], ids=["empty", "content"])
@pytest.mark.parametrize("before", [b"", encode_frame(GREASE, b"")], ids=["first", "after a reserved frame"])
def test_data_before_headers(bench: MakeBench, payload: bytes, before: bytes) -> None:
    ends = bench()
    ends.begin_message(before, encode_frame(DATA, payload), ends.head())
    ends.check_connection_error(UNEXPECTED)


@rule("8.3-after-trailers")
@pytest.mark.parametrize("content", [b"", encode_frame(DATA, b"content")], ids=["no content", "content"])
@pytest.mark.parametrize("what", ["HEADERS", "DATA", "empty DATA"])
def test_after_trailers(bench: MakeBench, content: bytes, what: str) -> None:
    ends = bench()
    trailers = ends.peer.headers([(b"x-trailer", b"1")])
    after = trailers if what == "HEADERS" else encode_frame(DATA, b"more" if what == "DATA" else b"")
    ends.begin_message(ends.head(opens=False), content, trailers, after)
    ends.check_connection_error(UNEXPECTED)


@rule("8.3-control-frame")
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("frame_type", [SETTINGS, GOAWAY, MAX_PUSH_ID, CANCEL_PUSH])
def test_control_frame(bench: MakeBench, frame_type: int, place: str) -> None:
    ends = bench()
    put(ends, place, encode_frame(frame_type, b"\x00"))
    ends.check_connection_error(UNEXPECTED)


@rule("8.3-http2-frame")
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("frame_type", [0x02, 0x06, 0x08, 0x09])
def test_http2_frame(bench: MakeBench, frame_type: int, place: str) -> None:
    ends = bench()
    put(ends, place, encode_frame(frame_type, b"\x00"))
    ends.check_connection_error(UNEXPECTED)


@rule("8.3-push-promise-at-server")
@pytest.mark.parametrize("place", PLACES)
def test_push_promise_at_server(bench: MakeBench, place: str) -> None:
    ends = bench()
    put(ends, place, encode_frame(PUSH_PROMISE, b"\x00\x00\x00\xd1"))
    ends.check_connection_error(UNEXPECTED)


@rule("8.3-push-promise-at-client")
@pytest.mark.parametrize("place", ["first", "after the head"])
def test_push_promise_at_client(bench: MakeBench, place: str) -> None:
    ends = bench()
    put(ends, place, encode_frame(PUSH_PROMISE, b"\x00\x00\x00\xd1"))
    ends.check_connection_error(ErrorCodes.H3_ID_ERROR)


@rule("8.3-frame-in-tunnel")
@pytest.mark.parametrize("frame_type", [HEADERS, PUSH_PROMISE, SETTINGS, GOAWAY, MAX_PUSH_ID, CANCEL_PUSH])
def test_frame_in_tunnel(bench: MakeBench, frame_type: int) -> None:
    ends = bench()
    payload = b"\x00\x00\xd9" if frame_type == HEADERS else b"\x00"
    ends.peer.send(ends.session_id, encode_frame(frame_type, payload))
    ends.check_connection_error(UNEXPECTED)


@rule("8.3-frame-in-tunnel")
def test_frame_in_tunnel_trailers(bench: MakeBench) -> None:
    ends = bench()
    ends.peer.send(ends.session_id, encode_frame(DATA, b"") + ends.peer.headers([(b"x-trailer", b"1")]), fin=True)
    ends.check_connection_error(UNEXPECTED)


@rule("8.3-unknown-frame")
@pytest.mark.parametrize("frame_type", [GREASE, 0x0C, 0x54, 2**62 - 1])
def test_unknown_frame(bench: MakeBench, frame_type: int) -> None:
    ends = bench()
    frame = encode_frame(frame_type, bytes(300))
    ends.peer.send(ends.session_id, frame + encode_frame(frame_type, b""))
    stream_id = ends.begin_message(frame, ends.head(), frame)
    if ends.is_client:
        assert ends.peer.engine.sessions[stream_id].is_open
    else:
        ends.peer.take_event("SessionRequested").session.accept()
    ends.check_nothing_wrong()


@rule("8.3-unknown-frame")
def test_unknown_frame_is_not_kept(bench: MakeBench) -> None:
    ends = bench()
    ends.peer.send(ends.session_id, encode_varint(GREASE) + encode_varint(2**62 - 1))
    for _ in range(20):
        ends.peer.send(ends.session_id, bytes(60_000))
    ends.check_nothing_wrong()


@rule("8.3-fin-inside-frame")
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(
    "data",
    [b"\x21", b"\x21\x40", b"\x01\x05", b"\x01\x05\x00\x00", b"\x21\x05abc"],
    ids=["in the length", "in a long length", "before HEADERS' payload", "in HEADERS", "in a reserved frame"],
)
def test_fin_inside_frame(bench: MakeBench, data: bytes, place: str) -> None:
    ends = bench()
    put(ends, place, data, fin=True)
    ends.check_connection_error(ErrorCodes.H3_FRAME_ERROR)


@rule("8.3-fin-inside-frame")
@pytest.mark.parametrize("place", PLACES[1:])
@pytest.mark.parametrize("data", [b"\x40", b"\x00", b"\x00\x05abc", b"\x00\x00\xc0"])
def test_fin_inside_frame_of_data(bench: MakeBench, data: bytes, place: str) -> None:
    ends = bench()
    put(ends, place, data, fin=True)
    ends.check_connection_error(ErrorCodes.H3_FRAME_ERROR)


@rule("8.3-request-incomplete")
@pytest.mark.parametrize("frames", [b"", b"\x40", encode_frame(GREASE, b""), encode_frame(GREASE, b"x") * 3])
def test_request_incomplete(bench: MakeBench, frames: bytes) -> None:
    ends = bench()
    stream_id = ends.begin_message(frames, fin=True)
    assert "SessionRequested" not in ends.peer.names()
    ends.check_stream_error(stream_id, ErrorCodes.H3_REQUEST_INCOMPLETE)


# Sizes.


@rule("8.3-field-section-size")
def test_field_section_size_as_sent(bench: MakeBench) -> None:
    # Refused at its length: the payload never comes.
    ends = bench()
    stream_id = ends.begin_message(encode_varint(HEADERS) + encode_varint(MAX_FIELD_SECTION_SIZE + 1))
    ends.check_stream_error(stream_id, ErrorCodes.H3_EXCESSIVE_LOAD)


@rule("8.3-field-section-size")
@pytest.mark.parametrize("size", [MAX_FIELD_SECTION_SIZE // 34, MAX_FIELD_SECTION_SIZE // 2])
def test_field_section_size_as_decoded(bench: MakeBench, size: int) -> None:
    # Each line of one byte, `:path /` of the static table, counts 38.
    ends = bench()
    stream_id = ends.begin_message(encode_frame(HEADERS, b"\x00\x00" + b"\xc1" * size))
    ends.check_stream_error(stream_id, ErrorCodes.H3_EXCESSIVE_LOAD)


@rule("8.3-field-section-size")
def test_field_section_size_at_the_limit(bench: MakeBench) -> None:
    ends = bench()
    lines = [(b"x-long", b"x" * 4000)] * (MAX_FIELD_SECTION_SIZE // 4100)
    stream_id = ends.begin_message(ends.head(*lines))
    if not ends.is_client:
        ends.peer.take_event("SessionRequested").session.accept()
    assert ends.peer.engine.sessions[stream_id].is_open
    ends.check_nothing_wrong()


@rule("8.3-settings-flood")
@pytest.mark.parametrize("size", [8193, 2**40])
def test_settings_flood(peer: MakePeer, size: int) -> None:
    # Known by its length: the settings never come.
    ends = peer(settings=None)
    ends.send(ends.control_id, b"\x00" + encode_varint(SETTINGS) + encode_varint(size))
    assert ends.closed == ErrorCodes.H3_EXCESSIVE_LOAD


# Abuse.


def flood(ends: Bench, what: str, count: int) -> None:
    """Do so many times what costs a peer nothing."""
    peer = ends.peer
    match what:
        case "empty DATA":
            peer.send(ends.session_id, encode_frame(DATA, b"") * count)
        case "reserved frames":
            peer.send(ends.session_id, encode_frame(GREASE, b"") * count)
        case "reserved frames on the control stream":
            peer.send(peer.control_id, encode_frame(GREASE, b"") * count)
        case "GOAWAY":
            peer.send(peer.control_id, encode_frame(GOAWAY, b"\x00") * count)
        case "cancelled requests":
            for _ in range(count):
                peer.reset(ends.begin_message(ends.head()), ErrorCodes.H3_REQUEST_CANCELLED)
                if peer.closed is not None:
                    return
        case "priorities":
            peer.send(peer.control_id, encode_frame(0xF0700, b"\x00u=1") * count)
        case "interim responses":
            ends.begin_message(peer.response(103) * count)
        case "unknown capsules":
            peer.send(ends.session_id, encode_frame(DATA, encode_capsule(GREASE, b"") * count))
        case "WT_DRAIN_SESSION":
            peer.send(ends.session_id, encode_frame(DATA, encode_capsule(DRAIN_WEBTRANSPORT_SESSION_TYPE, b"") * count))
        case "unknown streams":
            for _ in range(count):
                peer.send(peer.next_id(unidirectional=True), encode_varint(GREASE))
                if peer.closed is not None:
                    return


FLOODS = [
    "empty DATA",
    "reserved frames",
    "reserved frames on the control stream",
    "GOAWAY",
    "unknown streams",
    "unknown capsules",
    "WT_DRAIN_SESSION",
]
FLOODS_OF_CLIENTS = ["cancelled requests", "priorities"]
FLOODS_OF_SERVERS = ["interim responses"]


def check_flood(ends: Bench, what: str) -> None:
    """Fail unless too much of it at once closes the connection, and what honest peers do over time does not."""
    for _ in range(3):
        flood(ends, what, MAX_IDLE_ACTIONS - 50)
        assert ends.peer.closed is None
        ends.peer.wait(MAX_IDLE_ACTIONS / IDLE_ACTIONS_PER_SECOND)
    assert ends.session.is_open
    assert ends.bystander.is_open
    flood(ends, what, MAX_IDLE_ACTIONS + 2)
    ends.check_connection_error(ErrorCodes.H3_EXCESSIVE_LOAD)


@rule("8.3-abuse")
@pytest.mark.parametrize("what", FLOODS)
@pytest.mark.in_memory
def test_abuse(bench: MakeBench, what: str) -> None:
    check_flood(bench(), what)


@rule("8.3-abuse")
@pytest.mark.parametrize(
    ("how", "unidirectional"), [("reset", True), ("reset", False), ("stopped", False)], ids=["uni", "bidi", "stopped"]
)
@pytest.mark.in_memory
def test_abuse_by_aborting_streams(bench: MakeBench, how: str, unidirectional: bool) -> None:
    ends = bench()
    peer = ends.peer

    def abort(count: int) -> None:
        for _ in range(count):
            if peer.closed is not None:
                return
            stream_id = peer.open_stream(ends.session_id, unidirectional=unidirectional)
            stream = peer.stream(stream_id)
            stream.take()  # its place is the peer's again
            if how == "stopped":
                peer.stop(stream_id, 1)
                peer.send(stream_id, b"", fin=True)
            else:
                peer.reset(stream_id, 1)
                if not unidirectional:
                    stream.reset(0)

    abort(MAX_ABORTED_STREAMS - 10)
    assert peer.closed is None
    peer.wait(MAX_ABORTED_STREAMS / ABORTED_STREAMS_PER_SECOND)
    abort(MAX_ABORTED_STREAMS + 2)
    ends.check_connection_error(ErrorCodes.H3_EXCESSIVE_LOAD)


@rule("8.3-abuse")
@pytest.mark.parametrize("what", FLOODS_OF_CLIENTS)
@pytest.mark.in_memory
@pytest.mark.in_role("server")
def test_abuse_by_a_client(bench: MakeBench, what: str) -> None:
    check_flood(bench(), what)


@rule("8.3-abuse")
@pytest.mark.parametrize("what", FLOODS_OF_SERVERS)
@pytest.mark.in_memory
@pytest.mark.in_role("client")
def test_abuse_by_a_server(bench: MakeBench, what: str) -> None:
    check_flood(bench(), what)


@rule("8.3-abuse")
@pytest.mark.parametrize("what", ["empty DATA", "reserved frames", "GOAWAY"])
def test_abuse_seen_by_the_peer(bench: MakeBench, what: str) -> None:
    ends = bench()
    flood(ends, what, MAX_IDLE_ACTIONS + 2)
    ends.check_connection_error(ErrorCodes.H3_EXCESSIVE_LOAD)
