"""Packet numbers that arrived: duplicates and the ranges to acknowledge, against sets of numbers."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wtransport._quic._compiled.received import ReceivedPackets

RANGES = 64
WINDOW = 1024


def numbers_of(received: Any) -> set[int]:
    return {number for span in received for number in span}


def spans_of(numbers: set[int]) -> list[range]:
    spans: list[range] = []
    for number in sorted(numbers):
        if spans and spans[-1].stop == number:
            spans[-1] = range(spans[-1].start, number + 1)
        else:
            spans.append(range(number, number + 1))
    return spans


@given(st.lists(st.integers(0, 100), max_size=200))
def test_ranges_hold_what_was_added(numbers: list[int]) -> None:
    received: Any = ReceivedPackets()
    for number in numbers:
        assert (number in received) == (number in numbers_of(received))
        received.add(number)
    assert list(received) == spans_of(set(numbers))


@given(st.lists(st.integers(0, 3000), max_size=300))
def test_no_packet_is_accepted_twice(numbers: list[int]) -> None:
    received: Any = ReceivedPackets()
    seen: set[int] = set()
    for number in numbers:
        if number in received:
            # One that never came may be refused only when it is very late.
            assert number in seen or number <= max(seen) - WINDOW
        else:
            assert number not in seen
            received.add(number)
            seen.add(number)


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 60)), max_size=100))
def test_what_was_acknowledged_is_forgotten_and_stays_a_duplicate(steps: list[tuple[bool, int]]) -> None:
    received: Any = ReceivedPackets()
    seen: set[int] = set()
    due: set[int] = set()
    for is_new, number in steps:
        if is_new:
            if number not in received:
                received.add(number)
                due.add(number)
            seen.add(number)
        else:
            received.subtract(0, number)
            due -= set(range(number))
        assert list(received) == spans_of(due)
        assert all(each in received for each in seen)


def test_beyond_the_limit_the_oldest_range_is_given_up_and_what_is_below_it_refused() -> None:
    received: Any = ReceivedPackets()
    for number in range(0, 2 * RANGES, 2):
        received.add(number)
    assert len(received) == RANGES
    assert 1 not in received
    received.add(2 * RANGES)
    assert len(received) == RANGES
    assert received[0] == range(2, 3)
    assert 0 in received
    assert 3 not in received
    assert received.shift() == range(2, 3)
    assert 1 in received
    assert received[0] == range(4, 5)


def test_a_jump_leaves_nothing_of_the_window_behind() -> None:
    received: Any = ReceivedPackets()
    for number in range(0, WINDOW, 3):
        received.add(number)
    received.add(10 * WINDOW)
    assert all(number not in received for number in range(9 * WINDOW + 1, 10 * WINDOW))
    assert 9 * WINDOW in received
    received.add(2**62 - 1)
    assert 2**62 - 2 not in received
    assert 2**62 - 1 in received
    assert received[-1] == range(2**62 - 1, 2**62)


def test_ranges_are_read_like_a_sequence() -> None:
    received: Any = ReceivedPackets()
    assert len(received) == 0
    with pytest.raises(IndexError):
        received[0]
    with pytest.raises(IndexError):
        received.shift()
    received.add(5)
    assert received[0] == received[-1] == range(5, 6)
    for index in (1, -2):
        with pytest.raises(IndexError):
            received[index]
    with pytest.raises(ValueError, match="below"):
        received.subtract(1, 2)
    assert numbers_of(received) == {5}
