"""Packets grow on real sockets: the loopback interface takes any size (RFC 8899)."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from handle_pair import session_pair

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only there packets are kept from being fragmented")

CONTENT = bytes(1 << 20)


@pytest.mark.parametrize(
    ("limit", "grows"), [(1472, True), (1300, True), (1200, False)], ids=["default", "smaller", "off"]
)
async def test_packets_grow_up_to_the_limit_while_data_goes_both_ways(
    certificate: Any, limit: int, grows: bool
) -> None:
    settings = {"max_udp_payload_size": limit}
    async with session_pair(certificate, client=settings, server=settings) as pair:
        at_first = pair.client.max_datagram_size
        stream = await pair.client.create_bidirectional_stream()
        await stream.write(data=b"!")
        other = await anext(pair.server.incoming_bidirectional_streams())
        await other.readexactly(n=1)
        for writer, reader in ((stream, other), (other, stream)):
            for _ in range(4):
                await writer.write(data=CONTENT)
                assert await reader.readexactly(n=len(CONTENT)) == CONTENT
        for session in (pair.client, pair.server):
            assert session.max_datagram_size == at_first + (limit - 1200 if grows else 0)
        await pair.client.send_datagram(data=bytes(pair.client.max_datagram_size))
        assert len(await anext(pair.server.incoming_datagrams())) == pair.client.max_datagram_size
