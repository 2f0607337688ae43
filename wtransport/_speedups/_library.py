"""Finding compiled kernels: all of a package are in one shared library, which Python's own finders do not look into."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.machinery import ExtensionFileLoader, ModuleSpec
from importlib.util import spec_from_file_location
from types import ModuleType
from typing import NamedTuple

__all__ = ["LibraryFinder", "use_library"]


class LibraryFinder(NamedTuple):
    """Finds the kernels of a package in its library (PEP 489: several modules in one); equal ones find the same.

    Attributes:
        package: absolute name of the package.
        library: path of the shared library.
        names: the modules in it, without the package.
    """

    package: str
    library: str
    names: tuple[str, ...]

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None, /
    ) -> ModuleSpec | None:
        """Return how a kernel of the package is loaded, and None for every other module."""
        package, _, name = fullname.rpartition(".")
        if package != self.package or name not in self.names:
            return None
        return spec_from_file_location(fullname, self.library, loader=ExtensionFileLoader(fullname, self.library))


def use_library(package: str, library: str, names: tuple[str, ...]) -> None:
    """Have the kernels of a package found in a library from now on; the arguments are a finder's attributes."""
    finder = LibraryFinder(package, library, names)
    if finder not in sys.meta_path:
        sys.meta_path.append(finder)
