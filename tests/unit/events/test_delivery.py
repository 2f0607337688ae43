"""`Delivery`: plain functions inline, coroutines in kept tasks, failures logged."""

from __future__ import annotations

import asyncio
import gc
import logging
from functools import partial

import pytest

from wtransport.events import Event
from wtransport.events.delivery import Delivery
from wtransport.events.listeners import ListenerTable
from wtransport.types import EventType

READY = EventType.SESSION_READY


@pytest.fixture
def table() -> ListenerTable:
    return ListenerTable()


@pytest.fixture
def delivery(table: ListenerTable) -> Delivery:
    return Delivery(table)


def _event() -> Event:
    return Event(type=READY)


def test_plain_functions_need_no_loop_and_no_task(table: ListenerTable, delivery: Delivery) -> None:
    seen: list[str] = []
    table.add(READY, lambda event: seen.append("a"))
    table.add(READY, lambda event: seen.append("b"))
    assert delivery.deliver(_event()) is None
    assert seen == ["a", "b"]


def test_a_coroutine_without_a_loop_is_an_error_that_leaves_nothing(table: ListenerTable, delivery: Delivery) -> None:
    async def handler(event: Event) -> None: ...

    table.add(READY, handler)
    with pytest.raises(RuntimeError, match="running event loop"):
        delivery.deliver(_event())
    gc.collect()  # a coroutine never awaited would warn here, and warnings are errors


async def test_handlers_after_a_coroutine_wait_for_it(table: ListenerTable, delivery: Delivery) -> None:
    seen: list[str] = []
    go = asyncio.Event()

    async def slow(event: Event) -> None:
        await go.wait()
        seen.append("slow")

    async def quick(event: Event) -> None:
        seen.append("quick")

    table.add(READY, lambda event: seen.append("first"))
    table.add(READY, slow)
    table.add(READY, lambda event: seen.append("third"))
    table.add(READY, quick)
    task = delivery.deliver(_event())
    assert task is not None
    assert seen == ["first"]
    go.set()
    await task
    assert seen == ["first", "slow", "third", "quick"]


async def test_any_callable_that_leaves_an_awaitable_is_awaited(table: ListenerTable, delivery: Delivery) -> None:
    seen: list[object] = []

    class Handler:
        async def __call__(self, event: Event) -> None:
            seen.append("object")

        async def method(self, event: Event) -> None:
            seen.append("method")

    async def with_argument(argument: str, event: Event) -> None:
        seen.append(argument)

    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    future.add_done_callback(lambda _: seen.append("future"))
    asyncio.get_running_loop().call_soon(future.set_result, None)
    for handler in (Handler(), Handler().method, partial(with_argument, "partial"), lambda event: future):
        table.add(READY, handler)
    await delivery.run(_event())
    assert seen == ["object", "method", "partial", "future"]


async def test_a_failure_is_logged_and_the_next_handler_runs(
    table: ListenerTable, delivery: Delivery, caplog: pytest.LogCaptureFixture
) -> None:
    seen: list[str] = []

    def plain(event: Event) -> None:
        raise ValueError("plain failure")

    async def coroutine(event: Event) -> None:
        raise ValueError("coroutine failure")

    async def cancelled_inside(event: Event) -> None:
        raise asyncio.CancelledError

    for handler in (plain, coroutine, cancelled_inside):
        table.add(READY, handler)
    table.add(READY, lambda event: seen.append("last"))
    with caplog.at_level(logging.ERROR, logger="wtransport"):
        task = delivery.deliver(_event())
        assert task is not None
        await task
    assert seen == ["last"]
    assert len(caplog.records) == 3
    assert "plain failure" in caplog.text
    assert "coroutine failure" in caplog.text


async def test_a_handler_removed_by_an_earlier_one_is_not_called(table: ListenerTable, delivery: Delivery) -> None:
    seen: list[str] = []
    table.add(READY, lambda event: table.remove(READY, second))
    second = table.add(READY, lambda event: seen.append("second"))
    delivery.deliver(_event())
    assert seen == []


async def test_a_once_handler_that_emits_again_runs_once(table: ListenerTable, delivery: Delivery) -> None:
    seen: list[Event] = []

    def handler(event: Event) -> None:
        seen.append(event)
        delivery.deliver(_event())

    table.add(READY, handler, is_once=True)
    delivery.deliver(_event())
    assert len(seen) == 1


async def test_tasks_are_kept_alive_until_they_are_done(table: ListenerTable, delivery: Delivery) -> None:
    done = asyncio.Event()

    async def handler(event: Event) -> None:
        await asyncio.sleep(0)
        done.set()

    table.add(READY, handler)
    delivery.deliver(_event())
    gc.collect()
    await asyncio.wait_for(done.wait(), 5)


async def test_close_cancels_what_runs_and_waits_for_its_end(table: ListenerTable, delivery: Delivery) -> None:
    seen: list[str] = []
    started = asyncio.Event()

    async def handler(event: Event) -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            seen.append("cleaned up")

    table.add(READY, handler)
    table.add(READY, lambda event: seen.append("never"))
    task = delivery.deliver(_event())
    assert task is not None
    await started.wait()
    await delivery.close()
    assert task.cancelled()
    assert seen == ["cleaned up"]


async def test_close_does_not_wait_for_ever(
    table: ListenerTable, delivery: Delivery, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wtransport.events.delivery._CLOSE_TIMEOUT", 0.01)
    go = asyncio.Event()
    started = asyncio.Event()

    async def stubborn(event: Event) -> None:
        started.set()
        while not go.is_set():
            try:
                await go.wait()
            except asyncio.CancelledError:
                continue

    table.add(READY, stubborn)
    task = delivery.deliver(_event())
    assert task is not None
    await started.wait()
    with caplog.at_level(logging.WARNING, logger="wtransport"):
        await delivery.close()
    assert "goes on although it was cancelled" in caplog.text
    go.set()
    await task


async def test_a_handler_may_close(table: ListenerTable, delivery: Delivery) -> None:
    seen: list[str] = []

    async def handler(event: Event) -> None:
        await delivery.close()
        seen.append("closed")

    table.add(READY, handler)
    task = delivery.deliver(_event())
    assert task is not None
    await task
    assert seen == ["closed"]


async def test_cancelling_run_cancels_the_handler(table: ListenerTable, delivery: Delivery) -> None:
    started = asyncio.Event()
    seen: list[str] = []

    async def handler(event: Event) -> None:
        started.set()
        await asyncio.Event().wait()

    table.add(READY, handler)
    table.add(READY, lambda event: seen.append("never"))
    task = asyncio.create_task(delivery.run(_event()))
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert seen == []
