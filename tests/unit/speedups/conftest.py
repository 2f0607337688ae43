"""The two twins of the kernels, as fixtures."""

from __future__ import annotations

import importlib
from types import ModuleType

import pytest

from wtransport._speedups import _switches

# The compiled twin is left out when pure Python was asked for, and only then: missing, it must fail and not be skipped.
TWINS = ["python"] if _switches.pure_requested() else ["python", "cython"]

_MODULES = {"python": "wtransport._speedups._pure", "cython": "wtransport._speedups._compiled"}


@pytest.fixture(params=TWINS, scope="session")
def kernels(request: pytest.FixtureRequest) -> ModuleType:
    """Return the module of one twin."""
    return importlib.import_module(_MODULES[request.param])


@pytest.fixture(scope="session")
def twins() -> tuple[ModuleType, ModuleType]:
    """Return both twins, pure first; the same one twice when pure Python was asked for."""
    return importlib.import_module(_MODULES[TWINS[0]]), importlib.import_module(_MODULES[TWINS[-1]])
