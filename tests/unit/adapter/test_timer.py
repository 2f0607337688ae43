"""The lazy timer: few handles, never early, no busy loop."""

import asyncio
import time

import pytest
from fake_port import VirtualLoop

from wtransport._adapter.timer import TIMER_GRANULARITY, TIMER_SLACK, DeadlineTimer, clock_of


class Timer:
    def __init__(self) -> None:
        self.loop = VirtualLoop()
        self.fired: list[float] = []
        self.timer = DeadlineTimer(loop=self.loop, clock=self.loop.time, callback=self.fired.append)

    def set(self, deadline):
        self.timer.set(deadline, self.loop.time())


@pytest.fixture
def t():
    timer = Timer()
    yield timer
    timer.loop.close()


def test_fires_once_at_the_deadline(t):
    t.set(1002.5)
    t.loop.advance(2.4)
    assert t.fired == []
    t.loop.advance(10)
    assert t.fired == [1002.5]


def test_a_later_deadline_arms_nothing_new(t):
    t.set(1001.0)
    for step in range(100):
        t.set(1001.0 + step)
    assert t.loop.armed == 1
    t.loop.advance(50)
    assert t.fired == []
    assert t.loop.armed == 2
    t.loop.advance(100)
    assert t.fired == [1100.0]


def test_an_earlier_deadline_replaces_the_handle(t):
    t.set(1030.0)
    t.set(1000.5)
    assert t.loop.live_timers() == [1000.5]
    t.loop.advance(1)
    assert t.fired == [1000.5]


def test_no_deadline_leaves_the_handle_to_run_out(t):
    t.set(1001.0)
    t.set(None)
    assert t.timer.deadline is None
    t.loop.advance(5)
    assert t.fired == []
    assert t.loop.live_timers() == []


def test_cancel_frees_the_handle(t):
    t.set(1001.0)
    t.timer.cancel()
    assert t.loop.live_timers() == []
    t.loop.advance(5)
    assert t.fired == []


def test_a_past_deadline_fires_in_the_next_turn_with_the_present_time(t):
    t.set(990.0)
    t.loop.advance(0)
    assert t.fired == [1000.0]


def test_a_deadline_that_is_ahead_by_rounding_counts_as_due_at_the_deadline(t):
    t.set(1000.0 + TIMER_SLACK / 2)
    t.loop.advance(0)
    assert t.fired == [1000.0 + TIMER_SLACK / 2]


def test_a_deadline_that_stays_in_the_past_fires_once_a_millisecond(t):
    loop = t.loop
    fired = []

    def callback(now):
        fired.append(now)
        timer.set(990.0, loop.time())

    timer = DeadlineTimer(loop=loop, clock=loop.time, callback=callback)
    timer.set(990.0, loop.time())
    loop.advance(0.0505, limit=60)
    assert 45 <= len(fired) <= 52
    timer.cancel()


def test_a_loop_that_fires_early_is_asked_again_after_at_least_a_millisecond(t):
    # uvloop rounds to whole milliseconds and counts from the start of the turn.
    t.set(1000.0104)
    handle = t.loop.timers[0][2]
    t.loop.timers.clear()
    t.loop.clock = 1000.0100
    handle._run()
    assert t.fired == []
    assert t.loop.live_timers() == [pytest.approx(1000.0100 + TIMER_GRANULARITY)]


async def test_asyncio_loops_are_their_own_clock():
    loop = asyncio.get_running_loop()
    assert clock_of(loop) == loop.time


def test_other_loops_are_too_coarse():
    uvloop = pytest.importorskip("uvloop")
    loop = uvloop.new_event_loop()
    try:
        assert clock_of(loop) is time.monotonic
        assert abs(loop.time() - time.monotonic()) < 5
    finally:
        loop.close()
