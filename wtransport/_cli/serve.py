"""``python -m wtransport serve``: the echo server, its certificate, and the page that a browser tries it with."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator

from ..client.url import format_authority
from ..config import ServerConfig
from ..exceptions import WebTransportError
from ..utils import certificate_hash, generate_self_signed_cert
from .echo import create_echo_app
from .page import render_page

__all__ = ["page_server", "run_server"]

REQUEST_LIMIT = 16 * 1024
"""Bytes of an HTTP request head; what browsers send stays far below."""

REQUEST_TIMEOUT = 10.0
"""Seconds for a request head to arrive, so that silent connections do not pile up."""

LOOPBACK_HOSTS = frozenset({"", "0.0.0.0", "::", "localhost"})  # noqa: S104 - compared with, not bound
"""Bind hosts for which the page connects to 127.0.0.1: a browser cannot connect to a wildcard address, and one that
tries ::1 first for ``localhost`` waits for a time-out where IPv6 is off."""


async def run_server(*, host: str, port: int, http_port: int, cert_dir: str | None, days: int) -> int:
    """Serve until cancelled; return 1 when it cannot begin.

    Args:
        host: name or address of the WebTransport server.
        port: its UDP port, 0 for any.
        http_port: TCP port of the page on loopback, 0 for any.
        cert_dir: directory for the certificate and key, which are made anew; None for a temporary one.
        days: validity of the certificate.
    """
    with contextlib.ExitStack() as stack:
        directory = cert_dir or stack.enter_context(tempfile.TemporaryDirectory(prefix="wtransport-"))
        try:
            certfile, keyfile = generate_self_signed_cert(
                hostname=host if host and ":" not in host else "localhost", output_dir=directory, days_valid=days
            )
            digest = certificate_hash(certfile)
            config = ServerConfig(bind_host=host, bind_port=port, certfile=certfile, keyfile=keyfile)
            async with create_echo_app(config=config) as app:
                await app.server.listen()
                address = app.server.local_address
                url_host = "127.0.0.1" if host in LOOPBACK_HOSTS else host
                url = "https://" + format_authority(host=url_host, port=address[1] if address else port)
                async with page_server(page=render_page(url=url, certificate_hash=digest), port=http_port) as page:
                    print(f"echo server      {url}/echo")
                    print(f"certificate      {certfile} ({days} days)")
                    print(f"SHA-256          {digest.hex()}")
                    print(f"open in browser  {page}")
                    print("Ctrl-C stops it", flush=True)
                    await app.server.serve_forever()
        except (OSError, WebTransportError, ValueError) as error:
            print(f"cannot serve: {error}", flush=True)
            return 1
    return 0


@contextlib.asynccontextmanager
async def page_server(*, page: bytes, port: int) -> AsyncIterator[str]:
    """Serve one page over HTTP on loopback while the context is open; the value is its URL.

    Browsers take ``http://localhost`` for a secure context, without which a page has no WebTransport.

    Raises:
        OSError: the port is in use.
    """

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(REQUEST_TIMEOUT):
                head = await reader.readuntil(b"\r\n\r\n")
                writer.write(_response(head, page))
                await writer.drain()
        except (TimeoutError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # the browser went away, or it was no browser: nobody is left to tell
        finally:
            writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", port, limit=REQUEST_LIMIT)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    finally:
        server.close()


def _response(head: bytes, page: bytes) -> bytes:
    method, _, rest = head.partition(b" ")
    path = rest.partition(b" ")[0].partition(b"?")[0]
    if method not in {b"GET", b"HEAD"}:
        status, body = b"405 Method Not Allowed", b"only GET\n"
    elif path == b"/":
        status, body = b"200 OK", page
    else:
        status, body = b"404 Not Found", b"there is only /\n"
    kind = b"text/html" if body is page else b"text/plain"
    lines = (
        b"HTTP/1.1 " + status,
        b"Content-Type: " + kind + b"; charset=utf-8",
        b"Content-Length: %d" % len(body),
        b"Cache-Control: no-store",
        b"Connection: close",
        b"",
        b"" if method == b"HEAD" else body,
    )
    return b"\r\n".join(lines)
