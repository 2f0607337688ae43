"""The sending side of one UDP socket, shared by the connections that use it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from .._quic.port import NetworkAddress
from ..types import Address
from .addresses import is_wildcard, source_towards, to_address
from .batching import Datagram
from .udp_transport import UdpTransport


class Outlet:
    """A datagram transport, whether it can take more, and who waits until it can.

    The transport queues datagrams without end while the socket is full. Connections look at `is_paused` before they
    produce packets; so at most one batch of each connection is in that queue, and congestion control sees the delay.
    """

    __slots__ = ("_send_all", "_waiting", "is_connected", "is_paused", "peername", "send_one", "sockname", "transport")

    def __init__(self, transport: asyncio.DatagramTransport) -> None:
        self.transport = transport
        self.send_one: Callable[[bytes, NetworkAddress | None], None]
        """Hand over one datagram; its address is None on a connected socket."""
        self._send_all: Callable[[Sequence[Datagram]], None] | None = None
        if isinstance(transport, UdpTransport):
            self.send_one, self._send_all = transport.send_one, transport.send_all
        else:
            self.send_one = self._send_if_open
        self.is_paused = False
        self.sockname: NetworkAddress = transport.get_extra_info("sockname")
        self.peername: NetworkAddress | None = transport.get_extra_info("peername")
        self.is_connected = self.peername is not None
        """The socket has one fixed peer: datagrams are sent without an address."""
        self._waiting: dict[Callable[[], None], None] = {}

    @property
    def is_open(self) -> bool:
        """Tell whether datagrams can still be handed over."""
        return not self.transport.is_closing()

    @property
    def has_batches(self) -> bool:
        """Tell whether the transport is our own."""
        return self._send_all is not None

    def send(self, datagrams: Sequence[Datagram]) -> None:
        """Hand over datagrams in order; their addresses are None on a connected socket."""
        if len(datagrams) == 1 or self._send_all is None:
            for data, addr in datagrams:
                self.send_one(data, addr)
        elif self.is_open:
            self._send_all(datagrams)

    def _send_if_open(self, data: bytes, addr: NetworkAddress | None) -> None:
        if self.is_open:
            self.transport.sendto(data, addr)

    def can_reach(self, addr: NetworkAddress) -> bool:
        """Tell whether an address is of this socket's family; anything else would break the transport."""
        return len(addr) == len(self.sockname)

    def pause(self) -> None:
        """The transport's buffer is above its high-water mark."""
        self.is_paused = True

    def resume(self) -> None:
        """The transport's buffer was drained: let everyone who waited go on."""
        self.is_paused = False
        waiting, self._waiting = self._waiting, {}
        for callback in waiting:
            callback()

    def call_when_resumed(self, callback: Callable[[], None]) -> None:
        """Call back once after the pause; asking twice is asking once."""
        self._waiting[callback] = None

    def forget(self, callback: Callable[[], None]) -> None:
        """Withdraw `call_when_resumed`."""
        self._waiting.pop(callback, None)

    def local_address(self, peer: NetworkAddress | None) -> Address | None:
        """Return the address that packets to `peer` come from."""
        local = to_address(self.sockname)
        if local is None or peer is None or self.is_connected or not is_wildcard(self.sockname):
            return local
        return source_towards(peer, local[1]) or local
