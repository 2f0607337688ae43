"""RFC 9114, sections 6.2.1 and 7.2, on control streams."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from cuts import every_cut, random_cuts, read_pieces
from hypothesis import given
from hypothesis import strategies as st

from wtransport._protocol.control import (
    ControlItem,
    ControlReader,
    GoawayRead,
    SettingsRead,
    control_stream_opening,
    goaway,
)
from wtransport._protocol.violations import ConnectionViolation, ProtocolViolation
from wtransport._speedups import encode_frame, encode_varint
from wtransport.constants import ErrorCodes

SETTINGS = encode_frame(0x04, bytes.fromhex("33 01"))
READ = SettingsRead({0x33: 1})
GREASE = encode_frame(0x21, b"grease")
MAX_PUSH_ID = 0x0D
CANCEL_PUSH = 0x03


def expect(wire: bytes, items: Sequence[ControlItem], code: int | None = None, *, is_client: bool = False) -> None:
    """Hold every cut of a stream against the items and the connection error expected."""
    for pieces in every_cut(wire):
        seen, error = read_pieces(ControlReader(is_client=is_client).feed, pieces, ProtocolViolation)
        assert seen == list(items)
        if code is None:
            assert error is None
        else:
            assert isinstance(error, ConnectionViolation)
            assert error.error_code == code


def number(frame_type: int, value: int) -> bytes:
    return encode_frame(frame_type, encode_varint(value))


OPENINGS = {
    "profile A": (
        {0x01: 0, 0x07: 0, 0x08: 1, 0x33: 1, 0xFFD277: 1, 0x2B603742: 1, 0xC671706A: 1, 0x2C7CF000: 1},
        "00 04 20 01 00 07 00 08 01 33 01 80 ff d2 77 01 ab 60 37 42 01 c0 00 00 00 c6 71 70 6a 01 ac 7c f0 00 01",
    ),
    "draft-16 client": ({0x01: 0, 0x07: 0, 0x33: 1, 0x2C7CF000: 1}, "00 04 0b 01 00 07 00 33 01 ac 7c f0 00 01"),
}


@pytest.mark.parametrize(("settings", "wire"), OPENINGS.values(), ids=OPENINGS)
def test_openings(settings: dict[int, int], wire: str) -> None:
    assert control_stream_opening(settings) == bytes.fromhex(wire)
    expect(bytes.fromhex(wire)[1:], [SettingsRead(settings)])


def test_goaway_vectors() -> None:
    assert goaway(2**62 - 4) == bytes.fromhex("07 08 ff ff ff ff ff ff ff fc")
    assert goaway(0) == bytes.fromhex("07 01 00")
    with pytest.raises(ValueError, match=r"2\*\*62"):
        goaway(2**62)


@pytest.mark.parametrize("is_client", [True, False])
def test_settings_then_goaways_that_go_down(is_client: bool) -> None:
    wire = SETTINGS + goaway(2**62 - 4) + GREASE + goaway(8) + goaway(8) + goaway(0)
    items: list[ControlItem] = [READ, *map(GoawayRead, (2**62 - 4, 8, 8, 0))]
    expect(wire, items, is_client=is_client)


def test_goaway_goes_up() -> None:
    expect(SETTINGS + goaway(8) + goaway(12), [READ, GoawayRead(8)], ErrorCodes.H3_ID_ERROR)
    expect(SETTINGS + goaway(8) + goaway(12), [READ, GoawayRead(8)], ErrorCodes.H3_ID_ERROR, is_client=True)


@pytest.mark.parametrize("identifier", [1, 2, 3, 7])
def test_goaway_names_a_request_to_a_client_and_a_push_to_a_server(identifier: int) -> None:
    expect(SETTINGS + goaway(identifier), [READ], ErrorCodes.H3_ID_ERROR, is_client=True)
    expect(SETTINGS + goaway(identifier), [READ, GoawayRead(identifier)])


FIRST = {
    "GREASE": GREASE,
    "GOAWAY": goaway(0),
    "GOAWAY over any limit": bytes.fromhex("07 80 00 ff ff"),
    "MAX_PUSH_ID": number(MAX_PUSH_ID, 0),
    "DATA": encode_frame(0x00, b"x"),
    "HEADERS": encode_frame(0x01, b"x"),
    "PING": encode_frame(0x06, b""),
    "PRIORITY_UPDATE": encode_frame(0xF0700, b"\x00"),
}


@pytest.mark.parametrize("wire", FIRST.values(), ids=FIRST)
def test_anything_but_settings_first_is_missing_settings(wire: bytes) -> None:
    expect(wire + SETTINGS, [], ErrorCodes.H3_MISSING_SETTINGS)


def test_the_first_type_is_enough_to_tell() -> None:
    with pytest.raises(ConnectionViolation):
        list(ControlReader(is_client=True).feed(b"\x07"))


def test_settings_may_be_written_with_longer_varints() -> None:
    expect(bytes.fromhex("40 04 80 00 00 02 33 01"), [READ])


UNEXPECTED = {
    "second SETTINGS": SETTINGS,
    "DATA": encode_frame(0x00, b"x"),
    "empty DATA": encode_frame(0x00, b""),
    "HEADERS": encode_frame(0x01, b"x"),
    "PUSH_PROMISE": encode_frame(0x05, b"\x00"),
    "PRIORITY": encode_frame(0x02, b""),
    "PING": encode_frame(0x06, b""),
    "WINDOW_UPDATE": encode_frame(0x08, b""),
    "CONTINUATION": encode_frame(0x09, b""),
}


@pytest.mark.parametrize("wire", UNEXPECTED.values(), ids=UNEXPECTED)
@pytest.mark.parametrize("is_client", [True, False])
def test_frames_that_have_no_place_here(wire: bytes, is_client: bool) -> None:
    expect(SETTINGS + wire, [READ], ErrorCodes.H3_FRAME_UNEXPECTED, is_client=is_client)


@pytest.mark.parametrize("before", [b"", SETTINGS])
def test_the_webtransport_signal_is_a_frame_error(before: bytes) -> None:
    expect(before + bytes.fromhex("40 41 00"), [READ] if before else [], ErrorCodes.H3_FRAME_ERROR)


def test_max_push_id_comes_from_clients_and_never_goes_down() -> None:
    good = SETTINGS + number(MAX_PUSH_ID, 0) + number(MAX_PUSH_ID, 7) + number(MAX_PUSH_ID, 7)
    expect(good, [READ])
    expect(good + number(MAX_PUSH_ID, 6), [READ], ErrorCodes.H3_ID_ERROR)
    expect(good, [READ], ErrorCodes.H3_FRAME_UNEXPECTED, is_client=True)


@pytest.mark.parametrize("is_client", [True, False])
def test_a_push_that_never_was_cannot_be_cancelled(is_client: bool) -> None:
    expect(SETTINGS + number(CANCEL_PUSH, 0), [READ], ErrorCodes.H3_ID_ERROR, is_client=is_client)


@pytest.mark.parametrize("frame_type", [0x07, MAX_PUSH_ID, CANCEL_PUSH])
@pytest.mark.parametrize("payload", ["", "40", "c0 00 00", "00 00", "40 00 00", "00 00 00 00 00 00 00 00 00"])
def test_a_body_that_is_not_one_number_is_a_frame_error(frame_type: int, payload: str) -> None:
    expect(SETTINGS + encode_frame(frame_type, bytes.fromhex(payload)), [READ], ErrorCodes.H3_FRAME_ERROR)


def test_priority_updates_come_from_clients_only() -> None:
    for frame_type in (0xF0700, 0xF0701):
        frame = encode_frame(frame_type, b"\x00u=1")
        expect(SETTINGS + frame + goaway(0), [READ, GoawayRead(0)])
        expect(SETTINGS + frame, [READ], ErrorCodes.H3_FRAME_UNEXPECTED, is_client=True)


def test_unknown_frames_are_skipped_without_keeping_them() -> None:
    reader = ControlReader(is_client=False)
    assert list(reader.feed(SETTINGS + bytes.fromhex("21 ff ff ff ff ff ff ff ff"))) == [READ]
    assert list(reader.feed(bytes(100_000))) == []


@pytest.mark.parametrize("length", ["60 01", "ff ff ff ff ff ff ff ff"])
def test_a_settings_frame_of_a_flood_is_refused_at_its_length(length: str) -> None:
    expect(bytes.fromhex("04" + length), [], ErrorCodes.H3_EXCESSIVE_LOAD)


BAD_SETTINGS = {
    "04 04 08 01 08 01": ErrorCodes.H3_SETTINGS_ERROR,
    "04 02 02 00": ErrorCodes.H3_SETTINGS_ERROR,
    "04 02 33 02": ErrorCodes.H3_SETTINGS_ERROR,
    "04 01 33": ErrorCodes.H3_FRAME_ERROR,
}


@pytest.mark.parametrize(("wire", "code"), BAD_SETTINGS.items())
def test_bad_settings(wire: str, code: int) -> None:
    expect(bytes.fromhex(wire), [], code)


def test_who_sent_the_settings_matters() -> None:
    wire = bytes.fromhex("04 05 ac 7c f0 00 02")
    expect(wire, [SettingsRead({0x2C7CF000: 2})])
    expect(wire, [], ErrorCodes.H3_SETTINGS_ERROR, is_client=True)


FRAMES = st.sampled_from([*UNEXPECTED.values(), GREASE, goaway(8), goaway(4), goaway(3), number(MAX_PUSH_ID, 1)])


@given(st.data(), st.lists(FRAMES, max_size=6), st.booleans())
def test_the_cut_never_matters(data: st.DataObject, frames: list[bytes], is_client: bool) -> None:
    wire = SETTINGS + b"".join(frames)
    pieces = data.draw(random_cuts(wire))
    whole, whole_error = read_pieces(ControlReader(is_client=is_client).feed, [wire], ProtocolViolation)
    cut, cut_error = read_pieces(ControlReader(is_client=is_client).feed, pieces, ProtocolViolation)
    assert cut == whole
    assert repr(cut_error) == repr(whole_error)


@given(st.binary(max_size=40), st.booleans())
def test_any_bytes_are_read_or_refused(wire: bytes, is_client: bool) -> None:
    read_pieces(ControlReader(is_client=is_client).feed, [SETTINGS + wire], ProtocolViolation)
