"""The halves of a stream: bytes in any cut and order come out once and in order."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from quic_twins import current

from wtransport._quic.streams import MAX_PIECES, FinalSizeError, TooManyGapsError

pytestmark = pytest.mark.usefixtures("quic_twin")

CONTENT = bytes(range(200))


def receiver(window: int = 10**9, *, readable: bool = True) -> Any:
    return current().ReceiveHalf(window=window, readable=readable)


def sender(limit: int = 100, *, writable: bool = True) -> Any:
    return current().SendHalf(limit=limit, writable=writable)


@st.composite
def frames(draw) -> list[tuple[int, int]]:
    """Return ranges, overlapping and repeated at will, that cover the content, in any order."""
    cuts = sorted(draw(st.sets(st.integers(1, len(CONTENT) - 1), max_size=12)) | {0, len(CONTENT)})
    ranges = list(itertools.pairwise(cuts))
    positions = st.integers(0, len(CONTENT))
    extra = draw(st.lists(st.tuples(positions, positions).map(lambda pair: tuple(sorted(pair))), max_size=12))
    return draw(st.permutations(ranges + extra))


@given(frames(), st.booleans())
def test_every_cut_overlap_and_order_gives_the_same_bytes(ranges, fin_first) -> None:
    half = receiver()
    got = b""
    if fin_first:
        assert half.receive(len(CONTENT), b"", True) is None
    for start, end in ranges:
        ready = half.receive(start, CONTENT[start:end], end == len(CONTENT))
        if ready is not None:
            got += ready
            assert got == CONTENT[: len(got)]
        assert half.next_offset == len(got)
        assert all(first < last for first, last in half.kept), "an empty piece"
        assert all(last <= first for (_, last), (first, _) in itertools.pairwise(half.kept))
        assert half.is_finished == (len(got) == len(CONTENT))
    assert got == CONTENT
    assert half.window.received == len(CONTENT)
    assert not half.kept


@given(frames())
def test_nothing_is_reported_twice(ranges) -> None:
    half = receiver()
    reports = [half.receive(start, CONTENT[start:end], end == len(CONTENT)) for start, end in ranges]
    reports += [half.receive(start, CONTENT[start:end], end == len(CONTENT)) for start, end in ranges]
    assert sum(len(report) for report in reports if report) == len(CONTENT)
    assert b"" not in reports


def test_an_empty_fin_is_reported_as_no_bytes() -> None:
    half = receiver()
    assert half.receive(0, b"abc", False) == b"abc"
    assert half.receive(3, b"", True) == b""
    assert half.is_finished
    assert half.receive(3, b"", True) is None


def test_a_stream_may_be_empty() -> None:
    half = receiver()
    assert half.receive(0, b"", True) == b""
    assert half.is_finished


def test_a_frame_without_bytes_or_fin_is_no_news() -> None:
    half = receiver()
    assert half.receive(0, b"", False) is None
    assert half.receive(10, b"", False) is None
    assert half.receive(0, b"ab", False) == b"ab"


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ((0, b"abc", True), (0, b"abcd", False)),
        ((0, b"abc", True), (0, b"ab", True)),
        ((0, b"abc", True), (4, b"", True)),
        ((5, b"", True), (5, b"x", False)),
        ((0, b"abcd", False), (0, b"abc", True)),
        ((10, b"x", False), (3, b"", True)),
    ],
)
def test_a_final_size_that_changes_is_an_error(first, second) -> None:
    half = receiver()
    half.receive(*first)
    with pytest.raises(FinalSizeError):
        half.receive(*second)


@pytest.mark.parametrize("final_size", [2, 4, 100])
def test_a_reset_that_contradicts_the_fin_is_an_error(final_size) -> None:
    half = receiver()
    half.receive(0, b"abc", True)
    with pytest.raises(FinalSizeError):
        half.reset(7, final_size)


def test_a_reset_below_what_arrived_is_an_error() -> None:
    half = receiver()
    half.receive(5, b"x", False)
    with pytest.raises(FinalSizeError):
        half.reset(7, 5)


def test_a_reset_ends_the_half_and_drops_what_was_beyond_a_gap() -> None:
    half = receiver()
    half.receive(5, b"xyz", False)
    assert half.reset(7, 20)
    assert half.is_finished
    assert half.window.received == 20
    assert not half.kept
    assert not half.reset(7, 20)
    assert half.receive(0, b"late", False) is None


def test_a_reset_after_everything_arrived_is_no_news() -> None:
    half = receiver()
    half.receive(0, b"abc", True)
    assert not half.reset(7, 3)


def test_a_stopped_half_keeps_nothing_and_ends_when_the_size_is_known() -> None:
    half = receiver()
    half.receive(5, b"xyz", False)
    assert half.stop(9)
    assert not half.stop(10)
    assert half.stop_code == 9
    assert half.receive(0, b"abc", False) is None
    assert not half.kept
    assert half.receive(10, b"end", True) == b""
    assert half.is_finished


def test_there_is_nothing_to_stop_after_the_end() -> None:
    half = receiver()
    half.receive(0, b"abc", True)
    assert not half.stop(1)
    assert not receiver(10, readable=False).stop(1)


@pytest.mark.slow  # with sanitizers, a minute
def test_many_adjacent_pieces_are_joined() -> None:
    half = receiver()
    for offset in range(1, 3 * MAX_PIECES):
        assert half.receive(offset, b"x", False) is None
        assert len(half.kept) <= MAX_PIECES
    ready = half.receive(0, b"x", False)
    assert ready == b"x" * 3 * MAX_PIECES


def test_too_many_gaps_are_an_error() -> None:
    half = receiver()
    with pytest.raises(TooManyGapsError):
        for offset in range(1, 2 * MAX_PIECES + 3, 2):
            half.receive(offset, b"x", False)
    assert len(half.kept) <= MAX_PIECES + 1


def test_half_as_many_gaps_are_fine() -> None:
    half = receiver()
    count = MAX_PIECES // 2 - 1
    for number in range(count):
        half.receive(2 * number + 1, b"x", False)
    for number in range(count):
        assert half.receive(2 * number, b"y", False) == b"yx"


# The sending half.


def test_bytes_leave_in_order_cut_to_size() -> None:
    half = sender()
    half.write(b"hello ", False)
    half.write(b"world", True)
    assert half.unsent == 11
    assert half.next_frame(4, 100) == (0, b"hell", False, 4)
    assert half.next_frame(4, 100) == (4, b"o wo", False, 4)
    assert half.next_frame(4, 100) == (8, b"rld", True, 3)
    assert half.next_frame(4, 100) is None
    assert not half.has_frame(100)


def test_no_frame_without_room_or_credit() -> None:
    half = sender(4)
    half.write(b"hello", False)
    assert half.next_frame(-1, 100) is None
    assert half.next_frame(0, 100) is None
    assert half.next_frame(10, 0) is None
    assert not half.has_frame(0)
    assert half.next_frame(10, 3) == (0, b"hel", False, 3)
    assert half.next_frame(10, 3) == (3, b"l", False, 1)
    assert not half.has_frame(100)


def test_of_what_was_lost_the_lowest_offset_comes_first() -> None:
    """The reader waits for it, however late its last copy was lost."""
    half = sender()
    half.write(b"abcdefgh", True)
    frames = [half.next_frame(2, 100) for _ in range(4)]
    for number in (2, 3, 1, 0):
        offset, data, fin, _ = frames[number]
        half.on_frame_delivery(False, offset, data, fin)
    again = [half.next_frame(3, 100) for _ in range(4)]
    assert [(frame[0], frame[1], frame[2]) for frame in again] == [
        (0, b"ab", False),
        (2, b"cd", False),
        (4, b"ef", False),
        (6, b"gh", True),
    ]


def test_lost_bytes_come_first_are_cut_and_keep_their_fin_for_the_last_part() -> None:
    half = sender()
    half.write(b"abcdef", True)
    half.next_frame(100, 100)
    half.on_frame_delivery(False, 0, b"abcdef", True)
    assert half.next_size == 6
    assert half.next_frame(0, 0) is None
    assert half.next_frame(4, 0) == (0, b"abcd", False, 0)
    assert half.next_offset == 4
    assert half.next_frame(4, 0) == (4, b"ef", True, 0)


def test_a_half_is_finished_when_all_and_the_fin_were_acknowledged() -> None:
    half = sender()
    half.write(b"abcd", False)
    first = half.next_frame(2, 100)
    second = half.next_frame(2, 100)
    half.write(b"", True)
    third = half.next_frame(2, 100)
    assert third == (4, b"", True, 0)
    for frame in (third, second, first):
        assert not half.is_finished
        half.on_frame_delivery(True, *frame[:3])
    assert half.is_finished
    assert not half.is_open


def test_a_reset_after_the_fin_was_written_still_goes_out() -> None:
    half = sender()
    half.write(b"abcd", True)
    half.next_frame(2, 100)
    assert half.reset(5)
    assert half.reset_pending
    assert half.unsent == 0
    assert half.offset == 2
    assert not half.has_frame(100)
    half.on_frame_delivery(False, 0, b"ab", False)
    assert not half.has_frame(100)
    half.reset_pending = False
    half.on_reset_delivery(False)
    assert half.reset_pending
    half.on_reset_delivery(True)
    assert half.is_finished


def test_a_reset_of_a_half_that_is_over_has_no_effect() -> None:
    half = sender()
    half.write(b"", True)
    half.on_frame_delivery(True, *half.next_frame(10, 10)[:3])
    assert not half.reset(1)
    assert not half.reset_pending
    assert not sender(0, writable=False).reset(1)


def test_a_second_reset_keeps_the_first_code() -> None:
    half = sender()
    assert half.reset(1)
    assert not half.reset(2)
    assert half.reset_code == 1
