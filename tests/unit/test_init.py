"""The package's front door: its names, its backend, and what importing it costs."""

from __future__ import annotations

import subprocess
import sys

import pytest

import wtransport


def _run(code: str) -> str:
    """Run `code` in a fresh interpreter that sees the same package, with warnings as errors."""
    preamble = f"import sys; sys.path[:] = {sys.path!r}; "
    command = [sys.executable, "-W", "error", "-c", preamble + code]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=50).stdout.strip()


@pytest.mark.parametrize("name", wtransport.__all__)
def test_every_listed_name_is_there(name: str) -> None:
    assert getattr(wtransport, name) is not None


def test_names_come_from_their_modules() -> None:
    from wtransport.config import ClientConfig
    from wtransport.exceptions import SessionError

    assert wtransport.ClientConfig is ClientConfig
    assert wtransport.SessionError is SessionError


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = wtransport.no_such_name  # type: ignore[attr-defined]


def test_the_backend_is_known() -> None:
    assert wtransport.BACKEND in {"cython", "python"}


def test_connecting_loads_nothing_more() -> None:
    code = (
        "import wtransport; before = set(sys.modules); "
        "from wtransport import ClientConfig, WebTransportClient; "
        "from wtransport._quic.factory import create_client_port; "
        "create_client_port(config=ClientConfig(), server_name='localhost'); "
        "print(sorted(m for m in set(sys.modules) - before if m.startswith(('wtransport', 'aioquic', 'cryptography'))))"
    )
    assert _run(code) == "[]"


def test_modules_are_found_without_an_import_of_their_own() -> None:
    assert _run("import wtransport; print(wtransport.utils.format_duration(seconds=1))") == "1.0s"


@pytest.mark.parametrize(
    "module", ["version", "constants", "types", "exceptions", "config", "utils", "events", "_config_validation"]
)
def test_each_foundation_module_imports_alone(module: str) -> None:
    assert _run(f"import wtransport.{module} as m; print(m.__name__)") == f"wtransport.{module}"
