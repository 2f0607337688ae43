"""How much one event says of a stream."""

from __future__ import annotations

from collections import deque
from typing import Any

import pytest
from port_pair import limits
from quic_twins import current

from wtransport._quic.port import StreamBytes, StreamReset
from wtransport._quic.stream_bytes import MAX_EVENT_BYTES
from wtransport._quic.violations import TransportViolation
from wtransport.constants import ErrorCodes

pytestmark = pytest.mark.usefixtures("quic_twin")


def test_what_was_behind_a_gap_comes_in_pieces() -> None:
    events: list[Any] = []
    given = limits(stream_window=100_000, connection_window=100_000)
    table = current().StreamTable(is_client=False, limits=given, emit=events.append)
    data = bytes(range(250)) * 320
    for start in range(1000, len(data), 1000):
        table.on_stream_frame(0, start, data[start : start + 1000], start + 1000 >= len(data))
    assert events == []
    table.on_stream_frame(0, 0, data[:1000], False)
    assert b"".join(event.data for event in events) == data
    assert max(len(event.data) for event in events) == MAX_EVENT_BYTES
    assert [event.end_stream for event in events] == [False] * (len(events) - 1) + [True]


class Reader:
    """A table whose events wait in a queue, as those of a connection do."""

    def __init__(self) -> None:
        self.queue: deque[Any] = deque()
        given = limits(stream_window=100_000, connection_window=200_000)
        self.table = current().StreamTable(is_client=False, limits=given, emit=self.queue.append, queue=self.queue)

    def frame(self, stream_id: int, offset: int, data: bytes, *, fin: bool = False) -> None:
        self.table.on_stream_frame(stream_id, offset, data, fin)

    def take(self) -> Any:
        event = self.queue.popleft()
        if event is self.table.arrived.growing:
            self.table.arrived.complete()
        return event

    def take_all(self) -> list[Any]:
        return [self.take() for _ in range(len(self.queue))]


def test_bytes_join_the_event_that_waits() -> None:
    reader = Reader()
    for number in range(5):
        reader.frame(0, 3 * number, bytes([number] * 3))
    reader.frame(0, 15, b"", fin=True)
    assert reader.take_all() == [StreamBytes(0, b"".join(bytes([number] * 3) for number in range(5)), True)]
    assert reader.table.receive_window.received == 15


def test_an_event_that_was_taken_does_not_change_any_more() -> None:
    reader = Reader()
    reader.frame(0, 0, b"one")
    reader.frame(0, 3, b"two")
    taken = reader.take()
    reader.frame(0, 6, b"three")
    assert taken == StreamBytes(0, b"onetwo", False)
    assert reader.take() == StreamBytes(0, b"three", False)


def test_bytes_do_not_overtake_what_happened_since() -> None:
    reader = Reader()
    reader.frame(0, 0, b"a")
    reader.frame(4, 0, b"b")
    reader.frame(0, 1, b"c")
    reader.queue.append("something else")
    reader.frame(0, 2, b"d")
    assert reader.take_all() == [
        StreamBytes(0, b"a", False),
        StreamBytes(4, b"b", False),
        StreamBytes(0, b"c", False),
        "something else",
        StreamBytes(0, b"d", False),
    ]


def test_joined_events_are_bounded() -> None:
    reader = Reader()
    for start in range(0, 50_000, 1000):
        reader.frame(0, start, bytes(1000))
    sizes = [len(event.data) for event in reader.take_all()]
    assert sum(sizes) == 50_000
    assert set(sizes[:-1]) == {MAX_EVENT_BYTES // 1000 * 1000}


def test_repeated_and_late_bytes_join_too() -> None:
    reader = Reader()
    reader.frame(0, 0, b"abc")
    reader.frame(0, 1, b"bcde")
    reader.frame(0, 0, b"abc")
    reader.frame(0, 6, b"gh")
    reader.frame(0, 5, b"f")
    reader.frame(0, 8, b"i", fin=True)
    assert reader.take_all() == [StreamBytes(0, b"abcdefghi", True)]


def test_a_reset_follows_the_bytes_before_it() -> None:
    reader = Reader()
    reader.frame(0, 0, b"abc")
    reader.table.on_reset(0, 7, 10, 5)
    reader.frame(0, 3, b"de")
    assert reader.take_all() == [StreamBytes(0, b"abcde", False), StreamReset(0, 7, 10)]


def test_a_final_size_that_contradicts_what_would_join_is_refused() -> None:
    reader = Reader()
    reader.frame(0, 0, b"abc")
    reader.frame(0, 10, b"x")
    reader.take_all()
    reader.frame(0, 3, b"de")
    for offset, data in ((5, b""), (5, b"f")):
        with pytest.raises(TransportViolation) as caught:
            reader.frame(0, offset, data, fin=True)
        assert caught.value.error_code == ErrorCodes.FINAL_SIZE_ERROR
    assert reader.take_all() == [StreamBytes(0, b"de", False)]
