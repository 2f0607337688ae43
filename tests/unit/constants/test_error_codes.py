"""The table of error codes."""

from __future__ import annotations

from wtransport.constants import MAX_APPLICATION_ERROR_CODE, ErrorCodes


def test_no_two_codes_share_a_value() -> None:
    assert len(ErrorCodes.__members__) == len({code.value for code in ErrorCodes})


def test_application_range_has_room_for_every_32_bit_code_and_the_reserved_points() -> None:
    # Draft, section 4.4: every 31st point of the range is reserved.
    last = ErrorCodes.WT_APPLICATION_ERROR_FIRST + MAX_APPLICATION_ERROR_CODE + MAX_APPLICATION_ERROR_CODE // 30
    assert last == ErrorCodes.WT_APPLICATION_ERROR_LAST


def test_webtransport_codes_are_those_of_the_draft() -> None:
    codes = {code.name: int(code) for code in ErrorCodes if code.name.startswith("WT_")}
    assert codes == {
        "WT_APPLICATION_ERROR_FIRST": 0x52E4A40FA8DB,
        "WT_APPLICATION_ERROR_LAST": 0x52E5AC983162,
        "WT_BUFFERED_STREAM_REJECTED": 0x3994BD84,
        "WT_SESSION_GONE": 0x170D7B68,
        "WT_FLOW_CONTROL_ERROR": 0x045D4487,
        "WT_ALPN_ERROR": 0x0817B3DD,
        "WT_REQUIREMENTS_NOT_MET": 0x212C0D48,
    }
