"""The echo service on webtransport-py 2026.1.0.dev0 (ngtcp2 and nghttp3), through its sans-I/O layer.

Its asyncio classes do not tell FIN. Of this release, and so of the sizes a test may use: `quic.Connection.send()` never
returns once the congestion window is used up, so everything under way at once must fit the initial window; and a stream
is sent whole, with FIN, in one write. It takes a client that advertises draft-07 together with a newer draft.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import peerkit
from webtransport import h3, quic

UNIDIRECTIONAL = 0x2  # bit of a stream id
LONG_HEADER = 0x80  # bit of a packet's first byte
PLENTY = 1 << 30  # its windows and stream limits never move on
NANOSECOND = 1e-9
IDLE_TIMEOUT_NS = 30_000_000_000

tasks = peerkit.Tasks()


class Connection:
    """One QUIC connection with its one session."""

    def __init__(self, config: quic.Config, packet: bytes, send: Callable[[bytes], None]) -> None:
        self._quic = quic.Connection.accept(config, packet)
        http = h3.Config()
        http.is_server = True
        self._h3 = h3.Session.create_server(http)
        self._send = send
        self._session_id = 0
        self._received: dict[int, bytearray] = {}
        self._ended: dict[int, asyncio.Future[bytes]] = {}
        self._timer: asyncio.TimerHandle | None = None

    def receive(self, packet: bytes) -> None:
        self._quic.receive(packet)
        self._handle_events()
        self._flush()

    def _handle_events(self) -> None:
        while (event := self._quic.next_event()) is not None:
            if event.type == quic.EventType.HANDSHAKE_COMPLETED:
                self._h3.bind_control_stream(self._quic.open_stream(False))
                self._h3.bind_qpack_encoder_stream(self._quic.open_stream(False))
                self._h3.bind_qpack_decoder_stream(self._quic.open_stream(False))
                self._h3.set_max_client_streams_bidi(PLENTY)
            elif event.type == quic.EventType.STREAM_DATA:
                self._h3.receive_stream_data(event.stream_id, event.data, event.fin)
                self._handle_http_events()
                if event.fin and (ended := self._ended.get(event.stream_id)) is not None:
                    ended.set_result(bytes(self._received.pop(event.stream_id)))
            elif event.type == quic.EventType.DATAGRAM:
                self._h3.receive_datagram(event.data)
        self._handle_http_events()

    def _handle_http_events(self) -> None:
        while (event := self._h3.next_event()) is not None:
            if event.type == h3.EventType.SESSION_READY:
                self._session_id = event.session_id
                self._h3.accept_session(event.session_id)
            elif event.type == h3.EventType.STREAM_DATA:
                if event.stream_id not in self._ended:
                    self._expect(event.stream_id)
                    tasks.spawn(self._serve(event.stream_id))
                self._received[event.stream_id] += event.data
            elif event.type == h3.EventType.DATAGRAM:
                # What it hands out still begins with the quarter stream id.
                payload = event.data[1 << (event.data[0] >> 6) :]
                self._h3.send_datagram(self._session_id, payload)

    def _expect(self, stream_id: int) -> None:
        self._received[stream_id] = bytearray()
        self._ended[stream_id] = asyncio.get_running_loop().create_future()

    async def _serve(self, stream_id: int) -> None:
        content = await self._ended[stream_id]
        if not stream_id & UNIDIRECTIONAL:
            self._write(stream_id, content)
            return
        if content == peerkit.OPEN:
            offer = self._open(bidirectional=True)
            self._expect(offer)
            self._write(offer, peerkit.OFFER)
            content = await self._ended[offer]
        self._write(self._open(bidirectional=False), content)

    def _open(self, *, bidirectional: bool) -> int:
        stream_id = self._quic.open_stream(bidirectional)
        if stream_id < 0 or not self._h3.open_stream(self._session_id, stream_id, not bidirectional):
            raise ConnectionError("no stream to be had")
        return stream_id

    def _write(self, stream_id: int, data: bytes) -> None:
        self._h3.send_stream_data(stream_id, data, True)
        self._flush()

    def _flush(self) -> None:
        for stream_id, data, fin in self._h3.get_streams_to_send():
            self._quic.send_stream_data(stream_id, data, fin)
        for datagram in self._h3.get_datagrams_to_send():
            self._quic.send_datagram(datagram)
        while packet := self._quic.send():
            self._send(packet)
        if self._timer is not None:
            self._timer.cancel()
        delay = self._quic.get_timeout()
        loop = asyncio.get_running_loop()
        self._timer = None if delay is None else loop.call_later(delay * NANOSECOND, self._expire)

    def _expire(self) -> None:
        self._quic.handle_timeout()
        self._handle_events()
        self._flush()


class Endpoint(asyncio.DatagramProtocol):
    """The UDP socket; a connection is known by its peer's address."""

    def __init__(self, config: quic.Config) -> None:
        self._config = config
        self._connections: dict[tuple[str, int], Connection] = {}

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        connection = self._connections.get(addr)
        if connection is not None:
            connection.receive(data)
        elif data[0] & LONG_HEADER:
            connection = Connection(self._config, data, lambda packet: self._transport.sendto(packet, addr))
            self._connections[addr] = connection
            connection.receive(data)


async def serve(cert: str, key: str, port: int) -> None:
    config = quic.Config()
    config.alpn_protocols = ["h3"]
    config.cert_file, config.key_file = cert, key
    config.idle_timeout_ns = IDLE_TIMEOUT_NS
    config.max_data = PLENTY
    config.max_stream_data_bidi_local = config.max_stream_data_bidi_remote = config.max_stream_data_uni = PLENTY
    config.max_streams_bidi = config.max_streams_uni = 1000
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(lambda: Endpoint(config), local_addr=(peerkit.HOST, port))
    peerkit.ready(port)
    await peerkit.until_stdin_ends()
    transport.close()


if __name__ == "__main__":
    peerkit.run_server(serve)
