"""The emitter of a handle remembers what happens once."""

from __future__ import annotations

import asyncio
import weakref

import pytest

from wtransport.events import Event
from wtransport.events.kept import KeptEvent
from wtransport.stream._events import EventSource, HandleEvents
from wtransport.types import EventType

CLOSED = EventType.SESSION_CLOSED


def closed_emitter() -> HandleEvents:
    events = HandleEvents()
    events.emit_once(event_type=CLOSED, data={"code": 7}, source="me")
    return events


async def test_waiting_for_what_has_happened_returns_at_once():
    event = await closed_emitter().wait_for(event_type=CLOSED)
    assert event.type is CLOSED
    assert event.data == {"code": 7}
    assert event.source == "me"


async def test_waiting_for_what_has_happened_honours_the_condition():
    events = closed_emitter()
    assert await events.wait_for(event_type="session_closed", condition=lambda event: event.data["code"] == 7)
    with pytest.raises(TimeoutError):
        await events.wait_for(event_type=CLOSED, condition=lambda event: False, timeout=0.01)


async def test_a_late_handler_gets_what_nobody_heard_once():
    events, heard = closed_emitter(), []
    events.on(event_type=CLOSED, handler=heard.append)
    assert heard == []  # not inside the call of on()
    events.on_any(handler=heard.append)
    await asyncio.sleep(0)
    assert [event.data for event in heard] == [{"code": 7}, {"code": 7}]  # one event, two handlers
    events.once(event_type=CLOSED, handler=heard.append)
    await asyncio.sleep(0)
    assert len(heard) == 2


async def test_what_was_heard_is_not_told_again():
    events, heard = HandleEvents(), []
    events.once(event_type=CLOSED, handler=heard.append)
    events.emit_once(event_type=CLOSED, data={}, source=None)
    events.on(event_type=CLOSED, handler=heard.append)
    await asyncio.sleep(0)
    assert len(heard) == 1


async def test_a_handler_of_another_event_changes_nothing():
    events, heard = closed_emitter(), []
    events.on(event_type=EventType.SESSION_DRAINING, handler=heard.append)
    await asyncio.sleep(0)
    events.on(event_type=CLOSED, handler=heard.append)
    events.off(event_type=CLOSED, handler=heard.append)
    await asyncio.sleep(0)
    assert heard == []
    events.on(event_type=CLOSED, handler=heard.append)
    await asyncio.sleep(0)
    assert len(heard) == 1


async def test_what_happened_before_the_emitter_was_made_can_be_told_it():
    events = HandleEvents()
    events.remember(Event(type=EventType.STREAM_CLOSED, timestamp=12.5, data={"stream_id": 4}))
    event = await events.wait_for(event_type=EventType.STREAM_CLOSED)
    assert (event.timestamp, event.data) == (12.5, {"stream_id": 4})


async def test_the_owner_learns_who_begins_to_listen():
    begun: list[str | None] = []
    events = HandleEvents(on_listener=begun.append)
    events.on(event_type=CLOSED, handler=lambda event: None)
    events.on_any(handler=lambda event: None)
    with pytest.raises(TimeoutError):
        await events.wait_for(event_type="mine", timeout=0.001)
    assert begun == [CLOSED, None, "mine"]


class Handle:
    """Something with an emitter."""

    def __init__(self) -> None:
        self.events = HandleEvents()


async def test_what_is_kept_of_an_event_is_the_event_that_handlers_got():
    handle, heard = Handle(), []
    handle.events.on(event_type=CLOSED, handler=heard.append)
    handle.events.emit_once(event_type=CLOSED, data={"session": handle, "code": 3}, source=handle)
    assert heard[0].source is heard[0].data["session"] is handle
    assert handle.events.get_event_history() == heard
    assert [await handle.events.wait_for(event_type=CLOSED)] == heard


async def test_what_is_kept_of_an_event_keeps_nobody_alive():
    handle = Handle()
    events, there = handle.events, weakref.ref(handle)
    events.emit_once(event_type=CLOSED, data={"session": handle, "code": 3}, source=handle)
    events.recall(KeptEvent(EventType.SESSION_REQUEST, 1.0, {"session": handle}, handle), is_once=False)
    del handle
    assert there() is None
    assert [event.data for event in events.get_event_history()] == [{"session": None, "code": 3}, {"session": None}]


class LateHandle(EventSource):
    """Something whose emitter is made when it is asked for."""

    _NAMES = ("session",)
    _FORGOTTEN = EventType.SESSION_REQUEST

    def __init__(self) -> None:
        self._events, self._told = None, []

    def tell(self, event_type: EventType, **facts: object) -> None:
        self._emit_once(event_type, facts)

    def _payload(self) -> dict[str, object]:
        return {"session": self}


async def test_an_emitter_that_is_asked_for_late_knows_what_has_happened():
    handle, heard = LateHandle(), []
    handle.tell(EventType.SESSION_REQUEST, path="/")
    handle.tell(CLOSED, code=3)
    handle.events.on(event_type=CLOSED, handler=heard.append)
    handle.events.on(event_type=EventType.SESSION_REQUEST, handler=heard.append)
    await asyncio.sleep(0)
    assert [(event.type, event.data) for event in heard] == [(CLOSED, {"session": handle, "code": 3})]
    history = handle.events.get_event_history()
    assert [event.data for event in history[:2]] == [{"session": handle, "path": "/"}, {"session": handle, "code": 3}]
    assert handle.events is handle.events


async def test_an_emitter_that_is_there_emits_at_once():
    handle, heard = LateHandle(), []
    handle.events.on(event_type=CLOSED, handler=heard.append)
    handle.tell(CLOSED, code=3)
    assert [(event.data, event.source) for event in heard] == [({"session": handle, "code": 3}, handle)]
