"""Datagrams: the quarter stream id, and the queue that never grows past its limits."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest
from wire_vectors import BAD_DATAGRAM_IDS, DATAGRAMS, TRUNCATED_VARINTS


@pytest.mark.parametrize(("session_id", "payload", "encoded"), DATAGRAMS)
def test_vectors(kernels: ModuleType, session_id: int, payload: bytes, encoded: bytes) -> None:
    assert kernels.encode_datagram(session_id // 4, payload) == encoded
    assert kernels.encode_datagram(session_id // 4, bytearray(payload)) == encoded
    for form in (encoded, bytearray(encoded), memoryview(encoded)):
        quarter_stream_id, offset = kernels.decode_datagram(form)
        assert (quarter_stream_id * 4, bytes(form[offset:])) == (session_id, payload)


def test_datagrams_are_sorted_by_their_ids_in_runs(kernels: ModuleType) -> None:
    encoded = [kernels.encode_datagram(quarter, payload) for quarter, payload in [(1, b"a"), (1, b""), (300, b"c")]]
    encoded += [kernels.encode_datagram(1, b"d")]
    assert kernels.sort_datagrams(encoded) == [(1, [b"a", b""]), (300, [b"c"]), (1, [b"d"])]
    assert kernels.sort_datagrams([]) == []


@pytest.mark.parametrize("data", [*TRUNCATED_VARINTS, *BAD_DATAGRAM_IDS])
def test_sorting_ends_where_an_id_is_not_valid(kernels: ModuleType, data: bytes) -> None:
    assert kernels.sort_datagrams([b"\x01a", data, b"\x01never"]) == [(1, [b"a"]), (-1, [])]


def test_a_list_is_pushed_one_by_one(kernels: ModuleType) -> None:
    queue = kernels.DatagramQueue(2)
    queue.extend([b"gives way", b"first", bytearray(b"second")])
    assert (queue.pushed, queue.dropped_full, queue.nbytes) == (3, 1, 11)
    assert queue.drain() == [b"first", b"second"]


def test_an_inbox_counts_what_arrives_and_tells_when_it_stops_being_empty(kernels: ModuleType) -> None:
    inbox = kernels.DatagramInbox(2)
    assert (inbox.is_open, inbox.announce) == (False, None)
    assert inbox.arrive([b"gives way", b"first"])
    assert not inbox.arrive([b"second"])
    assert (inbox.received, inbox.bytes_received, inbox.dropped_full) == (3, 20, 1)
    assert inbox.drain() == [b"first", b"second"]
    assert inbox.arrive([])


@pytest.mark.parametrize("datagrams", [[b"good", bytearray(b"bad")], [b"good", None], (b"good",)])
def test_an_inbox_takes_all_of_a_list_or_nothing(kernels: ModuleType, datagrams: Any) -> None:
    inbox = kernels.DatagramInbox(2)
    with pytest.raises(TypeError):
        inbox.arrive(datagrams)
    assert (inbox.received, inbox.bytes_received, len(inbox)) == (0, 0, 0)


@pytest.mark.parametrize("data", TRUNCATED_VARINTS)
def test_truncated_id_is_none(kernels: ModuleType, data: bytes) -> None:
    assert kernels.decode_datagram(data) is None


@pytest.mark.parametrize("data", BAD_DATAGRAM_IDS)
def test_id_of_no_stream_is_refused(kernels: ModuleType, data: bytes) -> None:
    with pytest.raises(ValueError, match="above"):
        kernels.decode_datagram(data)


@pytest.mark.parametrize(
    ("quarter_stream_id", "error"),
    [
        (-1, ValueError),
        (2**60, ValueError),
        (2**62, ValueError),
        (2**64, ValueError),
        (None, TypeError),
        (1.0, TypeError),
    ],
)
def test_refuses_to_encode_a_bad_id(kernels: ModuleType, quarter_stream_id: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="quarter_stream_id"):
        kernels.encode_datagram(quarter_stream_id, b"")


@pytest.mark.parametrize("data", [None, "text", 7])
def test_refuses_what_is_no_buffer(kernels: ModuleType, data: Any) -> None:
    queue = kernels.DatagramQueue(1)
    for call in (
        lambda: kernels.encode_datagram(0, data),
        lambda: kernels.decode_datagram(data),
        lambda: queue.push(data),
    ):
        with pytest.raises(TypeError, match="data must be bytes"):
            call()
    assert len(queue) == 0


def test_queue_is_first_in_first_out(kernels: ModuleType) -> None:
    queue = kernels.DatagramQueue(100)
    sent = [bytes([number]) * number for number in range(40)]  # an empty datagram among them
    for data in sent:
        assert queue.push(data) is True
    assert len(queue) == 40
    assert queue.nbytes == sum(range(40))
    assert [queue.pop() for _ in range(10)] == sent[:10]
    assert queue.drain() == sent[10:]
    assert (len(queue), queue.nbytes, queue.pop(), queue.drain()) == (0, 0, None, [])
    assert (queue.pushed, queue.popped, queue.dropped_full, queue.dropped_expired) == (40, 40, 0, 0)


def test_full_queue_drops_the_oldest(kernels: ModuleType) -> None:
    queue = kernels.DatagramQueue(3)
    for number in range(5):
        assert queue.push(bytes([number])) is True
    assert queue.drain() == [b"\x02", b"\x03", b"\x04"]
    assert (queue.pushed, queue.popped, queue.dropped_full) == (5, 3, 2)


def test_full_queue_refuses_the_newest_when_told_so(kernels: ModuleType) -> None:
    queue = kernels.DatagramQueue(2, drop_newest=True)
    assert [queue.push(bytes([number])) for number in range(4)] == [True, True, False, False]
    assert queue.drain() == [b"\x00", b"\x01"]
    assert (queue.pushed, queue.dropped_full) == (2, 2)
    assert queue.push(b"again") is True


def test_byte_limit_drops_as_many_as_needed(kernels: ModuleType) -> None:
    queue = kernels.DatagramQueue(100, 10)
    for data in (b"aaaa", b"bbbb", b"cc"):
        queue.push(data)
    assert queue.nbytes == 10
    assert queue.push(b"ddddd") is True
    assert queue.nbytes == 7
    assert queue.drain() == [b"cc", b"ddddd"]
    assert queue.dropped_full == 2


def test_datagram_larger_than_the_byte_limit_pushes_out_nothing(kernels: ModuleType) -> None:
    queue = kernels.DatagramQueue(100, 10)
    queue.push(b"kept")
    assert queue.push(bytes(11)) is False
    assert queue.push(bytes(6)) is True
    assert queue.drain() == [b"kept", bytes(6)]
    assert queue.dropped_full == 1


def test_old_datagrams_expire(kernels: ModuleType) -> None:
    queue = kernels.DatagramQueue(100, max_age=1.0)
    queue.push(b"a", 10.0)
    queue.push(b"b", 10.5)
    queue.push(b"c", 11)
    assert queue.pop(11.0) == b"a"  # exactly as old as allowed
    assert queue.drain(11.75) == [b"c"]
    assert (queue.popped, queue.dropped_expired, queue.nbytes) == (2, 1, 0)


def test_expired_datagrams_make_room_before_fresh_ones_do(kernels: ModuleType) -> None:
    queue = kernels.DatagramQueue(2, max_age=1.0, drop_newest=True)
    queue.push(b"a", 0.0)
    queue.push(b"b", 0.0)
    assert queue.push(b"c", 0.5) is False
    assert queue.push(b"d", 2.0) is True
    assert (queue.drain(2.0), queue.dropped_expired, queue.dropped_full) == ([b"d"], 2, 1)


def test_clear_forgets_without_counting(kernels: ModuleType) -> None:
    queue = kernels.DatagramQueue(10, max_age=1.0)
    for number in range(10):
        queue.push(bytes(5), float(number) / 10)
    queue.clear()
    assert (len(queue), queue.nbytes, queue.popped, queue.dropped_full) == (0, 0, 0, 0)
    assert queue.push(b"x", 1.0) is True
    assert queue.drain(1.0) == [b"x"]


def test_bytes_are_kept_and_the_rest_is_copied(kernels: ModuleType) -> None:
    queue = kernels.DatagramQueue(10)
    data = b"the very object"
    changing = bytearray(b"abc")
    queue.push(data)
    queue.push(changing)
    changing[0] = 0
    queue.push(memoryview(b"def"))
    assert queue.pop() is data
    assert [(type(item), item) for item in queue.drain()] == [(bytes, b"abc"), (bytes, b"def")]


@pytest.mark.parametrize(
    ("arguments", "error", "name"),
    [
        ({"max_items": 0}, ValueError, "max_items"),
        ({"max_items": -(2**70)}, ValueError, "max_items"),
        ({"max_items": None}, TypeError, "max_items"),
        ({"max_items": 1.0}, TypeError, "max_items"),
        ({"max_items": 1, "max_bytes": -1}, ValueError, "max_bytes"),
        ({"max_items": 1, "max_bytes": "1"}, TypeError, "max_bytes"),
        ({"max_items": 1, "max_age": -0.1}, ValueError, "max_age"),
        ({"max_items": 1, "max_age": float("nan")}, ValueError, "max_age"),
        ({"max_items": 1, "max_age": float("inf")}, ValueError, "max_age"),
        ({"max_items": 1, "max_age": None}, TypeError, "max_age"),
    ],
)
def test_refuses_limits_that_are_none(
    kernels: ModuleType, arguments: dict[str, Any], error: type[Exception], name: str
) -> None:
    with pytest.raises(error, match=name):
        kernels.DatagramQueue(**arguments)


def test_limits_may_be_larger_than_memory(kernels: ModuleType) -> None:
    queue = kernels.DatagramQueue(2**70, 2**70)
    assert queue.push(b"x") is True
    assert queue.drain() == [b"x"]


@pytest.mark.parametrize("now", [None, "1", [], b"1"])
def test_refuses_times_that_are_none(kernels: ModuleType, now: Any) -> None:
    queue = kernels.DatagramQueue(1)
    for call in (lambda: queue.push(b"x", now), lambda: queue.pop(now), lambda: queue.drain(now)):
        with pytest.raises(TypeError, match="now must be a number"):
            call()
    assert len(queue) == 0
