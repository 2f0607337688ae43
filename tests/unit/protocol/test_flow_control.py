"""Counting of session credit, without any stream."""

from __future__ import annotations

import pytest

from wtransport._protocol.flow_control import ReceiveAllowance, SendAllowance, SessionFlow
from wtransport._protocol.violations import SessionViolation
from wtransport.constants import ErrorCodes


def send(*, enabled: bool = True) -> SendAllowance:
    return SendAllowance(enabled=enabled, max_data=100, max_streams_bidi=2, max_streams_uni=1)


def receive(
    *, enabled: bool = True, auto: bool = True, increments: tuple[int, int] = (1, 1), bidi: int = 4, uni: int = 2
) -> ReceiveAllowance:
    return ReceiveAllowance(
        enabled=enabled, auto=auto, data_window=100, stream_windows=(bidi, uni), increments=increments
    )


def test_limits_of_the_peer_go_up_and_never_down() -> None:
    allowance = send()
    assert allowance.raise_max_data(101)
    assert not allowance.raise_max_data(101)
    assert not allowance.raise_max_data(50)
    assert allowance.max_data == 101
    assert allowance.raise_max_streams(3, unidirectional=False)
    assert not allowance.raise_max_streams(3, unidirectional=False)
    assert not allowance.raise_max_streams(0, unidirectional=True)
    assert allowance.max_streams == [3, 1]


def test_streams_of_each_direction_are_counted_apart() -> None:
    allowance = send()
    allowance.streams_opened[True] = 1
    assert not allowance.can_open(unidirectional=True)
    assert allowance.can_open(unidirectional=False)


def test_being_blocked_is_reported_once_for_each_limit() -> None:
    allowance = send()
    assert allowance.should_report_blocked_data()
    assert not allowance.should_report_blocked_data()
    allowance.raise_max_data(200)
    assert allowance.should_report_blocked_data()
    for unidirectional in (False, True):
        assert allowance.should_report_blocked_streams(unidirectional=unidirectional)
        assert not allowance.should_report_blocked_streams(unidirectional=unidirectional)
    allowance.raise_max_streams(9, unidirectional=True)
    assert allowance.should_report_blocked_streams(unidirectional=True)
    assert not allowance.should_report_blocked_streams(unidirectional=False)


def test_a_limit_of_zero_is_reported_too() -> None:
    allowance = SendAllowance(enabled=True, max_data=0, max_streams_bidi=0, max_streams_uni=0)
    assert allowance.should_report_blocked_data()
    assert allowance.should_report_blocked_streams(unidirectional=False)


def test_switched_off_nothing_blocks_and_nothing_is_reported() -> None:
    allowance = send(enabled=False)
    allowance.streams_opened = [1000, 1000]
    assert allowance.can_open(unidirectional=True)
    assert allowance.can_open(unidirectional=False)
    assert not allowance.should_report_blocked_data()
    assert not allowance.should_report_blocked_streams(unidirectional=False)


def test_the_peer_may_use_its_limits_up_and_no_more() -> None:
    allowance = receive()
    allowance.receive(100)
    with pytest.raises(SessionViolation) as caught:
        allowance.receive(1)
    assert caught.value.error_code == ErrorCodes.WT_FLOW_CONTROL_ERROR
    for _ in range(2):
        allowance.open_stream(unidirectional=True)
    with pytest.raises(SessionViolation) as caught:
        allowance.open_stream(unidirectional=True)
    assert caught.value.error_code == ErrorCodes.WT_FLOW_CONTROL_ERROR


def test_switched_off_the_peer_is_counted_and_not_limited() -> None:
    allowance = receive(enabled=False)
    allowance.receive(10_000)
    for _ in range(10):
        allowance.open_stream(unidirectional=False)
    assert allowance.data_received == 10_000
    assert allowance.streams_opened == [10, 0]
    assert allowance.consume(10_000) is None
    assert allowance.close_stream(unidirectional=False) is None


def test_data_credit_is_announced_when_half_a_window_was_read() -> None:
    allowance = receive()
    allowance.receive(100)
    assert allowance.consume(49) is None
    assert allowance.consume(1) == 150
    assert allowance.consume(49) is None
    assert allowance.consume(1) == 200


def test_a_limit_that_is_announced_is_always_a_raise() -> None:
    allowance = receive()
    assert allowance.grant_data(1000) == 1000
    assert allowance.consume(800) is None, "a grant of the program's is ahead of the window"
    assert allowance.consume(150) == 1050


def test_stream_credit_follows_streams_that_end() -> None:
    allowance = receive()
    assert allowance.close_stream(unidirectional=False) == 5
    assert allowance.close_stream(unidirectional=False) == 6
    assert allowance.close_stream(unidirectional=True) == 3


def test_stream_credit_comes_in_steps_of_the_increment() -> None:
    allowance = receive(increments=(3, 1), bidi=10)
    announced = [allowance.close_stream(unidirectional=False) for _ in range(6)]
    assert announced == [None, None, 13, None, None, 16]


def test_an_increment_larger_than_the_window_never_starves_the_peer() -> None:
    allowance = receive(increments=(1000, 1000), bidi=1)
    assert allowance.close_stream(unidirectional=False) == 2
    allowance = receive(increments=(1000, 1000), bidi=4)
    assert [allowance.close_stream(unidirectional=False) for _ in range(4)] == [None, 6, None, 8]


def test_without_auto_only_grants_extend() -> None:
    allowance = receive(auto=False)
    allowance.receive(100)
    assert allowance.consume(100) is None
    assert allowance.close_stream(unidirectional=False) is None
    assert allowance.grant_data(150) == 150
    assert allowance.grant_streams(7, unidirectional=False) == 7
    assert (allowance.max_data, allowance.max_streams) == (150, [7, 2])


def test_a_grant_that_is_no_raise_changes_nothing() -> None:
    allowance = receive()
    assert allowance.grant_data(100) is None
    assert allowance.grant_data(1) is None
    assert allowance.grant_streams(4, unidirectional=False) is None
    assert (allowance.max_data, allowance.max_streams) == (100, [4, 2])


def test_stream_limits_stop_at_2_to_the_60() -> None:
    allowance = receive()
    assert allowance.grant_streams(2**61, unidirectional=True) == 2**60
    assert allowance.grant_streams(2**61, unidirectional=True) is None


def test_figures_are_named_from_this_end() -> None:
    ours, theirs = send(), receive()
    ours.data_sent, ours.streams_opened = 7, [1, 2]
    theirs.receive(9)
    theirs.open_stream(unidirectional=True)
    flow = SessionFlow(ours, theirs)
    assert (flow.local_max_data, flow.local_data_sent) == (100, 7)
    assert (flow.local_max_streams_bidi, flow.local_streams_bidi_opened) == (2, 1)
    assert (flow.local_max_streams_uni, flow.local_streams_uni_opened) == (1, 2)
    assert (flow.peer_max_data, flow.peer_data_sent) == (100, 9)
    assert (flow.peer_max_streams_bidi, flow.peer_streams_bidi_opened) == (4, 0)
    assert (flow.peer_max_streams_uni, flow.peer_streams_uni_opened) == (2, 1)
