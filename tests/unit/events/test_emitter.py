"""`EventEmitter`: registration, emission, history, pausing and closing."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from wtransport.events import Event, EventEmitter
from wtransport.exceptions import WebTransportError
from wtransport.types import EventType

READY = EventType.SESSION_READY
CLOSED = EventType.SESSION_CLOSED
DATAGRAM = EventType.DATAGRAM_RECEIVED
QUIET = [
    EventType.DATAGRAM_RECEIVED,
    EventType.STREAM_OPENED,
    EventType.STREAM_CLOSED,
    EventType.STREAM_DATA_RECEIVED,
    EventType.STREAM_ERROR,
]


class Recorder(EventEmitter):
    """An emitter with two handlers' worth of memory."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.seen: list[Event] = []
        self.added: list[str | None] = []

    def record(self, event: Event) -> None:
        self.seen.append(event)

    def _listener_added(self, event_type: str | None) -> None:
        self.added.append(event_type)


@pytest.fixture
def emitter() -> Recorder:
    return Recorder()


def test_a_plain_handler_runs_before_emit_nowait_returns(emitter: Recorder) -> None:
    emitter.on(event_type=READY, handler=emitter.record)
    emitter.emit_nowait(event_type=READY, data={"a": 1}, source="me")
    emitter.emit_nowait(event_type=CLOSED)
    assert [(each.type, each.data, each.source) for each in emitter.seen] == [(READY, {"a": 1}, "me")]


def test_text_and_enum_name_the_same_event(emitter: Recorder) -> None:
    emitter.on(event_type="session_ready", handler=emitter.record)
    emitter.emit_nowait(event_type=READY)
    emitter.emit_nowait(event_type="session_ready")
    assert [each.type for each in emitter.seen] == [READY, READY]


def test_handlers_of_every_event_take_their_turn(emitter: Recorder) -> None:
    order: list[str] = []
    emitter.on(event_type=READY, handler=lambda event: order.append("typed 1"))
    emitter.on_any(handler=lambda event: order.append("any"))
    emitter.on(event_type=READY, handler=lambda event: order.append("typed 2"))
    emitter.emit_nowait(event_type=READY)
    emitter.emit_nowait(event_type="my_own")
    assert order == ["typed 1", "any", "typed 2", "any"]


def test_once_fires_one_time(emitter: Recorder) -> None:
    emitter.once(event_type=READY, handler=emitter.record)
    emitter.emit_nowait(event_type=READY)
    emitter.emit_nowait(event_type=READY)
    assert len(emitter.seen) == 1
    assert emitter.listener_count(event_type=READY) == 0


def test_off_removes_one_handler_or_all(emitter: Recorder) -> None:
    def other(event: Event) -> None: ...

    emitter.on(event_type=READY, handler=emitter.record)
    emitter.once(event_type=READY, handler=other)
    emitter.off(event_type=READY, handler=print)
    assert emitter.listeners(event_type=READY) == [emitter.record, other]
    emitter.off(event_type=READY, handler=other)
    assert emitter.listeners(event_type=READY) == [emitter.record]
    emitter.off(event_type=READY)
    assert emitter.listeners(event_type=READY) == []


def test_off_any_and_remove_all(emitter: Recorder) -> None:
    emitter.on_any(handler=emitter.record)
    emitter.off_any(handler=print)
    emitter.off_any(handler=emitter.record)
    emitter.on_any(handler=emitter.record)
    emitter.off_any()
    emitter.on(event_type=READY, handler=emitter.record)
    emitter.on(event_type=CLOSED, handler=emitter.record)
    emitter.remove_all_listeners(event_type=READY)
    assert not emitter.has_listeners(event_type=READY)
    assert emitter.has_listeners(event_type=CLOSED)
    emitter.on_any(handler=emitter.record)
    emitter.remove_all_listeners()
    assert not emitter.has_listeners(event_type=CLOSED)


def test_the_same_handler_twice_is_registered_once_with_a_warning(
    emitter: Recorder, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, logger="wtransport"):
        emitter.on(event_type=READY, handler=emitter.record)
        emitter.on(event_type=READY, handler=emitter.record)
    assert emitter.listener_count(event_type=READY) == 1
    assert "already registered" in caplog.text


def test_too_many_listeners_are_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    emitter = EventEmitter(max_listeners=1)
    handlers = [lambda event: None, lambda event: None, lambda event: None]
    with caplog.at_level(logging.WARNING, logger="wtransport"):
        emitter.on(event_type=READY, handler=handlers[0])
        assert caplog.records == []
        emitter.on(event_type=READY, handler=handlers[1])
        assert "max_listeners (1)" in caplog.text
        caplog.clear()
        emitter.set_max_listeners(max_listeners=0)
        emitter.on(event_type=READY, handler=handlers[2])
    assert caplog.records == []
    assert emitter.listener_count(event_type=READY) == 3


def test_wrong_arguments_are_refused_at_the_call(emitter: Recorder) -> None:
    with pytest.raises(TypeError, match="callable"):
        emitter.on(event_type=READY, handler=3)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="event_type"):
        emitter.on(event_type=None, handler=print)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="type"):
        emitter.emit_nowait(event_type=3)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="max_listeners"):
        emitter.set_max_listeners(max_listeners=-1)
    with pytest.raises(ValueError, match="limit"):
        emitter.get_event_history(limit=-1)
    with pytest.raises(TypeError, match="colour"):
        EventEmitter(colour="red")
    with pytest.raises(TypeError, match="3"):
        EventEmitter(3)


def test_subclasses_learn_of_every_new_listener(emitter: Recorder) -> None:
    emitter.on(event_type=READY, handler=emitter.record)
    emitter.once(event_type=CLOSED, handler=emitter.record)
    emitter.on_any(handler=emitter.record)
    assert emitter.added == [READY, CLOSED, None]


@pytest.mark.parametrize("event_type", QUIET)
def test_events_of_the_hot_path_exist_only_while_somebody_listens(emitter: Recorder, event_type: EventType) -> None:
    emitter.emit_nowait(event_type=event_type)
    emitter.pause()
    emitter.emit_nowait(event_type=event_type)
    assert emitter.get_stats()["queued_events"] == 0
    assert emitter.resume() is None
    assert emitter.get_event_history() == []
    emitter.on(event_type=event_type, handler=emitter.record)
    emitter.emit_nowait(event_type=event_type)
    assert emitter.get_event_history() == emitter.seen
    emitter.off(event_type=event_type)
    emitter.on_any(handler=emitter.record)
    emitter.emit_nowait(event_type=event_type)
    assert len(emitter.get_event_history()) == 2


@pytest.mark.parametrize("event_type", [each for each in EventType if each not in QUIET] + ["my_own"])
def test_all_other_events_are_history_in_any_case(emitter: Recorder, event_type: str) -> None:
    emitter.emit_nowait(event_type=event_type)
    assert [each.type for each in emitter.get_event_history()] == [event_type]


def test_history_holds_the_last_thousand(emitter: Recorder) -> None:
    for number in range(1005):
        emitter.emit_nowait(event_type=CLOSED if number % 2 else READY, data=number)
    assert [each.data for each in emitter.get_event_history(limit=3)] == [1002, 1003, 1004]
    assert [each.data for each in emitter.get_event_history(event_type=READY, limit=2)] == [1002, 1004]
    assert len(emitter.get_event_history()) == 100
    assert len(emitter.get_event_history(limit=5000)) == 1000
    assert emitter.get_event_history(limit=0) == []
    emitter.clear_history()
    assert emitter.get_event_history() == []


async def test_stats_have_their_keys(emitter: Recorder) -> None:
    emitter.on(event_type=READY, handler=emitter.record)
    emitter.once(event_type=CLOSED, handler=emitter.record)
    emitter.on_any(handler=emitter.record)
    emitter.emit_nowait(event_type=READY)
    emitter.pause()
    emitter.emit_nowait(event_type=READY)
    assert emitter.get_stats() == {
        "total_handlers": 1,
        "total_once_handlers": 1,
        "wildcard_handlers": 1,
        "event_types": 2,
        "history_size": 2,
        "queued_events": 1,
        "paused": True,
    }


async def test_a_slow_coroutine_does_not_delay_the_next_event(emitter: Recorder) -> None:
    done = asyncio.Event()

    async def waits_for_the_next(event: Event) -> None:
        await emitter.wait_for(event_type=CLOSED, timeout=5)
        done.set()

    emitter.on(event_type=READY, handler=waits_for_the_next)
    emitter.on(event_type=CLOSED, handler=emitter.record)
    emitter.emit_nowait(event_type=READY)
    await asyncio.sleep(0)
    emitter.emit_nowait(event_type=CLOSED)
    assert len(emitter.seen) == 1
    await asyncio.wait_for(done.wait(), 5)


async def test_plain_handlers_cost_no_task(emitter: Recorder) -> None:
    before = asyncio.all_tasks()
    emitter.on(event_type=DATAGRAM, handler=emitter.record)
    for _ in range(100):
        emitter.emit_nowait(event_type=DATAGRAM)
    assert asyncio.all_tasks() == before
    assert len(emitter.seen) == 100


async def test_emit_returns_when_all_handlers_are_done(emitter: Recorder) -> None:
    async def handler(event: Event) -> None:
        await asyncio.sleep(0)
        emitter.record(event)

    emitter.on(event_type=READY, handler=handler)
    emitter.on(event_type=READY, handler=emitter.record)
    await emitter.emit(event_type=READY, data=1)
    assert [each.data for each in emitter.seen] == [1, 1]
    await emitter.emit(event_type=CLOSED)


async def test_a_paused_emitter_queues_in_order(emitter: Recorder) -> None:
    async def slow(event: Event) -> None:
        await asyncio.sleep(0)
        emitter.record(event)

    emitter.on(event_type=READY, handler=emitter.record)
    emitter.on(event_type=CLOSED, handler=slow)
    emitter.pause()
    emitter.emit_nowait(event_type=READY, data=1)
    await emitter.emit(event_type=CLOSED, data=2)
    assert emitter.seen == []
    task = emitter.resume()
    assert task is not None
    assert emitter.resume() is task
    emitter.emit_nowait(event_type=READY, data=3)  # stands in line behind what was queued
    assert emitter.seen == []
    await task
    assert [each.data for each in emitter.seen] == [1, 3, 2]
    assert emitter.resume() is None


async def test_a_handler_may_pause_again(emitter: Recorder) -> None:
    def handler(event: Event) -> None:
        emitter.record(event)
        emitter.pause()

    emitter.on(event_type=READY, handler=handler)
    emitter.pause()
    emitter.emit_nowait(event_type=READY, data=1)
    emitter.emit_nowait(event_type=READY, data=2)
    for expected in ([1], [1, 2]):
        task = emitter.resume()
        assert task is not None
        await task
        assert [each.data for each in emitter.seen] == expected


def test_resume_without_a_loop_changes_nothing(emitter: Recorder) -> None:
    emitter.pause()
    assert emitter.resume() is None
    emitter.pause()
    emitter.emit_nowait(event_type=READY)
    with pytest.raises(RuntimeError):
        emitter.resume()
    assert emitter.get_stats()["paused"]


async def test_a_full_queue_drops_the_oldest_and_says_so(
    emitter: Recorder, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wtransport.events.emitter._MAX_QUEUED_EVENTS", 2)
    emitter.on(event_type=READY, handler=emitter.record)
    emitter.pause()
    for number in range(5):
        emitter.emit_nowait(event_type=READY, data=number)
    with caplog.at_level(logging.WARNING, logger="wtransport"):
        task = emitter.resume()
    assert task is not None
    await task
    assert [each.data for each in emitter.seen] == [3, 4]
    assert "3 events were dropped" in caplog.text


async def test_close_ends_everything(emitter: Recorder) -> None:
    started = asyncio.Event()

    async def handler(event: Event) -> None:
        started.set()
        await asyncio.Event().wait()

    emitter.on(event_type=READY, handler=handler)
    emitter.emit_nowait(event_type=READY)
    await started.wait()
    waiting = asyncio.create_task(emitter.wait_for(event_type=CLOSED))
    await asyncio.sleep(0)
    before = asyncio.all_tasks()
    await emitter.close()
    with pytest.raises(WebTransportError, match="closed"):
        await waiting
    assert len(asyncio.all_tasks()) == len(before) - 2
    emitter.emit_nowait(event_type=READY)
    assert emitter.get_event_history() == []
    assert emitter.get_stats()["total_handlers"] == 0
    with pytest.raises(WebTransportError, match="closed"):
        await emitter.wait_for(event_type=CLOSED)
    await emitter.close()


async def test_close_while_paused_drops_the_queue(emitter: Recorder) -> None:
    emitter.on(event_type=READY, handler=emitter.record)
    emitter.pause()
    emitter.emit_nowait(event_type=READY)
    task = emitter.resume()
    await emitter.close()
    assert task is not None
    assert task.done()
    assert emitter.seen == []


def test_names_of_subclasses_do_not_collide() -> None:
    class Server(EventEmitter):
        def __init__(self) -> None:
            super().__init__()
            self._queue = self._history = self._table = self._delivery = self._waiting = None
            self._listeners = self._tasks = self._drain = self._is_closed = True

    server = Server()
    seen: list[Event] = []
    server.on(event_type=READY, handler=seen.append)
    server.emit_nowait(event_type=READY)
    assert len(seen) == 1
