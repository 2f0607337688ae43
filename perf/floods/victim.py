"""Another client of the flooded server; on a line ``measure SECONDS`` it asks one request after the other."""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import ssl
import statistics
import sys
import time

from perf.floods.process import pin
from wtransport import ClientConfig, WebTransportClient, WebTransportSession
from wtransport.exceptions import WebTransportError

BODY = b"r" * 64

PAUSE = 0.005
"""Seconds between an answer and the next request: a client that is not itself a load."""

PATIENCE = 30.0
"""Seconds after which a request counts as failed."""


async def measure(session: WebTransportSession, seconds: float) -> dict[str, float | str]:
    """Ask for a while; return how many requests there were, their median and their longest, in seconds."""
    times: list[float] = []
    failed = 0
    complaint = ""
    end = time.monotonic() + seconds
    while (start := time.monotonic()) < end:
        try:
            async with asyncio.timeout(PATIENCE):
                stream = await session.create_bidirectional_stream()
                await stream.write_all(data=BODY)
                answer = await stream.read_all()
        except (WebTransportError, TimeoutError) as error:
            answer = b""
            complaint = complaint or f"{type(error).__name__}: {error}"
        if answer == BODY:
            times.append(time.monotonic() - start)
        else:
            failed += 1
            if session.is_closed:
                complaint += f" (its session is over: {session.close_reason or 'no reason given'})"
                break
        await asyncio.sleep(PAUSE)
    return {
        "completed": len(times),
        "failed": failed,
        "p50": statistics.median(times) if times else float("inf"),
        "worst": max(times, default=float("inf")),
        "complaint": complaint,
    }


async def run(port: int) -> None:
    """Connect and ask until standard input ends; with another session when one was lost."""
    config = ClientConfig(verify_mode=ssl.CERT_NONE, read_timeout=None, write_timeout=None)
    async with WebTransportClient(config=config) as client:
        url = f"https://127.0.0.1:{port}/echo"
        session = await client.connect(url=url)
        print("ready", flush=True)
        while words := (await asyncio.to_thread(sys.stdin.readline)).split():
            if session.is_closed:
                session = await client.connect(url=url)
            print(json.dumps(await measure(session, float(words[1]))), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--core", type=int)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.CRITICAL)
    pin(arguments.core)
    asyncio.run(run(arguments.port))


if __name__ == "__main__":
    main()
