"""Our client with the servers of other Python implementations: streams and datagrams both ways."""

from __future__ import annotations

import ssl

import peerkit
import pytest
from our_session import OurSession
from peers import running_server
from serving import Certificate

from wtransport import ClientConfig, WebTransportClient

pytestmark = [pytest.mark.peer, pytest.mark.timeout(120)]

FULL = {"size": 200_000, "streams": 10}
WITHIN_ONE_WINDOW = {"size": 2000, "streams": 3}  # all that webtransport-py's release can carry


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
