"""The rules of the source tree: who imports whom, sizes, `__all__`, and modules that can be imported alone."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "wtransport"

# Lines. Above this a file has more than one reason to change.
LIMITS = {".py": 500, ".pyx": 300}

# Files over their limit, each with its reason.
TOO_LONG_FOR_A_REASON: dict[str, str] = {}

BASE = {"version", "constants", "types", "_members", "exceptions", "_config_validation", "config", "utils", "events"}
HANDLES = {"stream", "session", "connection"}

# What each room may import of wtransport; a dotted entry allows that module only. A room may import itself.
MAY_IMPORT: dict[str, set[str]] = {
    "version": set(),
    "constants": {"version"},
    "types": {"constants"},
    "_members": {"types"},
    "_remembered": set(),
    "exceptions": {"constants", "types", "version"},
    "_config_validation": {"constants", "types", "exceptions"},
    "config": {"constants", "types", "exceptions", "version", "_config_validation"},
    "utils": BASE - {"events"},
    "events": BASE | {"_speedups"},
    "serializer": BASE,
    "_speedups": set(),
    "_quic": {"constants", "types", "exceptions", "config", "_config_validation", "utils", "_remembered", "_speedups"},
    "_protocol": {
        "constants",
        "types",
        "_members",
        "_remembered",
        "exceptions",
        "config",
        "_config_validation",
        "_speedups",
        "_quic.port",
    },
    "_adapter": BASE | {"_speedups", "_quic", "_protocol"},
    "stream": BASE | {"serializer", "_speedups", "_quic", "_protocol", "_adapter"},
    "session": BASE | {"serializer", "_speedups", "_quic", "_protocol", "_adapter", "stream"},
    "connection": BASE | {"_speedups", "_quic", "_protocol", "_adapter", "stream", "session"},
    "datagram": BASE | {"_speedups", "serializer", "stream", "session", "connection"},
    "rpc": BASE | {"_speedups", "serializer", "stream", "session", "connection"},
    "pubsub": BASE | {"_speedups", "serializer", "stream", "session", "connection"},
    "manager": BASE | {"stream", "session", "connection"},
    "client": BASE | {"_speedups", "_quic.factory", "_adapter", "stream", "session", "connection", "manager"},
    "server": BASE | {"_speedups", "_quic.factory", "_adapter", "stream", "session", "connection", "manager"},
    "pool": BASE | {"stream", "session", "connection", "manager", "client"},
    "monitor": BASE | {"stream", "session", "connection", "manager", "client", "server"},
}
# The command line and the front page see everything.
UNLIMITED = {"__init__", "__main__", "_cli"}

# What each room may import besides the standard library and wtransport.
THIRD_PARTY: dict[str, set[str]] = {
    "config": {"aioquic"},
    # Optional: each serializer imports its own format's library, and says so where that is missing.
    "serializer": {"google", "msgpack"},
    "utils": {"aioquic", "cryptography", "uvloop"},
    "_quic": {"aioquic", "cryptography"},
    "_protocol": {"aioquic", "pylsqpack"},
    "_adapter": {"aioquic", "uvloop"},
    "_cli": {"uvloop"},
}

# The standard library, with what came after the Python that runs this (3.14: annotationlib).
STANDARD_LIBRARY = sys.stdlib_module_names | {"annotationlib"}

# The engine has no clock, no I/O and no concurrency of its own, not even for types.
NEVER_IN_PROTOCOL = {"asyncio", "socket", "ssl", "time", "threading", "selectors", "concurrent"}

# What we do ourselves, and so nobody may import: aioquic's asyncio layer and its HTTP/3.
NEVER = {"aioquic.asyncio", "aioquic.h3.connection"}


@dataclass(frozen=True, slots=True)
class Import:
    """One imported module: its absolute name, where it stands, and whether only type checkers see it."""

    name: str
    path: Path
    line: int
    typing_only: bool
    in_function: bool

    def __str__(self) -> str:
        """Name the place, then the module."""
        return f"{self.path.relative_to(ROOT)}:{self.line} imports {self.name}"


def python_files(directory: Path) -> list[Path]:
    return sorted(path for path in directory.rglob("*.py") if "__pycache__" not in path.parts)


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def room_of(path: Path) -> str:
    return path.relative_to(SOURCE).with_suffix("").parts[0]


def _is_typing_block(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and any(
        isinstance(name, ast.Name) and name.id == "TYPE_CHECKING" for name in ast.walk(node.test)
    )


def _names(node: ast.Import | ast.ImportFrom, package: str) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
        return
    base = node.module or ""
    if node.level:
        parts = package.split(".")
        prefix = ".".join(parts[: len(parts) - node.level + 1])
        base = f"{prefix}.{base}" if base else prefix
    for alias in node.names:
        # `from . import codec` imports a module, `from .codec import decode` a name of one.
        inner = ROOT.joinpath(*base.split("."), alias.name)
        yield f"{base}.{alias.name}" if inner.with_suffix(".py").exists() or inner.is_dir() else base


def imports_of(path: Path) -> list[Import]:
    tree = ast.parse(path.read_text(encoding="utf-8"), str(path))
    name = module_name(path)
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    found: list[Import] = []

    def visit(node: ast.AST, typing_only: bool, in_function: bool) -> None:
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            found.extend(
                Import(target, path, node.lineno, typing_only, in_function) for target in _names(node, package)
            )
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            in_function = True
        if _is_typing_block(node) and isinstance(node, ast.If):
            for inside in node.body:
                visit(inside, True, in_function)
            for inside in node.orelse:
                visit(inside, typing_only, in_function)
            return
        for child in ast.iter_child_nodes(node):
            visit(child, typing_only, in_function)

    visit(tree, False, False)
    return found


def is_within(name: str, module: str) -> bool:
    return name == module or name.startswith(f"{module}.")


def breaks_direction(found: Import, room: str) -> bool:
    """Whether an import inside wtransport points where its room must not."""
    target = found.name.removeprefix("wtransport").lstrip(".")
    if not target:
        return True  # the front page imports everything, so importing it from below is a circle
    if room in UNLIMITED or is_within(target, room):
        return False
    if found.typing_only and room in HANDLES and target.split(".")[0] in HANDLES:
        return False
    return not any(is_within(target, allowed) for allowed in MAY_IMPORT[room])


FILES = python_files(SOURCE)
IMPORTS = [(found, room_of(path)) for path in FILES for found in imports_of(path)]


def test_every_room_has_a_rule() -> None:
    assert {room_of(path) for path in FILES} - UNLIMITED - set(MAY_IMPORT) == set()


def test_imports_point_upwards() -> None:
    wrong = [
        str(found) for found, room in IMPORTS if is_within(found.name, "wtransport") and breaks_direction(found, room)
    ]
    assert "\n".join(wrong) == ""


def test_third_party_imports_stay_in_their_rooms() -> None:
    wrong = []
    for found, room in IMPORTS:
        top = found.name.split(".")[0]
        allowed = top in STANDARD_LIBRARY or top == "wtransport" or top in THIRD_PARTY.get(room, ())
        if not allowed or any(is_within(found.name, name) for name in NEVER):
            wrong.append(str(found))
    assert "\n".join(wrong) == ""


def test_the_engine_imports_no_clock_and_no_io() -> None:
    wrong = [
        str(found)
        for found, room in IMPORTS
        if room == "_protocol" and any(is_within(found.name, name) for name in NEVER_IN_PROTOCOL)
    ]
    assert "\n".join(wrong) == ""


def test_an_import_inside_a_function_says_why() -> None:
    wrong = []
    for found, _room in IMPORTS:
        if not found.in_function or found.typing_only:
            continue
        lines = found.path.read_text(encoding="utf-8").splitlines()
        place = found.line - 1
        while lines[place - 1].lstrip().startswith(("from ", "import ")):
            place -= 1  # one comment may speak for imports that stand together
        if not any("#" in line for line in (lines[place - 1], *lines[place : found.line])):
            wrong.append(str(found))
    assert "\n".join(wrong) == ""


def test_no_file_is_over_its_size() -> None:
    wrong = []
    for directory in (SOURCE, ROOT / "tests", ROOT / "perf"):
        for path in sorted(directory.rglob("*")):
            limit = LIMITS.get(path.suffix)
            name = str(path.relative_to(ROOT))
            if limit is None or name in TOO_LONG_FOR_A_REASON:
                continue
            lines = len(path.read_text(encoding="utf-8").splitlines())
            if lines > limit:
                wrong.append(f"{name}: {lines} lines, the limit is {limit}")
    assert "\n".join(wrong) == ""


def test_exceptions_to_the_size_are_still_needed() -> None:
    for name in TOO_LONG_FOR_A_REASON:
        path = ROOT / name
        assert len(path.read_text(encoding="utf-8").splitlines()) > LIMITS[path.suffix]


def test_tests_are_no_package() -> None:
    assert list((ROOT / "tests").rglob("__init__.py")) == []


def test_every_module_says_what_it_owns() -> None:
    wrong = [str(path.relative_to(ROOT)) for path in FILES if not ast.get_docstring(ast.parse(path.read_text("utf-8")))]
    assert "\n".join(wrong) == ""


PUBLIC = [
    module_name(path)
    for path in FILES
    if not any(part.startswith("_") and part != "__init__.py" for part in path.relative_to(SOURCE).parts)
]


@pytest.mark.parametrize("name", PUBLIC)
def test_public_modules_list_their_names(name: str) -> None:
    module = importlib.import_module(name)
    listed = list(module.__all__)
    assert [entry for entry in listed if not hasattr(module, entry)] == []
    assert len(listed) == len(set(listed))
    tree = ast.parse(Path(str(module.__file__)).read_text(encoding="utf-8"))
    defined = [
        node.name
        for node in tree.body
        if isinstance(node, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)) and not node.name.startswith("_")
    ]
    assert [entry for entry in defined if entry not in listed] == []


# Imports the package, and then every module named on stdin, in a fresh process. The package loads what connections need
# in an order of its own, so that no program can meet another one; whether a room may import another is tested above.
IMPORT_EACH = """
import importlib, sys, warnings
warnings.simplefilter("ignore")
import asyncio, cryptography.x509, pylsqpack
import aioquic.quic.connection, aioquic.h3.connection
warnings.simplefilter("error")
for name in sys.stdin.read().split():
    importlib.import_module(name)
"""


def test_each_module_imports_without_warnings() -> None:
    names = [module_name(path) for path in FILES if path.name != "__main__.py" and "_compiled" not in path.parts]
    done = subprocess.run(
        [sys.executable, "-c", IMPORT_EACH],
        input="\n".join(names),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
