"""Mutual TLS: a server that lets in who has a certificate of its own authority, and sees who it is."""

from __future__ import annotations

import asyncio
import ssl
import tempfile
from pathlib import Path

from cryptography import x509
from cryptography.x509.oid import NameOID
from local import client_config, running, server_config
from private_authority import issue_client_certificate

from wtransport import ConnectionError, ServerApp, WebTransportClient, WebTransportSession


async def greet(session: WebTransportSession) -> None:
    encoded = session.peer_certificate  # DER; checked already, or the connection would not be there
    if encoded is None:
        return
    subject = x509.load_der_x509_certificate(encoded).subject
    name = subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value
    await session.send_datagram(data=f"hello {name!s}")
    await session.events.wait_for(event_type="session_closed")


async def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        authority, certfile, keyfile = issue_client_certificate(Path(directory), name="anna")
        # CERT_OPTIONAL, the default, lets in clients without a certificate, too.
        app = ServerApp(config=server_config(ca_certs=authority, verify_mode=ssl.CERT_REQUIRED))
        app.route(path="/")(greet)
        async with running(app) as url:
            with_certificate = client_config(certfile=certfile, keyfile=keyfile)
            async with WebTransportClient(config=with_certificate) as client:
                session = await client.connect(url=f"{url}/")
                print(await session.read_datagram())

            async with WebTransportClient(config=client_config()) as stranger:
                try:
                    await stranger.connect(url=f"{url}/")
                except ConnectionError:
                    print("without a certificate: refused")


if __name__ == "__main__":
    asyncio.run(main())
