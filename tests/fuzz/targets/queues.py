"""Datagrams and the queues of the kernels: of bytes that wait to be read, and of datagrams.

Documented: TypeError, ValueError, and OverflowError for a time that no float holds. A queue of bytes is a string of
bytes; a queue of datagrams keeps within its limits, and its counters add up.
"""

from __future__ import annotations

from collections.abc import Iterator

from fuzzing.byte_source import ByteSource
from fuzzing.outcomes import Trace, check, outcome
from wire_vectors import BAD_DATAGRAM_IDS, DATAGRAMS

from wtransport import _speedups as kernels
from wtransport._speedups import BACKEND, ChunkQueue, DatagramQueue

__all__ = ["BACKEND", "SHORT_RUNS", "fuzz", "seeds"]

SHORT_RUNS = 400
DOCUMENTED = (TypeError, ValueError, OverflowError)

_FORMS = [bytes, bytearray, memoryview, lambda data: memoryview(bytearray(data + b"\xbb"))[: len(data)]]


def seeds() -> Iterator[bytes]:
    """Yield inputs made of the test vectors, and usual sequences of calls."""
    for data in [*(data for _, _, data in DATAGRAMS), *BAD_DATAGRAM_IDS]:
        yield b"\x00\x00" + data
    yield (
        b"\x01" + b"".join(bytes([0, 0, 4]) + b"ab\r\n" for _ in range(12)) + bytes([1, 9, 3, 2, 13, 10, 0, 1, 250, 4])
    )
    yield b"\x01" + bytes([0, 0, 5]) + b"hello" + bytes([1, 3, 0, 0, 2]) + b"lo" + bytes([1, 100, 2, 1, 108, 0])
    yield (
        b"\x02" + bytes([3, 9, 0, 0]) + b"".join(bytes([0, 0, 4, 65, 66, 67, 68]) for _ in range(6)) + bytes([1, 2, 3])
    )
    yield b"\x02" + bytes([8, 0, 5, 1]) + b"".join(bytes([0, 0, 2, 65, 66, 4, 3]) for _ in range(6)) + bytes([1, 2, 3])


def fuzz(data: bytes) -> Trace:
    """Run one input."""
    source = ByteSource(data)
    trace: Trace = []
    (_datagrams, _chunk_queue, _datagram_queue)[source.below(3)](source, trace)
    return trace


def _datagrams(source: ByteSource, trace: Trace) -> None:
    form = source.pick(_FORMS)
    data = source.rest()
    result = outcome(kernels.decode_datagram, form(data), documented=(ValueError,))
    trace.append(result)
    if result[0] == "returned" and result[2] is not None:
        quarter, offset = result[2]
        check(0 < offset <= 8 and offset <= len(data), "an id ends after its bytes")
        again = kernels.encode_datagram(quarter, data[offset:])
        shortest = kernels.decode_datagram(again)
        check(shortest is not None and shortest[0] == quarter, "an id does not survive")
        check(again.endswith(data[offset:]) and len(again) <= len(data), "a payload does not survive")
    parts = [data[start : start + 9] for start in range(0, len(data), 9)]
    sorted_ = kernels.sort_datagrams(parts)
    trace.append(sorted_)
    check(sum(len(payloads) for _, payloads in sorted_) <= len(parts), "datagrams come from nowhere")
    check(all(quarter >= 0 for quarter, _ in sorted_[:-1]), "something follows what is not valid")
    strange = ByteSource(data)
    trace.append(outcome(kernels.encode_datagram, strange.number(), strange.oddity(), documented=DOCUMENTED))
    trace.append(outcome(kernels.encode_datagram, strange.oddity(), strange.blob(), documented=DOCUMENTED))
    trace.append(outcome(kernels.decode_datagram, strange.oddity(), documented=DOCUMENTED))


def _chunk_queue(source: ByteSource, trace: Trace) -> None:
    queue = ChunkQueue()
    held = b""
    while source.has_more:
        match source.below(6):
            case 0:
                form, data = source.pick(_FORMS), source.blob()
                queue.append(form(data))
                held += data
            case 1:
                size = source.byte()
                taken = queue.take(size)
                check(type(taken) is bytes and taken == held[:size], f"take({size}) gives {taken!r}")
                held = held[size:]
            case 2:
                wanted = source.take(1 + source.below(5)) or b"x"
                start = source.byte()
                check(queue.find(wanted, start) == held.find(wanted, start), f"find({wanted!r}, {start}) is wrong")
                check(queue.find(bytearray(wanted)) == held.find(wanted), f"find({wanted!r}) is wrong")
            case 3:
                check(queue.take() == held, "take() gives not all")
                held = b""
            case 4:
                queue.clear()
                held = b""
            case _:
                trace.append(outcome(queue.append, source.oddity(), documented=DOCUMENTED))
                trace.append(outcome(queue.find, source.oddity(), source.oddity(), documented=DOCUMENTED))
                trace.append(outcome(queue.take, source.oddity(), documented=DOCUMENTED))
                held = queue.take()
                queue.append(held)
        check(len(queue) == len(held), f"{len(queue)} bytes, not {len(held)}")
        trace.append(len(queue))
    check(queue.take() == held, "the end is wrong")


class _Model:
    """What a queue of datagrams does, written as plainly as can be."""

    def __init__(self, max_items: int, max_bytes: int, max_age: float, drop_newest: bool) -> None:
        self.max_items, self.max_bytes, self.max_age = max_items, max_bytes, max_age
        self.drop_newest = drop_newest
        self.items: list[tuple[bytes, float]] = []
        self.counts = {"pushed": 0, "popped": 0, "dropped_full": 0, "dropped_expired": 0}

    @property
    def nbytes(self) -> int:
        return sum(len(data) for data, _ in self.items)

    def expire(self, now: float) -> None:
        while self.max_age and self.items and now - self.items[0][1] > self.max_age:
            self.items.pop(0)
            self.counts["dropped_expired"] += 1

    def fits(self, data: bytes) -> bool:
        if len(self.items) >= self.max_items:
            return False
        return not self.max_bytes or self.nbytes + len(data) <= self.max_bytes

    def push(self, data: bytes, now: float) -> bool:
        self.expire(now)
        can_never_fit = bool(self.max_bytes) and len(data) > self.max_bytes
        while not self.fits(data):
            self.counts["dropped_full"] += 1
            if self.drop_newest or can_never_fit:
                return False
            self.items.pop(0)
        self.items.append((data, now))
        self.counts["pushed"] += 1
        return True

    def pop(self, now: float) -> bytes | None:
        self.expire(now)
        if not self.items:
            return None
        self.counts["popped"] += 1
        return self.items.pop(0)[0]

    def drain(self, now: float) -> list[bytes]:
        self.expire(now)
        drained = [data for data, _ in self.items]
        self.counts["popped"] += len(drained)
        self.items.clear()
        return drained


def _datagram_queue(source: ByteSource, trace: Trace) -> None:
    strange = [source.oddity(), source.oddity()]
    trace.append(outcome(lambda: len(DatagramQueue(*strange)), documented=DOCUMENTED))
    limits = (1 + source.below(12), source.byte(), source.below(8) / 4, source.flag())
    queue, model = DatagramQueue(*limits), _Model(*limits)
    now = 0.0
    while source.has_more:
        match source.below(7):
            case 0 | 1:
                form, data = source.pick(_FORMS), source.blob(60)
                check(queue.push(form(data), now) == model.push(data, now), "push gives another result")
            case 2:
                check(queue.pop(now) == model.pop(now), "pop gives another datagram")
            case 3:
                check(queue.drain(now) == model.drain(now), "drain gives other datagrams")
            case 4:
                now += source.byte() / 64
            case 5:
                queue.clear()
                model.items.clear()
            case _:
                trace.append(outcome(queue.push, source.oddity(), "no time", documented=DOCUMENTED))
                trace.append(outcome(queue.pop, source.pick([None, "1", 2**2000, [], b""]), documented=DOCUMENTED))
                trace.append(outcome(queue.drain, source.pick([None, "1", 2**2000, ()]), documented=DOCUMENTED))
        counts = {name: getattr(queue, name) for name in model.counts}
        check(counts == model.counts, f"counters are {counts}, not {model.counts}")
        check((len(queue), queue.nbytes) == (len(model.items), model.nbytes), "sizes are wrong")
        trace.append((len(queue), queue.nbytes))
    counts = model.counts
    trace.append(tuple(counts.values()))
