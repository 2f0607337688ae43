"""The saved inputs of a target: one in a line, in hexadecimal; what is found while fuzzing is kept below build/."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha1
from pathlib import Path
from types import ModuleType

from fuzzing.worlds import FUZZ, ROOT

__all__ = ["keep", "kept", "saved", "seeds_of", "work_directory", "write_saved"]


def work_directory(name: str) -> Path:
    """Return where a target's inputs and findings are kept; nothing of it is committed."""
    return ROOT / "build" / "fuzz" / name


def _saved_path(name: str) -> Path:
    return FUZZ / "corpus" / f"{name}.txt"


def saved(name: str) -> list[bytes]:
    """Return the inputs in the repository."""
    path = _saved_path(name)
    if not path.exists():
        return []
    return [bytes.fromhex(line) for line in path.read_text("ascii").splitlines() if not line.startswith("#")]


def write_saved(name: str, inputs: Iterable[bytes]) -> None:
    """Replace the inputs in the repository; short ones first, so that a reader meets them first."""
    lines = [data.hex() for data in sorted(set(inputs), key=lambda data: (len(data), data))]
    heading = f"# Inputs of the target {name} that reach different code; see ../README.md"
    _saved_path(name).write_text("\n".join([heading, *lines]) + "\n", "ascii")


def seeds_of(name: str, target: ModuleType) -> list[bytes]:
    """Return what a run begins with: the saved inputs, and those that the target makes of the test vectors."""
    return list(dict.fromkeys([*saved(name), *target.seeds()]))


def keep(directory: Path, data: bytes, *, prefix: str = "") -> Path:
    """Write an input to a file that is named by its content."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"{prefix}{sha1(data, usedforsecurity=False).hexdigest()}"
    path.write_bytes(data)
    return path


def kept(directory: Path) -> list[bytes]:
    """Return the inputs in a directory, in an order that depends on their content alone."""
    return [path.read_bytes() for path in sorted(directory.glob("*"))] if directory.is_dir() else []
