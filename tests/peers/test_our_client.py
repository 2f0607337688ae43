"""Our client with the servers of other Python implementations: streams and datagrams both ways."""

from __future__ import annotations

import ssl

import peerkit
import pytest
from peers import running_server
from serving import Certificate

from wtransport import ClientConfig, WebTransportClient, WebTransportSession
from wtransport.stream import WebTransportReceiveStream, WebTransportSendStream, WebTransportStream

pytestmark = [pytest.mark.peer, pytest.mark.timeout(120)]

FULL = {"size": 200_000, "streams": 10}
WITHIN_ONE_WINDOW = {"size": 2000, "streams": 3}  # all that webtransport-py's release can carry


class OurStream:
    """Our stream as the exercise wants it."""

    def __init__(self, stream: WebTransportStream | WebTransportSendStream | WebTransportReceiveStream) -> None:
        self._stream = stream

    async def send(self, data: bytes) -> None:
        assert not isinstance(self._stream, WebTransportReceiveStream) or isinstance(self._stream, WebTransportStream)
        await self._stream.write_all(data=data)

    async def receive(self) -> bytes:
        assert isinstance(self._stream, WebTransportReceiveStream)
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


@pytest.mark.parametrize(
    ("peer", "amount"),
    [
        ("aioquic", FULL),
        ("pywebtransport", FULL),
        ("aiopquic", FULL),
        ("webtransport_py", WITHIN_ONE_WINDOW),
    ],
)
async def test_peers_server_echoes_everything(peer: str, amount: dict[str, int], certificate: Certificate) -> None:
    async with running_server(peer, certificate.certfile, certificate.keyfile) as port:
        config = ClientConfig(verify_mode=ssl.CERT_NONE)
        async with WebTransportClient(config=config) as client:
            session = await client.connect(url=f"https://{peerkit.HOST}:{port}/echo")
            results = await peerkit.exercise(OurSession(session), **amount, datagram_size=1000)
            await session.close()

    streams = amount["streams"]
    assert results == {"bidirectional": streams, "unidirectional": streams, "opened_by_server": 1, "datagrams": 3}
