"""Which peers there are, where their environments live, and how their programs are found.

Standard library only: `setup_peers.py` uses it with whatever Python runs `make setup-peers`.
"""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

__all__ = ["PEERS", "PROGRAMS", "Peer", "PeerMissingError", "environments", "installed_version", "interpreter"]

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = ROOT / "tests" / "peers" / "programs"
QUESTION_TIMEOUT = 30.0  # seconds for a Python to tell a version


class PeerMissingError(Exception):
    """A peer's environment is not there; `make setup-peers` makes it."""


@dataclasses.dataclass(frozen=True)
class Peer:
    """Another implementation, pinned: its programs are written against this very release."""

    name: str
    distribution: str
    version: str
    ours_will_do: bool = False  # a dependency of ours: without its environment, the tests' own Python has it
    also: tuple[str, ...] = ()  # what its programs need besides

    @property
    def requirement(self) -> str:
        return f"{self.distribution}=={self.version}"


PEERS = {
    peer.name: peer
    for peer in (
        Peer("aioquic", "aioquic", "1.7.2", ours_will_do=True),
        Peer("pywebtransport", "pywebtransport", "0.21.1"),
        Peer("aiopquic", "aiopquic", "0.6.1"),
        # Its toolkit runs on handles of this checkout, which needs its own dependencies there.
        Peer("toolkit09", "pywebtransport", "0.9.1", also=("aioquic>=1.7,<1.8", "pylsqpack>=1.0,<2")),
        Peer("webtransport_py", "webtransport-py", "2026.1.0.dev0"),
    )
}


def environments() -> Path:
    """The directory of the peers' environments: `WTRANSPORT_PEERS_DIR`, or `.peers` in the checkout."""
    return Path(os.environ.get("WTRANSPORT_PEERS_DIR") or ROOT / ".peers").absolute()


def python_of(peer: Peer) -> Path:
    """The Python of the peer's environment, whether or not it exists."""
    return environments() / peer.name / "bin" / "python"


def installed_version(python: Path | str, peer: Peer) -> str | None:
    """The version of the peer's distribution that `python` has, None without it."""
    program = f"import importlib.metadata as m; print(m.version({peer.distribution!r}))"
    try:
        asked = subprocess.run(
            [str(python), "-I", "-c", program], capture_output=True, text=True, timeout=QUESTION_TIMEOUT, check=False
        )
    except OSError:
        return None
    return asked.stdout.strip() if asked.returncode == 0 else None


def interpreter(name: str) -> str:
    """The Python that runs the programs of the peer `name`.

    Raises:
        PeerMissingError: no environment holds the peer in its pinned version.
    """
    peer = PEERS[name]
    python = python_of(peer)
    if installed_version(python, peer) == peer.version:
        return str(python)
    if peer.ours_will_do and installed_version(sys.executable, peer) is not None:
        return sys.executable
    raise PeerMissingError(f"{peer.requirement} is not installed in {python.parents[1]}: run `make setup-peers`")
