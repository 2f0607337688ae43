"""Every event of the engine reaches its handle, and none that has lost its handle does harm."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, get_args
from unittest.mock import Mock

import pytest

from wtransport._protocol import events
from wtransport.connection._dispatch import HANDLERS

STREAM_EVENTS = {
    events.StreamReadable: "_on_readable",
    events.StreamWritable: "_on_writable",
    events.StreamFinished: "_on_finished",
}
SESSION_EVENTS: dict[Any, tuple[str, tuple[Any, ...]]] = {
    events.SessionOpened: ("_on_opened", ()),
    events.SessionRejected: ("_on_rejected", (404, "Not Found")),
    events.SessionDraining: ("_on_draining", ()),
    events.SessionEnded: ("_on_ended", ()),
    events.SessionCreditRaised: ("_on_credit_raised", ("uni",)),
    events.SessionBlocked: ("_on_blocked", ("data",)),
    events.StreamCreditAvailable: ("_on_stream_credit", ()),
    events.DatagramsReceived: ("_on_datagrams", ()),
    events.DatagramsWritable: ("_on_datagram_room", ()),
}
OVER = (events.SessionRejected, events.SessionEnded)


def test_every_event_of_the_engine_has_a_handler():
    assert set(HANDLERS) == set(get_args(events.EngineEvent))


@pytest.mark.parametrize(("kind", "method"), STREAM_EVENTS.items())
@pytest.mark.parametrize("is_local", [True, False])
def test_events_of_a_stream_reach_its_handle(kind, method, is_local):
    connection, handle = Mock(), Mock()
    HANDLERS[kind](connection, kind(SimpleNamespace(handle=handle, is_local=is_local)))
    getattr(handle, method).assert_called_once_with()
    tells_session = kind is events.StreamFinished and not is_local
    assert handle.session._on_stream_finished.called == tells_session


@pytest.mark.parametrize("kind", SESSION_EVENTS)
def test_events_of_a_session_reach_its_handle(kind):
    method, arguments = SESSION_EVENTS[kind]
    connection, handle = Mock(), Mock()
    HANDLERS[kind](connection, kind(SimpleNamespace(handle=handle, is_told=False), *arguments))
    getattr(handle, method).assert_called_once_with(*arguments)
    assert connection._drop.called == (kind in OVER)


def test_a_new_stream_reaches_the_handle_of_its_session():
    handle = Mock()
    stream = SimpleNamespace(session=SimpleNamespace(handle=handle))
    HANDLERS[events.StreamOpened](Mock(), events.StreamOpened(stream))
    handle._on_stream_opened.assert_called_once_with(stream)


@pytest.mark.parametrize("kind", [*STREAM_EVENTS, *SESSION_EVENTS, events.StreamOpened])
def test_what_has_no_handle_any_more_is_passed_over(kind):
    arguments = SESSION_EVENTS[kind][1] if kind in SESSION_EVENTS else ()
    core = SimpleNamespace(handle=None, is_local=False, session=SimpleNamespace(handle=None))
    connection = Mock()
    HANDLERS[kind](connection, kind(core, *arguments))
    assert connection.mock_calls == []


def test_events_of_the_connection_reach_it():
    connection, closed, core = Mock(), events.ConnectionClosed(0, "", True, True), object()
    HANDLERS[events.ConnectionReady](connection, events.ConnectionReady())
    HANDLERS[events.GoawayReceived](connection, events.GoawayReceived())
    HANDLERS[events.ConnectionClosed](connection, closed)
    HANDLERS[events.SessionRequested](connection, events.SessionRequested(core))
    connection._on_ready.assert_called_once_with()
    connection._on_goaway.assert_called_once_with()
    connection._on_closed.assert_called_once_with(closed)
    connection._on_session_requested.assert_called_once_with(core)
