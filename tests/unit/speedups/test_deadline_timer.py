"""The lazy timer: few handles, never early, no busy loop."""

import contextvars
import math
import time

import pytest
from fake_port import VirtualLoop

from wtransport._speedups._constants import TIMER_GRANULARITY, TIMER_SLACK


class Timer:
    def __init__(self, make) -> None:
        self.make = make
        self.loop = VirtualLoop()
        self.fired: list[float] = []
        self.timer = make(loop=self.loop, clock=self.loop.time, callback=self.fired.append)

    def set(self, deadline):
        self.timer.set(deadline, self.loop.time())


@pytest.fixture
def t(kernels):
    timer = Timer(kernels.DeadlineTimer)
    yield timer
    timer.loop.close()


def test_fires_once_at_the_deadline(t):
    t.set(1002.5)
    t.loop.advance(2.4)
    assert t.fired == []
    t.loop.advance(10)
    assert t.fired == [1002.5]


def test_a_clock_that_stands_in_for_the_system_s_is_read(kernels, monkeypatch):
    def monotonic() -> float:
        return 5.0

    monotonic.__module__ = "time"
    monkeypatch.setattr(time, "monotonic", monotonic)
    loop = VirtualLoop()
    timer = kernels.DeadlineTimer(loop=loop, clock=time.monotonic, callback=print)
    timer.set(15.0, 5.0)
    assert timer.fires_at == 15.0
    loop.advance(11)  # it reads the clock, which says that it is early
    assert 15.0 <= timer.fires_at <= 15.1
    loop.close()


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

    timer = t.make(loop=loop, clock=loop.time, callback=callback)
    timer.set(990.0, loop.time())
    loop.advance(0.0505, limit=60)
    assert 45 <= len(fired) <= 52
    timer.cancel()


def test_deadlines_of_pacing_fire_turn_after_turn_without_a_wait(t):
    # Each is a few microseconds after the last one, and past when it is set.
    loop = t.loop
    fired = []

    def callback(now):
        fired.append(now)
        if len(fired) < 20:
            timer.set(now + 0.000_003, loop.time())

    timer = t.make(loop=loop, clock=loop.time, callback=callback)
    timer.set(loop.time() + 0.000_003, loop.time())
    loop.advance(0.000_1)
    assert len(fired) == 20


class WholeMilliseconds:
    """A loop like uvloop's: it waits in whole milliseconds, so that a time-out may come early."""

    def __init__(self, loop) -> None:
        self.loop = loop
        self.delays = []

    def call_later(self, delay, callback, *args, context=None):
        self.delays.append(delay)
        return self.loop.call_later(round(delay, 3), callback, *args, context=context)


@pytest.mark.parametrize("ahead", [0.000_4, 0.001_4, 0.010_4, 0.010_6])
def test_a_loop_that_fires_early_is_asked_again_but_does_not_spin(t, ahead):
    loop = WholeMilliseconds(t.loop)
    timer = t.make(loop=loop, clock=t.loop.time, callback=t.fired.append)
    timer.set(1000.0 + ahead, 1000.0)
    t.loop.advance(0.02)
    assert len(t.fired) == 1
    assert 1000.0 + ahead <= t.fired[0] + TIMER_SLACK
    assert t.fired[0] < 1000.0 + ahead + 0.0015
    assert len(loop.delays) <= 2
    assert all(delay >= TIMER_GRANULARITY for delay in loop.delays)


def test_an_infinite_deadline_is_none(t):
    t.set(math.inf)
    assert t.timer.deadline is None
    assert t.timer.fires_at == math.inf
    assert t.loop.live_timers() == []


def test_says_when_it_fires(t):
    assert t.timer.fires_at == math.inf
    t.set(1002.5)
    t.set(1009.0)
    assert (t.timer.deadline, t.timer.fires_at) == (1009.0, 1002.5)
    t.timer.cancel()
    assert (t.timer.deadline, t.timer.fires_at) == (None, math.inf)


def test_nobody_is_called_back_by_a_timer_that_is_closed(t):
    t.set(1001.0)
    t.timer.close()
    t.set(1002.0)
    t.loop.advance(5)
    assert t.fired == []


def test_the_callback_runs_in_the_context_of_the_timer(t):
    name = contextvars.ContextVar("name")
    context = contextvars.copy_context()
    context.run(name.set, "timer's")
    seen = []
    timer = t.make(loop=t.loop, clock=t.loop.time, callback=lambda now: seen.append(name.get()), context=context)
    timer.set(1001.0, 1000.0)
    t.loop.advance(2)
    assert seen == ["timer's"]


def test_the_monotonic_clock_is_read_as_python_reads_it(kernels):
    loop = VirtualLoop()
    timer = kernels.DeadlineTimer(loop=loop, clock=time.monotonic, callback=print)
    before = time.monotonic()
    timer.set(before - 1.0, before)  # overdue: fires at the time of now
    assert before <= timer.fires_at <= time.monotonic()
    timer.close()
    loop.close()
