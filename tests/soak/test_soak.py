"""A short soak in every run of the tests; `make soak MINUTES=20` is the long one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="memory and descriptors are read from /proc")

MINUTES = float(os.environ.get("WTRANSPORT_SOAK_MINUTES", "0.4"))


@pytest.mark.slow
@pytest.mark.timeout(60 * MINUTES + 240)
def test_nothing_grows_nothing_is_left_and_the_books_of_both_ends_agree() -> None:
    done = subprocess.run(
        [sys.executable, str(Path(__file__).parent), "--minutes", str(MINUTES)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        timeout=60 * MINUTES + 200,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
