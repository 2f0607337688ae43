"""Calling the handlers of events, as both twins do it."""

from __future__ import annotations

import asyncio
import gc
import sys
from collections import deque
from functools import partial
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from handler_rig import A, Event, Kind, Stop, event, make_caller, make_inbox


@pytest.fixture
def caller(kernels: ModuleType) -> Any:
    return make_caller(kernels)


@pytest.fixture
def inbox_of(kernels: ModuleType) -> Any:
    return partial(make_inbox, kernels)


def test_a_listener_begins_alive(kernels: ModuleType) -> None:
    listener = kernels.Listener(len, 3, True, False)
    assert (listener.handler, listener.order, listener.is_once, listener.is_waiter) == (len, 3, True, False)
    assert listener.is_active
    listener.is_active = False
    assert not listener.is_active


@pytest.mark.parametrize("is_slotted", [True, False])
def test_events_of_every_class_are_made(kernels: ModuleType, is_slotted: bool) -> None:
    made = type("Made", (), {"__slots__": ("type", "timestamp", "data", "source", "event_id")} if is_slotted else {})
    for _ in range(2):
        for cls in (made, Event):
            seen: list[Any] = []
            caller = kernels.HandlerCaller({A: (kernels.Listener(seen.append, 0, False, False),)}, cls, Kind)
            caller.history = deque()
            assert caller.emit(A, {"some": "data"}, "source")
            assert type(seen[0]) is cls
            assert (seen[0].type, seen[0].data, seen[0].source) == (A, {"some": "data"}, "source")
            assert seen[0].timestamp > 0
            assert not hasattr(seen[0], "event_id")


def test_an_event_is_made_remembered_and_given_to_its_handlers(caller: Any) -> None:
    seen: list[Any] = []
    caller.on(seen.append, seen.append)
    caller._route(A)
    assert not caller.emit(A, "data", "source")  # there is no history yet
    history = caller._begin_history()
    assert caller.emit(A, "data", "source")
    assert [(each.type, each.data, each.source) for each in seen] == [(A, "data", "source")] * 2
    assert type(seen[0]) is Event
    assert isinstance(seen[0].timestamp, float)
    assert list(history) == [seen[0]]
    assert seen[0] is seen[1]


@pytest.mark.parametrize("why", ["closed", "paused", "no route yet", "nobody listens", "another class"])
def test_what_is_not_simple_is_refused_and_leaves_nothing(caller: Any, why: str) -> None:
    seen: list[Any] = []
    caller.on(seen.append)
    if why != "no route yet":
        caller._route(A)
    history = caller._begin_history()
    caller.is_closed = why == "closed"
    caller.queue = deque() if why == "paused" else None
    if why == "nobody listens":
        caller.routes[A] = ()
    assert not caller.emit("a" if why == "another class" else A, None, None)
    assert (seen, list(history)) == ([], [])


def test_each_datagram_of_an_inbox_is_an_event(caller: Any, inbox_of: Any) -> None:
    seen: list[Any] = []
    caller.on(seen.append)
    inbox, shared = inbox_of(b"1", b""), {"session": 3}
    caller.emit_each(A, inbox, "data", shared, "source")
    assert [each.data for each in seen] == [{"session": 3, "data": b"1"}, {"session": 3, "data": b""}]
    assert [(type(each), each.type, each.source) for each in seen] == [(Event, A, "source")] * 2
    assert list(caller.history) == seen
    assert (shared, inbox.is_left, inbox.copies, inbox.queue.popped) == ({"session": 3}, False, [], 2)


def test_what_comes_after_the_last_handler_is_left_to_a_reader(caller: Any, inbox_of: Any) -> None:
    seen: list[Any] = []
    caller.on(seen.append, is_once=True)
    inbox = inbox_of(b"1", b"2")
    caller.emit_each(A, inbox, "data", {}, None)
    assert ([each.data for each in seen], inbox.is_left) == ([{"data": b"1"}], True)
    assert inbox.queue.drain() == [b"2"]


def test_a_reader_that_asks_between_two_events_gets_the_second(caller: Any, inbox_of: Any) -> None:
    inbox = inbox_of(b"1", b"2")

    def handler(_: Any) -> None:
        inbox.is_pulled = True

    caller.on(handler)
    caller.emit_each(A, inbox, "data", {}, None)
    assert [each.data for each in caller.history] == [{"data": b"1"}, {"data": b"2"}]
    assert inbox.copies == [b"2"]


def test_a_tap_gives_handlers_what_is_there(inbox_of: Any) -> None:
    inbox = inbox_of(b"1", b"2")
    assert inbox.take_for_handlers() == b"1"
    inbox.is_pulled = True
    assert [inbox.take_for_handlers() for _ in range(2)] == [b"2", None]
    assert inbox.copies == [b"2"]


def test_events_are_queued_in_a_pause_and_dropped_after_the_end(caller: Any, inbox_of: Any) -> None:
    seen: list[Any] = []
    caller.on(seen.append)
    caller.queue = deque()
    caller.emit_each(A, inbox_of(b"1", b"2"), "data", {}, None)
    assert [each.data for each in caller.queue] == [{"data": b"1"}, {"data": b"2"}]
    assert list(caller.history) == list(caller.queue)
    caller.is_closed = True
    inbox = inbox_of(b"1", b"2")
    caller.emit_each(A, inbox, "data", {}, None)
    assert (seen, len(inbox.queue), len(caller.queue)) == ([], 0, 2)


def test_what_cannot_be_emitted_is_logged(caller: Any, inbox_of: Any) -> None:
    async def handler(_: Any) -> None: ...

    caller.on(handler)
    inbox = inbox_of(b"1", b"2")
    caller.emit_each(A, inbox, "data", {}, None)  # there is no loop
    (kind, error), *others = caller.errors
    assert (kind, others, inbox.queue.drain()) == (A, [], [b"2"])
    assert "needs a running event loop" in str(error)
    gc.collect()  # a coroutine never awaited would warn here, and warnings are errors


def test_handlers_are_called_once_in_order_whatever_one_of_them_does(caller: Any) -> None:
    seen: list[str] = []

    def failing(_: Any) -> None:
        if removed.is_active:
            caller._remove(A, removed)
        raise ValueError("failure")

    caller.on(failing)
    (removed,) = caller.on(lambda _: seen.append("removed"))
    caller.on(lambda _: seen.append("once"), is_once=True)
    caller.on(lambda _: seen.append("last"))
    for _ in range(2):
        assert caller.deliver(event()) is None
    assert seen == ["once", "last", "last"]
    assert [str(error) for error in caller.errors] == ["failure", "failure"]


def test_what_is_no_exception_is_raised(caller: Any, inbox_of: Any) -> None:
    def handler(_: Any) -> None:
        raise Stop

    caller.on(handler)
    with pytest.raises(Stop):
        caller.deliver(event())
    with pytest.raises(Stop):
        caller.emit_each(A, inbox_of(b"1"), "data", {}, None)


async def test_coroutines_run_in_a_task_that_is_kept_until_it_is_done(caller: Any) -> None:
    seen: list[str] = []
    go = asyncio.Event()

    async def slow(_: Any) -> None:
        await go.wait()
        await asyncio.sleep(0)
        seen.append("slow")

    async def quick(_: Any) -> None:
        seen.append("quick")

    caller.on(slow, lambda _: seen.append("plain"), quick)
    task = caller.deliver(event())
    assert list(caller.handling.values()) == [task]
    await asyncio.sleep(0)
    assert seen == []
    go.set()
    gc.collect()
    assert await task is None
    assert (seen, caller.handling, caller.errors) == (["slow", "plain", "quick"], {}, [])


async def test_a_future_or_another_awaitable_is_awaited(caller: Any) -> None:
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    class Awaitable:
        def __await__(self) -> Any:
            return future.__await__()

    caller.on(lambda _: future)
    tasks = [caller.deliver(event())]
    caller.on(lambda _: Awaitable())
    caller.table[A].pop(0)
    tasks.append(caller.deliver(event()))
    await asyncio.sleep(0)
    assert len(caller.handling) == 2
    future.set_result(None)
    await asyncio.gather(*tasks)
    assert caller.handling == {}


@pytest.mark.parametrize("error", [ValueError("failure"), asyncio.CancelledError()])
@pytest.mark.parametrize("is_late", [False, True])
async def test_a_failure_is_noted_and_the_next_handler_runs(caller: Any, error: BaseException, is_late: bool) -> None:
    seen: list[str] = []

    async def failing(_: Any) -> None:
        if is_late:
            await asyncio.sleep(0)
        raise error

    caller.on(failing, lambda _: seen.append("next"))
    await caller.deliver(event())
    assert (caller.errors, seen, caller.handling) == ([error], ["next"], {})


async def test_an_exception_that_is_thrown_in_reaches_the_handler(caller: Any) -> None:
    seen: list[Any] = []
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def handler(_: Any) -> None:
        try:
            await future
        except OSError as error:
            seen.append(str(error))
            await asyncio.sleep(0)
            seen.append("went on")

    caller.on(handler, lambda _: seen.append("next"))
    task = caller.deliver(event())
    await asyncio.sleep(0)
    future.set_exception(OSError("thrown"))
    await task
    assert (seen, caller.errors) == (["thrown", "went on", "next"], [])


async def test_a_cancelled_task_ends_and_calls_no_further_handler(caller: Any) -> None:
    seen: list[str] = []

    async def handler(_: Any) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            seen.append("cleaned up")

    caller.on(handler, lambda _: seen.append("never"))
    task = caller.deliver(event())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (seen, caller.handling) == (["cleaned up"], {})


@pytest.mark.parametrize("is_first", [True, False])
async def test_what_ends_more_than_a_handler_ends_the_task(caller: Any, is_first: bool) -> None:
    async def stopping(_: Any) -> None:
        raise Stop

    async def other(_: Any) -> None: ...

    caller.on(*([stopping, other] if is_first else [other, stopping]))
    task = caller.deliver(event())
    with pytest.raises(Stop):
        await task
    assert (caller.handling, caller.errors) == ({}, [])


async def test_a_failure_of_what_runs_the_further_handlers_is_the_tasks(caller: Any) -> None:
    async def first(_: Any) -> None: ...

    async def second(_: Any) -> None:
        raise ValueError("not logged by this subclass")

    caller.on(first, second)
    task = caller.deliver(event())
    with pytest.raises(ValueError, match="not logged"):
        await task
    assert caller.handling == {}


async def test_tools_can_name_and_show_what_runs(caller: Any) -> None:
    async def waiting(_: Any) -> None:
        await asyncio.Event().wait()

    caller.on(waiting)
    task = caller.deliver(event())
    await asyncio.sleep(0)
    assert "Task" in repr(task)
    assert task.get_stack()
    coroutine = task.get_coro()
    assert asyncio.iscoroutine(coroutine)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    with pytest.raises(RuntimeError, match="already awaited"):
        coroutine.send(None)


async def test_a_run_that_is_given_up_leaves_nothing(caller: Any) -> None:
    seen: list[str] = []

    async def handler(_: Any) -> None:
        try:
            await asyncio.sleep(0)
        finally:
            seen.append("closed")

    loop = SimpleNamespace(create_task=lambda coroutine: runs.append(coroutine) or SimpleNamespace(done=bool))
    runs: list[Any] = []
    caller.on(handler)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(asyncio, "get_running_loop", lambda: loop)
        module = sys.modules[type(caller).__mro__[2].__module__]
        if hasattr(module, "get_running_loop"):
            patch.setattr(module, "get_running_loop", lambda: loop)
        caller.deliver(event())
    (run,) = runs
    run.send(None)
    assert len(caller.handling) == 1
    run.close()
    assert (seen, caller.handling) == (["closed"], {})


@pytest.mark.skipif(sys.version_info < (3, 12), reason="tasks cannot begin at once")
async def test_a_task_that_is_over_at_once_is_not_kept(caller: Any) -> None:
    async def handler(_: Any) -> None: ...

    caller.on(handler)
    asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)  # type: ignore[attr-defined]
    task = caller.deliver(event())
    assert task.done()
    assert caller.handling == {}
