"""A task made in advance: what begins in it at once is a task like any other as soon as it waits."""

from __future__ import annotations

import asyncio
import gc
import weakref
from contextvars import ContextVar
from types import ModuleType
from typing import Any

import pytest
from outside_tasks import outside

var: ContextVar[Any] = ContextVar("var", default=None)


class Stop(BaseException):
    """No Exception."""


async def test_it_is_ready_a_turn_later_and_not_among_all_tasks(kernels: ModuleType) -> None:
    def make() -> Any:
        spare = kernels.SpareTask(asyncio.get_running_loop())
        coroutine = asyncio.sleep(0)
        assert not spare.begin(coroutine)
        coroutine.close()
        return spare

    before = asyncio.all_tasks()
    spare = await outside(make)
    assert (spare.is_ready, spare.is_over, spare.is_used_up) == (True, False, False)
    assert asyncio.all_tasks() == before
    assert not spare.task.done()
    spare.retire()
    await asyncio.wait_for(spare.task, 5)


async def test_what_does_not_wait_runs_at_once_one_after_the_other(kernels: ModuleType) -> None:
    seen: list[Any] = []

    async def body(number: int) -> None:
        seen.append((number, id(asyncio.current_task()), var.get()))

    def begin() -> None:
        for number in range(3):
            assert spare.begin(body(number))
            assert spare.is_ready
            assert len(seen) == number + 1
            assert asyncio.current_task() is None

    var.set("inherited")
    spare = kernels.SpareTask(asyncio.get_running_loop())
    await asyncio.sleep(0)
    await outside(begin)
    assert seen == [(number, id(spare.task), "inherited") for number in range(3)]
    assert spare.task not in asyncio.all_tasks()
    spare.retire()


@pytest.mark.parametrize("turns", [0, 1, 3])
async def test_what_waits_keeps_the_task(spare: Any, task: Any, turns: int) -> None:
    future = asyncio.get_running_loop().create_future()
    seen: list[Any] = []

    async def body() -> str:
        seen.append(id(asyncio.current_task()))
        seen.append(await future)
        await asyncio.sleep(0)
        seen.append(id(asyncio.current_task()))
        return "result"

    assert await outside(spare.begin, body())
    assert (spare.is_ready, spare.is_over) == (False, False)
    assert task in asyncio.all_tasks()
    coroutine = body()
    assert not await outside(spare.begin, coroutine)
    coroutine.close()
    for _ in range(turns):
        await asyncio.sleep(0)
    future.set_result("value")
    assert await task == "result"
    assert seen == [id(task), "value", id(task)]


async def test_a_turn_is_enough_for_what_waits_a_turn(spare: Any, task: Any) -> None:
    seen: list[str] = []

    async def body() -> None:
        await asyncio.sleep(0)
        seen.append("a turn later")

    assert await outside(spare.begin, body())
    await task
    assert seen == ["a turn later"]


@pytest.mark.parametrize("turns", [0, 2])
@pytest.mark.parametrize("waits_for", ["a future", "a turn"])
async def test_a_cancellation_reaches_what_waits(spare: Any, task: Any, turns: int, waits_for: str) -> None:
    future = asyncio.get_running_loop().create_future()
    seen: list[Any] = []

    async def body() -> None:
        try:
            await future
            while True:
                await asyncio.sleep(0)
        except asyncio.CancelledError as error:
            seen.extend(error.args)
            raise

    def begin() -> None:
        if waits_for == "a turn":
            future.set_result(None)
        assert spare.begin(body())
        if not turns:
            assert task.cancel("enough")

    await outside(begin)
    for _ in range(turns):
        await asyncio.sleep(0)
    if turns:
        task.cancel("enough")
    with pytest.raises(asyncio.CancelledError):
        await task
    assert seen == ["enough"]
    assert future.cancelled() == (waits_for == "a future")


async def test_a_cancellation_after_what_was_awaited_is_one_of_the_task(spare: Any, task: Any) -> None:
    future = asyncio.get_running_loop().create_future()

    async def body() -> None:
        with pytest.raises(asyncio.CancelledError):
            await future
        await asyncio.sleep(0)

    def begin() -> None:
        assert spare.begin(body())
        future.set_result("in time")
        task.cancel()

    await outside(begin)
    assert await task is None
    assert future.result() == "in time"


@pytest.mark.parametrize("waits", [True, False])
async def test_a_coroutine_can_cancel_itself(spare: Any, task: Any, waits: bool) -> None:
    seen: list[str] = []

    async def body() -> None:
        asyncio.current_task().cancel()  # type: ignore[union-attr]
        seen.append("goes on")
        if waits:
            await asyncio.sleep(3600)
            seen.append("never")

    assert await outside(spare.begin, body())
    assert not spare.is_ready
    with pytest.raises(asyncio.CancelledError):
        await task
    assert seen == ["goes on"]


async def test_a_timeout_that_begins_before_the_first_wait_ends_it(spare: Any, task: Any) -> None:
    seen: list[str] = []

    async def body() -> None:
        try:
            async with asyncio.timeout(0.01):
                await asyncio.Event().wait()
        except TimeoutError:
            seen.append("timed out")

    assert await outside(spare.begin, body())
    await task
    assert seen == ["timed out"]


async def test_a_group_of_tasks_is_waited_for(spare: Any, task: Any) -> None:
    seen: list[int] = []

    async def child(number: int) -> None:
        await asyncio.sleep(0)
        seen.append(number)

    async def body() -> None:
        async with asyncio.TaskGroup() as group:
            for number in range(3):
                group.create_task(child(number))

    assert await outside(spare.begin, body())
    await task
    assert seen == [0, 1, 2]


async def test_several_can_wait_for_one_future(spare: Any, task: Any) -> None:
    future = asyncio.get_running_loop().create_future()

    async def body() -> str:
        return str(await future)

    async def other() -> str:
        return str(await future)

    def begin() -> asyncio.Task[str]:
        assert spare.begin(body())
        return asyncio.get_running_loop().create_task(other())

    second = await outside(begin)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    future.set_result("both")
    assert await asyncio.gather(task, second) == ["both", "both"]


@pytest.mark.parametrize("waits", [True, False])
@pytest.mark.parametrize("error", [ValueError("failure"), Stop("failure")])
async def test_what_it_raises_is_the_tasks(spare: Any, task: Any, waits: bool, error: BaseException) -> None:
    async def body() -> None:
        if waits:
            await asyncio.sleep(0)
        raise error

    assert await outside(spare.begin, body())
    assert not spare.is_ready
    with pytest.raises(type(error)) as caught:
        await task
    assert caught.value is error


async def test_an_error_stays_the_tasks_when_it_is_cancelled_after_that(spare: Any, task: Any) -> None:
    async def body() -> None:
        raise ValueError("failure")

    def begin() -> None:
        assert spare.begin(body())
        task.cancel()

    await outside(begin)
    with pytest.raises(ValueError, match="failure"):
        await task


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_what_ends_a_program_is_raised_by_the_task(kernels: ModuleType, error: type[BaseException]) -> None:
    begun: list[bool] = []

    async def body() -> None:
        raise error

    async def main() -> None:
        spare = kernels.SpareTask(asyncio.get_running_loop())
        await asyncio.sleep(0)
        await outside(lambda: begun.append(spare.begin(body())))
        await asyncio.sleep(3600)

    with pytest.raises(error):
        asyncio.run(main())
    assert begun == [True]


@pytest.mark.parametrize("waits", [True, False])
async def test_taking_back_a_cancellation_is_as_in_any_task(spare: Any, task: Any, waits: bool) -> None:
    async def body() -> None:
        current = asyncio.current_task()
        assert current is not None
        current.cancel()
        current.uncancel()
        if waits:
            await asyncio.sleep(0)

    ordinary = asyncio.create_task(body())
    await asyncio.wait([ordinary])
    assert await outside(spare.begin, body())
    await asyncio.wait([task], timeout=5)
    assert task.cancelled() == ordinary.cancelled()


async def test_what_an_error_held_is_freed_with_the_task(kernels: ModuleType) -> None:
    class Held:
        """Something in a frame of the traceback."""

    async def body() -> None:
        held = Held()
        seen.append(weakref.ref(held))
        raise Stop

    async def run() -> None:
        spare = kernels.SpareTask(asyncio.get_running_loop())
        task = spare.task
        await asyncio.sleep(0)
        assert await outside(spare.begin, body())
        await asyncio.wait([task])
        assert isinstance(task.exception(), Stop)

    seen: list[Any] = []
    gc.collect()
    gc.disable()
    try:
        await run()
        await asyncio.sleep(0)
        assert seen[0]() is None
    finally:
        gc.enable()


async def test_what_cannot_be_awaited_is_an_error_in_the_coroutine(spare: Any, task: Any) -> None:
    class Odd:
        def __await__(self) -> Any:
            yield "a string"

    async def body() -> None:
        with pytest.raises(RuntimeError, match="bad yield"):
            await Odd()

    assert await outside(spare.begin, body())
    await task
