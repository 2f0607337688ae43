"""The server's end of Devious Baton on aioquic's own H3Connection."""

from __future__ import annotations

import batonkit
import peerkit
from aioquic.asyncio import serve as quic_serve
from aioquic.h3.events import H3Event, HeadersReceived
from aioquic_baton import BatonProtocol
from raw_aioquic import configuration

tasks = peerkit.Tasks()


class ServerProtocol(BatonProtocol):
    def on_http(self, event: H3Event) -> None:
        if isinstance(event, HeadersReceived) and self.h3 is not None:
            self.session_id = event.stream_id
            self.h3.send_headers(event.stream_id, [(b":status", b"200"), (b"sec-webtransport-http3-draft", b"draft02")])
            tasks.spawn(batonkit.play_for(self, dict(event.headers)[b":path"].decode()))
        super().on_http(event)


async def serve(cert: str, key: str, port: int) -> None:
    config = configuration(is_client=False)
    config.load_cert_chain(cert, key)
    server = await quic_serve(peerkit.HOST, port, configuration=config, create_protocol=ServerProtocol)
    peerkit.ready(port)
    await peerkit.until_stdin_ends()
    server.close()


if __name__ == "__main__":
    peerkit.run_server(serve)
