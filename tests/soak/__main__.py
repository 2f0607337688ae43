"""Many minutes of everything at once: ``python tests/soak [--minutes M] [--seed N] [--trace]``.

A server and a client, each in a process of its own, do whatever programs do, in rounds. After each round both wait
until all of it is over and say what they hold. It fails if that grows after the warm-up, if a task or a descriptor is
left at the end, or if the books of both ends do not agree.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from books import Books
from growth import Holdings

from wtransport import BACKEND
from wtransport.utils import generate_self_signed_cert

HERE = Path(__file__).parent
ROUNDS = 10
"""Rounds of load at least; shorter runs have shorter rounds."""

WARM_UP = 0.25
"""Share of the rounds after which nothing may grow any more."""

PATIENCE = 300.0
"""Seconds for an answer of a process; a round may take long on a busy machine."""


class Child:
    """One of the two processes."""

    def __init__(self, name: str, process: asyncio.subprocess.Process, books: Books) -> None:
        self.name = name
        self.holdings = Holdings(name)
        self._process = process
        self._books = books
        self._answers: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._reading = asyncio.ensure_future(self._read())

    async def _read(self) -> None:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            answer = json.loads(line)
            match answer.pop("kind"):
                case "session":
                    self._books.take_session(answer)
                case "failure":
                    self._books.failures.append(answer["text"])
                case "glance":
                    self.holdings.glance(answer)
                case kind:
                    await self._answers.put({"kind": kind, **answer})
        await self._answers.put({"kind": "gone"})

    async def expect(self, kind: str) -> dict[str, Any]:
        """Return the next answer, which must be of this kind."""
        answer = await asyncio.wait_for(self._answers.get(), PATIENCE)
        if answer["kind"] != kind:
            raise SystemExit(f"{self.name} says {answer} instead of {kind}; {self._books.failures}")
        return answer

    def tell(self, words: str) -> None:
        """Have it do something."""
        assert self._process.stdin is not None
        self._process.stdin.write(words.encode() + b"\n")

    async def order(self, words: str, kind: str) -> dict[str, Any]:
        """Have it do something, and wait for the answer."""
        self.tell(words)
        return await self.expect(kind)

    async def stop(self) -> int:
        """Let it end; return its exit status."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            await asyncio.wait_for(self._process.wait(), 30)
        except TimeoutError:
            self._books.failures.append(f"{self.name} does not end")
            self._process.kill()
        await self._reading
        return await self._process.wait()


async def start(name: str, books: Books, *arguments: str) -> Child:
    """Start one of the two processes."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(HERE / f"{name}.py"),
        *arguments,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=1 << 24,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE), *filter(None, sys.path)])},
    )
    return Child(name, process, books)


async def soak(minutes: float, seed: int, trace: bool) -> list[str]:
    """Do it; return what was wrong."""
    books, began = Books(), time.monotonic()
    tracing = "trace" if trace else "no"
    with tempfile.TemporaryDirectory() as directory:
        certificate = generate_self_signed_cert(hostname="localhost", output_dir=directory, days_valid=10)
        server = await start("server", books, *certificate, str(seed), tracing)
        port = (await server.expect("ready"))["port"]
        server.holdings.at_rest(await server.order("look 0", "look"))
        client = await start("client", books, certificate[0], str(port), str(seed + 1), tracing)
        client.holdings.at_rest(await client.expect("look"))
        await client.expect("ready")
        end = began + 60 * minutes
        round_seconds = min(max(60 * minutes / ROUNDS - 1.5, 1.5), 20.0)
        number = 0
        is_warm = False
        while time.monotonic() < end or number < 4:
            number += 1
            if not is_warm and time.monotonic() > began + WARM_UP * 60 * minutes and number > 2:
                is_warm = True
                for child in (server, client):
                    child.holdings.warm()
                    await child.order("mark", "marked")
            load = asyncio.ensure_future(client.order(f"load {round_seconds}", "look"))
            while not load.done():
                await asyncio.wait([load], timeout=1.0)
                server.tell("glance")
            client.holdings.quiet(await load)
            server.holdings.quiet(await server.order("look 1", "look"))
            print(
                f"{time.monotonic() - began:6.0f} s  round {number}{' (warm-up)' if not is_warm else ''}: "
                f"{books.summary()}; server {server.holdings.latest()}; client {client.holdings.latest()}",
                flush=True,
            )
            if len(books.failures) > 20:
                break
        client.holdings.ended(await client.order("end", "look"))
        client_totals = await client.expect("totals")
        server.holdings.ended(await server.order("look 0", "look"))
        server_totals = await server.order("totals", "totals")
        for child in (client, server):
            if status := await child.stop():
                books.failures.append(f"{child.name} ended with {status}")
    books.close(client_totals, server_totals)
    for child, totals in ((server, server_totals), (client, client_totals)):
        wrong = child.holdings.problems()
        if any("grow" in each for each in wrong):
            wrong += totals["grown"]
        books.failures += wrong
        print("\n".join(child.holdings.report()))
    print("\n".join(books.report(client_totals, server_totals)))
    return books.failures


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(prog="python tests/soak", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--trace", action="store_true", help="say which lines allocated what has grown; slow")
    arguments = parser.parse_args()
    print(f"backend {BACKEND}, seed {arguments.seed}, {arguments.minutes} min", flush=True)
    failures = []
    with contextlib.suppress(KeyboardInterrupt):
        failures = asyncio.run(soak(arguments.minutes, arguments.seed, arguments.trace))
    for failure in failures:
        print("FAILED", failure)
    print("soak:", f"{len(failures)} failures" if failures else "all is well")
    return bool(failures)


if __name__ == "__main__":
    sys.exit(main())
