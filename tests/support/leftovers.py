"""What is left of an operation: tasks, timers, futures and sockets, on a loop that remembers what it gave out."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

__all__ = ["Leftovers", "TrackingLoop", "cancel_at_every_step", "no_tasks_left", "on_tracking_loop"]

SETTLE_TIME = 30.0
"""Seconds for what ends by itself: draining periods, and the closing of connections."""

EVERY_STEP = 150
"""Turns of the loop up to which an operation is cancelled at each one; later in steps that grow by a tenth."""

MAX_STEPS = 100_000
"""Turns after which an operation counts as one that never ends."""


class TrackingLoop(asyncio.SelectorEventLoop):
    """Remembers the futures and timers it made, for as long as anybody else does."""

    def __init__(self) -> None:
        super().__init__()
        self.futures: weakref.WeakSet[asyncio.Future[Any]] = weakref.WeakSet()
        self.timers: weakref.WeakSet[asyncio.TimerHandle] = weakref.WeakSet()

    def create_future(self) -> asyncio.Future[Any]:
        future = super().create_future()
        self.futures.add(future)
        return future

    def call_at(  # type: ignore[override]
        self, when: float, callback: Any, *args: Any, context: Any = None
    ) -> asyncio.TimerHandle:
        timer = super().call_at(when, callback, *args, context=context)
        self.timers.add(timer)
        return timer


def on_tracking_loop(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """Turn a coroutine function into a test on a `TrackingLoop`."""

    @functools.wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        with asyncio.Runner(loop_factory=TrackingLoop) as runner:
            runner.run(_awaited(test(*args, **kwargs)))

    return run


async def _awaited(test: Awaitable[None]) -> None:
    await test


@dataclass
class Leftovers:
    """What there is at one moment, to be compared with what there is later."""

    tasks: set[asyncio.Task[Any]]
    futures: set[asyncio.Future[Any]]
    timers: dict[Any, asyncio.TimerHandle]
    """By whose they are: a timer that was only moved is still the same."""
    transports: set[Any]

    @classmethod
    def now(cls) -> Leftovers:
        """Look at the running loop."""
        loop = asyncio.get_running_loop()
        if not isinstance(loop, TrackingLoop):
            raise TypeError("the test must run on a TrackingLoop")
        return cls(
            tasks={task for task in asyncio.all_tasks() if not task.done()},
            futures={future for future in loop.futures if not future.done()},
            timers={_owner(each): each for each in loop.timers if not each.cancelled() and each.when() > loop.time()},
            transports={each for each in loop._transports.values() if not each.is_closing()},  # type: ignore[attr-defined]
        )

    def since(self) -> dict[str, set[Any]]:
        """Return what has come since then and is still there."""
        later = Leftovers.now()
        current = asyncio.current_task()
        found: dict[str, set[Any]] = {
            "tasks": later.tasks - self.tasks - {current},
            "futures": later.futures - self.futures - {_awaited_by(task) for task in self.tasks},
            "timers": {timer for owner, timer in later.timers.items() if owner not in self.timers},
            "transports": later.transports - self.transports,
        }
        return {kind: left for kind, left in found.items() if left}

    async def check(self, *kinds: str, what: str) -> None:
        """Fail unless everything that has come since then goes away by itself."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + SETTLE_TIME
        while left := {kind: each for kind, each in self.since().items() if kind in kinds}:
            if loop.time() > deadline:
                raise AssertionError(f"left behind by {what}: {left}")
            del left  # what nobody else holds any more goes away now, or it would be found again for ever
            await asyncio.sleep(0.005)


def _awaited_by(task: asyncio.Task[Any]) -> Any:
    return task._fut_waiter  # type: ignore[attr-defined]


def _owner(timer: asyncio.TimerHandle) -> Any:
    callback: Any = timer._callback  # type: ignore[attr-defined]
    return id(getattr(callback, "__self__", timer))


async def cancel_at_every_step(
    operation: Callable[..., Awaitable[Any]],
    *,
    prepare: Callable[[], Awaitable[Any]] | None = None,
    undo: Callable[[Any], Awaitable[None]] | None = None,
    check: Callable[[str], Awaitable[None]] | None = None,
) -> int:
    """Cancel an operation after one turn of the loop, then a fresh one after two, until it is done before that.

    Args:
        operation: begins a fresh one; gets what `prepare` returned.
        prepare: called before each one, and not cancelled. What it opens is for the operation to close, which is
            therefore cancelled after its first step at the earliest.
        undo: gets the result of an operation that was done all the same.
        check: called after each one.

    Returns:
        How often it was cancelled.
    """
    turns = 0 if prepare is None else 1
    cancelled = 0
    while turns < MAX_STEPS:
        arguments = () if prepare is None else (await prepare(),)
        task = asyncio.ensure_future(operation(*arguments))
        for _ in range(turns):
            await asyncio.sleep(0)
            if task.done():
                break
        is_done = task.done()
        if not is_done:
            cancelled += 1
            task.cancel()
        try:
            result = await task
        except asyncio.CancelledError:
            if is_done:
                raise
        else:
            if undo is not None:
                await undo(result)
        if check is not None:
            await check(f"cancelling after {turns} turns")
        if is_done:
            return cancelled
        turns = turns + 1 if turns < EVERY_STEP else turns + turns // 10
    raise AssertionError(f"the operation is not done after {turns} turns")


@contextlib.asynccontextmanager
async def no_tasks_left() -> AsyncIterator[None]:
    """Fail when a task that was not there before does not end by itself afterwards."""
    before = asyncio.all_tasks()
    yield
    if left := [task for task in asyncio.all_tasks() - before if not task.done()]:
        _, alive = await asyncio.wait(left, timeout=SETTLE_TIME)
        if alive:
            raise AssertionError(f"tasks left behind: {alive}")
