"""Make one environment for each peer the tests talk to: `make setup-peers`.

They need a Python of at least 3.12, looked for on the path and among pyenv's. A peer that no Python found can install
is named with the reason; the exit status then is 1, and its tests are skipped. Running it again does what is missing.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

from peer_environments import PEERS, Peer, environments, installed_version, python_of

OLDEST = (3, 12)
NEWEST_FIRST = [(3, minor) for minor in (14, 13, 12)]
INSTALL_TIMEOUT = 600.0  # seconds, one peer
QUESTION_TIMEOUT = 30.0  # seconds


def pythons() -> list[str]:
    """Every Python 3.12 or newer on this machine, newest first, each version once."""
    by_version: dict[tuple[int, int], str] = {}
    for version in NEWEST_FIRST:
        name = "python{}.{}".format(*version)
        pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
        candidates = [shutil.which(name), *(str(found) for found in sorted(pyenv.glob(f"*/bin/{name}"), reverse=True))]
        for candidate in candidates:
            if candidate and version_of(candidate) == version:
                by_version.setdefault(version, candidate)
    own = sys.version_info[:2]
    if own >= OLDEST:
        by_version.setdefault(own, sys.executable)
    return [by_version[version] for version in sorted(by_version, reverse=True)]


def version_of(python: str) -> tuple[int, int] | None:
    """The version that `python` really is: pyenv's shims are on the path for Pythons that are switched off."""
    program = "import sys, venv, ensurepip; print(*sys.version_info[:2])"
    try:
        asked = subprocess.run(
            [python, "-I", "-c", program], capture_output=True, text=True, timeout=QUESTION_TIMEOUT, check=False
        )
        major, minor = asked.stdout.split()
        return int(major), int(minor)
    except (OSError, subprocess.TimeoutExpired, ValueError):
        return None


def install(peer: Peer, candidates: list[str]) -> str | None:
    """Make the peer's environment with the first Python that can; None when done, else why not."""
    if installed_version(python_of(peer), peer) == peer.version:
        return None
    reason = "no Python 3.12 or newer found"
    directory = python_of(peer).parents[1]
    pip = [str(python_of(peer)), "-m", "pip", "install"]
    for python in candidates:
        shutil.rmtree(directory, ignore_errors=True)
        steps = (
            [python, "-m", "venv", str(directory)],
            [*pip, "--quiet", "--disable-pip-version-check", peer.requirement, *peer.also],
        )
        for step in steps:
            try:
                done = subprocess.run(step, capture_output=True, text=True, timeout=INSTALL_TIMEOUT, check=False)
            except subprocess.TimeoutExpired:
                reason = f"{python}: pip was not done after {INSTALL_TIMEOUT:.0f} s"
                break
            if done.returncode != 0:
                errors = [line for line in done.stderr.splitlines() if "error" in line.lower()]
                reason = f"{python}: {(errors or done.stderr.splitlines() or ['failed'])[-1]}"
                break
        else:
            return None
    shutil.rmtree(directory, ignore_errors=True)
    return reason


def main() -> int:
    candidates = pythons()
    print(f"environments: {environments()}")
    print(f"pythons: {', '.join(candidates) or 'none of 3.12 or newer'}")
    missing = 0
    for peer in PEERS.values():
        reason = install(peer, [*candidates, sys.executable] if peer.ours_will_do else candidates)
        missing += reason is not None
        print(f"  {peer.requirement:40} {'installed' if reason is None else 'NOT installed: ' + reason}", flush=True)
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
