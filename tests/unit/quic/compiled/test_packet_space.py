"""Acknowledgements: when they are due (RFC 9000, 13.2), and what is in their frames, with aioquic as a reader."""

from __future__ import annotations

from typing import Any

import pytest
from aioquic.buffer import Buffer
from aioquic.quic.packet import pull_ack_frame
from hypothesis import given
from hypothesis import strategies as st
from wtransport._quic._compiled.space import PacketSpace

ACK_TYPE = 2
EVERY = 10
DELAY = 0.002
ROOM = 1200


@pytest.fixture
def space() -> Any:
    return PacketSpace(is_application_data=True)


def read(frame: bytes) -> tuple[list[range], int]:
    """Return the ranges of an ACK frame, ascending, and its delay as it was encoded."""
    buf = Buffer(data=frame)
    assert buf.pull_uint_var() == ACK_TYPE
    ranges, delay = pull_ack_frame(buf)
    assert buf.eof()
    return list(ranges), delay


def test_a_packet_is_acknowledged_after_a_delay(space: Any) -> None:
    assert space.ack_at is None
    space.on_packet_received(0, True, 1.0)
    space.on_packet_received(1, True, 1.001)
    assert space.ack_at == 1.0 + DELAY
    space.ack_delay = 0.01
    space.ack_frame(ROOM, 1.002, 3)
    assert space.ack_at is None
    space.on_packet_received(2, True, 2.0)
    assert space.ack_at == 2.01


def test_packets_that_ask_for_nothing_are_not_acknowledged_by_themselves(space: Any) -> None:
    for number in (0, 1, 5, 3):
        space.on_packet_received(number, False, 1.0)
    assert space.ack_at is None
    space.on_packet_received(6, True, 2.0)
    assert read(space.ack_frame(ROOM, 2.0, 3))[0] == [range(2), range(3, 4), range(5, 7)]


def test_many_packets_are_acknowledged_at_once(space: Any) -> None:
    for burst in range(3):
        now = 1.0 + burst
        for number in range(EVERY):
            assert space.ack_at != now
            space.on_packet_received(burst * EVERY + number, True, now)
        assert space.ack_at == now
        space.ack_frame(ROOM, now, 3)


def test_packets_that_somebody_else_records_are_acknowledged_at_once_when_they_are_many(space: Any) -> None:
    space.ack_at = 5.0
    for _ in range(EVERY - 1):
        space.note_ack_eliciting(1.0)
    assert space.ack_at == 5.0
    space.note_ack_eliciting(1.0)
    assert space.ack_at == 1.0


@pytest.mark.parametrize("number", [7, 3], ids=["behind a gap", "out of order"])
def test_packets_out_of_order_are_acknowledged_at_once(space: Any, number: int) -> None:
    space.on_packet_received(5, True, 1.0)  # the first one of a space may have any number
    assert space.ack_at == 1.0 + DELAY
    space.on_packet_received(number, True, 1.001)
    assert space.ack_at == 1.001
    space.ack_frame(ROOM, 1.001, 3)
    space.on_packet_received(max(5, number) + 1, True, 1.5)
    assert space.ack_at == 1.5 + DELAY


def test_the_delay_is_told_from_the_largest_packet_on(space: Any) -> None:
    space.on_packet_received(1, True, 1.0)
    space.on_packet_received(0, True, 1.5)
    assert (space.largest_received_packet, space.largest_received_time) == (1, 1.0)
    assert space.expected_packet_number == 2
    assert read(space.ack_frame(ROOM, 2.0, 3))[1] == 1_000_000 >> 3
    space.on_packet_received(2, True, 3.0)
    assert read(space.ack_frame(ROOM, 2.5, 3))[1] == 0  # a clock that went back


@given(st.sets(st.integers(0, 2**62 - 1), min_size=1, max_size=60), st.integers(0, 20))
def test_frames_tell_all_ranges(numbers: set[int], exponent: int) -> None:
    space: Any = PacketSpace()
    for number in sorted(numbers):
        space.on_packet_received(number, True, 1.0)
    ranges, delay = read(space.ack_frame(ROOM, 1.5, exponent))
    assert ranges == list(space.ack_queue)
    assert delay == 500_000 >> exponent


@given(st.sets(st.integers(0, 10_000), min_size=1, max_size=80), st.integers(0, 300))
def test_frames_take_no_more_than_the_room_and_keep_the_newest_ranges(numbers: set[int], room: int) -> None:
    space: Any = PacketSpace()
    for number in sorted(numbers):
        space.on_packet_received(number, True, 1.0)
    frame = space.ack_frame(room, 1.0, 3)
    assert len(frame) <= room
    if not frame:
        assert room < 10
        assert space.ack_at is not None, "it is still due"
        return
    ranges = read(frame)[0]
    expected = list(space.ack_queue)
    assert ranges == expected[-len(ranges) :]
    assert len(ranges) == len(expected) or room - len(frame) < 4


def test_there_is_no_frame_without_packets(space: Any) -> None:
    assert space.ack_frame(ROOM, 1.0, 3) == b""
    space.on_packet_received(0, True, 1.0)
    space.ack_queue.subtract(0, 1)
    assert space.ack_frame(ROOM, 1.0, 3) == b""
    assert space.ack_at is None
