"""Section 6: session flow control, as the peer sees it and as it binds us."""

from __future__ import annotations

from typing import Any

import pytest
from conformance_bench import DRAFT14, FLOW_CONTROL, PROFILES, Bench, MakeBench
from scripted_peer import (
    CLOSE,
    DATA_BLOCKED,
    DRAFT07,
    DRAFT16,
    DRAIN,
    INITIAL_MAX_DATA,
    INITIAL_MAX_STREAMS_BIDI,
    INITIAL_MAX_STREAMS_UNI,
    MAX_DATA,
    MAX_STREAMS_BIDI,
    MAX_STREAMS_UNI,
    STREAMS_BLOCKED_BIDI,
    STREAMS_BLOCKED_UNI,
    MakePeer,
    datagram,
    with_flow_control,
)

from wtransport._speedups import encode_varint
from wtransport.constants import ErrorCodes
from wtransport.exceptions import SessionError
from wtransport.types import SessionState

rule = pytest.mark.rule

FLOW_CONTROL_ERROR = ErrorCodes.WT_FLOW_CONTROL_ERROR
EITHER_DIRECTION = pytest.mark.parametrize("unidirectional", [False, True], ids=["bidi", "uni"])
BY_HAND: dict[str, Any] = {"flow_control_window_auto_scale": False}
FLOW_CONTROL_CAPSULES = {
    MAX_DATA,
    MAX_STREAMS_BIDI,
    MAX_STREAMS_UNI,
    DATA_BLOCKED,
    STREAMS_BLOCKED_BIDI,
    STREAMS_BLOCKED_UNI,
}

# When it is on.


SINGLE = {0x08: 1, 0x33: 1, 0x14E9CD29: 1}
ON: dict[str, dict[int, int]] = {
    "16, data": DRAFT16 | {INITIAL_MAX_DATA: 1},
    "16, bidi": DRAFT16 | {INITIAL_MAX_STREAMS_BIDI: 1},
    "16, uni": DRAFT16 | {INITIAL_MAX_STREAMS_UNI: 1},
    "14, one session, data": SINGLE | {INITIAL_MAX_DATA: 1},
    "14, one session, uni": SINGLE | {INITIAL_MAX_STREAMS_UNI: 1},
    "14, two sessions": SINGLE | {0x14E9CD29: 2},
    "14 as of Safari": SINGLE | {0xC671706A: 1, INITIAL_MAX_DATA: 1 << 23, INITIAL_MAX_STREAMS_UNI: 100},
}
LIMITS = {INITIAL_MAX_DATA: 9, INITIAL_MAX_STREAMS_BIDI: 9, INITIAL_MAX_STREAMS_UNI: 9}
OFF: dict[str, dict[int, int]] = {
    "16": DRAFT16,
    "16, all 0": DRAFT16 | dict.fromkeys(LIMITS, 0),
    "14, one session": SINGLE,
    "7": DRAFT07,
    "7 with limits": DRAFT07 | LIMITS,
    "2 with limits": PROFILES[2] | LIMITS,
}


@rule("6-on")
@pytest.mark.parametrize("settings", ON.values(), ids=ON)
def test_on(peer: MakePeer, settings: dict[int, int]) -> None:
    ends = peer(settings=settings)
    session = ends.open_session()
    ends.send_limit(session.stream_id, MAX_STREAMS_BIDI, (1 << 60) + 1)
    assert session.end_error is not None
    assert session.end_error.error_code == FLOW_CONTROL_ERROR
    assert ends.ends(session.stream_id) == (FLOW_CONTROL_ERROR, FLOW_CONTROL_ERROR)
    assert ends.closed is None


@rule("6-on")
@pytest.mark.parametrize("settings", OFF.values(), ids=OFF)
def test_on_in_no_other_case(peer: MakePeer, settings: dict[int, int]) -> None:
    ends = peer(settings=settings, initial_max_data=1, initial_max_streams_bidi=1, initial_max_streams_uni=1)
    session = ends.open_session()
    ends.send_limit(session.stream_id, MAX_STREAMS_BIDI, (1 << 60) + 1)
    for unidirectional in (True, False) * 3:
        stream_id = ends.open_stream(session.stream_id, b"much more than one byte", unidirectional=unidirectional)
        assert ends.stream(stream_id).read() == b"much more than one byte"
        assert session.open_stream(unidirectional=unidirectional) is not None
    assert session.is_open
    assert not ends.aborted()


@rule("6-off-no-capsules")
@pytest.mark.parametrize("settings", OFF.values(), ids=OFF)
def test_off_no_capsules(peer: MakePeer, settings: dict[int, int]) -> None:
    ends = peer(settings=settings, initial_max_data=10, initial_max_streams_bidi=2, initial_max_streams_uni=2)
    session = ends.open_session()
    for unidirectional in (True, False) * 4:
        ends.open_stream(session.stream_id, bytes(100), unidirectional=unidirectional, fin=True)
        stream = ends.take_event("StreamOpened").stream
        stream.read()
        if not unidirectional:
            stream.write(b"", end_stream=True)
        mine = session.open_stream(unidirectional=unidirectional)
        assert mine is not None
        mine.write(bytes(1000), end_stream=True)
    session.grant_data(1 << 30)
    session.grant_streams(1 << 20, unidirectional=True)
    session.drain()
    ends.pump()
    assert [kind for kind, _ in ends.capsules(session.stream_id)] == [DRAIN]


@rule("6-off-second-session")
@pytest.mark.parametrize("settings", [DRAFT16, SINGLE], ids=["16", "14"])
def test_off_second_session(peer: MakePeer, settings: dict[int, int]) -> None:
    ends = peer(settings=settings)
    session = ends.open_session()
    second = ends.request()
    assert ends.aborted() == {second: (ErrorCodes.H3_REQUEST_REJECTED, ErrorCodes.H3_REQUEST_REJECTED)}
    assert session.is_open
    assert ends.closed is None
    ends.send_close(session.stream_id)
    third = ends.open_session()
    assert third.is_open  # one at a time, not one for ever


@rule("6-off-no-second-session")
@pytest.mark.parametrize("settings", [DRAFT16, SINGLE], ids=["16", "14"])
def test_off_no_second_session(peer: MakePeer, settings: dict[int, int]) -> None:
    ends = peer(settings=settings)
    session = ends.open_session()
    with pytest.raises(SessionError):
        ends.engine.open_session(authority="localhost", path="/", headers={})
    session.close()
    ends.send(session.stream_id, b"", fin=True)
    assert ends.open_session().is_open


@rule("6-off-old-drafts")
@pytest.mark.parametrize("draft", [7, 2])
def test_off_old_drafts(bench: MakeBench, draft: int) -> None:
    ends = bench(settings=PROFILES[draft])
    assert ends.peer.engine.draft == draft
    ends.check_nothing_wrong()


# What counts.


@rule("6-absent-limit")
def test_absent_limit(peer: MakePeer) -> None:
    ends = peer(settings=with_flow_control(uni=2))
    session = ends.open_session()
    assert session.open_stream(unidirectional=False) is None
    stream = session.open_stream(unidirectional=True)
    assert stream is not None
    stream.write(b"data")
    ends.pump()
    assert ends.limits(session.stream_id, STREAMS_BLOCKED_BIDI) == [0]
    assert ends.limits(session.stream_id, DATA_BLOCKED) == [0]
    header = ends.sent(stream.stream_id)
    ends.send_limit(session.stream_id, MAX_DATA, 2)
    ends.send_limit(session.stream_id, MAX_STREAMS_BIDI, 1)
    assert ends.sent(stream.stream_id) == header + b"da"
    assert session.open_stream(unidirectional=False) is not None
    assert session.open_stream(unidirectional=False) is None


@rule("6-limits-per-session")
@EITHER_DIRECTION
def test_limits_per_session(bench: MakeBench, unidirectional: bool) -> None:
    settings = with_flow_control(data=50, bidi=3, uni=3)
    ends = bench(
        settings=settings, initial_max_data=50, initial_max_streams_bidi=3, initial_max_streams_uni=3, **BY_HAND
    )
    for session in (ends.session, ends.bystander):
        stream = session.open_stream(unidirectional=unidirectional)
        assert stream is not None
        stream.write(bytes(60))
        ends.peer.open_stream(session.stream_id, bytes(40), unidirectional=unidirectional)
        ends.peer.pump()
        assert ends.peer.sent(stream.stream_id)[-50:] == bytes(50)
        assert ends.peer.limits(session.stream_id, DATA_BLOCKED) == [50]
        assert session.is_open


def limited(bench: MakeBench, **limits: int) -> Bench:
    """Return a bench whose engine limits the peer to these, for good; each session has a stream of 4 or 5 bytes."""
    return bench(**BY_HAND, **{f"initial_max_{name}": limit for name, limit in limits.items()})


@rule("6-streams-counted")
@EITHER_DIRECTION
@pytest.mark.parametrize("how", ["open", "FIN", "reset", "stopped"])
def test_streams_counted(bench: MakeBench, how: str, unidirectional: bool) -> None:
    ends = limited(bench, streams_bidi=5, streams_uni=4)
    for _ in range(4):  # one bidirectional one is there already
        stream_id = ends.peer.open_stream(ends.session_id, b"x", unidirectional=unidirectional, fin=how == "FIN")
        stream = ends.peer.take_event("StreamOpened").stream
        if how == "FIN" and not unidirectional:
            stream.write(b"", end_stream=True)
        elif how == "reset":
            ends.peer.reset(stream_id, 0)
        elif how == "stopped":
            stream.stop(0)
            ends.peer.pump()
    assert ends.session.is_open
    if unidirectional:  # of the other direction there is room for 4 more
        ends.peer.open_stream(ends.session_id, b"x", unidirectional=False)
    assert ends.session.is_open
    ends.peer.open_stream(ends.session_id, b"x", unidirectional=unidirectional)
    assert ends.session.end_error is not None
    assert ends.session.end_error.error_code == FLOW_CONTROL_ERROR
    assert ends.peer.ends(ends.session_id) == (FLOW_CONTROL_ERROR, FLOW_CONTROL_ERROR)
    assert ends.bystander.is_open


@rule("6-streams-counted")
@EITHER_DIRECTION
@pytest.mark.parametrize("how", ["open", "FIN", "reset"])
def test_streams_counted_by_us(peer: MakePeer, how: str, unidirectional: bool) -> None:
    ends = peer(settings=with_flow_control(data=100, bidi=2, uni=2))
    session = ends.open_session()
    for _ in range(2):
        stream = session.open_stream(unidirectional=unidirectional)
        assert stream is not None
        if how == "FIN":
            stream.write(b"", end_stream=True)
            ends.pump()
            if not unidirectional:
                ends.send(stream.stream_id, b"", fin=True)
        elif how == "reset":
            stream.reset(0)
            ends.pump()
    assert session.open_stream(unidirectional=unidirectional) is None
    assert session.open_stream(unidirectional=not unidirectional) is not None


@rule("6-bytes-counted")
def test_bytes_counted(bench: MakeBench) -> None:
    ends = limited(bench, data=104)
    bidi = ends.peer.open_stream(ends.session_id, bytes(60), unidirectional=False)
    ends.peer.open_stream(ends.session_id, bytes(40), unidirectional=True, fin=True)
    ends.peer.stream(bidi).read()
    ends.peer.send_capsule(ends.session_id, 0x17, bytes(300))
    ends.peer.datagrams(datagram(ends.session_id, bytes(300)))
    assert ends.session.is_open
    ends.peer.send(bidi, b"!")
    ends.check_session_error(FLOW_CONTROL_ERROR)


@rule("6-bytes-counted")
def test_bytes_counted_by_us(peer: MakePeer) -> None:
    ends = peer(settings=with_flow_control(data=100, bidi=9, uni=9))
    session = ends.open_session()
    bidi, uni = (session.open_stream(unidirectional=unidirectional) for unidirectional in (False, True))
    assert bidi is not None
    assert uni is not None
    session.send_datagram(bytes(50))
    session.drain()
    bidi.write(bytes(60))
    uni.write(bytes(60))
    ends.pump()
    assert ends.sent(bidi.stream_id).endswith(bytes(60))
    assert len(ends.sent(uni.stream_id)) - len(ends.sent(bidi.stream_id)) == -20  # both headers have the same size
    assert ends.limits(session.stream_id, DATA_BLOCKED) == [100]


@rule("6-reset-counts")
@EITHER_DIRECTION
@pytest.mark.parametrize("claimed", [90, 91])
def test_reset_counts(bench: MakeBench, claimed: int, unidirectional: bool) -> None:
    # 4 bytes came on the bench's own stream, and 6 on this one before its reset, which claims the rest.
    ends = limited(bench, data=100)
    stream_id = ends.peer.open_stream(ends.session_id, b"before", unidirectional=unidirectional)
    header = 3
    ends.peer.reset(stream_id, 0, header + 6 + claimed)
    if claimed == 90:
        assert ends.session.is_open
        ends.peer.send(ends.stream_id, b"!")
    assert ends.session.end_error is not None
    assert ends.session.end_error.error_code == FLOW_CONTROL_ERROR
    assert ends.peer.ends(ends.session_id) == (FLOW_CONTROL_ERROR, FLOW_CONTROL_ERROR)
    ends.check_works()


@rule("6-counted-once")
def test_counted_once(wire_bench: MakeBench) -> None:
    ends = limited(wire_bench, data=104)
    stream_id = ends.peer.open_stream(ends.session_id, bytes(50), unidirectional=False)
    header = 3

    def frame(offset: int, size: int) -> bytes:
        return b"\x0e" + b"".join(map(encode_varint, (stream_id, header + offset, size))) + bytes(size)

    ends.peer.inject(frame(0, 50) + frame(10, 30))  # what came already
    ends.peer.inject(frame(80, 20))  # with a gap before it
    ends.peer.inject(frame(70, 30))
    ends.peer.inject(frame(40, 40))
    assert ends.peer.stream(stream_id).read() == bytes(100)
    ends.peer.send(stream_id, bytes(50))  # so many more than the first, by count of the peer's QUIC
    assert ends.session.is_open
    ends.peer.send(stream_id, b"!")
    ends.check_session_error(FLOW_CONTROL_ERROR)


# Being held back.


@rule("6-quic-limits-too")
@pytest.mark.in_memory
@EITHER_DIRECTION
def test_quic_limits_too(peer: MakePeer, unidirectional: bool) -> None:
    ends = peer(settings=FLOW_CONTROL, max_streams=3)
    session = ends.open_session()
    opened = 0
    while session.open_stream(unidirectional=unidirectional) is not None:
        opened += 1
    assert opened <= 3
    assert not ends.capsules(session.stream_id)  # the session's credit is not what lacks
    ends.raise_streams(unidirectional=unidirectional, limit=200)
    assert "StreamCreditAvailable" in ends.names()
    while session.open_stream(unidirectional=unidirectional) is not None:
        opened += 1
    assert opened == 100


@rule("6-blocked-once")
def test_blocked_once_by_data(peer: MakePeer) -> None:
    ends = peer(settings=with_flow_control(data=10, bidi=9, uni=9))
    session = ends.open_session()
    streams = [session.open_stream(unidirectional=True) for _ in range(3)]
    for stream in streams:
        assert stream is not None
        stream.write(bytes(100))
    ends.pump()
    assert ends.limits(session.stream_id, DATA_BLOCKED) == [10]
    ends.send_limit(session.stream_id, MAX_DATA, 50)
    ends.send_limit(session.stream_id, MAX_DATA, 70)
    assert ends.limits(session.stream_id, DATA_BLOCKED) == [10, 50, 70]


@rule("6-blocked-once")
@EITHER_DIRECTION
def test_blocked_once_by_streams(peer: MakePeer, unidirectional: bool) -> None:
    ends = peer(settings=with_flow_control(data=10, bidi=1, uni=1))
    session = ends.open_session()
    kind = STREAMS_BLOCKED_UNI if unidirectional else STREAMS_BLOCKED_BIDI
    for limit in (1, 3):
        while session.open_stream(unidirectional=unidirectional) is not None:
            pass
        assert session.open_stream(unidirectional=unidirectional) is None
        ends.pump()
        assert ends.limits(session.stream_id, kind)[-1] == limit
        ends.send_limit(session.stream_id, MAX_STREAMS_UNI if unidirectional else MAX_STREAMS_BIDI, 3)  # 2 more
        if limit == 1:
            continue
    assert ends.limits(session.stream_id, kind) == [1, 3]


@rule("6-grants-unasked")
def test_grants_unasked_of_data(bench: MakeBench) -> None:
    ends = bench(initial_max_data=100)
    for _ in range(10):
        ends.peer.send(ends.stream_id, bytes(40))
        ends.peer.stream(ends.stream_id).read()
        ends.peer.pump()
    granted = ends.peer.limits(ends.session_id, MAX_DATA)
    assert granted == sorted(set(granted))
    assert granted[0] > 100  # never the same as what SETTINGS said
    assert granted[-1] >= 400
    assert ends.session.is_open


@rule("6-grants-unasked")
@EITHER_DIRECTION
def test_grants_unasked_of_streams(bench: MakeBench, unidirectional: bool) -> None:
    ends = bench(initial_max_streams_bidi=4, initial_max_streams_uni=4)
    for _ in range(20):
        ends.peer.open_stream(ends.session_id, b"x", unidirectional=unidirectional, fin=True)
        stream = ends.peer.take_event("StreamOpened").stream
        stream.read()
        if not unidirectional:
            stream.write(b"", end_stream=True)
        ends.peer.pump()
    granted = ends.peer.limits(ends.session_id, MAX_STREAMS_UNI if unidirectional else MAX_STREAMS_BIDI)
    assert granted == sorted(set(granted))
    assert granted[0] > 4
    assert granted[-1] >= 20
    assert ends.session.is_open


# The peer takes too much.


@rule("6-too-many-streams")
@EITHER_DIRECTION
@pytest.mark.parametrize("settings", [FLOW_CONTROL, DRAFT14], ids=["16", "14"])
def test_too_many_streams(bench: MakeBench, settings: dict[int, int], unidirectional: bool) -> None:
    ends = bench(settings=settings, initial_max_streams_bidi=8, initial_max_streams_uni=8)
    for _ in range(8 if unidirectional else 7):
        ends.peer.open_stream(ends.session_id, b"x", unidirectional=unidirectional)
    assert ends.session.is_open
    last = ends.peer.open_stream(ends.session_id, b"x", unidirectional=unidirectional)
    assert ErrorCodes.WT_SESSION_GONE in ends.peer.ends(last)
    ends.check_session_error(FLOW_CONTROL_ERROR)


@rule("6-too-many-bytes")
@pytest.mark.parametrize("settings", [FLOW_CONTROL, DRAFT14], ids=["16", "14"])
@pytest.mark.parametrize("fin", [False, True], ids=["open", "FIN"])
def test_too_many_bytes(bench: MakeBench, settings: dict[int, int], fin: bool) -> None:
    ends = bench(settings=settings, initial_max_data=1000)
    ends.peer.send(ends.stream_id, bytes(996))
    assert ends.session.is_open
    ends.peer.open_stream(ends.session_id, b"x", unidirectional=True, fin=fin)
    ends.check_session_error(FLOW_CONTROL_ERROR)


@rule("6-header-without-credit")
@EITHER_DIRECTION
def test_header_without_credit(peer: MakePeer, unidirectional: bool) -> None:
    ends = peer(settings=with_flow_control(bidi=3, uni=3))
    session = ends.open_session()
    stream = session.open_stream(unidirectional=unidirectional)
    assert stream is not None
    stream.write(b"data", end_stream=True)
    ends.pump()
    header = encode_varint(0x54 if unidirectional else 0x41) + encode_varint(session.stream_id)
    assert ends.sent(stream.stream_id) == header
    assert not ends.has_fin(stream.stream_id)
    ends.send_limit(session.stream_id, MAX_DATA, 4)
    assert ends.sent(stream.stream_id) == header + b"data"
    assert ends.has_fin(stream.stream_id)


@rule("6-header-without-credit")
@EITHER_DIRECTION
def test_header_without_credit_of_the_peer(bench: MakeBench, unidirectional: bool) -> None:
    ends = limited(bench, data=5)
    ends.peer.send(ends.stream_id, b"!")
    stream_id = ends.peer.open_stream(ends.session_id, b"", unidirectional=unidirectional)
    assert ends.peer.stream(stream_id).is_receiving
    assert ends.session.is_open
    assert not ends.peer.aborted()


# Session errors of the peer.


@rule("6-session-error-forms")
@pytest.mark.parametrize("form", ["reset", "stop", "capsule"])
@pytest.mark.parametrize("code", [FLOW_CONTROL_ERROR, ErrorCodes.WT_ALPN_ERROR])
def test_session_error_forms(bench: MakeBench, code: int, form: str) -> None:
    ends = bench()
    if form == "reset":
        ends.peer.reset(ends.session_id, code)
    elif form == "stop":
        ends.peer.stop(ends.session_id, code)
    else:
        ends.peer.send_capsule(ends.session_id, CLOSE, code.to_bytes(4, "big") + b"why", fin=True)
    assert ends.session.state is SessionState.CLOSED
    assert ends.session.close_code is None
    assert ends.session.ended_by_peer
    assert ends.session.end_error is not None
    assert ends.session.end_error.error_code == code
    ends.check_works()
