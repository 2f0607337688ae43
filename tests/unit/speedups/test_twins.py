"""Both twins, side by side: same signatures, and the same result or error for whatever they are given."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from kernel_inputs import (
    buffers,
    cuts,
    integers,
    odd_buffers,
    odd_droppable,
    odd_integers,
    odd_limits,
    outcome,
    records,
    seconds,
)

from wtransport import _speedups, constants
from wtransport._speedups import _constants, _pure

Twins = tuple[ModuleType, ModuleType]

NAMES = [name for name in _speedups.__all__ if name != "BACKEND"]
SESSION = SimpleNamespace(flow=SimpleNamespace(send=None, receive=None))
HOST = SimpleNamespace(emit=None, events=None, is_client=True, places=None, port=None, sessions={}, streams={})


def _side(kernel: Any) -> Any:
    """Return the kernels that this one belongs to."""
    return _pure if "_pure" in kernel.__module__ else _speedups._compiled


def _books(kernel: Any) -> Any:
    side = _side(kernel)
    receiving = side.ReceiveCredit(enabled=True, auto=True, data_window=1)
    return side.SessionCreditBooks(side.StreamPlaces(None), receiving)


CLASSES: dict[str, Callable[[Any], Any]] = {
    "CapsuleParser": lambda kernel: kernel({}),
    "ChunkQueue": lambda kernel: kernel(),
    "DataStream": lambda kernel: kernel(4, SESSION, is_local=True),
    "DatagramInbox": lambda kernel: kernel(1),
    "DatagramQueue": lambda kernel: kernel(1),
    "DeadlineTimer": lambda kernel: kernel(loop=None, clock=float, callback=print),
    "Doorway": lambda kernel: kernel(
        routes={}, waiting=(), outlet=None, clock=float, id_size=8, turn_time=0.1, on_others=print, on_backlog=print
    ),
    "DriverLoop": lambda kernel: kernel(port=None, loop=None, clock=float),
    "DatagramTap": lambda kernel: kernel(_side(kernel).DatagramQueue(1)),
    "FrameParser": lambda kernel: kernel({}),
    "HandlerCaller": lambda kernel: kernel({}, SimpleNamespace, str),
    "KeptStreams": lambda kernel: kernel(),
    "Listener": lambda kernel: kernel(len, 0, False, False),
    "PortEvents": lambda kernel: kernel(print, print, {}, (ValueError, bytes, list)),
    "ReceiveCredit": lambda kernel: kernel(enabled=True, auto=True, data_window=1),
    "SendCredit": lambda kernel: kernel(enabled=True, max_data=1),
    "SessionCreditBooks": _books,
    "SessionStreams": lambda kernel: kernel(
        _side(kernel).StreamRegistry(HOST, {}, None), 4, SESSION.flow, None, (b"", b"")
    ),
    "StreamArrivals": lambda kernel: kernel(
        _side(kernel).HandlerCaller({}, SimpleNamespace, str),
        "type",
        session=None,
        session_id="",
        incoming=(_side(kernel).KeptStreams(), _side(kernel).KeptStreams()),
        handles=((_side(kernel).StreamHandle, None), (_side(kernel).StreamHandle, None)),
    ),
    "StreamBytes": lambda kernel: kernel(4, b"data", False),
    "StreamHandle": lambda kernel: kernel(),
    "StreamPlaces": lambda kernel: kernel(None),
    "StreamRegistry": lambda kernel: kernel(HOST, {}, None),
    "StreamSignal": lambda kernel: kernel("stream"),
    "UdpSocket": lambda kernel: kernel(None),
}
LIMITS = {0x01: 30, 0x04: 0, 0x2843: 20, 2**61: 10}
# What the parsers are made with; some of what `records()` makes is over these limits.
PARSERS = {
    "FrameParser": ("FrameParser", (LIMITS,)),
    "CapsuleParser": ("CapsuleParser", (LIMITS,)),
    "CapsuleParser, dropping": ("CapsuleParser", (LIMITS, (0x01, 0x2843))),
}


def public(kernel: Any) -> list[str]:
    return sorted(name for name in dir(kernel) if not name.startswith("_"))


def shape(kernel: Any) -> list[tuple[str, Any, Any]]:
    """Return names, kinds and defaults; only the pure twin is annotated, being the only source of types."""
    return [(p.name, p.kind, p.default) for p in inspect.signature(kernel).parameters.values()]


def same(twins: Twins, call: Any) -> tuple[str, Any, str]:
    """Do the same with both twins, compare the outcomes and return one."""
    first, second = (outcome(call, twin) for twin in twins)
    assert first == second
    return first


@pytest.mark.parametrize("name", NAMES)
def test_signatures_are_equal(twins: Twins, name: str) -> None:
    pure, compiled = (getattr(twin, name) for twin in twins)
    assert shape(pure) == shape(compiled)
    assert inspect.isclass(pure) == inspect.isclass(compiled)


@pytest.mark.parametrize("name", CLASSES)
def test_methods_and_their_signatures_are_equal(twins: Twins, name: str) -> None:
    pure, compiled = (CLASSES[name](getattr(twin, name)) for twin in twins)
    assert public(pure) == public(compiled)
    for attribute in public(pure):
        if callable(getattr(pure, attribute)):
            assert shape(getattr(pure, attribute)) == shape(getattr(compiled, attribute))
        else:
            assert getattr(pure, attribute) == getattr(compiled, attribute)


def test_names_are_equal(twins: Twins) -> None:
    assert sorted(twins[0].__all__) == sorted(twins[1].__all__) == NAMES == sorted(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_every_kernel_says_what_it_does(twins: Twins, name: str) -> None:
    for twin in twins:
        assert (getattr(twin, name).__doc__ or "").strip()


def test_constants_agree_with_the_public_ones() -> None:
    assert _constants.MAX_VARINT == constants.MAX_VARINT
    assert _constants.MAX_QUARTER_STREAM_ID == constants.MAX_QUARTER_STREAM_ID
    assert _constants.FRAME_TYPE_DATA == constants.H3_FRAME_TYPE_DATA


@given(value=odd_integers())
def test_varint_encoders(twins: Twins, value: Any) -> None:
    same(twins, lambda k: k.varint_size(value))
    same(twins, lambda k: k.encode_varint(value))


@given(size=st.integers(0, 12), kind=st.integers(0, 3), offset=odd_integers(), value=odd_integers())
@example(size=8, kind=0, offset=True, value=True)
def test_encode_varint_into(twins: Twins, size: int, kind: int, offset: Any, value: Any) -> None:
    def call(twin: ModuleType) -> tuple[int, bytes]:
        backing = bytearray(size)
        buffer = [backing, memoryview(backing), memoryview(backing).toreadonly(), memoryview(backing)[::2]][kind]
        try:
            return twin.encode_varint_into(buffer, offset, value), bytes(backing)
        finally:
            assert len(backing) == size

    same(twins, call)


@given(data=odd_buffers(), offset=odd_integers())
def test_decode_varint(twins: Twins, data: Any, offset: Any) -> None:
    same(twins, lambda k: k.decode_varint(data))
    same(twins, lambda k: k.decode_varint(data, offset))


@given(value=st.integers(0, 2**62 - 1), before=st.binary(max_size=5), after=st.binary(max_size=5))
def test_varints_survive(twins: Twins, value: int, before: bytes, after: bytes) -> None:
    for twin in twins:
        encoded = twin.encode_varint(value)
        assert len(encoded) == twin.varint_size(value)
        assert twin.decode_varint(before + encoded + after, len(before)) == (value, len(before) + len(encoded))
        assert all(twin.decode_varint(encoded[:length]) is None for length in range(len(encoded)))


@given(data=odd_buffers(), signal=odd_integers(), session_id=odd_integers())
def test_stream_headers(twins: Twins, data: Any, signal: Any, session_id: Any) -> None:
    same(twins, lambda k: k.decode_stream_header(data, signal))
    kind, encoded, _ = same(twins, lambda k: k.encode_stream_header(signal, session_id))
    if kind == "returned":
        for length in range(len(encoded) + 1):
            same(twins, lambda k, length=length: k.decode_stream_header(encoded[:length], signal))
        assert twins[0].decode_stream_header(encoded, signal) == (signal, session_id, len(encoded))


@given(record_type=odd_integers(), payload=odd_buffers(), length=odd_integers())
def test_record_encoders(twins: Twins, record_type: Any, payload: Any, length: Any) -> None:
    same(twins, lambda k: k.encode_frame(record_type, payload))
    same(twins, lambda k: k.encode_frame_header(record_type, length))
    same(twins, lambda k: k.encode_capsule(record_type, payload))
    same(twins, lambda k: k.encode_datagram(record_type, payload))


@given(data=odd_buffers())
@example(data=b"\xcf" + b"\xff" * 7)
@example(data=b"\xd0" + bytes(7))
@example(data=memoryview(b"\xd0" + bytes(7) + b"payload"))
def test_decode_datagram(twins: Twins, data: Any) -> None:
    same(twins, lambda k: k.decode_datagram(data))


@given(
    datagrams=st.one_of(
        st.lists(st.one_of(st.binary(max_size=4), st.sampled_from([b"\x00a", b"\x01b", b"\xd0" + bytes(7), b""]))),
        st.lists(odd_buffers()),
        odd_buffers(),
    )
)
@example(datagrams=[b"\x01a", b"\x40\x01b", b"\x02", b"\x01c", b"\x40", b"\x01never"])
@example(datagrams=(b"\x00",))
def test_sort_datagrams(twins: Twins, datagrams: Any) -> None:
    same(twins, lambda k: k.sort_datagrams(datagrams))


@given(datagrams=st.one_of(st.lists(odd_buffers(max_size=6), max_size=8), odd_buffers()))
def test_datagram_queues_take_lists(twins: Twins, datagrams: Any) -> None:
    def call(twin: ModuleType) -> list[Any]:
        queue = twin.DatagramQueue(5, 12)
        trace: list[Any] = [outcome(queue.extend, datagrams)]
        return [*trace, queue.nbytes, queue.pushed, queue.dropped_full, queue.drain()]

    same(twins, call)


@given(datagrams=st.one_of(st.lists(odd_buffers(max_size=6), max_size=8), odd_buffers()))
def test_inboxes_take_lists(twins: Twins, datagrams: Any) -> None:
    def call(twin: ModuleType) -> list[Any]:
        inbox = twin.DatagramInbox(5, 12)
        trace: list[Any] = [outcome(inbox.arrive, datagrams) for _ in range(2)]
        return [*trace, inbox.received, inbox.bytes_received, inbox.dropped_full, inbox.drain()]

    same(twins, call)


@given(limits=odd_limits())
def test_parser_limits(twins: Twins, limits: Any) -> None:
    same(twins, lambda k: k.FrameParser(limits).feed(b"\x01\x02ab"))
    same(twins, lambda k: k.CapsuleParser(limits).feed(b"\x01\x02ab"))


def test_frames_are_never_droppable(twins: Twins) -> None:
    for twin in twins:
        with pytest.raises(TypeError):
            twin.FrameParser({1: 1}, ())


@given(limits=odd_limits(), droppable=st.one_of(odd_droppable(), odd_limits()))
@example(limits={1: 1}, droppable=[True])
@example(limits={1: 1}, droppable={1: None})
def test_droppable_types(twins: Twins, limits: Any, droppable: Any) -> None:
    for table in (limits, {0: 1, 1: 1, 2**62 - 1: 0}):
        same(twins, lambda k, table=table: k.CapsuleParser(table, droppable).feed(b"\x01\x02ab"))
        same(twins, lambda k, table=table: k.CapsuleParser(max_sizes=table, droppable=droppable).feed(b"\x00\x02ab"))


def run_parser(twin: ModuleType, name: str, pieces: list[Any]) -> list[Any]:
    kernel, arguments = PARSERS[name]
    parser = getattr(twin, kernel)(*arguments)
    trace: list[Any] = []
    for piece in pieces:
        trace.append(outcome(parser.feed, piece))
        trace.append((parser.at_boundary, parser.failed))
    return trace


@pytest.mark.parametrize("name", PARSERS)
@given(data=records(), points=st.lists(st.integers(0, 500), max_size=6))
@example(data=[(0x04, b"x"), (0x01, b"never")], points=[1])
@example(data=[(0x01, b"first"), (0x04, b"x"), (0x01, b"never")], points=[])
def test_parsers_at_any_cuts(twins: Twins, name: str, data: list[tuple[int, bytes]], points: list[int]) -> None:
    stream = b"".join(_pure.encode_frame(record_type, payload) for record_type, payload in data)
    pieces = list(cuts(stream, points))
    first, second = (run_parser(twin, name, pieces) for twin in twins)
    assert first == second


@pytest.mark.parametrize("name", PARSERS)
@given(pieces=st.lists(odd_buffers(max_size=24), max_size=8))
def test_parsers_with_any_bytes(twins: Twins, name: str, pieces: list[Any]) -> None:
    first, second = (run_parser(twin, name, pieces) for twin in twins)
    assert first == second


@given(data=records().filter(bool))
def test_parsers_at_every_cut(twins: Twins, data: list[tuple[int, bytes]]) -> None:
    stream = b"".join(_pure.encode_frame(record_type, payload) for record_type, payload in data[:3])
    for name in PARSERS:
        for length in range(len(stream) + 1):
            pieces = [stream[:length], memoryview(stream)[length:]]
            first, second = (run_parser(twin, name, pieces) for twin in twins)
            assert first == second


DATAGRAM_STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("push"), st.binary(max_size=12), st.floats(0.0, 0.5)),
        st.tuples(st.just("push"), odd_buffers(max_size=6), seconds()),
        st.tuples(st.sampled_from(["pop", "drain"]), st.floats(0.0, 0.5)),
        st.tuples(st.sampled_from(["pop", "drain"]), seconds()),
        st.tuples(st.sampled_from(["clear", "pop", "drain"])),
    ),
    max_size=30,
)


@given(
    max_items=st.integers(1, 12),
    max_bytes=st.sampled_from([0, 0, 1, 10, 40]),
    max_age=st.sampled_from([0.0, 0.0, 0.25, 1.0, 3]),
    drop_newest=st.booleans(),
    steps=DATAGRAM_STEPS,
)
def test_datagram_queues(
    twins: Twins, max_items: int, max_bytes: int, max_age: float, drop_newest: bool, steps: list[tuple[Any, ...]]
) -> None:
    def call(twin: ModuleType) -> list[Any]:
        queue = twin.DatagramQueue(max_items, max_bytes, max_age, drop_newest)
        trace: list[Any] = []
        now = 0.0
        for name, *arguments in steps:
            if arguments and isinstance(arguments[-1], float) and 0 <= arguments[-1] <= 0.5:
                now += arguments[-1]
                arguments[-1] = now
            trace.append(outcome(getattr(queue, name), *arguments))
            trace.append((len(queue), queue.nbytes, queue.pushed, queue.popped))
            trace.append((queue.dropped_full, queue.dropped_expired))
            assert len(queue) <= max_items
            assert not max_bytes or queue.nbytes <= max_bytes
        return trace

    same(twins, call)


@given(
    max_items=odd_integers(),
    max_bytes=odd_integers(),
    max_age=seconds(),
    drop_newest=st.sampled_from([True, False, None, 0, "yes", []]),
)
def test_datagram_queue_limits(twins: Twins, max_items: Any, max_bytes: Any, max_age: Any, drop_newest: Any) -> None:
    same(twins, lambda k: k.DatagramQueue(max_items, max_bytes, max_age, drop_newest).push(b"x", 1.0))


CHUNK_STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("append"), buffers(max_size=9)),
        st.tuples(st.just("append"), st.sampled_from([b"a", b"ab", b"b", b"aab"])),
        st.tuples(st.just("append"), odd_buffers(max_size=9)),
        st.tuples(st.just("take")),
        st.tuples(st.just("take"), st.integers(-1, 20)),
        st.tuples(st.just("take"), odd_integers()),
        st.tuples(st.just("find"), st.sampled_from([b"a", b"ab", b"aab", b"\x00", b"aabaab"]), st.integers(0, 30)),
        st.tuples(st.just("find"), odd_buffers(max_size=3), integers()),
        st.tuples(st.just("clear")),
    ),
    max_size=40,
)


@given(steps=CHUNK_STEPS)
def test_chunk_queues(twins: Twins, steps: list[tuple[Any, ...]]) -> None:
    def call(twin: ModuleType) -> list[Any]:
        queue = twin.ChunkQueue()
        trace: list[Any] = []
        for name, *arguments in steps:
            trace.append(outcome(getattr(queue, name), *arguments))
            trace.append(len(queue))
        return trace

    same(twins, call)


@given(
    chunks=st.lists(st.sampled_from([b"a", b"b", b"ab", b"aa", b"aba", b"\r\n"]), max_size=12),
    taken=st.integers(0, 6),
    separator=st.sampled_from([b"a", b"ab", b"aab", b"abab", b"\r\n", b"b\r\na"]),
    start=st.integers(0, 25),
)
def test_find_agrees_with_bytes(twins: Twins, chunks: list[bytes], taken: int, separator: bytes, start: int) -> None:
    data = b"".join(chunks)
    for twin in twins:
        queue = twin.ChunkQueue()
        for chunk in chunks:
            queue.append(chunk)
        assert queue.take(taken) == data[:taken]
        assert queue.find(separator, start) == data[taken:].find(separator, start)
        assert queue.take() == data[taken:]
