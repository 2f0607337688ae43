"""The two environment variables that decide between the compiled and the pure kernels.

The build reads them from this very file (by path, before anything is installed), so that a value means the same
when building and when importing. Only the standard library may be imported here.
"""

from __future__ import annotations

import os

# Forces pure Python: nothing is compiled by a build, nothing compiled is imported.
NO_EXTENSIONS = "WTRANSPORT_NO_EXTENSIONS"

# Makes anything less than compiled kernels an error.
REQUIRE_EXTENSIONS = "WTRANSPORT_REQUIRE_EXTENSIONS"

_ON = frozenset({"1", "true", "yes", "on"})


def _is_on(name: str) -> bool:
    return os.environ.get(name, "").strip().lower() in _ON


def pure_requested() -> bool:
    """Whether WTRANSPORT_NO_EXTENSIONS is on (1, true, yes or on; all else is off).

    Raises:
        RuntimeError: WTRANSPORT_REQUIRE_EXTENSIONS is on as well.
    """
    pure = _is_on(NO_EXTENSIONS)
    if pure and _is_on(REQUIRE_EXTENSIONS):
        raise RuntimeError(f"{NO_EXTENSIONS} and {REQUIRE_EXTENSIONS} are both set; they exclude each other")
    return pure


def compiled_required() -> bool:
    """Whether WTRANSPORT_REQUIRE_EXTENSIONS is on (1, true, yes or on; all else is off)."""
    return _is_on(REQUIRE_EXTENSIONS)
