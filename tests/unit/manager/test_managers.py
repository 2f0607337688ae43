"""Both managers: holding, limits, forgetting what closed, shutting down."""

from __future__ import annotations

import itertools
import logging
from typing import Any

import pytest

from wtransport.events import EventEmitter
from wtransport.manager import ConnectionManager, SessionManager
from wtransport.types import ConnectionState, EventType, SessionState


class FakeResource:
    """Stands in for a connection and for a session: an id, a state, events, and a close that can fail."""

    numbers = itertools.count(1)

    def __init__(self, *, state: Any = ConnectionState.CONNECTED, close_error: Exception | None = None) -> None:
        self.connection_id = self.session_id = f"id-{next(self.numbers)}"
        self.state = state
        self.events = EventEmitter()
        self.is_closed = False
        self.close_error = close_error
        self.closings = 0

    async def close(self) -> None:
        self.closings += 1
        if self.close_error is not None:
            raise self.close_error
        self.is_closed = True


def as_any(resource: FakeResource) -> Any:
    return resource


async def test_connections_are_held_by_id() -> None:
    one, two = FakeResource(), FakeResource()
    async with ConnectionManager(max_connections=5) as manager:
        assert await manager.add_connection(connection=as_any(one)) == one.connection_id
        await manager.add_resource(resource=as_any(two))
        assert await manager.get_resource(resource_id=one.connection_id) is as_any(one)
        assert await manager.get_resource(resource_id="unknown") is None
        assert await manager.get_all_resources() == [one, two]


async def test_adding_twice_holds_once() -> None:
    one = FakeResource()
    async with ConnectionManager(max_connections=5) as manager:
        await manager.add_connection(connection=as_any(one))
        await manager.add_connection(connection=as_any(one))
        assert len(manager) == 1
        assert one.events.listener_count(event_type=EventType.CONNECTION_CLOSED) == 1


@pytest.mark.parametrize(
    "event_type", [EventType.CONNECTION_CLOSED, EventType.CONNECTION_LOST, EventType.CONNECTION_FAILED]
)
async def test_a_connection_that_ends_is_forgotten(event_type: EventType) -> None:
    one = FakeResource()
    async with ConnectionManager(max_connections=5) as manager:
        await manager.add_connection(connection=as_any(one))
        await one.events.emit(event_type=event_type, data={"connection": one})
        assert len(manager) == 0
        stats = await manager.get_stats()
    assert (stats["total_created"], stats["total_closed"], stats["current_count"]) == (1, 1, 0)
    assert one.events.listener_count(event_type=EventType.CONNECTION_CLOSED) == 0


async def test_removing_does_not_close() -> None:
    one = FakeResource()
    async with ConnectionManager(max_connections=5) as manager:
        await manager.add_connection(connection=as_any(one))
        assert await manager.remove_connection(connection_id=one.connection_id) is as_any(one)
        assert await manager.remove_connection(connection_id=one.connection_id) is None
    assert one.closings == 0


async def test_the_limit_counts_only_what_lives() -> None:
    one, two, three = FakeResource(), FakeResource(), FakeResource()
    async with SessionManager(max_sessions=2) as manager:
        await manager.add_session(session=as_any(one))
        await manager.add_session(session=as_any(two))
        assert manager.is_full
        with pytest.raises(RuntimeError, match="full"):
            await manager.add_session(session=as_any(three))
        await one.events.emit(event_type=EventType.SESSION_CLOSED)
        await manager.add_session(session=as_any(three))
        stats = await manager.get_stats()
    assert stats["max_concurrent"] == 2
    assert stats["max_sessions"] == 2


async def test_stats_count_states() -> None:
    async with SessionManager(max_sessions=5) as manager:
        for state in (SessionState.CONNECTED, SessionState.CONNECTED, SessionState.DRAINING):
            await manager.add_session(session=as_any(FakeResource(state=state)))
        draining = await manager.get_sessions_by_state(state=SessionState.DRAINING)
        assert [session.state for session in draining] == [SessionState.DRAINING]
        assert (await manager.get_stats())["states"] == {"connected": 2, "draining": 1}


async def test_sessions_can_be_removed() -> None:
    one = FakeResource()
    async with SessionManager(max_sessions=5) as manager:
        await manager.add_session(session=as_any(one))
        assert await manager.remove_session(session_id=one.session_id) is as_any(one)
        assert len(manager) == 0


async def test_shutdown_closes_all_even_if_one_fails(caplog: pytest.LogCaptureFixture) -> None:
    broken, whole = FakeResource(close_error=OSError("broken on purpose")), FakeResource()
    manager = SessionManager(max_sessions=5)
    async with manager:
        await manager.add_session(session=as_any(broken))
        await manager.add_session(session=as_any(whole))
        with caplog.at_level(logging.ERROR):
            await manager.shutdown()
        assert (broken.closings, whole.closings) == (1, 1)
        assert len(manager) == 0
        with pytest.raises(RuntimeError, match="shutting down"):
            await manager.add_session(session=as_any(FakeResource()))
    assert "broken on purpose" in caplog.text


async def test_a_manager_must_be_entered() -> None:
    connections, sessions = ConnectionManager(max_connections=1), SessionManager(max_sessions=1)
    fake = as_any(FakeResource())
    for call in (
        lambda: connections.add_connection(connection=fake),
        lambda: connections.add_resource(resource=fake),
        lambda: connections.get_resource(resource_id="x"),
        connections.get_all_resources,
        connections.get_stats,
        lambda: connections.remove_connection(connection_id="x"),
        lambda: sessions.add_session(session=fake),
        lambda: sessions.get_sessions_by_state(state=SessionState.CONNECTED),
        lambda: sessions.remove_session(session_id="x"),
    ):
        with pytest.raises(RuntimeError, match="async with"):
            await call()


async def test_what_is_closed_already_is_refused() -> None:
    closed = FakeResource()
    closed.is_closed = True
    async with ConnectionManager(max_connections=1) as manager:
        with pytest.raises(ValueError, match="closed"):
            await manager.add_connection(connection=as_any(closed))


@pytest.mark.parametrize("limit", [0, -1])
def test_a_limit_must_leave_room(limit: int) -> None:
    with pytest.raises(ValueError, match="max_connections"):
        ConnectionManager(max_connections=limit)
    with pytest.raises(ValueError, match="max_sessions"):
        SessionManager(max_sessions=limit)


async def test_an_end_that_went_unnoticed_is_noticed_when_it_matters() -> None:
    one, two = FakeResource(), FakeResource()
    async with ConnectionManager(max_connections=1) as manager:
        await manager.add_connection(connection=as_any(one))
        one.events.remove_all_listeners()
        one.is_closed = True
        assert not manager.is_full
        await manager.add_connection(connection=as_any(two))
        assert await manager.get_all_resources() == [two]


async def test_a_limit_can_be_changed() -> None:
    async with ConnectionManager(max_connections=1) as manager:
        await manager.add_connection(connection=as_any(FakeResource()))
        manager.set_limit(2)
        await manager.add_connection(connection=as_any(FakeResource()))
        with pytest.raises(ValueError, match="max_connections"):
            manager.set_limit(0)
