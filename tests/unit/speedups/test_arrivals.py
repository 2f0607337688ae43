"""Telling handlers of the streams that a peer opens, as both twins do it."""

from __future__ import annotations

from collections import deque
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest


class Kind(str):
    """A type of events."""

    __slots__ = ()


class Event:
    __slots__ = ("data", "source", "timestamp", "type")


KIND = Kind("stream_opened")


class Session:
    """A session's handle with what its streams go through."""

    def __init__(self, kernels: ModuleType) -> None:
        session = self
        self.kernels = kernels
        self.heard: list[Any] = []
        self.refusals: list[Any] = []

        class Caller(kernels.HandlerCaller):  # type: ignore[name-defined,misc]
            def _log_failure(self, error: Exception, listener: Any, event: Any) -> None:
                session.refusals.append(error)

            def _log_refusal(self, error: Exception, event_type: str) -> None:
                session.refusals.append((event_type, error))

        class Bidi(kernels.StreamHandle):  # type: ignore[name-defined,misc]
            pass

        class Uni(kernels.StreamHandle):  # type: ignore[name-defined,misc]
            pass

        self.classes = Bidi, Uni
        self.routes: dict[str, Any] = {KIND: (kernels.Listener(self.heard.append, 0, False, False),)}
        self.caller = Caller(self.routes, Event, Kind)
        self.caller.history = deque()
        self.incoming = kernels.KeptStreams(), kernels.KeptStreams()
        self.flow = SimpleNamespace(send=None, receive=None)  # of the core
        self.arrivals = kernels.StreamArrivals(
            self.caller,
            KIND,
            session=self,
            session_id="name",
            incoming=self.incoming,
            handles=((Bidi, "both"), (Uni, "one")),
        )

    def stream(self, stream_id: int) -> Any:
        return self.kernels.DataStream(stream_id, self, is_local=False)


@pytest.fixture
def session(kernels: ModuleType) -> Session:
    return Session(kernels)


def test_handlers_get_a_handle_of_the_stream(session: Session) -> None:
    for stream_id, handle_class, direction in ((4, session.classes[0], "both"), (6, session.classes[1], "one")):
        core = session.stream(stream_id)
        assert session.arrivals.announce(core)
        event = session.heard.pop()
        handle = event.data["stream"]
        assert (event.type, event.source, event.timestamp > 0) == (KIND, session, True)
        assert event.data == {"stream": handle, "stream_id": stream_id, "session_id": "name", "direction": direction}
        assert (type(handle), handle._session, handle._core, core.handle) == (handle_class, session, core, handle)
        assert core.is_done_with  # the program has it
        assert session.caller.history.pop() is event


def nobody_listens(session: Session) -> None:
    session.routes.clear()


def the_first_event(session: Session) -> None:
    session.caller.history = None


def a_pause(session: Session) -> None:
    session.caller.queue = deque()


def a_closed_emitter(session: Session) -> None:
    session.caller.is_closed = True


def an_iterator(session: Session) -> None:
    session.incoming[0].is_pulled = True


def one_that_is_kept(session: Session) -> None:
    session.incoming[1].kept = {2: "a stream"}


@pytest.mark.parametrize(
    "hinder", [nobody_listens, the_first_event, a_pause, a_closed_emitter, an_iterator, one_that_is_kept]
)
def test_what_is_not_simple_is_left(session: Session, hinder: Any) -> None:
    hinder(session)
    core = session.stream(4)
    assert not session.arrivals.announce(core)
    assert (core.handle, core.is_done_with, session.heard) == (None, False, [])


def test_an_iterator_of_the_other_direction_does_not_matter(session: Session) -> None:
    session.incoming[0].is_pulled = True
    assert session.arrivals.announce(session.stream(6))


def test_what_is_kept_is_said_for_both_directions(kernels: ModuleType) -> None:
    caller = kernels.HandlerCaller({}, SimpleNamespace, str)
    handles = ((kernels.StreamHandle, None), (kernels.StreamHandle, None))
    for incoming in ((None, kernels.KeptStreams()), (kernels.KeptStreams(), None)):
        with pytest.raises(TypeError, match="KeptStreams"):
            kernels.StreamArrivals(caller, KIND, session=None, session_id="", incoming=incoming, handles=handles)


def test_a_handler_that_fails_is_logged(session: Session) -> None:
    error = ValueError("handler")

    def fail(_: Any) -> None:
        raise error

    session.routes[KIND] = (session.kernels.Listener(fail, 0, False, False),)
    assert session.arrivals.announce(session.stream(4))
    assert session.refusals == [error]


def test_a_coroutine_without_a_loop_is_logged(session: Session) -> None:
    async def handle(_: Any) -> None:
        raise AssertionError

    session.routes[KIND] = (session.kernels.Listener(handle, 0, False, False),)
    assert session.arrivals.announce(session.stream(4))
    [(kind, error)] = session.refusals
    assert (kind, type(error)) == (KIND, RuntimeError)
