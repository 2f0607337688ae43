"""Real sockets on loopback, with a relay between that takes another port towards the server now and then."""

from __future__ import annotations

import asyncio
import errno
from typing import Any

from content import Digest, read_content, write_content
from handle_pair import session_pair
from moving import proxy_of, transfer_with_changes
from network import everything
from toolkit import until

MIB = 1 << 20


async def test_eight_mebibytes_half_of_them_each_way_survive_five_changes(certificate: Any) -> None:
    async with session_pair(certificate, network={}) as pair:
        await transfer_with_changes(pair, size=4 * MIB, changes=5)
        assert pair.connections.server.remote_address == proxy_of(pair).addresses[0]


async def test_so_they_do_with_loss(certificate: Any) -> None:
    async with session_pair(certificate, network={"loss": 0.01, "delay": 0.002}) as pair:
        await transfer_with_changes(pair, size=MIB, changes=5)


async def test_what_was_said_before_and_after_a_change_arrives(certificate: Any) -> None:
    """Nothing is under way when the address changes, many times."""
    async with session_pair(certificate, network={}) as pair:
        for number in range(20):
            await pair.client.send_datagram(data=b"%d" % number)
            assert await pair.server.read_datagram() == b"%d" % number
            assert pair.connections.server.remote_address == proxy_of(pair).addresses[0]
            await pair.server.send_datagram(data=b"%d" % number)
            assert await pair.client.read_datagram() == b"%d" % number
            proxy_of(pair).rebind()
        await pair.client.close()
        await until(lambda: pair.server.is_closed)


async def test_a_client_whose_own_network_changes_goes_on_from_another_socket(certificate: Any) -> None:
    async with session_pair(certificate) as pair:
        connection, server = pair.client.connection, pair.connections.server
        incoming = pair.server.incoming_unidirectional_streams()
        stream = await pair.client.create_unidirectional_stream()
        sending = asyncio.ensure_future(write_content(stream, 4 * MIB, "up"))
        content = Digest()
        reading = asyncio.ensure_future(read_content(await anext(incoming), content))
        await until(lambda: content.size > MIB)
        before = connection.local_address
        connection._protocol.error_received(OSError(errno.EADDRNOTAVAIL, "the address is gone"))
        await until(lambda: connection.local_address != before)
        assert await reading == await sending
        assert server.remote_address == connection.local_address


async def test_a_client_that_missed_the_servers_close_hears_of_it_when_it_speaks(certificate: Any) -> None:
    async with session_pair(certificate, network={}) as pair:
        proxy = proxy_of(pair)
        proxy.to_client.loses = everything
        await pair.connections.server.close(error_code=7, reason="bye")
        assert not pair.client.is_closed
        proxy.to_client.loses = None
        await pair.client.send_datagram(data=b"still there?")
        await until(lambda: pair.client.is_closed)  # far sooner than by its idle time-out
