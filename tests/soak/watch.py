"""What a process holds: memory, objects, descriptors, tasks, timers; and which complaints it wrote to its log."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import gc
import json
import logging
import os
import sys
import traceback
import tracemalloc
from collections import Counter
from typing import Any

EXPECTED = ("on purpose",)
"""Parts of log messages that the load provokes: a handler that raises is logged with its exception."""


class Complaints(logging.Handler):
    """Counts log records of level WARNING and above that nobody provoked."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.found: Counter[str] = Counter()

    def emit(self, record: logging.LogRecord) -> None:
        text = f"{record.levelname} {record.name}: {record.getMessage()}"
        if record.exc_info and record.exc_info[1] is not None:
            where = traceback.extract_tb(record.exc_info[2])[-8:]
            text += f" ({record.exc_info[1]!r} at {', '.join(f'{each.name}:{each.lineno}' for each in where)})"
        if not any(part in text for part in EXPECTED):
            self.found[text] += 1


class Watch:
    """Looks at this process."""

    def __init__(self) -> None:
        self.complaints = Complaints()
        logging.basicConfig(level=logging.WARNING, handlers=[self.complaints])
        logging.captureWarnings(True)
        self._snapshot: tracemalloc.Snapshot | None = None

    def trace(self) -> None:
        """Begin to remember who allocates what; slow."""
        tracemalloc.start(8)

    def glance(self) -> dict[str, int]:
        """Return what costs nothing to ask, also under load."""
        loop: Any = asyncio.get_running_loop()
        return {
            "resident_kib": _resident_kib(),
            "blocks": sys.getallocatedblocks(),
            "descriptors": len(os.listdir("/proc/self/fd")),
            "tasks": len(asyncio.all_tasks()),
            # A cancelled timer stays in the loop's heap until its time has come.
            "timers": sum(not handle.cancelled() for handle in getattr(loop, "_scheduled", ())),
        }

    async def look(self, tasks: int) -> dict[str, int]:
        """Count everything once so few tasks are left, or some seconds later if there never are."""
        for _ in range(200):
            if len(asyncio.all_tasks()) <= tasks:
                break
            await asyncio.sleep(0.05)
        gc.collect()
        with contextlib.suppress(OSError, AttributeError):
            # What is free goes back to the system; else resident memory says how much was ever used at a time.
            ctypes.CDLL(None).malloc_trim(0)
        return {**self.glance(), "objects": len(gc.get_objects())}

    def mark(self) -> None:
        """Remember what is allocated now, for `grown`."""
        if tracemalloc.is_tracing():
            self._snapshot = tracemalloc.take_snapshot()

    def grown(self) -> list[str]:
        """Return which lines allocated most of what has come since `mark`."""
        if self._snapshot is None:
            return []
        differences = tracemalloc.take_snapshot().compare_to(self._snapshot, "lineno")
        return [str(each) for each in differences[:15]]


def _resident_kib() -> int:
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))


def say(kind: str, **values: Any) -> None:
    """Tell the one who started this process something: one JSON line."""
    print(json.dumps({"kind": kind, **values}), flush=True)


async def commands() -> asyncio.StreamReader:
    """Return a reader of the lines that come from there."""
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    return reader
