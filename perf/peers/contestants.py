"""The servers that are compared: each the echo service of the interoperability tests, in a process of its own."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SUPPORT = ROOT / "tests" / "support"
sys.path.append(str(SUPPORT))

from peer_environments import PEERS, PROGRAMS, PeerMissingError, interpreter  # noqa: E402 - on the path since above

from wtransport import __version__  # noqa: E402

__all__ = ["OURS", "Contestant", "ContestantError", "RunningServer", "contestants"]

OURS = "ours"

START_TIME_OUT = 30.0
"""Seconds until a server says that it listens."""

STOP_TIME_OUT = 5.0


class ContestantError(Exception):
    """It lacks, did not start, or did not do its work."""


@dataclass(frozen=True)
class RunningServer:
    """A server's process."""

    pid: int
    port: int

    def processor_seconds(self) -> float:
        """Return the processor time that it has taken so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def resident_kib(self) -> float:
        """Return the memory that it holds, in KiB."""
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        return next(float(line.split()[1]) for line in lines if line.startswith("VmRSS"))


@dataclass(frozen=True)
class Contestant:
    """An implementation with its server program."""

    name: str
    version: str
    program: Path

    def python(self) -> str:
        """Return the Python that has it.

        Raises:
            ContestantError: there is none.
        """
        if self.name == OURS:
            return sys.executable
        try:
            return str(interpreter(self.name))
        except PeerMissingError as missing:
            raise ContestantError(str(missing)) from missing

    @contextlib.asynccontextmanager
    async def serving(self, certificate: tuple[str, str]) -> AsyncIterator[RunningServer]:
        """Run its server.

        Raises:
            ContestantError: it does not start.
        """
        certfile, keyfile = certificate
        port = _free_port()
        arguments = [str(self.program), "--cert", certfile, "--key", keyfile, "--port", str(port)]
        search = [str(SUPPORT), *([str(ROOT)] if self.name == OURS else [])]
        process = await asyncio.create_subprocess_exec(
            self.python(),
            *arguments,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(search)},
        )
        try:
            if process.stdout is None:
                raise ContestantError("no pipe")
            async with asyncio.timeout(START_TIME_OUT):
                line = await process.stdout.readline()
            if not line.startswith(b"READY"):
                raise ContestantError("the server does not start")
            yield RunningServer(process.pid, port)
        finally:
            if process.stdin is not None:
                process.stdin.close()
            try:
                async with asyncio.timeout(STOP_TIME_OUT):
                    await process.wait()
            except TimeoutError:
                process.kill()
                await process.wait()


def contestants() -> list[Contestant]:
    """Return ours and the peers that have an echo server of their own."""
    ours = Contestant(OURS, __version__, Path(__file__).with_name("server.py"))
    peers = [
        Contestant(peer.name, peer.version, program)
        for peer in PEERS.values()
        if (program := PROGRAMS / f"{peer.name}_server.py").exists() and peer.name != "toolkit09"  # runs on ours
    ]
    return [ours, *peers]


def _free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
