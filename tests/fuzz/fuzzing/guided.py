"""The coverage-guided loop: atheris, which instruments the pure side of the package and drives libFuzzer."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from fuzzing.mutations import MAX_INPUT

__all__ = ["instrumented", "is_available", "loop"]


def is_available() -> bool:
    """Tell whether atheris is installed."""
    return importlib.util.find_spec("atheris") is not None


@contextlib.contextmanager
def instrumented() -> Iterator[None]:
    """Instrument what is imported of wtransport; other modules stay as they are."""
    import atheris  # optional, the extra `fuzz`

    with contextlib.redirect_stderr(io.StringIO()), atheris.instrument_imports(include=["wtransport"]):  # a line each
        yield


def loop(run_one: Callable[[bytes], None], *, corpus: Path, seeds: Path, seed: int) -> None:
    """Run inputs until `run_one` ends the process; those that reach new code are kept in `corpus`."""
    import atheris

    atheris.Setup(
        [
            sys.argv[0],
            str(corpus),
            str(seeds),
            f"-max_len={MAX_INPUT}",
            f"-seed={seed + 1}",  # 0 is libFuzzer's word for a random one
            f"-artifact_prefix={corpus.parent}/libfuzzer-",
            "-timeout=600",  # seconds; CPU time is watched elsewhere
            "-rss_limit_mb=4096",
            "-verbosity=0",
            "-len_control=20",
        ],
        run_one,
    )
    atheris.Fuzz()
