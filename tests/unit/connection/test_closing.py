"""Closing many things at a time: errors, and what a cancellation may interrupt."""

from __future__ import annotations

import asyncio

import pytest
from both_loops import on_both_loops

from wtransport.connection._closing import close_each


async def test_all_are_closed_at_the_same_time() -> None:
    arrived = 0
    everybody = asyncio.Event()

    async def close() -> None:
        nonlocal arrived
        arrived += 1
        if arrived == 3:
            everybody.set()
        await everybody.wait()

    await asyncio.wait_for(close_each([close() for _ in range(3)]), 5.0)
    await close_each([])


async def test_an_error_is_logged_and_disturbs_nobody(caplog: pytest.LogCaptureFixture) -> None:
    closed: list[str] = []

    async def fail() -> None:
        raise RuntimeError("broken on purpose")

    async def close() -> None:
        await asyncio.sleep(0)
        closed.append("closed")

    await close_each([fail(), close()])
    assert closed == ["closed"]
    assert "broken on purpose" in caplog.text


async def test_the_error_of_the_only_one_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def fail() -> None:
        await asyncio.sleep(0)
        raise RuntimeError("broken on purpose")

    await close_each([fail()])
    assert "broken on purpose" in caplog.text


@pytest.mark.parametrize("turns", range(3))
@on_both_loops
async def test_the_only_one_takes_a_cancellation_as_a_sign_to_hurry(turns: int) -> None:
    begun: list[int] = []
    hurried: list[int] = []

    async def close() -> None:
        begun.append(1)
        try:
            await asyncio.Event().wait()
        finally:
            hurried.append(1)

    async def cancel_and_close() -> None:
        task = asyncio.current_task()
        assert task is not None
        if turns == 0:
            task.cancel()
        await close_each([close()])

    closing = asyncio.create_task(cancel_and_close())
    for _ in range(turns):
        await asyncio.sleep(0)
    if turns:
        closing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closing
    assert begun == hurried == [1]


@pytest.mark.parametrize("turns", range(4))
@on_both_loops
async def test_what_has_not_begun_is_not_cancelled(turns: int) -> None:
    begun: list[int] = []
    hurried: list[int] = []

    async def close(number: int) -> None:
        begun.append(number)
        try:
            await asyncio.Event().wait()
        finally:
            hurried.append(number)

    closing = asyncio.create_task(close_each([close(number) for number in range(3)]))
    await asyncio.sleep(0)
    for _ in range(turns):
        await asyncio.sleep(0)
    before = asyncio.all_tasks()
    closing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closing
    assert begun == hurried == [0, 1, 2]
    assert [task for task in before if not task.done()] == [asyncio.current_task()]


@on_both_loops
async def test_a_cancellation_that_came_first_lets_them_begin() -> None:
    begun: list[int] = []

    async def close(number: int) -> None:
        begun.append(number)
        await asyncio.Event().wait()

    async def cancel_and_close() -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await close_each([close(1), close(2)])

    with pytest.raises(asyncio.CancelledError):
        await asyncio.create_task(cancel_and_close())
    assert begun == [1, 2]
