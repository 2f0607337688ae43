"""A task made in advance: when it can be used again, when not at all, and how it ends unused."""

from __future__ import annotations

import asyncio
import gc
import logging
import weakref
from contextvars import ContextVar
from types import ModuleType
from typing import Any

import pytest
from outside_tasks import outside

var: ContextVar[Any] = ContextVar("var", default=None)
other: ContextVar[Any] = ContextVar("other", default=None)


async def _named() -> None:
    asyncio.current_task().set_name("mine")  # type: ignore[union-attr]


async def _kept(kept: list[Any]) -> None:
    kept.append(asyncio.current_task())


async def _kept_weakly(kept: list[Any]) -> None:
    kept.append(weakref.ref(asyncio.current_task()))  # type: ignore[arg-type]


async def _heard(kept: list[Any]) -> None:
    asyncio.current_task().add_done_callback(kept.append)  # type: ignore[union-attr]


async def _marked() -> None:
    asyncio.current_task().mine = "mark"  # type: ignore[union-attr]


@pytest.mark.parametrize("what", ["a name", "a reference", "a weak reference", "a callback", "an attribute"])
async def test_a_task_that_somebody_knows_is_not_used_again(spare: Any, task: Any, what: str) -> None:
    kept: list[Any] = []
    body = {
        "a name": _named,
        "a reference": lambda: _kept(kept),
        "a weak reference": lambda: _kept_weakly(kept),
        "a callback": lambda: _heard(kept),
        "an attribute": _marked,
    }[what]
    assert await outside(spare.begin, body())
    assert (spare.is_ready, spare.is_over) == (False, True)
    assert await asyncio.wait_for(task, 5) is None
    if what == "a callback":
        await asyncio.sleep(0)
        assert kept == [task]


async def test_context_variables_do_not_go_from_one_to_the_next(spare: Any, task: Any) -> None:
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
    await asyncio.wait_for(task, 5)
    assert seen == [None]


@pytest.mark.parametrize("value", ["the same", "an equal one", "one that cannot be compared", "one more"])
async def test_only_the_same_values_will_do(kernels: ModuleType, value: str) -> None:
    class Odd:
        def __eq__(self, other: object) -> bool:
            raise ValueError("not comparable")

        __hash__ = None  # type: ignore[assignment]

    async def body() -> None:
        seen.append(var.get())

    def begin() -> bool:
        if value == "an equal one":
            var.set(["a value"])
        elif value == "one that cannot be compared":
            var.set(Odd())
        elif value == "one more":
            other.set("value")
        coroutine = body()
        has_begun = spare.begin(coroutine)
        coroutine.close()
        return bool(has_begun)

    seen: list[Any] = []
    first = ["a value"]
    var.set(Odd() if value == "one that cannot be compared" else first)
    spare = kernels.SpareTask(asyncio.get_running_loop())
    task = spare.task
    await asyncio.sleep(0)
    assert await outside(begin) == (value == "the same")
    assert seen == ([first] if value == "the same" else [])
    assert spare.is_over == (value != "the same")
    spare.retire()
    await asyncio.wait_for(task, 5)


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


async def test_retiring_does_not_end_what_waits(spare: Any, task: Any) -> None:
    async def body() -> str:
        await asyncio.sleep(0)
        return "done"

    assert await outside(spare.begin, body())
    spare.retire()
    assert await task == "done"


async def test_tools_see_the_coroutine(spare: Any, task: Any) -> None:
    go = asyncio.Event()

    async def waiting() -> None:
        shown.append(repr(asyncio.current_task()))
        await go.wait()

    shown: list[str] = []
    assert asyncio.iscoroutine(task.get_coro())
    assert not hasattr(task.get_coro(), "cr_code")
    assert await outside(spare.begin, waiting())
    await asyncio.sleep(0)
    coroutine = task.get_coro()
    assert coroutine.cr_code is waiting.__code__
    assert all("waiting" in text for text in [*shown, repr(task)])
    assert task.get_stack()
    go.set()
    await task


async def test_a_coroutine_is_given_up_with_it(spare: Any, task: Any) -> None:
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
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_exceptions_can_be_thrown_in_the_old_way(kernels: ModuleType) -> None:
    spare = kernels.SpareTask(asyncio.get_running_loop())
    task = spare.task
    with pytest.raises(ValueError, match="old"):
        spare.throw(ValueError, ValueError("old"), None)
    assert spare.is_over
    await task


def test_it_is_not_for_loops_without_factories_either(kernels: ModuleType) -> None:
    assert not kernels.SpareTask.is_possible(asyncio.AbstractEventLoop())


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
