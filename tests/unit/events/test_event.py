"""`Event`: a cheap value with an id, a time and a type."""

from __future__ import annotations

import builtins
import copy
import dataclasses
import pickle
import time

import pytest

from wtransport import exceptions
from wtransport.events import Event
from wtransport.types import EventType


def test_an_event_has_a_time_and_an_id_of_its_own() -> None:
    before = time.time()
    first, second = Event(type=EventType.SESSION_READY), Event(type=EventType.SESSION_READY)
    assert before <= first.timestamp <= time.time()
    assert isinstance(first.event_id, str)
    assert first.event_id != second.event_id
    assert first != second
    assert (first.data, first.source) == (None, None)


def test_an_event_made_for_a_handler_is_like_any_other() -> None:
    events = [Event._of(EventType.SESSION_READY, 1.5, {"a": 1}, "me") for _ in range(3)]
    first, second, third = events
    assert first != second  # comes to ask for their ids
    assert isinstance(first.event_id, str)
    assert first.event_id == first.event_id != second.event_id
    assert copy.copy(third) == third == pickle.loads(pickle.dumps(third))
    assert Event(type="session_ready", timestamp=1.5, data={"a": 1}, source="me", event_id=first.event_id) == first
    with pytest.raises(AttributeError, match="nothing_like_it"):
        _ = first.nothing_like_it


def test_a_known_type_as_text_becomes_the_enum_member() -> None:
    assert Event(type="session_ready").type is EventType.SESSION_READY
    assert Event(type="my_own").type == "my_own"


def test_the_type_must_be_text() -> None:
    with pytest.raises(TypeError, match="3"):
        Event(type=3)  # type: ignore[arg-type]


def test_arguments_are_keyword_only_and_all_settable() -> None:
    with pytest.raises(TypeError):
        Event(EventType.SESSION_READY)  # type: ignore[call-arg]
    event = Event(type="x", timestamp=1.5, data={"a": 1}, source="me", event_id="id-1")
    assert dataclasses.replace(event) == event


@pytest.mark.parametrize("event_type", list(EventType))
def test_predicates_follow_the_name(event_type: EventType) -> None:
    event = Event(type=event_type)
    assert event.is_connection_event is event_type.name.startswith("CONNECTION_")
    assert event.is_datagram_event is event_type.name.startswith("DATAGRAM_")
    assert event.is_session_event is event_type.name.startswith("SESSION_")
    assert event.is_stream_event is event_type.name.startswith("STREAM_")
    assert event.is_error_event is event_type.name.endswith("_ERROR")


def test_factories_carry_their_information_as_data() -> None:
    info = {"a": 1}
    assert Event.for_connection(event_type=EventType.CONNECTION_LOST, connection_info=info).data is info
    assert Event.for_datagram(event_type=EventType.DATAGRAM_SENT, datagram_info=info).data is info
    assert Event.for_session(event_type=EventType.SESSION_READY, session_info=info).data is info
    event = Event.for_stream(event_type=EventType.STREAM_OPENED, stream_info=info)
    assert (event.data, event.type) == (info, EventType.STREAM_OPENED)


@pytest.mark.parametrize(
    ("error", "event_type"),
    [
        (exceptions.TimeoutError("t"), EventType.TIMEOUT_ERROR),
        (builtins.TimeoutError("t"), EventType.TIMEOUT_ERROR),
        (exceptions.StreamError("t"), EventType.STREAM_ERROR),
        (exceptions.datagram_too_large(size=2, max_size=1), EventType.DATAGRAM_ERROR),
        (exceptions.SessionError("t"), EventType.PROTOCOL_ERROR),
        (ValueError("t"), EventType.PROTOCOL_ERROR),
    ],
)
def test_an_error_event_describes_its_error(error: Exception, event_type: EventType) -> None:
    event = Event.for_error(error=error, source="me")
    assert event.type is event_type
    assert event.is_error_event
    assert event.source == "me"
    assert event.data["type"] == type(error).__name__
    assert event.data["message"] == getattr(error, "message", str(error))


def test_to_dict_shows_every_field() -> None:
    event = Event(type="x", timestamp=1.5, data={"a": 1}, source=3, event_id="id-1")
    expected = {"id": "id-1", "event_id": "id-1", "type": "x", "timestamp": 1.5, "data": {"a": 1}, "source": "3"}
    assert event.to_dict() == expected
    assert Event(type="x").to_dict()["source"] is None
