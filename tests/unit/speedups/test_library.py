"""Where compiled kernels come from: one library for all of a package, and nothing of it without compiled kernels."""

from __future__ import annotations

import importlib
import importlib.machinery
import importlib.util
import json
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

from wtransport._quic.backend import IS_COMPILED
from wtransport._speedups import _library, _switches

PACKAGES = ["wtransport._speedups._compiled", "wtransport._quic._compiled"]

compiled_only = pytest.mark.skipif(
    _switches.pure_requested(), reason="pure Python was asked for, so nothing need be compiled"
)


def run(code: str) -> object:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


def finders_of(package: str) -> list[object]:
    return [each for each in sys.meta_path if isinstance(each, _library.LibraryFinder) and each.package == package]


@compiled_only
@pytest.mark.parametrize("package", PACKAGES)
def test_each_source_is_a_kernel_of_the_one_library(package: str) -> None:
    library = importlib.import_module(f"{package}.kernels")
    place = Path(str(library.__file__)).parent
    suffixes = tuple(importlib.machinery.EXTENSION_SUFFIXES)
    assert [path.name for path in place.iterdir() if path.name.endswith(suffixes)] == [Path(library.__file__).name]
    for name in library.NAMES:
        kernel = importlib.import_module(f"{package}.{name}")
        assert kernel.__file__ == library.__file__
        assert kernel.__spec__ is not None
        assert kernel.__spec__.name == kernel.__name__ == f"{package}.{name}"


@compiled_only
@pytest.mark.parametrize("package", PACKAGES)
def test_other_names_are_not_found(package: str) -> None:
    with pytest.raises(ModuleNotFoundError) as raised:
        importlib.import_module(f"{package}.no_kernel")
    assert raised.value.name == f"{package}.no_kernel"
    assert importlib.util.find_spec(f"{package}.no_kernel") is None


@compiled_only
@pytest.mark.parametrize("package", PACKAGES)
def test_kernels_that_need_each_other_load_in_any_order(package: str) -> None:
    names: Iterable[str] = importlib.import_module(f"{package}.kernels").NAMES
    load = "import importlib, json, sys; [importlib.import_module(name) for name in {}]; print(json.dumps({}))"
    for ordered in (sorted(names), sorted(names, reverse=True)):
        kernels = [f"{package}.{name}" for name in ordered]
        assert run(load.format(kernels, f"all(name in sys.modules for name in {kernels})")) is True


@compiled_only
@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_that_is_loaded_again_has_one_finder(package: str) -> None:
    importlib.import_module(package)
    before = finders_of(package)
    assert len(before) == 1
    again = importlib.util.find_spec(_library.__name__)
    assert again is not None
    assert again.loader is not None
    module = importlib.util.module_from_spec(again)
    again.loader.exec_module(module)
    kernels = importlib.import_module(f"{package}.kernels")
    module.use_library(package, str(kernels.__file__), kernels.NAMES)
    assert finders_of(package) == before


def test_only_what_is_in_use_is_loaded() -> None:
    used = run(
        "import json, sys, wtransport; from wtransport._quic import aioquic_port;"
        f"print(json.dumps([name for name in {PACKAGES} if f'{{name}}.kernels' in sys.modules"
        " or any(getattr(finder, 'package', None) == name for finder in sys.meta_path)]))"
    )
    assert used == ([] if _switches.pure_requested() else PACKAGES if IS_COMPILED else PACKAGES[:1])
