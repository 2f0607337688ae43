"""Which side of the kernels an import gives: all compiled or all pure, absent is quiet, broken is loud."""

from __future__ import annotations

import importlib.machinery
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import wtransport
from wtransport._speedups import _switches

PACKAGE = Path(wtransport.__file__).parent
PURE_RUN = _switches.pure_requested()

# Says which side is in use, and fails if any kernel is from the other one.
SHOW = """
from wtransport import _speedups as kernels
side = "_pure" if kernels.BACKEND == "python" else "_compiled"
for name in kernels.__all__:
    if name != "BACKEND":
        module = getattr(kernels, name).__module__
        assert f"._speedups.{side}." in module, (name, module)
print(kernels.BACKEND)
"""


def run(directory: Path, code: str = SHOW, **switches: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("WTRANSPORT_")}
    environment.update(switches, PYTHONPATH=str(directory))
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env=environment,
        cwd=directory,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def extensions(package: Path) -> list[Path]:
    suffixes = tuple(importlib.machinery.EXTENSION_SUFFIXES)
    return [path for path in (package / "_speedups" / "_compiled").iterdir() if path.name.endswith(suffixes)]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Copy just enough of the package to import its kernels, with whatever was compiled."""
    package = tmp_path / "wtransport"
    shutil.copytree(PACKAGE / "_speedups", package / "_speedups", ignore=shutil.ignore_patterns("__pycache__"))
    (package / "__init__.py").write_text("")
    return tmp_path


@pytest.fixture
def without_extensions(copy: Path) -> Path:
    for path in extensions(copy / "wtransport"):
        path.unlink()
    return copy


@pytest.mark.skipif(PURE_RUN, reason="pure Python was asked for, so nothing need be compiled")
def test_compiled_kernels_are_used_where_they_are(copy: Path) -> None:
    for switches in ({}, {"WTRANSPORT_REQUIRE_EXTENSIONS": "1"}, {"WTRANSPORT_NO_EXTENSIONS": "0"}):
        done = run(copy, **switches)
        assert (done.stdout, done.stderr) == ("cython\n", "")


@pytest.mark.parametrize("value", ["1", "true", "YES", " on "])
def test_pure_python_can_be_forced(copy: Path, value: str) -> None:
    done = run(copy, WTRANSPORT_NO_EXTENSIONS=value)
    assert (done.stdout, done.stderr) == ("python\n", "")


@pytest.mark.parametrize("value", ["", "0", "false", "no", "off", "2"])
def test_other_values_are_off(without_extensions: Path, value: str) -> None:
    done = run(without_extensions, WTRANSPORT_NO_EXTENSIONS=value, WTRANSPORT_REQUIRE_EXTENSIONS=value)
    assert (done.stdout, done.stderr) == ("python\n", "")


def test_absent_is_quiet(without_extensions: Path) -> None:
    done = run(without_extensions)
    assert (done.stdout, done.stderr) == ("python\n", "")


def test_absent_is_an_error_when_compiled_is_required(without_extensions: Path) -> None:
    done = run(without_extensions, WTRANSPORT_REQUIRE_EXTENSIONS="1")
    assert done.returncode != 0
    assert "ImportError: WTRANSPORT_REQUIRE_EXTENSIONS is set" in done.stderr


def test_both_switches_are_an_error(copy: Path) -> None:
    done = run(copy, WTRANSPORT_REQUIRE_EXTENSIONS="1", WTRANSPORT_NO_EXTENSIONS="1")
    assert done.returncode != 0
    assert "exclude each other" in done.stderr


@pytest.mark.parametrize(
    ("name", "content", "error"),
    [
        (f"kernels{importlib.machinery.EXTENSION_SUFFIXES[0]}", "no shared library", "ImportError"),
        ("kernels.py", "import a_module_that_nobody_has", "a_module_that_nobody_has"),
        ("kernels.py", "NAMES = ()", "_speedups._compiled.arrivals"),
    ],
    ids=["broken", "misses something else", "misses a kernel"],
)
def test_a_library_that_does_not_work_is_loud(without_extensions: Path, name: str, content: str, error: str) -> None:
    (without_extensions / "wtransport" / "_speedups" / "_compiled" / name).write_text(content)
    done = run(without_extensions)
    assert done.returncode != 0
    assert error in done.stderr


def test_this_run_uses_the_side_it_should() -> None:
    from wtransport import _speedups  # late, so that a failing import fails this test and not the collection

    expected = "python" if PURE_RUN else "cython"
    backend = _speedups.BACKEND
    assert backend == expected
