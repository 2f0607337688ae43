"""Example programs run as a reader would run them: in a directory of their own, in processes of their own."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from wtransport import ClientConfig, WebTransportClient

__all__ = ["ROOT", "Tutorial", "python_blocks", "run_program", "started", "unused_udp_port", "wait_for_server"]

ROOT = Path(__file__).parents[2]

WAIT = 40.0
"""Seconds for a program that should take one or two: a busy machine takes its time to import."""


def unused_udp_port() -> int:
    """Return a UDP port that nobody on 127.0.0.1 uses now."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Tutorial:
    """A reader's directory with the files of the tutorial, whose server gets another port: runs must not meet.

    The first step, making the certificate, is done.
    """

    SOURCES = ROOT / "docs" / "examples" / "tutorial"
    _PORT = "4433"

    def __init__(self, directory: Path) -> None:
        port = str(unused_udp_port())
        for source in self.SOURCES.glob("*.*"):
            text = source.read_text(encoding="utf-8")
            (directory / source.name).write_text(text.replace(self._PORT, port), encoding="utf-8")
        self.directory = directory
        self.certfile = directory / "localhost.crt"
        run_program("make_certificate.py", cwd=directory)
        self._url = f"https://localhost:{port}/echo"

    @contextlib.contextmanager
    def serving(self) -> Iterator[None]:
        """Run the tutorial's server."""
        with started("server.py", cwd=self.directory):
            wait_for_server(url=self._url, certfile=self.certfile)
            yield


def python_blocks(page: Path) -> dict[str, str]:
    """Return the Python blocks of a Markdown page whose first line is a comment with a file name, by that name."""
    pattern = re.compile(r"^```python\n(# (\S+\.py)\n.*?)^```$", re.DOTALL | re.MULTILINE)
    blocks = pattern.findall(page.read_text(encoding="utf-8"))
    return {name: text for text, name in blocks}


def run_program(*command: str, cwd: Path) -> str:
    """Run ``python *command`` to its end and return what it printed; warnings and complaints are failures."""
    done = subprocess.run(
        [sys.executable, "-W", "error", *command],
        cwd=cwd,
        env=_environment(),
        capture_output=True,
        text=True,
        timeout=WAIT,
        check=False,
    )
    if done.returncode or done.stderr:
        raise AssertionError(f"{command} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}")
    return done.stdout


@contextlib.contextmanager
def started(*command: str, cwd: Path) -> Iterator[subprocess.Popen[str]]:
    """Run ``python *command`` beside the block, then stop it by Ctrl-C, which must end it without complaint."""
    process = subprocess.Popen(
        [sys.executable, "-W", "error", *command],
        cwd=cwd,
        env=_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield process
        if process.poll() is not None:
            raise AssertionError(f"{command} ended by itself with {process.returncode}:\n{process.communicate()[0]}")
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=WAIT)
        if process.returncode or "Traceback" in output:
            raise AssertionError(f"{command} ended with {process.returncode}:\n{output}")
    finally:
        process.kill()
        process.wait()


def wait_for_server(*, url: str, certfile: str | Path) -> None:
    """Return once a session to a server in another process could be opened."""

    async def connect() -> None:
        config = ClientConfig(ca_certs=str(certfile), auto_reconnect=True, max_retries=-1, retry_delay=0.1)
        async with WebTransportClient(config=config) as client:
            await client.connect(url=url, timeout=WAIT)

    # In a thread: a test that drives a browser has an event loop of its own.
    with ThreadPoolExecutor(max_workers=1) as thread:
        thread.submit(asyncio.run, connect()).result()


def _environment() -> dict[str, str]:
    """Return this run's environment, in which the same package is found from other directories."""
    paths = [str(ROOT), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths)), "PYTHONUNBUFFERED": "1"}
