"""`ListenerTable`: which listeners an event meets, in which order, and what is remembered."""

from __future__ import annotations

from wtransport.events import Event
from wtransport.events.listeners import EVERY_EVENT, ListenerTable
from wtransport.types import EventType

READY = EventType.SESSION_READY


def _a(event: Event) -> None: ...


def _b(event: Event) -> None: ...


def _handlers(table: ListenerTable, event_type: str) -> list[object]:
    return [each.handler for each in table.route(event_type)]


def test_listeners_come_in_the_order_of_registration_whatever_their_kind() -> None:
    table = ListenerTable()
    table.add(READY, _a)
    table.add(EVERY_EVENT, _b)
    table.add(READY, _b, is_once=True)
    table.add(READY, _a)
    assert _handlers(table, READY) == [_a, _b, _b, _a]
    assert _handlers(table, "other") == [_b]


def test_waiters_come_first() -> None:
    table = ListenerTable()
    table.add(READY, _a)
    table.add(READY, _b, is_waiter=True)
    assert _handlers(table, READY) == [_b, _a]


def test_a_change_is_seen_by_the_next_event() -> None:
    table = ListenerTable()
    assert _handlers(table, READY) == []
    first = table.add(READY, _a)
    assert _handlers(table, READY) == [_a]
    every = table.add(EVERY_EVENT, _b)
    assert _handlers(table, READY) == [_a, _b]
    table.remove(READY, first)
    assert _handlers(table, READY) == [_b]
    table.remove(EVERY_EVENT, every)
    assert _handlers(table, READY) == []
    assert not first.is_active
    assert table.types() == []


def test_removing_twice_is_no_error() -> None:
    table = ListenerTable()
    listener = table.add(READY, _a)
    table.add(READY, _a)
    table.remove(READY, listener)
    table.remove(READY, listener)
    assert len(table.registered(READY)) == 1


def test_clear_ends_every_listener() -> None:
    table = ListenerTable()
    listeners = [table.add(READY, _a), table.add(EVERY_EVENT, _b)]
    table.clear()
    table.remove(READY, listeners[0])
    assert _handlers(table, READY) == []
    assert not any(each.is_active for each in listeners)


def test_made_up_types_without_listeners_leave_nothing_behind() -> None:
    table = ListenerTable()
    table.add(EVERY_EVENT, _a)
    for number in range(100):
        table.route(f"user-{number}")
    assert len(table.routes) == 0
