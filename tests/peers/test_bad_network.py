"""Another implementation and ours with a network between them that loses, doubles, reorders and alters packets."""

from __future__ import annotations

import ssl

import peerkit
import pytest
from our_session import OurSession
from peers import python_or_skip, run_client, running_server
from serving import Certificate, echo_service, serving
from udp_proxy import proxied

from wtransport import ClientConfig, WebTransportClient

pytestmark = [pytest.mark.peer, pytest.mark.timeout(120)]

PEER = "aioquic"

BAD = {"loss": 0.02, "duplication": 0.01, "reordering": 0.02, "corruption": 0.01, "delay": 0.005}

EVERYTHING = {"bidirectional": 4, "unidirectional": 4, "opened_by_server": 1, "datagrams": 3}


async def test_a_peers_client_gets_everything_echoed(certificate: Certificate) -> None:
    python_or_skip(PEER)
    async with serving(certificate, {"/echo": echo_service}) as site, proxied(site.url, seed=1, **BAD) as proxy:
        results = await run_client(PEER, proxy.address[1], size=200_000, streams=4, datagram_size=1000)

    assert results == EVERYTHING
    assert proxy.to_server.lost > 0


async def test_a_peers_server_echoes_everything(certificate: Certificate) -> None:
    async with (
        running_server(PEER, certificate.certfile, certificate.keyfile) as port,
        proxied(f"https://{peerkit.HOST}:{port}", seed=2, **BAD) as proxy,
        WebTransportClient(config=ClientConfig(verify_mode=ssl.CERT_NONE)) as client,
    ):
        session = await client.connect(url=f"{proxy.url}/echo")
        results = await peerkit.exercise(OurSession(session), size=200_000, streams=4, datagram_size=1000)
        await session.close()

    assert results == EVERYTHING
    assert proxy.to_client.lost > 0
