"""Our client's session as the exercise of `peerkit` wants it."""

from __future__ import annotations

from wtransport import WebTransportSession
from wtransport.stream import WebTransportReceiveStream, WebTransportSendStream, WebTransportStream

__all__ = ["OurSession", "OurStream"]


class OurStream:
    """Our stream as the exercise wants it."""

    def __init__(self, stream: WebTransportStream | WebTransportSendStream | WebTransportReceiveStream) -> None:
        self._stream = stream

    async def send(self, data: bytes) -> None:
        if not isinstance(self._stream, WebTransportSendStream):
            raise TypeError("a stream that can only be read")
        await self._stream.write_all(data=data)

    async def receive(self) -> bytes:
        if not isinstance(self._stream, WebTransportReceiveStream):
            raise TypeError("a stream that can only be written")
        return await self._stream.read_all()


class OurSession:
    """Our session as the exercise wants it."""

    def __init__(self, session: WebTransportSession) -> None:
        self._session = session
        self._bidirectional = session.incoming_bidirectional_streams()
        self._unidirectional = session.incoming_unidirectional_streams()

    async def open_bidirectional(self) -> OurStream:
        return OurStream(await self._session.create_bidirectional_stream())

    async def open_unidirectional(self) -> OurStream:
        return OurStream(await self._session.create_unidirectional_stream())

    async def next_bidirectional(self) -> OurStream:
        return OurStream(await anext(self._bidirectional))

    async def next_unidirectional(self) -> OurStream:
        return OurStream(await anext(self._unidirectional))

    async def send_datagram(self, data: bytes) -> None:
        await self._session.send_datagram(data=data)

    async def next_datagram(self) -> bytes:
        return await self._session.read_datagram()
