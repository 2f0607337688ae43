"""Sleeping on a future, and lines of waiting tasks."""

from __future__ import annotations

import asyncio

import pytest

from wtransport.exceptions import TimeoutError as WebTransportTimeoutError
from wtransport.stream._waiter import WaitLine, sleep_on, timed_out, wake


def timers() -> int:
    """Timers of the running loop that were not cancelled."""
    loop = asyncio.get_running_loop()
    return sum(not handle.cancelled() for handle in loop._scheduled)


async def turn() -> None:
    """Let every task that is ready run once."""
    for _ in range(5):
        await asyncio.sleep(0)


class Stock:
    """Something scarce: `attempt` takes one, or gives None."""

    def __init__(self) -> None:
        self.items: list[str] = []

    def attempt(self) -> str | None:
        return self.items.pop(0) if self.items else None


async def test_a_sleeper_that_is_woken_leaves_no_timer():
    future = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(sleep_on(future, 60.0))
    await turn()
    assert timers() >= 1
    wake(future)
    assert await task is True
    assert timers() == 0


async def test_a_sleeper_wakes_by_itself_when_the_time_is_over():
    future = asyncio.get_running_loop().create_future()
    assert await sleep_on(future, 0.0) is False


async def test_a_cancelled_sleeper_leaves_no_timer():
    future = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(sleep_on(future, 60.0))
    await turn()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert timers() == 0


async def test_waking_nobody_or_twice_is_no_error():
    wake(None)
    future = asyncio.get_running_loop().create_future()
    wake(future)
    wake(future)
    assert await sleep_on(future, None) is True


def test_the_error_names_operation_and_time():
    error = timed_out("read on stream 4", 2.5, stream_id=4)
    assert isinstance(error, WebTransportTimeoutError)
    assert error.operation == "read on stream 4"
    assert error.timeout_duration == 2.5
    assert error.details == {"stream_id": 4}
    assert "read on stream 4 timed out after 2.5 s" in str(error)


async def test_a_line_serves_in_order_of_arrival():
    line, stock, served = WaitLine(), Stock(), []

    async def wait(name: str) -> None:
        served.append((name, await line.until(stock.attempt, seconds=None)))

    tasks = []
    for name in "abc":
        tasks.append(asyncio.create_task(wait(name)))
        await turn()
    assert len(line) == 3
    assert len(line.futures) == 3
    stock.items = ["1", "2"]
    line.wake_first()
    await turn()
    assert served == [("a", "1"), ("b", "2")]
    stock.items = ["3"]
    line.wake_first()
    await asyncio.gather(*tasks)
    assert served[-1] == ("c", "3")
    assert len(line) == 0


async def test_who_is_woken_in_vain_keeps_its_place():
    line, stock = WaitLine(), Stock()
    first = asyncio.create_task(line.until(stock.attempt, seconds=None))
    second = asyncio.create_task(line.until(stock.attempt, seconds=None))
    await turn()
    line.wake_first()
    await turn()
    stock.items = ["1"]
    line.wake_first()
    assert await first == "1"
    stock.items = ["2"]
    line.wake_first()
    assert await second == "2"


async def test_the_wake_up_of_a_cancelled_task_goes_to_the_next():
    line, stock = WaitLine(), Stock()
    first = asyncio.create_task(line.until(stock.attempt, seconds=None))
    second = asyncio.create_task(line.until(stock.attempt, seconds=None))
    await turn()
    stock.items = ["1"]
    line.wake_first()
    first.cancel()
    assert await second == "1"
    assert first.cancelled() or await asyncio.gather(first, return_exceptions=True)


async def test_the_time_is_for_the_whole_wait():
    line, stock = WaitLine(), Stock()
    task = asyncio.create_task(line.until(stock.attempt, seconds=0.05))
    for _ in range(3):
        await asyncio.sleep(0.03)
        line.wake_first()
    assert await task is None
    assert len(line) == 0


async def test_progress_starts_the_time_anew():
    line, stock, asked = WaitLine(), Stock(), []

    def made_progress() -> bool:
        asked.append(None)
        return len(asked) < 3

    assert await line.until(stock.attempt, seconds=0.01, made_progress=made_progress) is None
    assert len(asked) == 3


async def test_a_last_attempt_is_made_when_the_time_is_over():
    line, stock = WaitLine(), Stock()
    task = asyncio.create_task(line.until(stock.attempt, seconds=0.02))
    await turn()
    stock.items = ["1"]
    assert await task == "1"


async def test_an_error_of_the_attempt_ends_the_wait():
    line = WaitLine()

    def attempt() -> str | None:
        raise LookupError("over")

    tasks = [asyncio.create_task(line.until(attempt, seconds=None, subject=name)) for name in "ab"]
    await turn()
    assert line.subjects == ["a", "b"]
    line.wake_all()
    for task in tasks:
        with pytest.raises(LookupError):
            await task
    assert len(line) == 0
