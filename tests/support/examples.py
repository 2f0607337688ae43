"""The programs of the documentation as modules."""

from __future__ import annotations

import importlib.util
import sys
from types import ModuleType

import pytest
from programs import ROOT

__all__ = ["EXAMPLES", "load_example"]

EXAMPLES = ROOT / "docs" / "examples"


def load_example(name: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Import an example the way ``python NAME.py`` finds its imports."""
    monkeypatch.syspath_prepend(str(EXAMPLES))
    # Under a name of its own: the tests' support modules have short names, too.
    spec = importlib.util.spec_from_file_location(f"docs_example_{name}", EXAMPLES / f"{name}.py")
    if spec is None or spec.loader is None:
        raise FileNotFoundError(name)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module
