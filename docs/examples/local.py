"""What the other examples share: a server on a free port of this machine, and a client that trusts it.

Programs of your own read certificates from files that stay; see the how-to on certificates.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import tempfile
from collections.abc import AsyncIterator
from typing import Any

from wtransport import ClientConfig, ServerApp, ServerConfig
from wtransport.utils import generate_self_signed_cert

__all__ = ["certificate", "client_config", "running", "server_config"]


@functools.cache
def certificate() -> tuple[str, str]:
    """Return a certificate and its key, in a directory that goes when the program ends."""
    directory = tempfile.TemporaryDirectory()
    atexit.register(directory.cleanup)
    return generate_self_signed_cert(hostname="localhost", output_dir=directory.name, days_valid=14)


def server_config(**settings: Any) -> ServerConfig:
    """Return settings for a server on loopback; port 0 stands for any that is free."""
    certfile, keyfile = certificate()
    return ServerConfig(bind_host="127.0.0.1", bind_port=0, certfile=certfile, keyfile=keyfile, **settings)


def client_config(**settings: Any) -> ClientConfig:
    """Return settings for a client that trusts that server's certificate, and no other."""
    return ClientConfig(ca_certs=certificate()[0], **settings)


@contextlib.asynccontextmanager
async def running(app: ServerApp) -> AsyncIterator[str]:
    """Serve while the block runs; the value is the URL of the server, without a path."""
    async with app:
        await app.server.listen()
        address = app.server.local_address
        if address is None:
            raise RuntimeError("the server does not listen")
        yield f"https://{address[0]}:{address[1]}"
