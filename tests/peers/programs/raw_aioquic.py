"""WebTransport on aioquic's own H3Connection (draft-02), both roles: what its server and client programs share."""

from __future__ import annotations

import asyncio
from typing import Any

from aioquic.asyncio import QuicConnectionProtocol
from aioquic.h3.connection import H3_ALPN, H3Connection
from aioquic.h3.events import DatagramReceived, H3Event, WebTransportStreamDataReceived
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import stream_is_unidirectional
from aioquic.quic.events import ProtocolNegotiated, QuicEvent, StreamDataReceived


def configuration(**more: Any) -> QuicConfiguration:
    return QuicConfiguration(alpn_protocols=H3_ALPN, max_datagram_frame_size=65536, **more)


class RawStream:
    """One WebTransport stream: received bytes collect until FIN."""

    def __init__(self, protocol: RawProtocol, stream_id: int, session_id: int) -> None:
        self.stream_id = stream_id
        self.session_id = session_id
        self.is_unidirectional = stream_is_unidirectional(stream_id)
        self._protocol = protocol
        self._received = bytearray()
        self._ended = asyncio.Event()

    def feed(self, data: bytes, ended: bool) -> None:
        self._received += data
        if ended:
            self._ended.set()

    async def send(self, data: bytes) -> None:
        self._protocol.send(self.stream_id, data, end_stream=True)

    async def receive(self) -> bytes:
        await self._ended.wait()
        return bytes(self._received)


class RawProtocol(QuicConnectionProtocol):
    """Feeds QUIC events to H3Connection and sorts what comes out; roles override the `on_` methods."""

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self.h3: H3Connection | None = None
        self.streams: dict[int, RawStream] = {}
        self._opened_here: set[int] = set()

    def quic_event_received(self, event: QuicEvent) -> None:
        if isinstance(event, ProtocolNegotiated):
            self.h3 = H3Connection(self._quic, enable_webtransport=True)
        if self.h3 is None:
            return
        if isinstance(event, StreamDataReceived) and event.stream_id in self._opened_here:
            # H3Connection would parse what the peer answers on our stream as HTTP frames.
            self.streams[event.stream_id].feed(event.data, event.end_stream)
            return
        for http_event in self.h3.handle_event(event):
            self._http_event_received(http_event)

    def _http_event_received(self, event: H3Event) -> None:
        if isinstance(event, WebTransportStreamDataReceived):
            stream = self.streams.get(event.stream_id)
            if stream is None:
                stream = self.streams[event.stream_id] = RawStream(self, event.stream_id, event.session_id)
                self.on_stream(stream)
            stream.feed(event.data, event.stream_ended)
            self.on_stream_data(stream, event.data, event.stream_ended)
        elif isinstance(event, DatagramReceived):
            self.on_datagram(event.stream_id, event.data)
        else:
            self.on_http(event)

    def on_stream(self, stream: RawStream) -> None:
        """The peer opened a stream."""

    def on_stream_data(self, stream: RawStream, data: bytes, ended: bool) -> None:
        """Data came on a stream that the peer opened."""

    def on_datagram(self, session_id: int, data: bytes) -> None:
        """A datagram came."""

    def on_http(self, event: H3Event) -> None:
        """Anything else that H3Connection reports."""

    def open(self, session_id: int, *, unidirectional: bool) -> RawStream:
        if self.h3 is None:
            raise RuntimeError("not connected")
        stream_id = self.h3.create_webtransport_stream(session_id, is_unidirectional=unidirectional)
        self._opened_here.add(stream_id)
        stream = self.streams[stream_id] = RawStream(self, stream_id, session_id)
        return stream

    def send(self, stream_id: int, data: bytes, *, end_stream: bool) -> None:
        self._quic.send_stream_data(stream_id, data, end_stream)
        self.transmit()

    def send_datagram_on(self, session_id: int, data: bytes) -> None:
        if self.h3 is None:
            raise RuntimeError("not connected")
        self.h3.send_datagram(session_id, data)
        self.transmit()


class SessionProtocol(RawProtocol):
    """A connection with one session, whose CONNECT stream is the first one unless a role says otherwise: id 0."""

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self.session_id = 0
        self._bidirectional: asyncio.Queue[RawStream] = asyncio.Queue()
        self._unidirectional: asyncio.Queue[RawStream] = asyncio.Queue()
        self._datagrams: asyncio.Queue[bytes] = asyncio.Queue()

    def on_stream(self, stream: RawStream) -> None:
        queue = self._unidirectional if stream.is_unidirectional else self._bidirectional
        queue.put_nowait(stream)

    def on_datagram(self, session_id: int, data: bytes) -> None:
        self._datagrams.put_nowait(data)

    async def open_bidirectional(self) -> RawStream:
        return self.open(self.session_id, unidirectional=False)

    async def open_unidirectional(self) -> RawStream:
        return self.open(self.session_id, unidirectional=True)

    async def next_bidirectional(self) -> RawStream:
        return await self._bidirectional.get()

    async def next_unidirectional(self) -> RawStream:
        return await self._unidirectional.get()

    async def next_datagram(self) -> bytes:
        return await self._datagrams.get()

    async def send_datagram(self, data: bytes) -> None:
        self.send_datagram_on(self.session_id, data)
