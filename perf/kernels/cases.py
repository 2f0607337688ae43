"""What is measured: one statement per case, run against the module of either twin.

Sizes are those of real traffic: 64 B (a small message), 1,200 B (what fits a packet), 8 KiB and 1 MiB (bulk). Where
the bytes are copied whatever the language, the cases are marked as copying and are shown, not judged.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

from wtransport._speedups import _compiled, _pure

__all__ = ["CASES", "Case"]

# Payload bytes of a small message, of a full packet, of bulk data.
SMALL = 64
PACKET = 1_200
BULK = 8 * 1024
LARGE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Case:
    """One measurement.

    Attributes:
        kernel: the function or class measured.
        name: what is done with it.
        group: "parsing", "queue", "encoding", "events" or "handshake".
        statement: what is timed; `k` is the twin's module.
        setup: run before, outside the time.
        operations: how many operations one statement does; times are given per operation.
        twins: the modules to compare, pure and compiled.
        copying: whether copying bytes is most of the work, so that the case is shown and not judged.
    """

    kernel: str
    name: str
    group: str
    statement: str
    setup: str = "pass"
    operations: int = 1
    copying: bool = False
    twins: tuple[ModuleType, ModuleType] = (_pure, _compiled)
    values: dict[str, Any] = field(default_factory=dict)

    def globals(self, twin: ModuleType) -> dict[str, Any]:
        """Return the names that statement and setup see."""
        return {"k": twin, **self.values}


def _varint_cases() -> list[Case]:
    encodings = {
        "1 B": b"\x25",
        "2 B": b"\x7b\xbd",
        "4 B": b"\x9d\x7f\x3e\x7d",
        "8 B": b"\xc2\x19\x7c\x5e\xff\x14\xe8\x8c",
    }
    values = {"1 B": 37, "2 B": 15293, "4 B": 494878333, "8 B": 151288809941952652}
    cases = [
        Case("decode_varint", size, "parsing", "f(data)", "f = k.decode_varint", values={"data": data})
        for size, data in encodings.items()
    ]
    cases.append(
        Case(
            "decode_varint",
            "at an offset",
            "parsing",
            "f(data, 700)",
            "f = k.decode_varint",
            values={"data": bytes(700) + encodings["2 B"]},
        )
    )
    for size, value in values.items():
        names = {"value": value}
        cases.append(Case("encode_varint", size, "encoding", "f(value)", "f = k.encode_varint", values=names))
    names = {"value": values["2 B"]}
    cases.append(Case("varint_size", "2 B", "encoding", "f(value)", "f = k.varint_size", values=names))
    cases.append(
        Case(
            "encode_varint_into",
            "2 B",
            "encoding",
            "f(buffer, 10, value)",
            "f = k.encode_varint_into; buffer = bytearray(64)",
            values=names,
        )
    )
    return cases


def _header_cases() -> list[Case]:
    return [
        Case(
            "decode_stream_header",
            "WebTransport",
            "parsing",
            "f(data, 0x54)",
            "f = k.decode_stream_header; data = k.encode_stream_header(0x54, 16384) + bytes(64)",
        ),
        Case("decode_stream_header", "other type", "parsing", "f(b'\\x02', 0x54)", "f = k.decode_stream_header"),
        Case("encode_stream_header", "", "encoding", "f(0x54, 16384)", "f = k.encode_stream_header"),
        Case(
            "decode_datagram",
            f"{SMALL} B",
            "parsing",
            "f(data)",
            f"f = k.decode_datagram; data = k.encode_datagram(1, bytes({SMALL}))",
        ),
        Case(
            "sort_datagrams",
            f"20 x {SMALL} B",
            "parsing",
            "f(data)",
            f"f = k.sort_datagrams; data = [k.encode_datagram(1, bytes({SMALL}))] * 20",
        ),
        Case(
            "encode_datagram", f"{SMALL} B", "encoding", "f(1, data)", f"f = k.encode_datagram; data = bytes({SMALL})"
        ),
        Case(
            "encode_datagram", f"{PACKET} B", "encoding", "f(1, data)", f"f = k.encode_datagram; data = bytes({PACKET})"
        ),
    ]


def _frame_cases() -> list[Case]:
    parser = "p = k.FrameParser({0x01: 65536, 0x04: 4096}); f = p.feed; "
    return [
        Case(
            "FrameParser",
            f"16 DATA frames of {SMALL} B",
            "parsing",
            "f(data)",
            parser + f"data = k.encode_frame(0, bytes({SMALL})) * 16",
            operations=16,
        ),
        Case(
            "FrameParser",
            "16 HEADERS frames",
            "parsing",
            "f(data)",
            parser + "data = k.encode_frame(1, bytes(71)) * 16",
            operations=16,
        ),
        Case(
            "FrameParser",
            f"{PACKET} B of a long DATA frame",
            "parsing",
            "f(data)",
            parser + f"f(k.encode_frame_header(0, 2**60)); data = bytes({PACKET})",
        ),
        Case(
            "FrameParser",
            "byte by byte",
            "parsing",
            "for piece in pieces: f(piece)",
            parser + f"w = k.encode_frame(1, bytes({SMALL})); pieces = [w[i:i + 1] for i in range(len(w))]",
            operations=SMALL + 3,
        ),
        Case(
            "FrameParser",
            f"unknown frames of {SMALL} B, skipped",
            "parsing",
            "f(data)",
            parser + f"data = k.encode_frame(0x21, bytes({SMALL})) * 16",
            operations=16,
        ),
        Case(
            "FrameParser",
            "DATA frames of 8 KiB in 1 MiB",
            "parsing",
            "f(data)",
            parser + f"data = k.encode_frame(0, bytes({BULK})) * {LARGE // BULK}",
            operations=LARGE // BULK,
            copying=True,
        ),
        Case("encode_frame", f"{SMALL} B", "encoding", "f(0, data)", f"f = k.encode_frame; data = bytes({SMALL})"),
        Case(
            "encode_frame",
            "8 KiB",
            "encoding",
            "f(0, data)",
            f"f = k.encode_frame; data = bytes({BULK})",
            copying=True,
        ),
        Case("encode_frame_header", "", "encoding", "f(0, 8192)", "f = k.encode_frame_header"),
    ]


def _capsule_cases() -> list[Case]:
    parser = "p = k.CapsuleParser({0: 1200, 0x2843: 1028, 0x190b4d3d: 8}, (0,)); f = p.feed; "
    return [
        Case(
            "CapsuleParser",
            "16 MAX_DATA",
            "parsing",
            "f(data)",
            parser + "data = k.encode_capsule(0x190b4d3d, b'\\x80\\x0f\\x42\\x40') * 16",
            operations=16,
        ),
        Case(
            "CapsuleParser",
            "byte by byte",
            "parsing",
            "for piece in pieces: f(piece)",
            parser + "w = k.encode_capsule(0x2843, bytes(60)); pieces = [w[i:i + 1] for i in range(len(w))]",
            operations=63,
        ),
        Case(
            "CapsuleParser",
            f"16 DATAGRAM of {SMALL} B",
            "parsing",
            "f(data)",
            parser + f"data = k.encode_capsule(0, bytes({SMALL})) * 16",
            operations=16,
        ),
        Case(
            "CapsuleParser",
            f"unknown capsules of {SMALL} B, skipped",
            "parsing",
            "f(data)",
            parser + f"data = k.encode_capsule(0x17, bytes({SMALL})) * 16",
            operations=16,
        ),
        Case(
            "CapsuleParser",
            "DATAGRAM of 8 KiB, dropped",
            "parsing",
            "f(data)",
            parser + f"data = k.encode_capsule(0, bytes({BULK})) * 16",
            operations=16,
        ),
        Case("encode_capsule", "MAX_DATA", "encoding", "f(0x190b4d3d, data)", "f = k.encode_capsule; data = bytes(4)"),
    ]


def _queue_cases() -> list[Case]:
    chunks = f"q = k.ChunkQueue(); append = q.append; take = q.take; data = bytes({PACKET}); "
    queue = f"q = k.DatagramQueue(64{{limits}}); push = q.push; pop = q.pop; drain = q.drain; data = bytes({SMALL}); "
    plain = queue.format(limits="")
    aged = queue.format(limits=", 65536, 1.0")
    return [
        Case("ChunkQueue", "append, take all", "queue", "append(data); take()", chunks, operations=2),
        Case("ChunkQueue", "append, take at most", "queue", "append(data); take(65536)", chunks, operations=2),
        Case(
            "ChunkQueue",
            f"16 times append, take {PACKET} B",
            "queue",
            "for _ in range(16): append(data)\nfor _ in range(16): take(1200)",
            chunks,
            operations=32,
        ),
        Case(
            "ChunkQueue",
            "lines of 40 B: append, find, take",
            "queue",
            "append(data)\nwhile (i := q.find(b'\\r\\n')) >= 0: take(i + 2)",
            chunks + "data = (bytes(38) + b'\\r\\n') * 30",
            operations=61,
        ),
        Case(
            "ChunkQueue",
            "append 4 times, take all (join)",
            "queue",
            "append(data); append(data); append(data); append(data); take()",
            chunks,
            operations=5,
            copying=True,
        ),
        Case("DatagramQueue", "push, pop", "queue", "push(data); pop()", plain, operations=2),
        Case("DatagramQueue", "push, pop with age", "queue", "push(data, 1.5); pop(1.75)", aged, operations=2),
        Case(
            "DatagramQueue",
            "push 32, drain",
            "queue",
            "for _ in range(32): push(data)\ndrain()",
            plain,
            operations=33,
        ),
        Case(
            "DatagramQueue",
            "push onto full, oldest dropped",
            "queue",
            "push(data)",
            plain + "[push(data) for _ in range(64)]",
        ),
    ]


CASES: list[Case] = [*_varint_cases(), *_header_cases(), *_frame_cases(), *_capsule_cases(), *_queue_cases()]
