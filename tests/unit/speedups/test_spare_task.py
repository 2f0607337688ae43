"""A task made in advance: what begins in it at once is a task like any other as soon as it waits."""

from __future__ import annotations

import asyncio
import gc
import logging
import weakref
from collections.abc import Callable, Coroutine
from contextvars import ContextVar
from types import ModuleType
from typing import Any

import pytest

Body = Callable[[], Coroutine[Any, Any, Any]]

var: ContextVar[Any] = ContextVar("var", default=None)


class Stop(BaseException):
    """No Exception."""


@pytest.fixture
async def spare(kernels: ModuleType) -> Any:
    made = kernels.SpareTask(asyncio.get_running_loop())
    await asyncio.sleep(0)
    yield made
    made.retire()


async def outside(function: Callable[..., Any], *args: Any) -> Any:
    """Call a function where no task runs."""
    future = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_soon(lambda: future.set_result(function(*args)))
    return await future


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
async def test_what_waits_keeps_the_task(spare: Any, turns: int) -> None:
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
    assert spare.task in asyncio.all_tasks()
    coroutine = body()
    assert not await outside(spare.begin, coroutine)
    coroutine.close()
    for _ in range(turns):
        await asyncio.sleep(0)
    future.set_result("value")
    assert await spare.task == "result"
    assert seen == [id(spare.task), "value", id(spare.task)]


async def test_a_turn_is_enough_for_what_waits_a_turn(spare: Any) -> None:
    seen: list[str] = []

    async def body() -> None:
        await asyncio.sleep(0)
        seen.append("a turn later")

    assert await outside(spare.begin, body())
    await spare.task
    assert seen == ["a turn later"]


@pytest.mark.parametrize("turns", [0, 2])
@pytest.mark.parametrize("waits_for", ["a future", "a turn"])
async def test_a_cancellation_reaches_what_waits(spare: Any, turns: int, waits_for: str) -> None:
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
            assert spare.task.cancel("enough")

    await outside(begin)
    for _ in range(turns):
        await asyncio.sleep(0)
    if turns:
        spare.task.cancel("enough")
    with pytest.raises(asyncio.CancelledError):
        await spare.task
    assert seen == ["enough"]
    assert future.cancelled() == (waits_for == "a future")


async def test_a_cancellation_after_what_was_awaited_is_one_of_the_task(spare: Any) -> None:
    future = asyncio.get_running_loop().create_future()

    async def body() -> None:
        with pytest.raises(asyncio.CancelledError):
            await future
        await asyncio.sleep(0)

    def begin() -> None:
        assert spare.begin(body())
        future.set_result("in time")
        spare.task.cancel()

    await outside(begin)
    assert await spare.task is None
    assert future.result() == "in time"


@pytest.mark.parametrize("waits", [True, False])
async def test_a_coroutine_can_cancel_itself(spare: Any, waits: bool) -> None:
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
        await spare.task
    assert seen == ["goes on"]


async def test_a_timeout_that_begins_before_the_first_wait_ends_it(spare: Any) -> None:
    seen: list[str] = []

    async def body() -> None:
        try:
            async with asyncio.timeout(0.01):
                await asyncio.Event().wait()
        except TimeoutError:
            seen.append("timed out")

    assert await outside(spare.begin, body())
    await spare.task
    assert seen == ["timed out"]


async def test_a_group_of_tasks_is_waited_for(spare: Any) -> None:
    seen: list[int] = []

    async def child(number: int) -> None:
        await asyncio.sleep(0)
        seen.append(number)

    async def body() -> None:
        async with asyncio.TaskGroup() as group:
            for number in range(3):
                group.create_task(child(number))

    assert await outside(spare.begin, body())
    await spare.task
    assert seen == [0, 1, 2]


async def test_several_can_wait_for_one_future(spare: Any) -> None:
    future = asyncio.get_running_loop().create_future()

    async def body() -> str:
        return str(await future)

    async def other() -> str:
        return str(await future)

    def begin() -> asyncio.Task[str]:
        assert spare.begin(body())
        return asyncio.get_running_loop().create_task(other())

    task = await outside(begin)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    future.set_result("both")
    assert await asyncio.gather(spare.task, task) == ["both", "both"]


@pytest.mark.parametrize("waits", [True, False])
@pytest.mark.parametrize("error", [ValueError("failure"), Stop("failure")])
async def test_what_it_raises_is_the_tasks(spare: Any, waits: bool, error: BaseException) -> None:
    async def body() -> None:
        if waits:
            await asyncio.sleep(0)
        raise error

    assert await outside(spare.begin, body())
    assert not spare.is_ready
    with pytest.raises(type(error)) as caught:
        await spare.task
    assert caught.value is error


async def test_an_error_stays_the_tasks_when_it_is_cancelled_after_that(spare: Any) -> None:
    async def body() -> None:
        raise ValueError("failure")

    def begin() -> None:
        assert spare.begin(body())
        spare.task.cancel()

    await outside(begin)
    with pytest.raises(ValueError, match="failure"):
        await spare.task


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
async def test_what_ends_a_program_is_raised_at_once(spare: Any, error: type[BaseException]) -> None:
    async def body() -> None:
        raise error

    def begin() -> None:
        with pytest.raises(error):
            spare.begin(body())

    await outside(begin)
    assert asyncio.current_task() is not None


async def test_what_cannot_be_awaited_is_an_error_in_the_coroutine(spare: Any) -> None:
    class Odd:
        def __await__(self) -> Any:
            yield "a string"

    async def body() -> None:
        with pytest.raises(RuntimeError, match="bad yield"):
            await Odd()

    assert await outside(spare.begin, body())
    await spare.task


async def _named() -> None:
    asyncio.current_task().set_name("mine")  # type: ignore[union-attr]


async def _kept(kept: list[Any]) -> None:
    kept.append(asyncio.current_task())


async def _kept_weakly(kept: list[Any]) -> None:
    kept.append(weakref.ref(asyncio.current_task()))  # type: ignore[arg-type]


async def _heard(kept: list[Any]) -> None:
    asyncio.current_task().add_done_callback(kept.append)  # type: ignore[union-attr]


@pytest.mark.parametrize("what", ["a name", "a reference", "a weak reference", "a callback"])
async def test_a_task_that_somebody_knows_is_not_used_again(spare: Any, what: str) -> None:
    kept: list[Any] = []
    body = {
        "a name": _named,
        "a reference": lambda: _kept(kept),
        "a weak reference": lambda: _kept_weakly(kept),
        "a callback": lambda: _heard(kept),
    }[what]
    assert await outside(spare.begin, body())
    assert (spare.is_ready, spare.is_over) == (False, True)
    assert await asyncio.wait_for(spare.task, 5) is None
    if what == "a callback":
        await asyncio.sleep(0)
        assert kept == [spare.task]


async def test_context_variables_do_not_go_from_one_to_the_next(spare: Any) -> None:
    seen: list[Any] = []

    async def body() -> None:
        seen.append(var.get())
        var.set("mine")

    assert await outside(spare.begin, body())
    assert var.get() is None
    coroutine = body()
    assert not await outside(spare.begin, coroutine)
    coroutine.close()
    assert spare.is_over
    await asyncio.wait_for(spare.task, 5)
    assert seen == [None]


async def test_values_that_cannot_be_compared_are_other_ones(kernels: ModuleType) -> None:
    class Odd:
        __hash__ = None  # type: ignore[assignment]

        def __eq__(self, other: object) -> bool:
            raise ValueError("not comparable")

    var.set(Odd())
    spare = kernels.SpareTask(asyncio.get_running_loop())
    await asyncio.sleep(0)

    def begin() -> bool:
        var.set(Odd())
        coroutine = asyncio.sleep(0)
        has_begun = spare.begin(coroutine)
        coroutine.close()
        return bool(has_begun)

    assert not await outside(begin)
    assert spare.is_over


async def test_it_begins_with_nothing_while_a_task_runs(spare: Any) -> None:
    coroutine = asyncio.sleep(0)
    assert not spare.begin(coroutine)
    assert spare.is_ready
    refused: list[bool] = []

    async def body() -> None:
        refused.append(spare.begin(coroutine))

    assert await outside(spare.begin, body())
    coroutine.close()
    assert refused == [False]
    assert spare.is_ready


def test_it_begins_with_nothing_unless_its_loop_runs(kernels: ModuleType, caplog: pytest.LogCaptureFixture) -> None:
    loops = [asyncio.new_event_loop() for _ in range(2)]
    made: list[Any] = []
    refused: list[bool] = []

    async def make() -> None:
        made.append(kernels.SpareTask(loops[0]))
        await asyncio.sleep(0)

    def try_it() -> None:
        coroutine = asyncio.sleep(0)
        refused.append(made[0].begin(coroutine))
        coroutine.close()
        loops[1].stop()

    loops[0].run_until_complete(make())
    assert made[0].is_ready
    try_it()
    loops[1].call_soon(try_it)
    loops[1].run_forever()
    assert refused == [False, False]
    with caplog.at_level(logging.DEBUG):
        for loop in loops:
            loop.close()
        made[0].retire()
        made.clear()
        gc.collect()
    assert [record for record in caplog.records if "destroyed" in record.message] == []


def test_a_loop_that_ends_does_not_miss_it(kernels: ModuleType, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> Any:
        spare = kernels.SpareTask(asyncio.get_running_loop())
        await asyncio.sleep(0)
        return weakref.ref(spare.task)

    with caplog.at_level(logging.DEBUG):
        task = asyncio.run(main())
        gc.collect()
    assert task() is None
    assert [record.message for record in caplog.records if record.levelno >= logging.WARNING] == []


@pytest.mark.parametrize("is_ready", [True, False])
async def test_retired_it_ends(kernels: ModuleType, is_ready: bool) -> None:
    spare = kernels.SpareTask(asyncio.get_running_loop())
    if is_ready:
        await asyncio.sleep(0)
    spare.retire()
    spare.retire()
    assert (spare.is_ready, spare.is_over) == (False, True)
    assert await asyncio.wait_for(spare.task, 5) is None
    coroutine = asyncio.sleep(0)
    assert not await outside(spare.begin, coroutine)
    coroutine.close()


async def test_retiring_does_not_end_what_waits(spare: Any) -> None:
    async def body() -> str:
        await asyncio.sleep(0)
        return "done"

    assert await outside(spare.begin, body())
    spare.retire()
    assert await spare.task == "done"


async def test_tools_see_the_coroutine(spare: Any) -> None:
    go = asyncio.Event()

    async def waiting() -> None:
        shown.append(repr(asyncio.current_task()))
        await go.wait()

    shown: list[str] = []
    assert asyncio.iscoroutine(spare.task.get_coro())
    assert not hasattr(spare.task.get_coro(), "cr_code")
    assert await outside(spare.begin, waiting())
    await asyncio.sleep(0)
    coroutine = spare.task.get_coro()
    assert coroutine.cr_code is waiting.__code__
    assert all("waiting" in text for text in [*shown, repr(spare.task)])
    assert spare.task.get_stack()
    go.set()
    await spare.task


async def test_a_coroutine_is_given_up_with_it(spare: Any) -> None:
    seen: list[str] = []

    async def body() -> None:
        try:
            await asyncio.sleep(3600)
        finally:
            seen.append("closed")

    assert await outside(spare.begin, body())
    spare.close()
    assert seen == ["closed"]
    assert spare.is_over
    spare.task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await spare.task


async def test_exceptions_can_be_thrown_in_the_old_way(kernels: ModuleType) -> None:
    spare = kernels.SpareTask(asyncio.get_running_loop())
    with pytest.raises(ValueError, match="old"):
        spare.throw(ValueError, ValueError("old"), None)
    assert spare.is_over
    await spare.task


@pytest.mark.parametrize("why", ["a factory", "debugging"])
async def test_it_is_not_for_loops_that_make_tasks_in_another_way(kernels: ModuleType, why: str) -> None:
    loop = asyncio.get_running_loop()
    loop.set_debug(False)
    assert kernels.SpareTask.is_possible(loop)
    if why == "a factory":
        loop.set_task_factory(lambda loop, coroutine, **options: asyncio.Task(coroutine, loop=loop, **options))
    else:
        loop.set_debug(True)
    assert not kernels.SpareTask.is_possible(loop)
    loop.set_task_factory(None)
    loop.set_debug(False)
