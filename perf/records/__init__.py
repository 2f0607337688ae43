"""Results for record: what was measured, with what and where, as JSON that `perf.plots` makes figures of.

A file of ours holds ``{"taken": {...}, "results": ...}``; each command says what its results are.
"""

from __future__ import annotations

import datetime
import json
import os
import platform
from pathlib import Path
from typing import Any

from wtransport import BACKEND, __version__

__all__ = ["DIRECTORY", "circumstances", "load", "store"]

DIRECTORY = Path(__file__).parent


def circumstances() -> dict[str, str]:
    """Return what a figure depends on besides the program: to be named with it."""
    return {
        "date": datetime.datetime.now(tz=datetime.UTC).date().isoformat(),
        "wtransport": f"{__version__}, kernels: {BACKEND}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "machine": f"{platform.system()}, {_processor()}, {os.cpu_count()} cores",
    }


def store(name: str, results: Any, *, directory: Path = DIRECTORY) -> Path:
    """Keep the results of a command under its name; returns where."""
    path = directory / f"{name}.json"
    path.write_text(json.dumps({"taken": circumstances(), "results": results}, indent=1) + "\n")
    return path


def load(name: str, *, directory: Path = DIRECTORY) -> tuple[dict[str, str], Any] | None:
    """Return the circumstances and the results kept under a name, or None."""
    path = directory / f"{name}.json"
    if not path.exists():
        return None
    record = json.loads(path.read_text())
    return record["taken"], record["results"]


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
