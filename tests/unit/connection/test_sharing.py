"""One piece of work, several waiters: who gets what, and when it is given up."""

from __future__ import annotations

import asyncio

import pytest

from wtransport.connection._sharing import SharedTask


async def test_all_get_the_result() -> None:
    gate = asyncio.Event()

    async def work() -> int:
        await gate.wait()
        return 7

    shared = SharedTask(work())
    waiters = [asyncio.create_task(shared.wait()) for _ in range(3)]
    await asyncio.sleep(0)
    assert not shared.is_over
    gate.set()
    assert await asyncio.gather(*waiters) == [7, 7, 7]
    assert shared.is_over
    assert await shared.wait() == 7


async def test_it_goes_on_while_one_is_left_and_ends_with_the_last() -> None:
    ended = asyncio.Event()

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)  # an end that takes its time
            ended.set()

    shared = SharedTask(work())
    waiters = [asyncio.create_task(shared.wait()) for _ in range(2)]
    await asyncio.sleep(0)
    waiters[0].cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiters[0]
    assert not shared.is_over
    waiters[1].cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiters[1]
    assert shared.is_over
    assert ended.is_set()


async def test_work_that_others_cancel_has_no_result() -> None:
    shared = SharedTask(asyncio.sleep(60, result=1))
    waiter = asyncio.create_task(shared.wait())
    await asyncio.sleep(0)
    shared.task.cancel()
    assert await waiter is None


async def test_an_exception_reaches_all() -> None:
    async def work() -> int:
        raise RuntimeError("broken on purpose")

    shared = SharedTask(work())
    results = await asyncio.gather(shared.wait(), shared.wait(), return_exceptions=True)
    assert [type(result) for result in results] == [RuntimeError, RuntimeError]
