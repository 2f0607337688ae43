"""A server that takes up a renewed certificate while it runs; open connections go on."""

from __future__ import annotations

import asyncio
import tempfile

from wtransport import ClientConfig, ServerApp, ServerConfig, WebTransportClient, WebTransportSession
from wtransport.utils import generate_self_signed_cert


async def echo(session: WebTransportSession) -> None:
    async for data in session.incoming_datagrams():
        await session.send_datagram(data=data)


async def certificate_of(url: str, certfile: str) -> tuple[WebTransportSession, bytes | None]:
    client = WebTransportClient(config=ClientConfig(ca_certs=certfile))
    session = await client.connect(url=url)
    return session, session.peer_certificate


async def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        certfile, keyfile = generate_self_signed_cert(hostname="localhost", output_dir=directory)
        config = ServerConfig(bind_host="127.0.0.1", bind_port=0, certfile=certfile, keyfile=keyfile)
        app = ServerApp(config=config)
        app.route(path="/echo")(echo)
        async with app:
            await app.server.listen()
            address = app.server.local_address
            if address is None:
                return
            url = f"https://{address[0]}:{address[1]}/echo"
            old_session, old = await certificate_of(url, certfile)

            # Renew the files, then tell the server: when a signal comes, or once a day.
            generate_self_signed_cert(hostname="localhost", output_dir=directory)
            await app.server.reload_certificate()

            new_session, new = await certificate_of(url, certfile)
            print("new connections get the new one:", old != new)
            await old_session.send_datagram(data=b"still here")
            print("the old connection:", await old_session.read_datagram())
            await old_session.close()
            await new_session.close()


if __name__ == "__main__":
    asyncio.run(main())
