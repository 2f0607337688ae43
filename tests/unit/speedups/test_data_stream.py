"""A data stream's state, on both twins: what is read and written, who is told, and which credit is counted."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kernel_inputs import odd_integers, outcome

WINDOW = 40


class Refused(Exception):
    """What a subclass raises."""


class Session:
    """All that a stream asks of its session; what it is told goes into a log."""

    def __init__(self, kernels: ModuleType, *, enabled: bool = True) -> None:
        self.log: list[Any] = []
        self.is_over = False
        self.room = 30
        self.send = kernels.SendCredit(enabled=enabled, max_data=WINDOW)
        self.receive = receive_credit(kernels)(enabled=enabled, auto=True, data_window=WINDOW)
        self.flow = self.port = self.credit = self

    def consume(self, stream_id: int, nbytes: int) -> None:
        self.log.append(("consume", stream_id, nbytes))

    def announce_data(self, limit: int) -> None:
        self.log.append(("announce", limit))

    def settle(self, stream: Any) -> None:
        stream.awaits_settling = False
        self.log.append(("settle", stream.stream_id))

    def send_room(self, stream_id: int) -> int:
        return self.room

    def send_stream(self, stream_id: int, data: bytes, end_stream: bool) -> None:
        self.room -= len(data)
        self.log.append(("send", stream_id, data, end_stream))

    def stream_finished(self, stream: Any) -> None:
        self.log.append(("finished", stream.stream_id))


def receive_credit(kernels: ModuleType) -> Any:
    class Credit(kernels.ReceiveCredit):
        __slots__ = ()

        def refuse(self) -> None:
            raise Refused(self.data_received)

    return Credit


def make(kernels: ModuleType, stream_id: int = 4, *, is_local: bool = False, enabled: bool = True) -> Any:
    class Stream(kernels.DataStream):
        __slots__ = ()

        def _credit_ahead(self) -> None:
            self.session.log.append("ahead")

        def _count_discarded(self, nbytes: int) -> None:
            self.session.log.append(("discarded", nbytes))

        def _write_later(self, data: bytes, end_stream: bool) -> None:
            self.session.log.append(("later", data, end_stream))

        def _refuse_write(self) -> None:
            raise Refused("write")

        def _wake_reader(self) -> None:
            self.wants_readable = False
            self.session.log.append("readable")

        def _wake_writer(self) -> None:
            self.wants_writable = False
            self.session.log.append("writable")

    return Stream(stream_id, Session(kernels, enabled=enabled), is_local=is_local, header_size=3)


@pytest.mark.parametrize(
    ("stream_id", "is_local", "can_send", "receiving_over"),
    [(4, False, True, False), (4, True, True, False), (6, False, False, False), (6, True, True, True)],
)
def test_what_a_new_stream_may_do(
    kernels: ModuleType, stream_id: int, is_local: bool, can_send: bool, receiving_over: bool
) -> None:
    stream = make(kernels, stream_id, is_local=is_local)
    assert (stream.can_send, stream.receiving_over, stream.is_receiving) == (
        can_send,
        receiving_over,
        not receiving_over,
    )
    assert stream.is_done_with is is_local
    assert not stream.is_aborted
    assert stream._sending_over is not can_send
    assert stream.handle is None


def test_bytes_read_give_their_credit_back_and_half_a_window_is_announced(kernels: ModuleType) -> None:
    stream = make(kernels)
    stream.on_data(b"x" * 19, False)
    stream.on_data(b"y" * 2, False)
    assert stream.buffered == 21
    assert stream.read(19) == b"x" * 19
    assert stream.session.log == [("consume", 4, 19)]
    assert stream.read() == b"yy"
    assert stream.session.log[1:] == [("consume", 4, 2), ("announce", 21 + WINDOW)]
    assert stream.read() is None
    assert stream.session.receive.data_consumed == stream.session.receive.data_received == 21


def test_credit_given_ahead_is_not_given_again(kernels: ModuleType) -> None:
    stream = make(kernels)
    stream.on_data(b"x" * 10, False)
    stream._credited = 6
    assert stream.read(4) == b"xxxx"
    assert stream.session.log == []
    assert stream.read(4) == b"xxxx"
    assert stream.session.log == [("consume", 4, 2)]
    assert stream._credited == 0


def test_nothing_is_credited_once_the_session_is_over(kernels: ModuleType) -> None:
    stream = make(kernels)
    stream.on_data(b"abc", True)
    stream.session.is_over = True
    assert stream.read() == b"abc"
    assert stream.session.log == []


def test_a_stream_settles_when_it_was_read_to_its_end(kernels: ModuleType) -> None:
    stream = make(kernels)
    stream.on_data(b"abc", True)
    stream.awaits_settling = True
    stream.take()
    assert stream.session.log == []
    assert stream.read(2) == b"ab"
    assert stream.read() == b"c"
    assert stream.session.log[-1] == ("settle", 4)
    assert stream.at_eof
    assert stream.read() == stream.read() == b""
    assert stream.session.log.count(("settle", 4)) == 1


def test_a_reset_stream_settles_when_it_is_taken(kernels: ModuleType) -> None:
    stream = make(kernels)
    stream.on_data(b"abc", False)
    stream.receive_error, stream._reset_received, stream.awaits_settling = Refused("reset"), True, True
    stream.take()
    assert stream.session.log == [("settle", 4)]
    assert stream.read() == b"abc"
    with pytest.raises(Refused, match="reset"):
        stream.read()
    assert stream.is_aborted
    assert not stream.at_eof


def test_a_reader_that_waits_is_woken_once(kernels: ModuleType) -> None:
    stream = make(kernels)
    stream.on_data(b"a", False)
    stream.wants_readable = True
    stream.on_data(b"b", False)
    stream.on_data(b"c", False)
    assert stream.session.log == ["readable"]


def test_bytes_after_the_end_of_reading_are_credited_and_dropped(kernels: ModuleType) -> None:
    stream = make(kernels)
    stream.receive_error = Refused("stopped")
    stream.on_data(b"abc", False)
    assert stream.session.log == [("discarded", 3), ("consume", 4, 3)]
    assert stream.buffered == 0
    assert stream.bytes_received == 3


def test_a_reader_that_expects_much_is_credited_ahead(kernels: ModuleType) -> None:
    stream = make(kernels)
    stream._expected = 10**30
    stream.on_data(b"abc", False)
    assert stream.session.log == ["ahead"]


@pytest.mark.parametrize("enabled", [True, False])
def test_more_than_the_limit_is_refused_where_flow_control_is_on(kernels: ModuleType, enabled: bool) -> None:
    stream = make(kernels, enabled=enabled)
    stream.on_data(bytes(WINDOW), False)
    if enabled:
        with pytest.raises(Refused, match=str(WINDOW + 1)):
            stream.on_data(b"x", True)
    else:
        stream.on_data(b"x", True)
    assert stream.receiving_over
    assert stream.bytes_received == WINDOW + 1


def test_what_credit_covers_is_sent_and_the_rest_waits(kernels: ModuleType) -> None:
    stream = make(kernels)
    stream.write(b"x" * 30)
    assert stream.session.log == [("send", 4, b"x" * 30, False)]
    stream.write(b"y")  # beyond the stream's own credit
    assert stream.session.log[1:] == [("later", b"y", False)]
    stream.session.room = 100
    stream.write(b"z" * 10)
    stream.write(b"z")  # beyond the session's
    assert stream.session.log[2:] == [("send", 4, b"z" * 10, False), ("later", b"z", False)]
    assert (stream.bytes_sent, stream.session.send.data_sent) == (42, 40)
    stream.write(b"", end_stream=True)
    assert stream.session.log[-1] == ("send", 4, b"", True)


def test_what_stands_behind_waiting_bytes_waits_as_well(kernels: ModuleType) -> None:
    stream = make(kernels)
    stream._outbox = kernels.ChunkQueue()
    stream.write(b"a")
    stream._outbox.append(b"bc")
    stream.write(b"", end_stream=True)
    assert stream.session.log == [("send", 4, b"a", False), ("later", b"", True)]
    assert stream.can_send


def test_without_flow_control_nothing_waits(kernels: ModuleType) -> None:
    stream = make(kernels, enabled=False)
    stream.write(bytes(1000))
    assert stream.session.log == [("send", 4, bytes(1000), False)]


def test_the_fin_ends_sending_and_both_ends_the_stream(kernels: ModuleType) -> None:
    stream = make(kernels)
    stream.wants_writable = True
    stream.write(b"a", end_stream=True)
    assert stream.session.log == [("send", 4, b"a", True), "writable"]
    with pytest.raises(Refused, match="write"):
        stream.write(b"b")
    stream.on_data(b"", True)
    assert stream.session.log[2:] == [("finished", 4)]
    other = make(kernels)
    other.on_data(b"", True)
    other.write(b"", end_stream=True)
    assert other.session.log == [("send", 4, b"", True), ("finished", 4)]


def test_credit_is_only_raised(kernels: ModuleType) -> None:
    credit = kernels.ReceiveCredit(enabled=True, auto=False, data_window=10)
    assert credit.grant_data(10) is None
    assert credit.grant_data(11) == credit.max_data == 11
    assert credit.consume(11) is None
    automatic = kernels.ReceiveCredit(enabled=True, auto=True, data_window=10)
    assert automatic.consume(4) is None
    assert automatic.consume(1) == 15
    with pytest.raises(NotImplementedError):
        automatic.receive(16)


def test_signals_are_equal_by_class_and_stream(kernels: ModuleType) -> None:
    class Opened(kernels.StreamSignal):
        __slots__ = ()

    class Closed(kernels.StreamSignal):
        __slots__ = ()

    assert Opened("a") == Opened("a")
    assert Opened("a") != Opened("b")
    assert Opened("a") != Closed("a")
    assert Opened("a") != "a"
    assert repr(Opened("a")) == "Opened(stream='a')"
    with pytest.raises(TypeError):
        hash(Opened("a"))
    match Opened("a"):
        case Opened(stream):
            assert stream == "a"


def test_bytes_are_equal_by_class_and_all_that_they_say(kernels: ModuleType) -> None:
    class Other(kernels.StreamBytes):
        __slots__ = ()

    arrived = kernels.StreamBytes(4, b"data", False)
    assert arrived == kernels.StreamBytes(4, b"data", False)
    for differs in ((8, b"data", False), (4, b"date", False), (4, b"data", True)):
        assert arrived != kernels.StreamBytes(*differs)
    assert arrived != Other(4, b"data", False)
    assert arrived != (4, b"data", False)
    assert repr(Other(4, b"data", False)) == "Other(stream_id=4, data=b'data', end_stream=False)"
    with pytest.raises(TypeError):
        hash(arrived)
    match arrived:
        case kernels.StreamBytes(stream_id, data, end_stream):
            assert (stream_id, data, end_stream) == (4, b"data", False)
    arrived.data, arrived.end_stream = b"more data", True  # it may grow
    assert arrived == kernels.StreamBytes(4, b"more data", True)


STEPS = st.one_of(
    st.tuples(st.just("on_data"), st.binary(max_size=20), st.booleans()),
    st.tuples(st.just("read"), odd_integers()),
    st.tuples(st.just("read"), st.integers(-1, 12)),
    st.tuples(st.just("write"), st.binary(max_size=20), st.booleans()),
    st.tuples(st.just("take")),
    st.tuples(
        st.just("set"),
        st.sampled_from(["wants_readable", "wants_writable", "awaits_settling", "_reset_received", "_credited"]),
        st.integers(0, 1),
    ),
)


def run(kernels: ModuleType, is_local: bool, steps: list[tuple[Any, ...]]) -> list[Any]:
    stream = make(kernels, is_local=is_local)
    trace: list[Any] = []
    for name, *arguments in steps:
        if name == "set":
            setattr(stream, arguments[0], arguments[1])
        elif name == "write":
            trace.append(outcome(lambda data, fin: stream.write(data, end_stream=fin), *arguments))
        else:
            trace.append(outcome(getattr(stream, name), *arguments))
        trace.append((stream.buffered, stream.bytes_sent, stream.bytes_received, stream.at_eof, stream.is_done_with))
        trace.append((stream.can_send, stream.receiving_over, stream._is_taken, int(stream._credited)))
    return [*trace, *stream.session.log, stream.session.send.data_sent, stream.session.receive.data_consumed]


@given(is_local=st.booleans(), steps=st.lists(STEPS, max_size=20))
def test_the_twins_do_the_same(twins: tuple[ModuleType, ModuleType], is_local: bool, steps: list[Any]) -> None:
    first, second = (run(twin, is_local, steps) for twin in twins)
    assert first == second
