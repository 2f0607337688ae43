"""Our server with the clients of other Python implementations: streams and datagrams both ways."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from peers import python_or_skip, run_client
from serving import Certificate, echo_service, serving

pytestmark = [pytest.mark.peer, pytest.mark.timeout(120)]


@pytest.mark.parametrize("peer", ["aioquic", "pywebtransport"])
async def test_peers_client_gets_everything_echoed(peer: str, certificate: Certificate) -> None:
    python_or_skip(peer)
    async with serving(certificate, {"/echo": echo_service}) as site:
        results = await run_client(peer, urlsplit(site.url).port or 0, size=200_000, streams=10, datagram_size=1000)

    assert results == {"bidirectional": 10, "unidirectional": 10, "opened_by_server": 1, "datagrams": 3}


@pytest.mark.parametrize("peer", ["aioquic", "pywebtransport"])
async def test_peers_client_validates_its_address(peer: str, certificate: Certificate) -> None:
    python_or_skip(peer)
    async with serving(certificate, {"/echo": echo_service}, address_validation="always") as site:
        results = await run_client(peer, urlsplit(site.url).port or 0, size=2_000, streams=1, datagram_size=1000)

    assert results == {"bidirectional": 1, "unidirectional": 1, "opened_by_server": 1, "datagrams": 3}
