"""The two twins of the kernels, and what several test files make of them, as fixtures."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import AsyncIterator
from types import ModuleType
from typing import Any

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


@pytest.fixture
async def spare(kernels: ModuleType) -> AsyncIterator[Any]:
    """Return a task of either twin that stands ready."""
    made = kernels.SpareTask(asyncio.get_running_loop())
    await asyncio.sleep(0)
    yield made
    made.retire()


@pytest.fixture
def task(spare: Any) -> Any:
    """Return the task itself, which the spare one lets go when it wakes up."""
    return spare.task
