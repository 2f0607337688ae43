"""A secret that both ends of a session can make, and nobody else: for tokens that are good on this session alone."""

from __future__ import annotations

import asyncio
import hmac

from local import client_config, running, server_config

from wtransport import ServerApp, WebTransportClient, WebTransportSession

LABEL = "EXPORTER-example-login"


async def check_login(session: WebTransportSession) -> None:
    token = await session.read_datagram()
    expected = await session.export_keying_material(label=LABEL, context=b"anna", length=32)
    await session.send_datagram(data="welcome" if hmac.compare_digest(token, expected) else "who are you?")
    await session.events.wait_for(event_type="session_closed")


async def main() -> None:
    app = ServerApp(config=server_config())
    app.route(path="/login")(check_login)
    async with running(app) as url, WebTransportClient(config=client_config()) as client:
        session = await client.connect(url=f"{url}/login")
        token = await session.export_keying_material(label=LABEL, context=b"anna", length=32)
        await session.send_datagram(data=token)
        print(await session.read_datagram())


if __name__ == "__main__":
    asyncio.run(main())
