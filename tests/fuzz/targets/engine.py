"""The engine as a state machine: what a peer may send, rightly, nearly or wildly, and what a program may ask for.

Documented: SessionError, StreamError, DatagramError, ValueError from commands; nothing from inputs, events and time.
Limits hold, bytes are handed out once and in order, what a program wrote is what is sent, every session ends once, the
last event tells that the connection is over, and after the end nothing is left, not even credit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from fuzzing.byte_source import ByteSource
from fuzzing.outcomes import Trace
from models.engine_moves import Moves

from wtransport._speedups import BACKEND

__all__ = ["BACKEND", "SHORT_RUNS", "fuzz", "seeds"]

SHORT_RUNS = 120


def seeds() -> Iterator[bytes]:
    """Yield usual sequences, for every draft and both roles."""
    names = list(Moves.NAMES)

    def moves(*steps: tuple[str, bytes]) -> bytes:
        return b"".join(bytes([names.index(name)]) + choices for name, choices in steps)

    opening = moves(("ask", b"\x00\x00"), ("answer", b"\x00\x00\x00"))
    streams = moves(
        ("open_here", b"\x00\x00"),
        ("write", b"\x00\x30\x00\x00"),
        ("open_there", b"\x00\x00\x20\x00"),
        ("open_there", b"\x00\x01\x20\x01"),
        ("read", b"\x00\x00\x00\x00"),
        ("arrive", b"\x00\x40\x01"),
        ("read", b"\x00\x01\x01\x09"),
        ("datagrams", b"\x00\x04abcd\x01\x01"),
    )
    ends = [
        moves(("end_session", bytes([0, kind, 0, 5]) + b"later"), ("wait", b"\x06"))
        for kind in range(Moves.SESSION_ENDS)
    ]
    for settings in range(len(Moves.SETTINGS)):
        for is_client in (0, 1):
            start = bytes([is_client, settings, settings % 4])
            for end in ends:
                yield start + opening + streams + end
    for index in range(0, 60, 2):
        raw = b"".join(moves(("raw", bytes([choice, index + part, 0]))) for part in (0, 1) for choice in (0, 1, 2))
        yield bytes([index & 1, 0, 0]) + raw
        yield bytes([index & 1, 4, 0]) + opening + streams + raw
    for name in names:
        yield b"\x00\x04\x01" + opening + streams + moves((name, b"\x00\x01\x01\x01"), (name, b"\x01\x00\x00\x00"))
        yield b"\x01\x04\x01" + opening + streams + moves((name, b"\x00\x01\x01\x01"), (name, b"\x01\x00\x00\x00"))


def fuzz(data: bytes) -> Trace:
    """Run one input."""
    source = ByteSource(data)
    moves = Moves(source)
    steps: list[Callable[[], Any]] = [getattr(moves, name) for name in Moves.NAMES]
    while source.has_more and not moves.is_over:
        source.pick(steps)()
        moves.collect()
        moves.check()
    moves.finish()
    return moves.trace
