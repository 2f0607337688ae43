"""Measure the engine against stock aioquic, side by side: ``python -m perf.engine [--rounds N]``.

Both ends of a link run in this process, so a figure is the cost of both together. In every round each workload runs on
ours and then on stock aioquic, which has no HTTP/3 or WebTransport on top: the ratio is what our layers cost, or save.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable

from perf.engine.links import EngineLink, Link, StockLink
from wtransport import BACKEND
from wtransport.utils import generate_self_signed_cert

MIB = 1 << 20


def upload(link: Link) -> float:
    """Move 4 MiB on one stream; MB/s."""
    size, stream_id = 4 * MIB, link.open()
    link.write(0, stream_id, bytes(size), True)
    link.run(lambda: link.ended[1] > 0)
    return size / 1e6


def requests(link: Link) -> float:
    """64 bytes there and back, a stream for each, 500 times; requests/s."""
    body = b"r" * 64
    for number in range(500):
        stream_id = link.open()
        link.write(0, stream_id, body, True)
        link.run(lambda: link.ended[1] > number)
        link.write(1, stream_id, body, True)
        link.run(lambda: link.ended[0] > number)
    return 500


def streams(link: Link) -> float:
    """Upload 100 streams of 8 KiB at once; MB/s."""
    body = bytes(8192)
    for _ in range(100):
        link.write(0, link.open(), body, True)
    link.run(lambda: link.ended[1] >= 100)
    return 100 * len(body) / 1e6


def datagrams(link: Link) -> float:
    """Send 10,000 datagrams of 64 bytes; datagrams/s."""
    body, sent = b"d" * 64, 0
    while sent < 10_000:
        for _ in range(64):
            sent += link.datagram(0, body)
        link.run(lambda: link.datagrams[1] >= sent - 128)
    link.run(lambda: link.datagrams[1] >= sent)
    return sent


WORKLOADS: dict[str, tuple[Callable[[Link], float], str]] = {
    "upload": (upload, "MB/s"),
    "requests": (requests, "1/s"),
    "streams": (streams, "MB/s"),
    "datagrams": (datagrams, "1/s"),
}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="")
    arguments = parser.parse_args()
    print(f"backend {BACKEND}; ratio: ours / stock aioquic, median of {arguments.rounds} rounds (min .. max)")
    with tempfile.TemporaryDirectory() as directory:
        certificate = generate_self_signed_cert(hostname="localhost", output_dir=directory, days_valid=10)
        for name, (workload, unit) in WORKLOADS.items():
            if arguments.only not in name:
                continue
            figures: dict[type, list[float]] = {EngineLink: [], StockLink: []}
            for _ in range(arguments.rounds):
                for kind, values in figures.items():
                    link = kind(*certificate)
                    begin = time.perf_counter()
                    amount = workload(link)
                    values.append(amount / (time.perf_counter() - begin))
            ratios = [ours / stock for ours, stock in zip(figures[EngineLink], figures[StockLink], strict=True)]
            print(
                f"{name:10} ours {statistics.median(figures[EngineLink]):10.1f} {unit:5}"
                f" stock {statistics.median(figures[StockLink]):10.1f} {unit:5}"
                f" ratio {statistics.median(ratios):5.2f} ({min(ratios):.2f} .. {max(ratios):.2f})",
                flush=True,
            )


if __name__ == "__main__":
    main()
