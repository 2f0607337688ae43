"""Send a stream and a datagram to the echo server, and print what comes back."""

from __future__ import annotations

import asyncio

from wtransport import ClientConfig, WebTransportClient


async def main() -> None:
    async with WebTransportClient(config=ClientConfig(ca_certs="localhost.crt")) as client:
        session = await client.connect(url="https://localhost:4433/echo")

        stream = await session.create_bidirectional_stream()
        await stream.write_all(data=b"hello on a stream")
        print(await stream.read_all())

        await session.send_datagram(data=b"hello in a datagram")
        print(await session.read_datagram())

        await session.close(reason="done")


if __name__ == "__main__":
    asyncio.run(main())
