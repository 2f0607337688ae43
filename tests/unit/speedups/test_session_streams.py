"""The streams of a session on both twins: how they begin, whose they are, and what their end gives back."""

from __future__ import annotations

import gc
from collections import deque
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kernel_inputs import outcome

SESSION_ID = 8
OPENED, FINISHED = "opened", "finished"
KIND = "stream_opened"


class Refused(Exception):
    """What a subclass raises."""


class Event:
    __slots__ = ("data", "source", "timestamp", "type")


class Port:
    """All that is asked of the transport; what it is told goes into a log."""

    def __init__(self, log: list[Any]) -> None:
        self.log = log
        self.next_ids = [0, 2]
        self.allows_streams = True
        self.unsent: dict[int, int] = {}

    def open_stream(self, *, unidirectional: bool) -> int | None:
        if not self.allows_streams:
            return None
        self.next_ids[unidirectional] += 4
        return self.next_ids[unidirectional] - 4

    def unsent_bytes(self, stream_id: int) -> int:
        return self.unsent.get(stream_id, 0)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return lambda *args: self.log.append((name, *args))


class End:
    """One end of a connection with one session."""

    def __init__(
        self, kernels: ModuleType, *, is_client: bool = False, streams: int = 3, credit: type | None = None
    ) -> None:
        log = self.log = []
        self.port = Port(log)
        self.places = kernels.StreamPlaces(self.port)
        self.events: list[Any] = []  # that wait for the program
        self.emit = lambda event: log.append((event[0], event[1].stream_id))
        self.is_client = is_client
        self.sessions: dict[int, Any] = {}
        self.streams: dict[int, Any] = {}

        class Stream(kernels.DataStream):
            __slots__ = ()

            def _wake_reader(self) -> None:
                log.append(("readable", self.stream_id))

            def stop(self, code: int) -> None:
                """Let its handle go half read, whenever that is collected."""

        class Registry(kernels.StreamRegistry):
            __slots__ = ()

            def _end_reading(self, stream: Any, *, still_arriving: bool) -> None:
                log.append(("end reading", stream.stream_id, still_arriving))
                self.readers.pop(stream.stream_id)

        class Books(kernels.SessionCreditBooks):
            __slots__ = ()

            def _announce_streams(self, limit: int, *, unidirectional: bool) -> None:
                log.append(("announce", limit, unidirectional))

        class Session(kernels.SessionStreams):
            __slots__ = ()
            _OPENED = staticmethod(lambda stream: (OPENED, stream))
            _FINISHED = staticmethod(lambda stream: (FINISHED, stream))

            def _check_open(self) -> None:
                raise Refused("not open")

            def _refuse_stream(self, *, unidirectional: bool) -> None:
                log.append(("refuse", unidirectional))
                self.is_open = False

            def _report_blocked(self, *, unidirectional: bool) -> None:
                log.append(("blocked", unidirectional))

        self.registry = Registry(self, {}, Stream)
        send = kernels.SendCredit(enabled=True, max_data=1000)
        receive = (credit or kernels.ReceiveCredit)(enabled=True, auto=True, data_window=1000)
        send.max_streams, receive.max_streams, receive.stream_windows = [streams] * 2, [streams] * 2, (streams, streams)
        flow = SimpleNamespace(send=send, receive=receive)
        books = Books(self.places, receive)
        self.session = Session(self.registry, SESSION_ID, flow, books, (b"bidi", b"uni"))
        self.session.is_open = True
        self.sessions[SESSION_ID] = self.session
        self.kernels = kernels

    def arrives(self, stream_id: int, data: bytes, end_stream: bool = False) -> bool:
        return self.registry.opens_data_stream(self.kernels.StreamBytes(stream_id, data, end_stream))

    def tells_handlers(self, *more: Any, is_simple: bool = True) -> None:
        """Have streams told to handlers, these after one that logs, without events where that is simple."""
        log = self.log

        class Caller(self.kernels.HandlerCaller):  # type: ignore[name-defined,misc]
            def _log_refusal(self, error: Exception, event_type: str) -> None:
                log.append(("refusal", str(error)))

        class Handle(self.kernels.StreamHandle):  # type: ignore[name-defined,misc]
            pass

        def told(event: Any) -> None:
            log.append(("told", event.data["stream_id"], event.data["stream"]._core.buffered))

        listeners = tuple(self.kernels.Listener(handler, 0, False, False) for handler in (told, *more))
        caller = Caller({KIND: listeners}, Event, str)
        caller.history = deque() if is_simple else None
        kept = self.kernels.KeptStreams()
        self.session.arrivals = self.kernels.StreamArrivals(
            caller, KIND, session=self, session_id="s", incoming=(kept, kept), handles=((Handle, "b"), (Handle, "u"))
        )

    def finish(self, stream: Any) -> None:
        stream.receiving_over = stream._sending_over = True
        self.session.stream_finished(stream)

    def state(self) -> Any:
        session, books = self.session, self.session.credit
        return (
            sorted(session.streams),
            sorted(self.streams),
            sorted(self.registry.readers),
            sorted(self.registry._sending),
            self.registry._sending_limit,
            len(self.places),
            [each.stream_id for each in books._unsettled],
            (session.streams_closed, session.streams_aborted),
            session._wants_streams,
            session._sending.streams_opened,
            [session._receiving.streams_opened, session._receiving.streams_closed, session._receiving.max_streams],
        )


def test_a_stream_of_ours_begins_with_its_header(kernels: ModuleType) -> None:
    end = End(kernels)
    first, second = (end.session.open_stream(unidirectional=each) for each in (False, True))
    assert [each.stream_id for each in (first, second)] == [0, 2]
    assert end.log == [("send_stream_header", 0, b"bidi"), ("send_stream_header", 2, b"uni")]
    assert end.session.streams == end.streams == end.registry.readers == {0: first, 2: second}
    assert first.is_local
    assert first.session is end.session
    assert end.session._sending.streams_opened == [1, 1]


def test_without_credit_none_is_opened(kernels: ModuleType) -> None:
    end = End(kernels, streams=1)
    assert end.session.open_stream(unidirectional=True)
    assert end.session.open_stream(unidirectional=True) is None
    assert end.log[-1] == ("blocked", True)
    assert end.session._wants_streams == [False, True]
    end.port.allows_streams = False
    assert end.session.open_stream(unidirectional=False) is None
    assert end.session._wants_streams == [True, True]
    assert end.session._sending.streams_opened == [0, 1]
    end.session.is_open = False
    with pytest.raises(Refused, match="not open"):
        end.session.open_stream(unidirectional=False)


def test_the_bytes_behind_a_header_are_the_streams(kernels: ModuleType) -> None:
    end = End(kernels)
    assert end.arrives(4, b"\x40\x41\x08hello")
    stream = end.session.streams[4]
    assert end.log == [(OPENED, 4), ("consume", 4, 3)]
    assert (stream.read(), stream.is_local, stream._header_size) == (b"hello", False, 3)
    assert len(end.places) == 1
    assert end.arrives(8, b"\x40\x41\x08", True)
    assert end.session.streams[8].at_eof
    assert end.arrives(6, b"\x40\x54\x08")
    assert not end.session.streams[6].can_send


@pytest.mark.parametrize(
    ("stream_id", "data"),
    [
        (4, b""),
        (4, b"\x40"),
        (4, b"\x40\x41"),
        (4, b"\x40\x41\x40"),
        (4, b"\x40\x54\x08"),  # of the other direction
        (6, b"\x40\x41\x08"),
        (5, b"\x40\x41\x08"),  # ours
        (4, b"\x01\x08"),
        (4, b"\x40\x41\x0c"),  # no such session
    ],
)
def test_what_is_no_stream_of_an_open_session_is_left(kernels: ModuleType, stream_id: int, data: bytes) -> None:
    end = End(kernels)
    before = end.state()
    assert not end.arrives(stream_id, data)
    assert (end.state(), end.log) == (before, [])


def test_a_session_that_is_not_open_gets_none(kernels: ModuleType) -> None:
    end = End(kernels)
    end.session.is_open = False
    assert not end.arrives(4, b"\x40\x41\x08")


def test_a_stream_over_the_limit_is_refused(kernels: ModuleType) -> None:
    end = End(kernels, streams=1)
    assert end.arrives(4, b"\x40\x41\x08")
    assert end.arrives(8, b"\x40\x41\x08x")
    assert ("refuse", False) in end.log
    assert (OPENED, 8) not in end.log


def told(end: End) -> list[Any]:
    return [entry for entry in end.log if entry[0] in {OPENED, "told"}]


def test_handlers_are_told_of_a_stream_when_its_first_bytes_are_there(kernels: ModuleType) -> None:
    end = End(kernels, streams=4)
    end.tells_handlers()
    assert end.arrives(4, b"\x40\x41\x08hello")
    assert end.arrives(8, b"\x40\x41\x08", True)
    assert end.arrives(6, b"\x40\x54\x08one way")
    assert told(end) == [("told", 4, 5), ("told", 8, 0), ("told", 6, 7)]


def test_handlers_are_told_by_an_event_where_it_is_not_simple(kernels: ModuleType) -> None:
    end = End(kernels)
    end.tells_handlers(is_simple=False)
    assert end.arrives(4, b"\x40\x41\x08hello")
    assert told(end) == [(OPENED, 4)]


def test_handlers_are_told_of_nothing_before_the_events_that_wait(kernels: ModuleType) -> None:
    end = End(kernels)
    end.tells_handlers()
    end.events.append("something")
    assert end.arrives(4, b"\x40\x41\x08hello")
    assert told(end) == [(OPENED, 4)]


def test_a_stream_is_told_before_its_end(kernels: ModuleType) -> None:
    end = End(kernels)
    end.tells_handlers()
    assert end.arrives(6, b"\x40\x54\x08all of it", True)
    assert [entry for entry in end.log if entry[0] in {OPENED, FINISHED, "told"}] == [(OPENED, 6), (FINISHED, 6)]


def test_handlers_are_told_of_a_stream_that_breaks_the_limit_of_data(kernels: ModuleType) -> None:
    class Credit(kernels.ReceiveCredit):  # type: ignore[name-defined,misc]
        __slots__ = ()

        def refuse(self) -> None:
            raise Refused("too much")

    end = End(kernels, credit=Credit)
    end.session.flow.receive.max_data = 3
    end.tells_handlers()
    with pytest.raises(Refused, match="too much"):
        end.arrives(4, b"\x40\x41\x08hello")
    assert told(end) == [(OPENED, 4)]


def test_a_handler_can_end_the_telling(kernels: ModuleType) -> None:
    end = End(kernels)

    async def handle(event: Any) -> None:
        raise AssertionError

    def stop(event: Any) -> None:
        end.session.arrivals = None
        gc.collect()

    end.tells_handlers(stop, handle)  # the coroutine finds no loop, which is logged
    assert end.arrives(4, b"\x40\x41\x08hello")
    assert end.arrives(8, b"\x40\x41\x08hello")
    assert [entry[0] for entry in end.log if entry[0] in {OPENED, "told", "refusal"}] == ["told", "refusal", OPENED]


def test_handlers_are_not_told_of_a_stream_that_is_refused(kernels: ModuleType) -> None:
    end = End(kernels, streams=0)
    end.tells_handlers()
    assert end.arrives(4, b"\x40\x41\x08hello")
    assert told(end) == []


def test_a_stream_that_is_over_is_known_to_nobody(kernels: ModuleType) -> None:
    end = End(kernels)
    stream = end.session.open_stream(unidirectional=False)
    end.finish(stream)
    assert end.session.streams == end.streams == end.registry.readers == end.registry._sending == {}
    assert end.log[-1] == (FINISHED, 0)
    end.session.stream_finished(stream)
    assert end.log.count((FINISHED, 0)) == 1
    assert (end.session.streams_closed, end.session.streams_aborted) == (1, 0)


def test_what_is_still_to_be_sent_or_to_come_is_remembered(kernels: ModuleType) -> None:
    end = End(kernels, streams=1000)
    streams = [end.session.open_stream(unidirectional=False) for _ in range(70)]
    streams[0].send_error = Refused()
    for stream in streams:
        end.port.unsent[stream.stream_id] = 1
    for stream in streams[:64]:
        end.finish(stream)
    del end.port.unsent[0]
    for stream in streams[64:]:
        end.finish(stream)
    assert len(end.registry._sending) == 69
    assert end.registry._sending_limit == 126
    assert (end.session.streams_closed, end.session.streams_aborted) == (69, 1)
    last = end.session.open_stream(unidirectional=False)
    end.session.stream_finished(last, still_arriving=True)
    assert ("end reading", last.stream_id, True) in end.log


def test_a_place_is_given_up_when_the_program_is_done_as_well(kernels: ModuleType) -> None:
    end = End(kernels)
    end.arrives(4, b"\x40\x41\x08hello")
    stream = end.session.streams[4]
    end.finish(stream)
    assert stream.awaits_settling
    assert ("release_stream", 4) not in end.log
    stream.take()
    assert ("release_stream", 4) not in end.log
    assert stream.read() == b"hello"
    assert not stream.awaits_settling
    assert end.log[-2:] == [("release_stream", 4), ("announce", 4, False)]
    end.arrives(8, b"\x40\x41\x08")
    end.session.streams[8].take()
    end.finish(end.session.streams[8])
    assert ("release_stream", 8) in end.log
    end.places.give_up(8)
    assert end.log.count(("release_stream", 8)) == 1


def test_quic_is_done_with_a_stream(kernels: ModuleType) -> None:
    end = End(kernels)
    end.places.hold(4)
    end.places.on_over(SimpleNamespace(stream_id=4))
    assert end.log == []
    end.places.on_over(SimpleNamespace(stream_id=8))
    assert end.log == [("release_stream", 8)]
    end.places.clear()
    assert len(end.places) == 0


def test_an_end_that_nobody_can_hear_is_no_event(kernels: ModuleType) -> None:
    for tells_ends, events in ((False, None), (True, None), (False, [])):
        end = End(kernels)
        stream = end.session.open_stream(unidirectional=False)
        handle = kernels.StreamHandle._adopt(None, stream)
        handle._events = events
        end.session.tells_ends = tells_ends
        end.finish(stream)
        is_told = tells_ends or events is not None
        assert ((FINISHED, 0) in end.log) == is_told
        assert (handle._closed_at is None) == is_told


STEPS = st.one_of(
    st.tuples(st.just("open"), st.booleans()),
    st.tuples(st.just("arrive"), st.integers(0, 12), st.sampled_from([b"\x40\x41\x08", b"\x40\x54\x08x", b"\x40"])),
    st.tuples(st.just("finish"), st.integers(0, 5), st.booleans()),
    st.tuples(st.just("read"), st.integers(0, 12)),
    st.tuples(st.just("unsent"), st.integers(0, 12), st.integers(0, 1)),
)


def run(kernels: ModuleType, is_client: bool, steps: list[tuple[Any, ...]]) -> list[Any]:
    end, trace, known = End(kernels, is_client=is_client), [], {}
    for name, *arguments in steps:
        if name == "open":
            trace.append(end.session.open_stream(unidirectional=arguments[0]) is not None)
        elif name == "arrive" and arguments[0] not in known:
            trace.append(outcome(end.arrives, *arguments))
        elif name == "finish" and arguments[0] < len(end.session.streams):
            stream = list(end.session.streams.values())[arguments[0]]
            stream._reset_sent = arguments[1]
            trace.append(outcome(end.finish, stream))
        elif name == "read" and arguments[0] in known:
            trace.append(outcome(known[arguments[0]].read))
        elif name == "unsent":
            end.port.unsent[arguments[0]] = arguments[1]
        known.update(end.session.streams)
        trace.append(end.state())
    return [*trace, *end.log]


@given(is_client=st.booleans(), steps=st.lists(STEPS, max_size=20))
def test_the_twins_do_the_same(twins: Any, is_client: bool, steps: list[Any]) -> None:
    first, second = (run(each, is_client, steps) for each in twins)
    assert first == second
