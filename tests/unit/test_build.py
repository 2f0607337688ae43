"""What setup.py builds, of small kernels: one library for each package, all or nothing, nothing left from before."""

from __future__ import annotations

import importlib.machinery
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from wtransport._speedups import _switches

ROOT = Path(__file__).resolve().parents[2]
SPEEDUPS = Path("wtransport", "_speedups", "_compiled")
QUIC = Path("wtransport", "_quic", "_compiled")
SUFFIX = importlib.machinery.EXTENSION_SUFFIXES[0]
LIBRARY = f"kernels{SUFFIX}"

pytest.importorskip("Cython", reason="nothing can be compiled without Cython")
pytestmark = pytest.mark.skipif(_switches.pure_requested(), reason="pure Python was asked for, so nothing is compiled")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Return a source tree with two kernels of one package, one of the other, and libraries of an earlier build."""
    for directory in (SPEEDUPS, QUIC):
        (tmp_path / directory).mkdir(parents=True)
        for package in (directory, directory.parent, directory.parents[1]):
            (tmp_path / package / "__init__.py").touch()
        (tmp_path / directory / f"old{SUFFIX}").touch()
    for file in (Path("setup.py"), SPEEDUPS.parent / "_switches.py", SPEEDUPS.parent / "_library.py"):
        shutil.copy(ROOT / file, tmp_path / file)
    (tmp_path / SPEEDUPS / "one.pxd").write_text("cdef int number() except -1\n")
    (tmp_path / SPEEDUPS / "one.pyx").write_text("cdef int number() except -1:\n    return 1\n")
    (tmp_path / SPEEDUPS / "two.pyx").write_text("from .one cimport number\nVALUE = number() + 1\n")
    (tmp_path / QUIC / "one.pyx").write_text("VALUE = 10\n")
    return tmp_path


def build(tree: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("WTRANSPORT_")}
    return subprocess.run(
        [sys.executable, "setup.py", "--quiet", "build_ext", "--inplace"],
        env=environment | {"CFLAGS": "-O0"} | variables,
        cwd=tree,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def libraries(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir() if path.name.endswith(SUFFIX))


def values(tree: Path) -> list[str]:
    code = """
import importlib
from wtransport._speedups._library import use_library
for package in ("wtransport._speedups._compiled", "wtransport._quic._compiled"):
    kernels = importlib.import_module(package + ".kernels")
    use_library(package, kernels.__file__, kernels.NAMES)
from wtransport._quic._compiled.one import VALUE as ten
from wtransport._speedups._compiled.two import VALUE as two
print(two, ten)
"""
    command = [sys.executable, "-P", "-c", code]
    return subprocess.check_output(command, env=os.environ | {"PYTHONPATH": "."}, cwd=tree, text=True).split()


def compiled_objects(tree: Path) -> dict[str, int]:
    found = (path for path in (tree / "build").rglob("*") if path.suffix in {".o", ".obj"})
    return {str(path.relative_to(tree)): path.stat().st_mtime_ns for path in found}


def test_one_library_for_each_package_and_only_what_changed_is_compiled_again(tree: Path) -> None:
    done = build(tree)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert [libraries(tree / directory) for directory in (SPEEDUPS, QUIC)] == [[LIBRARY], [LIBRARY]]
    assert values(tree) == ["2", "10"]

    before = compiled_objects(tree)
    (tree / QUIC / "one.pyx").write_text("VALUE = 11\n")
    assert build(tree).returncode == 0
    assert values(tree) == ["2", "11"]
    after = compiled_objects(tree)
    assert [Path(name).parts[-3:-1] for name in after if before[name] != after[name]] == [QUIC.parts[1:]]


def test_without_a_compiler_nothing_compiled_is_left(tree: Path) -> None:
    (tree / SPEEDUPS / LIBRARY).touch()
    done = build(tree, CC="/bin/false")
    assert done.returncode == 0
    assert done.stderr.splitlines()[-1].startswith("wtransport: not compiled: ")
    assert [libraries(tree / directory) for directory in (SPEEDUPS, QUIC)] == [[], []]


def test_without_a_compiler_a_build_that_must_compile_fails(tree: Path) -> None:
    done = build(tree, CC="/bin/false", WTRANSPORT_REQUIRE_EXTENSIONS="1")
    assert done.returncode != 0
    assert "WTRANSPORT_REQUIRE_EXTENSIONS is set, but not compiled: " in done.stderr
