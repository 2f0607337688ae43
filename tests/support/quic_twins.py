"""The two twins of QUIC's streams and of the writer of their frames; tests that run on both ask for the current one."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any

from wtransport._speedups import _switches

# The compiled twin is left out when pure Python was asked for, and only then: missing, it must fail and not be skipped.
TWINS = ["python"] if _switches.pure_requested() else ["python", "cython"]

_FILES = {
    "python": ("flow", "streams", "stream_table", "frame_writer"),
    "cython": tuple(f"_compiled.{name}" for name in ("flow", "sending", "receiving", "table", "frames")),
}


@dataclass(frozen=True, slots=True)
class QuicTwin:
    """The classes of one side."""

    FrameWriter: Any
    ReceiveHalf: Any
    ReceiveWindow: Any
    SendHalf: Any
    StreamLimit: Any
    StreamTable: Any


def load(name: str) -> QuicTwin:
    """Return the classes of a side."""
    found: dict[str, Any] = {}
    for module in _FILES[name]:
        contents = vars(importlib.import_module(f"wtransport._quic.{module}"))
        found.update((each, contents[each]) for each in QuicTwin.__slots__ if each in contents)
    return QuicTwin(**found)


_current: list[QuicTwin] = []


def use(name: str) -> None:
    """Make a side the current one."""
    _current[:] = [load(name)]


def current() -> QuicTwin:
    """Return the side that tests are for at the moment."""
    return _current[0]
