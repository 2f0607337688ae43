"""Another client of the flooded server: one request after the other; answers ``take`` with how they went since."""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import ssl
import statistics
import sys
import time

from wtransport import ClientConfig, WebTransportClient, WebTransportSession

BODY = b"r" * 64
PAUSE = 0.001
"""Seconds between two requests: a client that is not itself a load."""

PATIENCE = 30.0
"""Seconds after which a request counts as failed."""


class Victim:
    """Asks and measures."""

    def __init__(self, session: WebTransportSession) -> None:
        self._session = session
        self._times: list[float] = []
        self._failed = 0

    async def run(self) -> None:
        """Ask for ever."""
        while True:
            start = time.monotonic()
            try:
                async with asyncio.timeout(PATIENCE):
                    stream = await self._session.create_bidirectional_stream()
                    await stream.write_all(data=BODY)
                    answer = await stream.read_all()
                if answer != BODY:
                    raise ValueError("another answer than expected")
            except Exception:
                logging.getLogger(__name__).exception("a request failed")
                self._failed += 1
            else:
                self._times.append(time.monotonic() - start)
            await asyncio.sleep(PAUSE)

    def take(self) -> dict[str, float]:
        """Return how many requests there were since the last time, their median and their longest, in seconds."""
        times, self._times = self._times, []
        failed, self._failed = self._failed, 0
        return {
            "completed": len(times),
            "failed": failed,
            "p50": statistics.median(times) if times else -1.0,
            "worst": max(times, default=-1.0),
        }


async def run(port: int) -> None:
    """Connect and ask until standard input ends."""
    config = ClientConfig(verify_mode=ssl.CERT_NONE, read_timeout=None, write_timeout=None)
    async with WebTransportClient(config=config) as client:
        victim = Victim(await client.connect(url=f"https://127.0.0.1:{port}/echo"))
        asking = asyncio.create_task(victim.run())
        print("ready", flush=True)
        while await asyncio.to_thread(sys.stdin.readline):
            print(json.dumps(victim.take()), flush=True)
        asking.cancel()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--core", type=int)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.CRITICAL)
    if arguments.core is not None:
        os.sched_setaffinity(0, {arguments.core})
    asyncio.run(run(arguments.port))


if __name__ == "__main__":
    main()
