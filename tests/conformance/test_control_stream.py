"""Section 8.2: what may stand on the control stream."""

from __future__ import annotations

import pytest
from conformance_bench import FLOW_CONTROL, MakeBench
from scripted_peer import DATA, GOAWAY, HEADERS, SETTINGS, MakePeer

from wtransport._protocol.settings import encode_settings
from wtransport._speedups import encode_frame, encode_varint
from wtransport.constants import ErrorCodes

rule = pytest.mark.rule

GREASE = 0x1F * 7 + 0x21
CANCEL_PUSH, PUSH_PROMISE, MAX_PUSH_ID = 0x03, 0x05, 0x0D
PRIORITY_UPDATE = 0xF0700
SIGNAL = 0x41
NUMBER = encode_varint(0)
GOOD = encode_settings(FLOW_CONTROL)


def opening(*payloads: bytes) -> bytes:
    """Return a control stream that begins with these settings, written one after the other in one frame."""
    return b"\x00" + encode_frame(SETTINGS, b"".join(payloads))


def setting(identifier: int, value: int) -> bytes:
    return encode_varint(identifier) + encode_varint(value)


# The first frame.


@rule("8.2-first-frame")
@pytest.mark.parametrize(
    "frame_type", [DATA, HEADERS, CANCEL_PUSH, PUSH_PROMISE, GOAWAY, MAX_PUSH_ID, GREASE, PRIORITY_UPDATE]
)
def test_first_frame(peer: MakePeer, frame_type: int) -> None:
    ends = peer(settings=None)
    ends.send(ends.control_id, b"\x00" + encode_frame(frame_type, NUMBER) + encode_frame(SETTINGS, GOOD))
    assert ends.closed == ErrorCodes.H3_MISSING_SETTINGS


@rule("8.2-first-frame")
def test_first_frame_is_known_by_its_type(peer: MakePeer) -> None:
    ends = peer(settings=None)
    ends.send(ends.control_id, b"\x00" + encode_varint(GREASE)[:1])
    assert ends.closed is None
    ends.send(ends.control_id, encode_varint(GREASE)[1:])
    assert ends.closed == ErrorCodes.H3_MISSING_SETTINGS


# Frames.


@rule("8.2-second-settings")
@pytest.mark.parametrize("payload", [b"", GOOD], ids=["empty", "the same"])
def test_second_settings(bench: MakeBench, payload: bytes) -> None:
    ends = bench()
    ends.peer.send(ends.peer.control_id, encode_frame(SETTINGS, payload))
    ends.check_connection_error(ErrorCodes.H3_FRAME_UNEXPECTED)


@rule("8.2-unexpected-frame")
@pytest.mark.parametrize("payload", [b"", b"\x00\x00\xd9"], ids=["empty", "not empty"])
@pytest.mark.parametrize("frame_type", [DATA, HEADERS, PUSH_PROMISE])
def test_unexpected_frame(bench: MakeBench, frame_type: int, payload: bytes) -> None:
    ends = bench()
    ends.peer.send(ends.peer.control_id, encode_frame(frame_type, payload))
    ends.check_connection_error(ErrorCodes.H3_FRAME_UNEXPECTED)


@rule("8.2-http2-frame")
@pytest.mark.parametrize("frame_type", [0x02, 0x06, 0x08, 0x09])
def test_http2_frame(bench: MakeBench, frame_type: int) -> None:
    ends = bench()
    ends.peer.send(ends.peer.control_id, encode_frame(frame_type, bytes(5)))
    ends.check_connection_error(ErrorCodes.H3_FRAME_UNEXPECTED)


@rule("8.2-signal")
@pytest.mark.parametrize("before", [b"", encode_frame(GREASE, b"grease")], ids=["alone", "after a reserved frame"])
def test_signal(bench: MakeBench, before: bytes) -> None:
    ends = bench()
    ends.peer.send(ends.peer.control_id, before + encode_varint(SIGNAL) + NUMBER)
    ends.check_connection_error(ErrorCodes.H3_FRAME_ERROR)


@rule("8.2-signal")
def test_signal_as_the_first_frame(peer: MakePeer) -> None:
    ends = peer(settings=None)
    ends.send(ends.control_id, b"\x00" + encode_varint(SIGNAL) + NUMBER)
    assert ends.closed == ErrorCodes.H3_FRAME_ERROR


@rule("8.2-unknown-frame")
@pytest.mark.parametrize("frame_type", [GREASE, 0x1F + 0x21, 0x0C, 0x10, 2**62 - 1])
def test_unknown_frame(bench: MakeBench, frame_type: int) -> None:
    ends = bench()
    ends.peer.send(ends.peer.control_id, encode_frame(frame_type, bytes(500)) + encode_frame(frame_type, b""))
    ends.check_nothing_wrong()


@rule("8.2-unknown-frame")
def test_unknown_frame_is_not_kept(bench: MakeBench) -> None:
    # One byte at a time would be noticed; a frame of 2**62-1 bytes never ends, so the frames behind it never come.
    ends = bench()
    ends.peer.send(ends.peer.control_id, encode_varint(GREASE) + encode_varint(2**62 - 1))
    for _ in range(20):
        ends.peer.send(ends.peer.control_id, bytes(60_000))
    ends.check_nothing_wrong()


# Settings.


@rule("8.2-http2-setting")
@pytest.mark.parametrize("identifier", [0x00, 0x02, 0x03, 0x04, 0x05])
def test_http2_setting(peer: MakePeer, identifier: int) -> None:
    ends = peer(settings=None)
    ends.send(ends.control_id, opening(GOOD, setting(identifier, 0)))
    assert ends.closed == ErrorCodes.H3_SETTINGS_ERROR


@rule("8.2-setting-twice")
@pytest.mark.parametrize("identifier", [0x01, 0x06, 0x08, 0x33, 0x2C7CF000, 0x2B61, GREASE])
def test_setting_twice(peer: MakePeer, identifier: int) -> None:
    ends = peer(settings=None)
    ends.send(ends.control_id, opening(setting(identifier, 1), setting(identifier, 1)))
    assert ends.closed == ErrorCodes.H3_SETTINGS_ERROR


@rule("8.2-setting-not-boolean")
@pytest.mark.parametrize("value", [2, 2**62 - 1])
@pytest.mark.parametrize("identifier", [0x08, 0x33, 0x2B603742])
def test_setting_not_boolean(peer: MakePeer, identifier: int, value: int) -> None:
    ends = peer(settings=None)
    ends.send(ends.control_id, opening(setting(identifier, value)))
    assert ends.closed == ErrorCodes.H3_SETTINGS_ERROR


@rule("8.2-wt-enabled-above-1")
@pytest.mark.parametrize("value", [2, 2**62 - 1])
def test_wt_enabled_above_1(peer: MakePeer, value: int) -> None:
    ends = peer(settings=None)
    ends.send(ends.control_id, opening(encode_settings(FLOW_CONTROL | {0x2C7CF000: value})))
    assert ends.closed == ErrorCodes.H3_SETTINGS_ERROR


@rule("8.2-wt-enabled-above-1-at-server")
def test_wt_enabled_above_1_at_server(bench: MakeBench) -> None:
    ends = bench(settings=FLOW_CONTROL | {0x2C7CF000: 2})
    assert ends.peer.engine.draft == 16
    ends.check_nothing_wrong()


@rule("8.2-settings-cut")
@pytest.mark.parametrize("rest", [b"\x08", b"\xc0", setting(0x2C7CF000, 1)[:-1], setting(GREASE, 2**40)[:-1]])
def test_settings_cut(peer: MakePeer, rest: bytes) -> None:
    ends = peer(settings=None)
    ends.send(ends.control_id, opening(setting(0x33, 1), rest))
    assert ends.closed == ErrorCodes.H3_FRAME_ERROR


@rule("8.2-frame-body-size")
@pytest.mark.parametrize(
    "payload",
    [b"", b"\x40", b"\xc0" + bytes(6), b"\x00\x00", encode_varint(2**40) + b"\x00", bytes(500)],
    ids=["empty", "cut", "cut long", "trailing byte", "trailing byte, long", "far too long"],
)
@pytest.mark.parametrize("frame_type", [GOAWAY, CANCEL_PUSH, MAX_PUSH_ID])
def test_frame_body_size(bench: MakeBench, frame_type: int, payload: bytes) -> None:
    ends = bench()
    ends.peer.send(ends.peer.control_id, encode_frame(frame_type, payload))
    if ends.is_client and frame_type == MAX_PUSH_ID and len(payload) <= 8:
        # A server must not send it at all, which is known first unless it is too long to be looked at.
        ends.check_connection_error(ErrorCodes.H3_FRAME_UNEXPECTED)
    else:
        ends.check_connection_error(ErrorCodes.H3_FRAME_ERROR)


# Identifiers.


@rule("8.2-goaway-id")
@pytest.mark.parametrize("identifier", [1, 2, 3, 2**62 - 1])
def test_goaway_id(bench: MakeBench, identifier: int) -> None:
    ends = bench()
    ends.peer.send_goaway(identifier)
    ends.check_connection_error(ErrorCodes.H3_ID_ERROR)


@rule("8.2-goaway-grows")
@pytest.mark.parametrize(("first", "second"), [(0, 4), (400, 404), (400, 2**62 - 4)])
def test_goaway_grows(bench: MakeBench, first: int, second: int) -> None:
    ends = bench()
    ends.peer.send_goaway(first)
    assert ends.peer.closed is None
    ends.peer.send_goaway(second)
    ends.check_connection_error(ErrorCodes.H3_ID_ERROR)


@rule("8.2-max-push-id-shrinks")
def test_max_push_id_shrinks(bench: MakeBench) -> None:
    ends = bench()
    for push_id in (7, 7, 9):
        ends.peer.send(ends.peer.control_id, encode_frame(MAX_PUSH_ID, encode_varint(push_id)))
    ends.check_nothing_wrong()
    ends.peer.send(ends.peer.control_id, encode_frame(MAX_PUSH_ID, encode_varint(8)))
    assert ends.peer.closed == ErrorCodes.H3_ID_ERROR


@rule("8.2-cancel-push")
@pytest.mark.parametrize("push_id", [0, 1, 2**62 - 1])
def test_cancel_push(bench: MakeBench, push_id: int) -> None:
    ends = bench()
    ends.peer.send(ends.peer.control_id, encode_frame(CANCEL_PUSH, encode_varint(push_id)))
    ends.check_connection_error(ErrorCodes.H3_ID_ERROR)


@rule("8.2-max-push-id-at-client")
def test_max_push_id_at_client(bench: MakeBench) -> None:
    ends = bench()
    ends.peer.send(ends.peer.control_id, encode_frame(MAX_PUSH_ID, NUMBER))
    ends.check_connection_error(ErrorCodes.H3_FRAME_UNEXPECTED)
