"""The datagrams of one sender, each with the same bytes in front."""

from __future__ import annotations

from typing import Any, Protocol

__all__ = ["DatagramSender"]


class _Port(Protocol):
    def send_datagram(self, data: bytes) -> bool: ...


class DatagramSender:
    """Puts a prefix before each datagram and queues it; the twin of ``_compiled/datagram_sender.pyx``.

    Attributes:
        limit: bytes of the largest datagram that `send` queues, without the prefix; -1 when it shall queue none.
        sent: datagrams queued.
        bytes_sent: their bytes, without the prefix.
    """

    __slots__ = ("_port", "_prefix", "bytes_sent", "limit", "sent")

    def __init__(self, port: _Port, prefix: bytes) -> None:
        """Begin with a limit of -1."""
        self._port = port
        self._prefix = prefix
        self.limit = -1
        self.sent = 0
        self.bytes_sent = 0

    def send(self, data: Any) -> bool:
        """Queue a datagram; False when it is not ``bytes``, or larger than the limit, or the queue is full."""
        return type(data) is bytes and len(data) <= self.limit and self.push(data)

    def push(self, data: bytes) -> bool:
        """Queue a datagram that is known to fit into a packet; False when the queue is full."""
        if not self._port.send_datagram(self._prefix + data):
            return False
        self.sent += 1
        self.bytes_sent += len(data)
        return True
