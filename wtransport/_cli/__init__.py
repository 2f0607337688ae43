"""The commands of ``python -m wtransport``: their arguments, and which module runs them."""

from __future__ import annotations

import argparse
import asyncio
import logging
from collections.abc import Sequence

from ..constants import DEFAULT_DEV_PORT
from ..version import __version__

__all__ = ["build_parser", "main"]

DEFAULT_HTTP_PORT = 8080
"""TCP port of the page on loopback; the customary one for development."""

MAX_BROWSER_DAYS = 14
"""Days of validity up to which browsers accept a certificate by its hash (W3C WebTransport, custom certificates)."""


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(prog="python -m wtransport", description="WebTransport over HTTP/3 for Python.")
    parser.add_argument("--version", action="version", version=f"wtransport {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    demo = commands.add_parser("demo", help="start a server, connect a client, exchange everything, print a table")
    demo.add_argument("-v", "--verbose", action="store_true", help="log what the library does")

    serve = commands.add_parser("serve", help="run an echo server, and a page that a browser connects to it with")
    serve.add_argument("--host", default="localhost", help="name or address to listen at (default: %(default)s)")
    serve.add_argument(
        "--port", type=_port, default=DEFAULT_DEV_PORT, help="UDP port of the server (default: %(default)s)"
    )
    serve.add_argument(
        "--http-port", type=_port, default=DEFAULT_HTTP_PORT, help="TCP port of the page (default: %(default)s)"
    )
    serve.add_argument("--cert-dir", metavar="DIR", help="where to keep the certificate (default: a temporary one)")
    serve.add_argument(
        "--days",
        type=_days,
        default=MAX_BROWSER_DAYS,
        help=f"validity of the certificate; browsers accept at most {MAX_BROWSER_DAYS} (default: %(default)s)",
    )
    serve.add_argument("-v", "--verbose", action="store_true", help="log what the library does")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status: 0, or 1 when it failed (2 for wrong arguments, by argparse)."""
    arguments = build_parser().parse_args(argv)
    level = logging.DEBUG if arguments.verbose else logging.WARNING
    logging.basicConfig(level=level, format="%(levelname)s %(name)s: %(message)s")
    logging.getLogger("wtransport").setLevel(level)
    if arguments.command == "demo":
        # Late, so that --help and --version load neither TLS nor QUIC.
        from .demo import run_demo

        return asyncio.run(run_demo())
    # Late, for the same reason.
    from .serve import run_server

    try:
        return asyncio.run(
            run_server(
                host=arguments.host,
                port=arguments.port,
                http_port=arguments.http_port,
                cert_dir=arguments.cert_dir,
                days=arguments.days,
            )
        )
    except KeyboardInterrupt:
        return 0


def _port(text: str) -> int:
    return _bounded(text, 0, 65535)


def _days(text: str) -> int:
    return _bounded(text, 1, 3650)


def _bounded(text: str, low: int, high: int) -> int:
    try:
        value = int(text)
    except ValueError:
        value = low - 1
    if not low <= value <= high:
        raise argparse.ArgumentTypeError(f"must be a whole number from {low} to {high}, not {text!r}")
    return value
