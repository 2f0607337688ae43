"""The compiled kernels under AddressSanitizer and UBSan: a build of its own, the kernels' tests, and fuzz targets.

Nothing of it touches the source tree or the usual build. Any report ends the process that made it, and so the run.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from fuzzing.worlds import FUZZ, ROOT

__all__ = ["KERNEL_TARGETS", "run"]

KERNEL_TARGETS = ("frames", "capsules", "queues", "stream_table", "engine", "connection")
"""Targets that call the kernels and nothing else, and two that call them as a connection does."""

_TESTS = ("-m", "not slow", "tests/unit/speedups", "tests/unit/quic")

_BUILD = ROOT / "build" / "sanitized"
# Without -fwrapv, which comes from how Python was built: an overflow that it makes harmless is still not meant. And
# without optimization: from -O1 on gcc leaves out checks of additions that it finds another way to do without.
_COMPILE = "-O0 -g -fno-omit-frame-pointer -fno-wrapv -fsanitize=address,undefined -fno-sanitize-recover=all"
_LINK = "-fsanitize=address,undefined"

_PROBE = """
import pathlib, sys
from wtransport._quic import _compiled as data_path, backend
from wtransport._speedups import BACKEND, _compiled
places = [pathlib.Path(package.__file__).parent for package in (_compiled, data_path)]
found = [list(place.glob("*.so")) for place in places]
missing = [path.name for path in sum(found, []) if not {symbols} <= {{s for s in {symbols} if s in path.read_bytes()}}]
is_used = BACKEND == "cython" and backend.IS_COMPILED
sys.exit(f"not sanitized: {{missing or 'no kernels'}}" if missing or not all(found) or not is_used else 0)
"""


def run(names: Sequence[str], *, minutes: float, jobs: int) -> int:
    """Build, test and fuzz; return the exit status, which is not 0 after any report or failure."""
    environment = _environment()
    steps = [
        ("build", _build),
        ("probe", lambda: _call(["-P", "-c", _probe()], environment)),
        (
            "tests",
            lambda: _call(
                ["-P", "-m", "pytest", "-q", "--capture=sys", "-p", "no:cacheprovider", *_TESTS],
                environment,
            ),
        ),
        (
            "fuzzing",
            lambda: _call(
                [str(FUZZ), "run", *names, "--minutes", str(minutes), "--jobs", str(jobs), "--unguided"], environment
            ),
        ),
    ]
    for what, step in steps:
        print(f"== sanitized kernels: {what}", flush=True)
        status = step()
        if status:
            print(f"sanitized kernels: {what} failed with status {status}", file=sys.stderr)
            return 1
    return 0


def _build() -> int:
    shutil.rmtree(_BUILD, ignore_errors=True)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("WTRANSPORT_")}
    environment |= {"CC": "gcc", "CFLAGS": _COMPILE, "LDFLAGS": _LINK, "WTRANSPORT_REQUIRE_EXTENSIONS": "1"}
    return _call(
        ["setup.py", "--quiet", "build", "--build-base", str(_BUILD), "--build-lib", str(_BUILD / "lib")], environment
    )


def _environment() -> dict[str, str]:
    if shutil.which("gcc") is None:
        raise SystemExit("gcc is needed: the sanitizers are its own")
    runtime = subprocess.run(["gcc", "-print-file-name=libasan.so"], capture_output=True, text=True, check=True)
    return os.environ | {
        "LD_PRELOAD": runtime.stdout.strip(),  # the interpreter itself is not built with it
        "ASAN_OPTIONS": "detect_leaks=0",  # CPython frees little of its own at its end
        "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1",
        "PYTHONMALLOC": "malloc",  # so that every object has a red zone of its own
        "PYTHONPATH": str(_BUILD / "lib"),
        "WTRANSPORT_REQUIRE_EXTENSIONS": "1",
    }


def _probe() -> str:
    """Return a program that fails unless the kernels it finds are the sanitized ones."""
    return _PROBE.format(symbols={b"__asan_init", b"__ubsan_handle"})


def _call(arguments: list[str], environment: dict[str, str]) -> int:
    return subprocess.call([sys.executable, *arguments], env=environment, cwd=Path(ROOT))
