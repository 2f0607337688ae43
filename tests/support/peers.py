"""Runs the programs of other implementations: each in a process of its own, in its own environment."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import peerkit
import pytest
from peer_environments import PROGRAMS, PeerMissingError, interpreter

__all__ = ["python_or_skip", "run_client", "run_program", "running_server"]

START_TIMEOUT = 20.0  # seconds until a server says READY
CLIENT_TIMEOUT = 60.0  # seconds for a client's whole exercise
STOP_TIMEOUT = 5.0  # seconds a program has after its stdin ended
SUPPORT = Path(__file__).parent


class PeerError(Exception):
    """A peer's program failed; the text is what it wrote to stderr."""


def python_or_skip(peer: str) -> str:
    """The Python that has `peer`; skips the test without one."""
    try:
        return interpreter(peer)
    except PeerMissingError as missing:
        pytest.skip(str(missing))


@contextlib.asynccontextmanager
async def running_server(peer: str, certfile: str, keyfile: str, *, role: str = "server") -> AsyncIterator[int]:
    """The peer's echo server, or its program of another role; gives its port."""
    port = _free_port()
    process = await _start(peer, role, "--cert", certfile, "--key", keyfile, "--port", str(port))
    try:
        async with asyncio.timeout(START_TIMEOUT):
            line = await _stdout(process).readline()
        if line.split() != [b"READY", str(port).encode()]:
            raise PeerError(await _failure(process))
        yield port
    finally:
        await _stop(process)


async def run_client(peer: str, port: int, *, size: int, streams: int, datagram_size: int) -> dict[str, int]:
    """Run the peer's client against the echo service at `port`; gives the exercise's results."""
    options = {"--port": port, "--size": size, "--streams": streams, "--datagram-size": datagram_size}
    results: dict[str, int] = await run_program(
        peer, "client", *(str(item) for option in options.items() for item in option)
    )
    return results


async def run_program(peer: str, role: str, *arguments: str) -> Any:
    """Run a program of the peer that prints one line of JSON; gives what it says."""
    process = await _start(peer, role, *arguments)
    try:
        async with asyncio.timeout(CLIENT_TIMEOUT):
            line = await _stdout(process).readline()
        if not line:
            raise PeerError(await _failure(process))
        return json.loads(line)
    finally:
        await _stop(process)


async def _start(peer: str, role: str, *arguments: str) -> Process:
    return await asyncio.create_subprocess_exec(
        python_or_skip(peer),
        str(PROGRAMS / f"{peer}_{role}.py"),
        *arguments,
        stdin=PIPE,
        stdout=PIPE,
        stderr=PIPE,
        env={**_without_python_variables(), "PYTHONPATH": str(SUPPORT)},
    )


async def _stop(process: Process) -> None:
    """End the process, which may hang inside C."""
    if process.stdin is not None:
        process.stdin.close()
    try:
        async with asyncio.timeout(STOP_TIMEOUT):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()


async def _failure(process: Process) -> str:
    await _stop(process)
    stderr = process.stderr
    return (await stderr.read()).decode(errors="replace") if stderr is not None else ""


def _stdout(process: Process) -> asyncio.StreamReader:
    if process.stdout is None:
        raise RuntimeError("the program was started without a pipe")
    return process.stdout


def _free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind((peerkit.HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def _without_python_variables() -> dict[str, Any]:
    return {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
