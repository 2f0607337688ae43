"""Targets bound to one twin of the kernels: the package can be there twice in a process, once for each.

wtransport chooses its kernels when it is imported. So the pure side is imported apart: with the switch set, and taken
out of `sys.modules` afterwards. The compiled side is the usual import, for an extension module can be loaded only once.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from types import ModuleType

__all__ = ["FUZZ", "TWINS", "load", "target_names"]

FUZZ = Path(__file__).resolve().parents[1]
ROOT = FUZZ.parents[1]
SUPPORT = ROOT / "tests" / "support"

if str(SUPPORT) not in sys.path:  # pytest has it there; a run by hand has not
    sys.path.append(str(SUPPORT))

TWINS = ("python", "cython")
"""The names are those of `wtransport.BACKEND`."""

_NO_EXTENSIONS = "WTRANSPORT_NO_EXTENSIONS"
_REQUIRE_EXTENSIONS = "WTRANSPORT_REQUIRE_EXTENSIONS"


def target_names() -> list[str]:
    """Return the names of all targets."""
    return sorted(path.stem for path in (FUZZ / "targets").glob("*.py"))


def load(
    name: str, twin: str, *, around_import: Callable[[], AbstractContextManager[object]] = nullcontext
) -> ModuleType:
    """Return a target's module, all of it bound to this twin; `around_import` may instrument what is imported."""
    if twin == "cython":
        with _switched(_REQUIRE_EXTENSIONS):
            module = importlib.import_module(f"targets.{name}")
    else:
        with _apart(), _switched(_NO_EXTENSIONS), around_import():
            module = importlib.import_module(f"targets.{name}")
    backend: str = module.BACKEND
    if backend != twin:
        raise RuntimeError(f"the kernels are those of {backend!r}, not of {twin!r}")
    return module


@contextmanager
def _switched(variable: str) -> Iterator[None]:
    before = {name: os.environ.pop(name, None) for name in (_NO_EXTENSIONS, _REQUIRE_EXTENSIONS)}
    os.environ[variable] = "1"
    try:
        yield
    finally:
        del os.environ[variable]
        os.environ.update({name: value for name, value in before.items() if value is not None})


@contextmanager
def _apart() -> Iterator[None]:
    ours = {"wtransport", "targets", "models", *(path.stem for path in SUPPORT.glob("*.py"))}
    before = {name: module for name, module in sys.modules.items() if name.partition(".")[0] in ours}
    for name in before:
        del sys.modules[name]
    try:
        yield
    finally:
        for name in [name for name in sys.modules if name.partition(".")[0] in ours]:
            del sys.modules[name]
        sys.modules.update(before)
