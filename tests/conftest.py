"""What every test has: the report header, the two marks that follow from a test's place, and a certificate.

Fixtures of one room stand in that room's own conftest.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from wtransport import _speedups
from wtransport.utils import generate_self_signed_cert

# Shared machines are slow now and then, so no example has a deadline; the run as a whole has one (pytest-timeout).
settings.register_profile("default", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("thorough", settings.get_profile("default"), max_examples=2000)
settings.load_profile(os.environ.get("WTRANSPORT_HYPOTHESIS_PROFILE", "default"))

# A skip under this mark is a failure when the variable is set: CI installs what the tests need.
_REQUIRED = {"browser": "WTRANSPORT_REQUIRE_BROWSERS", "peer": "WTRANSPORT_REQUIRE_PEERS"}

_ON = frozenset({"1", "true", "yes", "on"})

# Days. Browsers take a certificate by its hash only up to 14.
_CERTIFICATE_DAYS = 10


@dataclass(frozen=True, slots=True)
class Certificate:
    """A self-signed certificate for localhost, 127.0.0.1 and ::1.

    Attributes:
        certfile: path of the PEM certificate; also what a client passes as ca_certs.
        keyfile: path of the PEM key.
    """

    certfile: str
    keyfile: str

    def __iter__(self) -> Iterator[str]:
        """Unpack as ``certfile, keyfile``."""
        return iter((self.certfile, self.keyfile))


def pytest_configure() -> None:
    """Let the programs that tests start hear of Ctrl-C: a shell takes that from what it runs in the background."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_report_header() -> list[str]:
    """Name the side of the kernels that this run tests, and where the package comes from."""
    return [f"wtransport: BACKEND {_speedups.BACKEND}, {Path(_speedups.__file__).parents[1]}"]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark what needs a browser or a peer by where it stands, so that no new file can forget it."""
    tests = config.rootpath / "tests"
    for item in items:
        parts = item.path.relative_to(tests).parts if item.path.is_relative_to(tests) else ()
        if "peers" in parts[:-1]:
            item.add_marker(pytest.mark.peer)
        if "browsers" in parts[:-1] or any(part.startswith("test_browser") for part in parts):
            item.add_marker(pytest.mark.browser)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn the skip of a required test into a failure."""
    report = yield
    if report.skipped and not hasattr(report, "wasxfail"):
        for mark, variable in _REQUIRED.items():
            if item.get_closest_marker(mark) and os.environ.get(variable, "").strip().lower() in _ON:
                report.outcome = "failed"
                report.longrepr = f"{item.nodeid} was skipped although {variable} is set: {report.longrepr}"
    return report


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    """Return a browser-ready certificate (ECDSA P-256, 10 days), made once per run."""
    directory = tmp_path_factory.mktemp("certificate")
    certfile, keyfile = generate_self_signed_cert(
        hostname="localhost", output_dir=str(directory), days_valid=_CERTIFICATE_DAYS
    )
    return Certificate(certfile=str(Path(certfile).absolute()), keyfile=str(Path(keyfile).absolute()))


@pytest.fixture(scope="session")
def python_executable() -> str:
    """Return the interpreter that runs the tests, for tests that start another process."""
    return sys.executable
