"""Coroutine handlers of datagrams, which begin at once where nothing speaks against it, as both twins do it."""

from __future__ import annotations

import asyncio
import gc
from contextvars import ContextVar
from types import ModuleType
from typing import Any

import pytest
from handler_rig import A, Stop, event, make_caller, make_inbox
from outside_tasks import outside


class Arrivals:
    """Datagrams for the handlers of a caller, given to them where no task runs."""

    def __init__(self, kernels: ModuleType) -> None:
        self.kernels = kernels
        self.caller = make_caller(kernels)
        self.seen: list[Any] = []

    def arrive(self, *datagrams: bytes) -> list[Any]:
        """Give them to the handlers, and return what those have seen by then."""
        self.caller.emit_each(A, make_inbox(self.kernels, *datagrams), "data", {}, None)
        return list(self.seen)

    async def get_ready(self) -> None:
        """Have the first datagram handled, in a task of its own as always."""
        assert await outside(self.arrive, b"first") == []
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert self.seen == [b"first"]
        self.seen.clear()


@pytest.fixture
def arrivals(kernels: ModuleType) -> Any:
    made = Arrivals(kernels)
    yield made
    assert made.caller.errors == []


async def test_from_the_second_datagram_on_they_begin_at_once(arrivals: Any) -> None:
    async def handler(made: Any) -> None:
        arrivals.seen.append(made.data["data"])

    arrivals.caller.on(handler)
    await arrivals.get_ready()
    before = asyncio.all_tasks()
    assert await outside(arrivals.arrive, b"1", b"2") == [b"1", b"2"]
    assert await outside(arrivals.arrive, b"3") == [b"1", b"2", b"3"]
    assert (asyncio.all_tasks(), arrivals.caller.handling) == (before, {})


async def test_all_handlers_of_an_event_run_in_order(arrivals: Any) -> None:
    async def handler(made: Any) -> None:
        arrivals.seen.append(made.data["data"])

    async def second(made: Any) -> None:
        arrivals.seen.append("second")

    arrivals.caller.on(handler)
    await arrivals.get_ready()
    arrivals.caller.on(lambda _: arrivals.seen.append("plain"), second)
    assert await outside(arrivals.arrive, b"1", b"2") == [b"1", "plain", "second", b"2", "plain", "second"]


async def test_one_that_waits_goes_on_in_a_kept_task_and_the_next_begins_without_it(arrivals: Any) -> None:
    go = asyncio.Event()

    async def handler(made: Any) -> None:
        arrivals.seen.append(made.data["data"])
        if made.data["data"] == b"slow":
            await go.wait()
            arrivals.seen.append("woken")

    arrivals.caller.on(handler)
    await arrivals.get_ready()

    def arrive() -> Any:
        return arrivals.arrive(b"slow", b"1", b"2"), list(arrivals.caller.handling.values())

    seen, tasks = await outside(arrive)
    assert (seen, len(tasks)) == ([b"slow"], 3)
    task = tasks[0]
    assert task in asyncio.all_tasks()
    await asyncio.sleep(0)
    assert arrivals.seen == [b"slow", b"1", b"2"]
    assert list(arrivals.caller.handling.values()) == [task]
    gc.collect()
    go.set()
    await task
    assert (arrivals.seen, arrivals.caller.handling) == ([b"slow", b"1", b"2", "woken"], {})


async def test_after_one_that_waited_others_begin_at_once_again_some_time(arrivals: Any) -> None:
    async def handler(made: Any) -> None:
        arrivals.seen.append(made.data["data"])
        if made.data["data"] == b"slow":
            await asyncio.sleep(0)

    arrivals.caller.on(handler)
    await arrivals.get_ready()
    await outside(arrivals.arrive, b"slow")
    for _ in range(1000):
        arrivals.seen.clear()
        if await outside(arrivals.arrive, b"quick"):
            break
        await asyncio.sleep(0)
    assert arrivals.seen == [b"quick"]
    arrivals.seen.clear()
    assert await outside(arrivals.arrive, b"quick") == [b"quick"]


async def test_none_begins_before_one_that_came_earlier(arrivals: Any) -> None:
    async def handler(made: Any) -> None:
        arrivals.seen.append(getattr(made, "data", {"data": "an event"})["data"])

    def one_after_the_other() -> Any:
        arrivals.caller.deliver(event())
        return arrivals.arrive(b"1")

    arrivals.caller.on(handler)
    await arrivals.get_ready()
    assert await outside(one_after_the_other) == []
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert arrivals.seen == ["an event", b"1"]
    assert await outside(arrivals.arrive, b"2") == ["an event", b"1", b"2"]


async def test_one_that_was_cancelled_before_it_began_holds_up_nobody(arrivals: Any) -> None:
    async def handler(made: Any) -> None:
        arrivals.seen.append(made.data["data"])

    def cancelled() -> Any:
        task = arrivals.caller.deliver(event())
        task.cancel()
        return task

    arrivals.caller.on(handler)
    await arrivals.get_ready()
    task = await outside(cancelled)
    await asyncio.wait([task])
    assert task.cancelled()
    assert await outside(arrivals.arrive, b"1") == [b"1"]


async def test_in_a_task_and_for_other_events_nothing_begins_at_once(arrivals: Any) -> None:
    async def handler(made: Any) -> None:
        arrivals.seen.append("called")

    async def with_first(made: Any) -> None:
        arrivals.seen.append(made.data["data"])

    first = arrivals.caller.on(with_first)
    await arrivals.get_ready()
    arrivals.caller._remove(A, first[0])
    arrivals.caller.on(handler)
    assert arrivals.arrive(b"1") == []
    await asyncio.sleep(0)
    assert arrivals.seen == ["called"]
    task = await outside(arrivals.caller.deliver, event())
    assert isinstance(task, asyncio.Task)
    await task
    assert arrivals.seen == ["called"] * 2


@pytest.mark.parametrize("error", [ValueError("failure"), asyncio.CancelledError()])
async def test_a_failure_is_noted_and_the_next_handler_and_datagram_follow(arrivals: Any, error: BaseException) -> None:
    async def handler(made: Any) -> None:
        arrivals.seen.append(made.data["data"])
        if made.data["data"] == b"bad":
            raise error

    arrivals.caller.on(handler)
    await arrivals.get_ready()
    arrivals.caller.on(lambda _: arrivals.seen.append("next"))
    assert await outside(arrivals.arrive, b"bad", b"good") == [b"bad", "next", b"good", "next"]
    assert arrivals.caller.errors == [error]
    arrivals.caller.errors.clear()


async def test_what_is_no_exception_ends_the_task_and_nothing_else(arrivals: Any) -> None:
    async def handler(made: Any) -> None:
        arrivals.seen.append(made.data["data"])
        if made.data["data"] == b"bad":
            tasks.append(asyncio.current_task())
            raise Stop

    tasks: list[Any] = []
    arrivals.caller.on(handler)
    await arrivals.get_ready()
    assert await outside(arrivals.arrive, b"bad") == [b"bad"]
    with pytest.raises(Stop):
        await tasks[0]
    assert arrivals.caller.handling == {}


def test_what_ends_a_program_leaves_no_datagram_behind(kernels: ModuleType) -> None:
    arrivals = Arrivals(kernels)

    async def handler(made: Any) -> None:
        arrivals.seen.append(made.data["data"])
        if made.data["data"] == b"bad":
            raise KeyboardInterrupt

    async def main() -> None:
        await arrivals.get_ready()
        await outside(arrivals.arrive, b"bad", b"good")
        await asyncio.sleep(3600)

    arrivals.caller.on(handler)
    with pytest.raises(KeyboardInterrupt):
        asyncio.run(main())
    assert [each.data["data"] for each in arrivals.caller.history] == [b"first", b"bad", b"good"]


async def test_after_events_in_another_context_handlers_begin_at_once_again(arrivals: Any) -> None:
    async def handler(made: Any) -> None:
        arrivals.seen.append(var.get())

    def elsewhere() -> Any:
        var.set("another")
        return arrivals.arrive(b"elsewhere")

    var: ContextVar[str] = ContextVar("var", default="as ever")
    arrivals.caller.on(handler)
    assert await outside(elsewhere) == []  # the spare task is for that context
    await asyncio.sleep(0)
    assert arrivals.seen == ["another"]
    for _ in range(1000):
        arrivals.seen.clear()
        if await outside(arrivals.arrive, b"here"):
            break
        await asyncio.sleep(0)
    assert arrivals.seen == ["as ever"]
    arrivals.seen.clear()
    assert await outside(arrivals.arrive, b"1", b"2") == ["as ever"] * 2


@pytest.mark.parametrize("goes_well", [True, False])
async def test_what_is_there_is_for_the_handlers_while_they_get_it(kernels: ModuleType, goes_well: bool) -> None:
    seen: list[Any] = []
    caller = make_caller(kernels)
    inbox = make_inbox(kernels, b"1", b"2")

    def handler(made: Any) -> None:
        seen.append((made.data["data"], inbox.is_handing_out))
        if not goes_well:
            raise Stop

    caller.on(handler)
    if goes_well:
        caller.emit_each(A, inbox, "data", {}, None)
        assert seen == [(b"1", True), (b"2", True)]
    else:
        with pytest.raises(Stop):
            caller.emit_each(A, inbox, "data", {}, None)
    assert not inbox.is_handing_out


@pytest.mark.parametrize("waits", [True, False])
async def test_a_handler_can_end_the_emitter_it_is_called_by(arrivals: Any, waits: bool) -> None:
    async def handler(made: Any) -> None:
        arrivals.seen.append(made.data["data"])
        if made.data["data"] == b"last":
            arrivals.caller.is_closed = True
            arrivals.caller.release_spare_task()
            if waits:
                await asyncio.sleep(0)
            arrivals.seen.append(asyncio.current_task())

    arrivals.caller.on(handler)
    await arrivals.get_ready()
    await outside(arrivals.arrive, b"last", b"never")
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    (said, task) = arrivals.seen
    assert said == b"last"
    await asyncio.wait([task], timeout=5)
    assert task.done()
    assert arrivals.caller.handling == {}


async def test_a_handler_that_keeps_its_task_gets_one_of_its_own_from_then_on(arrivals: Any) -> None:
    async def handler(made: Any) -> None:
        arrivals.seen.append(made.data["data"])
        if made.data["data"] != b"first":
            tasks.append(asyncio.current_task())

    tasks: list[Any] = []
    arrivals.caller.on(handler)
    await arrivals.get_ready()
    for number in range(5):
        await outside(arrivals.arrive, b"%d" % number)
        await asyncio.sleep(0)
    assert len(set(tasks)) == 5
    await asyncio.wait_for(asyncio.gather(*tasks), 5)


async def test_other_awaitables_begin_at_once_as_well(arrivals: Any) -> None:
    class Awaitable:
        def __await__(self) -> Any:
            arrivals.seen.append("awaited")
            return iter(())

    async def handler(made: Any) -> None:
        arrivals.seen.append(made.data["data"])

    (first,) = arrivals.caller.on(handler)
    await arrivals.get_ready()
    arrivals.caller._remove(A, first)
    arrivals.caller.on(lambda _: Awaitable())
    assert await outside(arrivals.arrive, b"1") == ["awaited"]
