"""A transfer both ways over real sockets, during which the client's address changes."""

from __future__ import annotations

import asyncio

from content import Digest, read_content, write_content
from handle_pair import SessionPair
from udp_proxy import UdpProxy

__all__ = ["proxy_of", "transfer_with_changes"]


def proxy_of(pair: SessionPair) -> UdpProxy:
    proxy = pair.connections.proxy
    if proxy is None:
        raise RuntimeError("no proxy stands between")
    return proxy


async def transfer_with_changes(pair: SessionPair, *, size: int, changes: int) -> None:
    """Send so much each way at once, and change the client's address at equal parts of it.

    Raises:
        AssertionError: the server did not follow a change, or something else arrived than was sent.
        TimeoutError: it took too long.
    """
    proxy, server = proxy_of(pair), pair.connections.server
    incoming = pair.server.incoming_bidirectional_streams()
    ours = await pair.client.create_bidirectional_stream()
    theirs = await anext(incoming)
    up, down = Digest(), Digest()

    async def change() -> None:
        seen = [server.remote_address]
        for number in range(changes):
            while up.size < size * (number + 1) // (changes + 1):
                await asyncio.sleep(0.002)
            proxy.rebind()
            async with asyncio.timeout(10):
                while server.remote_address != proxy.addresses[0]:
                    await asyncio.sleep(0.002)
            seen.append(server.remote_address)
        if len(set(seen)) != changes + 1:
            raise AssertionError(f"the server saw the client at {seen}")

    async with asyncio.TaskGroup() as group:
        sent_up = group.create_task(write_content(ours, size, "up"))
        sent_down = group.create_task(write_content(theirs, size, "down"))
        read_up = group.create_task(read_content(theirs, up))
        read_down = group.create_task(read_content(ours, down))
        group.create_task(change())
    if (read_up.result(), read_down.result()) != (sent_up.result(), sent_down.result()):
        raise AssertionError(f"something else arrived than was sent: {up.size} bytes up, {down.size} down, of {size}")
