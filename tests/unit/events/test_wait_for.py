"""`EventEmitter.wait_for`: what it returns, and that it leaves nothing behind."""

from __future__ import annotations

import asyncio
import builtins
import gc

import pytest

from wtransport import exceptions
from wtransport.events import Event, EventEmitter
from wtransport.types import EventType

READY = EventType.SESSION_READY
DATAGRAM = EventType.DATAGRAM_RECEIVED


@pytest.fixture
def emitter() -> EventEmitter:
    return EventEmitter()


async def _waiting(task: asyncio.Task[Event], emitter: EventEmitter, event_type: str) -> None:
    """Let `task` run until it waits."""
    while not task.done() and not emitter.has_listeners(event_type=event_type):
        await asyncio.sleep(0)


async def test_it_returns_the_next_event(emitter: EventEmitter) -> None:
    task = asyncio.create_task(emitter.wait_for(event_type=READY))
    await _waiting(task, emitter, READY)
    assert emitter.listener_count(event_type=READY) == 1
    assert emitter.get_stats()["total_once_handlers"] == 1
    emitter.emit_nowait(event_type=READY, data=1)
    emitter.emit_nowait(event_type=READY, data=2)
    assert (await task).data == 1
    assert emitter.listener_count(event_type=READY) == 0


async def test_it_hears_only_the_event_that_it_returns(emitter: EventEmitter) -> None:
    task = asyncio.create_task(emitter.wait_for(event_type=DATAGRAM))
    await _waiting(task, emitter, DATAGRAM)
    emitter.emit_nowait(event_type=DATAGRAM)
    # A session looks here to decide whether to keep the next datagram.
    assert not emitter.has_listeners(event_type=DATAGRAM)
    await task


async def test_the_condition_chooses(emitter: EventEmitter) -> None:
    wait = emitter.wait_for(event_type=READY, condition=lambda event: event.data in (2, 3), timeout=5)
    task = asyncio.create_task(wait)
    await _waiting(task, emitter, READY)
    for number in range(4):
        emitter.emit_nowait(event_type=READY, data=number)
    assert (await task).data == 2


async def test_a_failing_condition_fails_the_wait(emitter: EventEmitter) -> None:
    def condition(event: Event) -> bool:
        raise KeyError("missing")

    task = asyncio.create_task(emitter.wait_for(event_type=READY, condition=condition))
    await _waiting(task, emitter, READY)
    emitter.emit_nowait(event_type=READY)
    with pytest.raises(KeyError, match="missing"):
        await task
    assert emitter.listener_count(event_type=READY) == 0


@pytest.mark.parametrize("timeout", [0.01, 0, -1])
async def test_a_timeout_is_the_builtin_one_and_leaves_nothing(emitter: EventEmitter, timeout: float) -> None:
    with pytest.raises(builtins.TimeoutError, match="session_ready") as caught:
        await emitter.wait_for(event_type=READY, timeout=timeout)
    assert not isinstance(caught.value, exceptions.WebTransportError)
    assert emitter.listener_count(event_type=READY) == 0


async def test_cancelling_leaves_nothing(emitter: EventEmitter) -> None:
    task = asyncio.create_task(emitter.wait_for(event_type=READY, timeout=5))
    await _waiting(task, emitter, READY)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert emitter.listener_count(event_type=READY) == 0


async def test_closing_and_cancelling_at_once_leaves_no_unseen_error(emitter: EventEmitter) -> None:
    problems: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: problems.append(context))
    task = asyncio.create_task(emitter.wait_for(event_type=READY))
    await _waiting(task, emitter, READY)
    await emitter.close()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    del task
    gc.collect()
    assert problems == []


async def test_a_slow_handler_registered_earlier_does_not_delay_it(emitter: EventEmitter) -> None:
    go = asyncio.Event()

    async def slow(event: Event) -> None:
        await go.wait()

    emitter.on(event_type=READY, handler=slow)
    task = asyncio.create_task(emitter.wait_for(event_type=READY, timeout=5))
    while emitter.listener_count(event_type=READY) < 2:
        await asyncio.sleep(0)
    emitter.emit_nowait(event_type=READY)
    await task
    go.set()
    await emitter.close()


async def test_what_a_subclass_delivers_at_the_start_is_taken() -> None:
    class Keeper(EventEmitter):
        kept = 2

        def _listener_added(self, event_type: str | None) -> None:
            while self.kept and self.has_listeners(event_type=DATAGRAM):
                self.kept -= 1
                self.emit_nowait(event_type=DATAGRAM, data=self.kept)

    keeper = Keeper()
    assert (await keeper.wait_for(event_type=DATAGRAM, timeout=0)).data == 1
    assert keeper.kept == 1
    assert (await keeper.wait_for(event_type=DATAGRAM, timeout=0)).data == 0


async def test_removing_all_handlers_does_not_end_a_wait(emitter: EventEmitter) -> None:
    task = asyncio.create_task(emitter.wait_for(event_type=READY, timeout=5))
    await _waiting(task, emitter, READY)
    emitter.off(event_type=READY)
    emitter.remove_all_listeners()
    emitter.emit_nowait(event_type=READY, data=1)
    assert (await task).data == 1


async def test_an_event_type_that_is_no_text_is_refused(emitter: EventEmitter) -> None:
    with pytest.raises(TypeError, match="event_type"):
        await emitter.wait_for(event_type=3)  # type: ignore[arg-type]
