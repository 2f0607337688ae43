"""A stream's handle on both twins: what is written at once, how a reader sleeps and wakes, and how it is let go of."""

from __future__ import annotations

import asyncio
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kernel_inputs import outcome


class Refused(Exception):
    """What a subclass raises."""


class Core:
    """As much of a stream as its handle needs; what it is told goes into a log."""

    def __init__(self, *pieces: bytes | None) -> None:
        self.log: list[Any] = []
        self.pieces = list(pieces)
        self.handle: Any = None
        self.can_send = True
        self.wants_readable = False
        self.bytes_sent = self.unsent = self.buffered = 0

    def read(self, max_bytes: int) -> bytes | None:
        self.log.append(("read", max_bytes))
        return self.pieces.pop(0)

    def stop(self, code: int) -> None:
        self.log.append(("stop", code))

    def write(self, data: bytes, *, end_stream: bool) -> None:
        self.bytes_sent += len(data)
        self.unsent += len(data)
        self.log.append(("write", data, end_stream))


class Line(list[Any]):
    """Writers that wait."""

    def wake_all(self) -> None:
        self.append("woken")


def make(kernels: ModuleType, core: Core, limit: int = 20) -> Any:
    class Handle(kernels.StreamHandle):
        __slots__ = ("__weakref__",)

        def _busy(self, operation: str) -> Exception:
            return Refused(operation, self._reader)

        def _not_writable(self) -> Exception:
            return Refused("write")

        def _tell_closed(self) -> None:
            self._events.append("closed")

    return Handle._adopt(SimpleNamespace(_config=SimpleNamespace(max_stream_write_buffer=limit)), core)


def test_a_new_handle_is_that_of_its_core(kernels: ModuleType) -> None:
    core = Core()
    handle = make(kernels, core)
    assert core.handle is handle
    assert handle._core is core
    assert isinstance(handle._created_at, float)
    assert (handle._closed_at, handle._events, handle._reader, handle._reader_future, handle._writers) == (None,) * 5


def test_what_has_room_is_written_at_once(kernels: ModuleType) -> None:
    core = Core()
    handle = make(kernels, core)
    assert handle._write_now(b"x" * 20, False)
    assert not handle._write_now(b"x", False)
    core.unsent = 19
    assert handle._write_now(b"x", True)
    assert core.log == [("write", b"x" * 20, False), ("write", b"x", True)]


def test_nothing_is_written_before_those_who_wait(kernels: ModuleType) -> None:
    core = Core()
    handle = make(kernels, core)
    handle._writers = Line(["a writer"])
    assert not handle._write_now(b"x", False)
    assert not handle._write_now(b"", True)
    assert handle._write_now(b"", False), "this is nothing"
    handle._writers.clear()
    assert handle._write_now(b"x", False)
    assert core.log == [("write", b"x", False)]


def test_nothing_is_written_to_a_side_that_is_over(kernels: ModuleType) -> None:
    core = Core()
    core.can_send = False
    with pytest.raises(Refused, match="write"):
        make(kernels, core)._write_now(b"", False)


@given(
    limit=st.integers(0, 30),
    sizes=st.lists(st.tuples(st.integers(0, 12), st.booleans(), st.integers(0, 12)), max_size=12),
)
def test_the_twins_write_the_same(twins: Any, limit: int, sizes: list[tuple[int, bool, int]]) -> None:
    def run(kernels: ModuleType) -> list[Any]:
        core, trace = Core(), []
        handle = make(kernels, core, limit)
        for size, end_stream, gone in sizes:
            trace.append(outcome(handle._write_now, bytes(size), end_stream))
            core.unsent = max(core.unsent - gone, 0)
        return [*trace, *core.log]

    first, second = map(run, twins)
    assert first == second


def test_one_reads_at_a_time(kernels: ModuleType) -> None:
    core = Core()
    handle = make(kernels, core)
    handle._begin("read")
    with pytest.raises(Refused, match="read_all"):
        handle._begin("read_all")
    core.wants_readable = True
    handle._end_reading()
    assert not core.wants_readable
    handle._begin("read_all")
    assert handle._reader == "read_all"


def test_what_is_there_is_collected_up_to_the_end(kernels: ModuleType) -> None:
    handle = make(kernels, Core(b"a", b"b", None, b"c", b""))
    chunks: list[bytes] = []
    assert not handle._collect(chunks)
    assert chunks == [b"a", b"b"]
    assert handle._collect(chunks)
    assert chunks == [b"a", b"b", b"c"]


def test_what_can_be_read_now_is_read(kernels: ModuleType) -> None:
    core = Core(b"abc", None, b"")
    handle = make(kernels, core)
    assert handle._read_now(0) == b""
    assert [handle._read_now(size) for size in (3, -1, 2**70)] == [b"abc", None, b""]
    assert core.log == [("read", 3), ("read", -1), ("read", 2**70)]


def test_nothing_is_read_beside_a_reader_or_with_a_size_below_minus_one(kernels: ModuleType) -> None:
    core = Core(b"abc")
    handle = make(kernels, core)
    with pytest.raises(ValueError, match="max_bytes must be -1 or more, not -2"):
        handle._read_now(-2)
    handle._begin("read_all")
    with pytest.raises(Refused, match="read_all"):
        handle._read_now(0)
    assert core.log == []


def test_a_stream_of_the_kernels_is_read_and_written_alike(kernels: ModuleType) -> None:
    sent: list[Any] = []
    port = SimpleNamespace(send_room=lambda _: 10, send_stream=lambda *args: sent.append(args), consume=lambda *_: None)
    send = kernels.SendCredit(enabled=True, max_data=10)
    receive = kernels.ReceiveCredit(enabled=False, auto=False, data_window=1)
    session = SimpleNamespace(flow=SimpleNamespace(send=send, receive=receive), port=port, is_over=False)
    stream = kernels.DataStream(4, session, is_local=True)
    handle = make(kernels, stream)
    stream.on_data(b"hello", False)
    assert [handle._read_now(size) for size in (2, -1, -1)] == [b"he", b"llo", None]
    stream.on_data(b"end", True)
    chunks: list[bytes] = []
    assert handle._collect(chunks)
    assert chunks == [b"end"]
    stream.receiving_over = False  # else the session would have to be told of the end
    assert handle._write_now(b"data", False)
    assert handle._write_now(b"", True)
    assert sent == [(4, b"data", False), (4, b"", True)]
    with pytest.raises(Refused, match="write"):
        handle._write_now(b"", False)


async def test_a_sleeper_is_woken_once(kernels: ModuleType) -> None:
    core = Core()
    handle = make(kernels, core)
    assert not handle._wake_sleeper()
    handle._on_readable()
    future = handle._sleep()
    assert core.wants_readable
    assert handle._wake_sleeper()
    assert await future
    handle._on_readable()
    future = handle._sleep()
    future.cancel()
    handle._on_readable()
    assert future.cancelled()


async def test_the_end_wakes_all_and_lets_go(kernels: ModuleType) -> None:
    core = Core()
    handle = make(kernels, core)
    handle._events, handle._writers, future = [], Line(), handle._sleep()
    assert not handle._finish_unheard()
    assert core.handle is handle
    handle._on_finished()
    handle._on_finished()
    assert future.result()
    assert (core.handle, core.wants_readable) == (None, False)
    assert (handle._events, handle._writers) == (["closed"], ["woken"])
    assert isinstance(handle._closed_at, float)


async def test_an_end_that_nobody_can_hear_is_told_to_nobody(kernels: ModuleType) -> None:
    core = Core()
    handle = make(kernels, core)
    future = handle._sleep()
    assert handle._finish_unheard()
    closed_at = handle._closed_at
    assert handle._finish_unheard()
    handle._on_finished()
    assert future.result()
    assert core.handle is None
    assert handle._closed_at == closed_at


async def test_a_stream_that_is_dropped_half_read_is_stopped(kernels: ModuleType) -> None:
    core = Core()
    core.buffered = 3
    handle = make(kernels, core)
    core.handle = None
    del handle
    assert core.log == [("stop", 0)]


def test_outside_of_a_loop_or_read_to_the_end_it_is_not(kernels: ModuleType) -> None:
    for buffered in (0, 3):
        core = Core()
        core.buffered = buffered
        handle = make(kernels, core)
        core.handle = None
        del handle
        assert core.log == []
    kernels.StreamHandle()  # one that was never bound leaves as quietly


async def test_bytes_wake_the_reader_of_a_handle_without_a_word(kernels: ModuleType) -> None:
    class Stream(kernels.DataStream):
        __slots__ = ()

        def _wake_reader(self) -> None:
            self.wants_readable = False
            woken.append("event")

    woken: list[str] = []
    credit = kernels.ReceiveCredit(enabled=False, auto=False, data_window=1)
    stream = Stream(4, SimpleNamespace(flow=SimpleNamespace(send=None, receive=credit)), is_local=True)
    stream.wants_readable = True
    stream.on_data(b"x", False)
    assert woken == ["event"], "there is no handle"
    handle = kernels.StreamHandle._adopt(None, stream)
    future = handle._sleep()
    assert not asyncio.Future.done(future)
    stream.on_data(b"x", False)
    assert future.result()
    assert not stream.wants_readable
    assert woken == ["event"]
    stream.wants_readable = True
    handle._reader_future = None
    stream.on_data(b"x", False)
    assert woken == ["event", "event"], "nobody sleeps there"
