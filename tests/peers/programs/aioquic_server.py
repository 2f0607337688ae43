"""The echo service on aioquic's own H3Connection."""

from __future__ import annotations

import peerkit
from aioquic.asyncio import serve as quic_serve
from aioquic.h3.events import H3Event, HeadersReceived
from raw_aioquic import RawProtocol, RawStream, configuration

tasks = peerkit.Tasks()


class EchoProtocol(RawProtocol):
    def on_http(self, event: H3Event) -> None:
        if isinstance(event, HeadersReceived) and self.h3 is not None:
            answer = [(b":status", b"200"), (b"sec-webtransport-http3-draft", b"draft02")]
            self.h3.send_headers(event.stream_id, answer)

    def on_stream(self, stream: RawStream) -> None:
        if stream.is_unidirectional:
            tasks.spawn(self._answer(stream))

    def on_stream_data(self, stream: RawStream, data: bytes, ended: bool) -> None:
        if not stream.is_unidirectional:
            self.send(stream.stream_id, data, end_stream=ended)

    def on_datagram(self, session_id: int, data: bytes) -> None:
        self.send_datagram_on(session_id, data)

    async def _answer(self, stream: RawStream) -> None:
        content = await stream.receive()
        if content == peerkit.OPEN:
            offer = self.open(stream.session_id, unidirectional=False)
            await offer.send(peerkit.OFFER)
            content = await offer.receive()
        await self.open(stream.session_id, unidirectional=True).send(content)


async def serve(cert: str, key: str, port: int) -> None:
    config = configuration(is_client=False)
    config.load_cert_chain(cert, key)
    server = await quic_serve(peerkit.HOST, port, configuration=config, create_protocol=EchoProtocol)
    peerkit.ready(port)
    await peerkit.until_stdin_ends()
    server.close()


if __name__ == "__main__":
    peerkit.run_server(serve)
