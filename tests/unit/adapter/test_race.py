"""The race between attempts: who begins when, who wins, and what becomes of the others."""

from __future__ import annotations

import asyncio
import gc

import pytest

from wtransport._adapter.race import race

LONG = 60.0
"""Seconds of head start that no test waits for."""


class Runner:
    """Attempts whose ends a test decides."""

    def __init__(self, count: int) -> None:
        self.began: list[int] = []
        self.ended: list[int] = []
        self.results: list[asyncio.Future[str]] = [asyncio.get_running_loop().create_future() for _ in range(count)]

    def attempts(self):
        return [lambda number=number: self._attempt(number) for number in range(len(self.results))]

    async def _attempt(self, number: int) -> str:
        self.began.append(number)
        try:
            return await self.results[number]
        finally:
            self.ended.append(number)


async def turns(count: int = 5) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_the_first_attempt_has_a_head_start():
    runner = Runner(2)
    racing = asyncio.create_task(race(runner.attempts(), delay=LONG))
    await turns()
    assert runner.began == [0]
    runner.results[0].set_result("first")
    assert await racing == "first"
    assert runner.began == [0]


async def test_one_failure_begins_the_next_attempt_at_once():
    runner = Runner(3)
    racing = asyncio.create_task(race(runner.attempts(), delay=LONG))
    await turns()
    runner.results[0].set_exception(OSError("refused"))
    await turns()
    assert runner.began == [0, 1]
    runner.results[1].set_result("second")
    assert await racing == "second"
    assert runner.began == runner.ended == [0, 1]


async def test_silence_begins_one_attempt_after_the_other():
    runner = Runner(3)
    loop = asyncio.get_running_loop()
    began = loop.time()
    racing = asyncio.create_task(race(runner.attempts(), delay=0.02))
    while len(runner.began) < 3:
        await asyncio.sleep(0.001)
    assert loop.time() - began >= 0.04
    assert runner.began == [0, 1, 2]
    runner.results[2].set_result("third")
    assert await racing == "third"
    assert sorted(runner.ended) == [0, 1, 2]
    assert [result.cancelled() for result in runner.results] == [True, True, False]


async def test_a_late_first_attempt_still_wins():
    runner = Runner(2)
    racing = asyncio.create_task(race(runner.attempts(), delay=0.001))
    while len(runner.began) < 2:
        await asyncio.sleep(0.001)
    runner.results[0].set_result("first")
    assert await racing == "first"


async def test_when_all_fail_every_error_is_told_in_order():
    runner = Runner(3)
    racing = asyncio.create_task(race(runner.attempts(), delay=0.001))
    while len(runner.began) < 3:
        await asyncio.sleep(0.001)
    for number in (2, 0, 1):
        runner.results[number].set_exception(OSError(str(number)))
        await turns()
    with pytest.raises(ExceptionGroup) as caught:
        await racing
    assert [str(error) for error in caught.value.exceptions] == ["2", "0", "1"]


async def test_two_may_succeed_at_once_and_one_wins():
    runner = Runner(2)
    racing = asyncio.create_task(race(runner.attempts(), delay=0.001))
    while len(runner.began) < 2:
        await asyncio.sleep(0.001)
    for number, result in enumerate(runner.results):
        result.set_result(str(number))
    assert await racing == "0"
    assert sorted(runner.ended) == [0, 1]


async def test_losers_end_before_the_race_does_and_their_errors_are_nobodys_business():
    gone = asyncio.Event()

    async def bad_loser() -> str:
        try:
            await asyncio.Event().wait()
        finally:
            await turns()
            gone.set()
            raise OSError("while it ended")
        return "never"

    async def winner() -> str:
        return "winner"

    reported: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: reported.append(context))
    assert await race([bad_loser, winner], delay=0.001) == "winner"
    assert gone.is_set()
    gc.collect()
    assert reported == []


async def test_cancelling_the_race_ends_every_attempt():
    runner = Runner(3)
    racing = asyncio.create_task(race(runner.attempts(), delay=0.001))
    while len(runner.began) < 3:
        await asyncio.sleep(0.001)
    racing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await racing
    assert sorted(runner.ended) == [0, 1, 2]
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_race_needs_attempts():
    with pytest.raises(ValueError, match="at least one"):
        await race([], delay=1.0)
