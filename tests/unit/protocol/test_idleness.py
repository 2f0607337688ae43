"""Idle actions of a peer: forgiven at a steady rate, and an end when there are too many at once."""

from __future__ import annotations

import pytest

from wtransport._protocol.idleness import IdleActions
from wtransport._protocol.limits import (
    ABORTED_STREAMS_PER_SECOND,
    IDLE_ACTIONS_PER_SECOND,
    MAX_ABORTED_STREAMS,
    MAX_IDLE_ACTIONS,
)
from wtransport._protocol.violations import ConnectionViolation
from wtransport.constants import ErrorCodes


class Clock:
    def __init__(self) -> None:
        self.now = 5.0

    def __call__(self) -> float:
        return self.now


def test_so_many_at_once_are_forgiven_and_no_more() -> None:
    actions = IdleActions(Clock())
    actions.note(MAX_IDLE_ACTIONS)
    with pytest.raises(ConnectionViolation) as caught:
        actions.note()
    assert caught.value.error_code == ErrorCodes.H3_EXCESSIVE_LOAD


def test_time_forgives_them() -> None:
    clock = Clock()
    actions = IdleActions(clock)
    for _ in range(50):
        actions.note(MAX_IDLE_ACTIONS)
        clock.now += MAX_IDLE_ACTIONS / IDLE_ACTIONS_PER_SECOND


def test_time_without_any_saves_nothing_up() -> None:
    clock = Clock()
    actions = IdleActions(clock)
    clock.now += 1e6
    actions.note(MAX_IDLE_ACTIONS)
    with pytest.raises(ConnectionViolation):
        actions.note()


def test_aborted_streams_are_counted_apart() -> None:
    clock = Clock()
    actions = IdleActions(clock)
    for _ in range(3):
        for _ in range(MAX_ABORTED_STREAMS):
            actions.note_abort()
        clock.now += MAX_ABORTED_STREAMS / ABORTED_STREAMS_PER_SECOND
    actions.note(MAX_IDLE_ACTIONS)
    for _ in range(MAX_ABORTED_STREAMS):
        actions.note_abort()
    with pytest.raises(ConnectionViolation) as caught:
        actions.note_abort()
    assert caught.value.error_code == ErrorCodes.H3_EXCESSIVE_LOAD
