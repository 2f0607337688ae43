"""A UDP socket under a test's control, and the loop and the protocol around it."""

from __future__ import annotations

import errno
import socket
import sys
from collections import deque
from dataclasses import dataclass
from typing import Any

from wtransport._adapter import udp
from wtransport._adapter.udp_transport import BatchProtocol

__all__ = ["FakeSocket", "Recorder", "WatchedLoop"]


class FakeSocket:
    """Keeps what is sent, gives what is queued in `inbox`; `refuse` says which option it does not have.

    Each entry of `outcomes` decides about the next call of sending: None lets it pass, an error is raised. Beyond that
    packets of more than `mtu` bytes are too long, and the routes to the hosts in `unsegmented` cannot segment. Entries
    of `inbox` are payloads with the size of their segments (0: one datagram), or errors.
    """

    type = socket.SOCK_DGRAM

    def __init__(self, *, peer: Any = None, refuse: tuple[int, ...] = ()) -> None:
        self.peer = peer
        self.refuse = refuse
        self.calls: list[tuple[str, Any, Any]] = []
        self.outcomes: deque[OSError | None] = deque()
        self.inbox: deque[tuple[bytes, int] | OSError] = deque()
        self.reads = 0
        self.closed = False
        self.mtu = 65_507
        self.unsegmented: set[str] = set()

    def fileno(self) -> int:
        return -1 if self.closed else 7

    def getsockname(self) -> Any:
        return ("192.0.2.1", 4433)

    def getpeername(self) -> Any:
        if self.peer is None:
            raise OSError(errno.ENOTCONN, "not connected")
        return self.peer

    def setsockopt(self, level: int, option: int, value: int) -> None:
        if level != udp.SOL_UDP or option in self.refuse:
            raise OSError(errno.ENOPROTOOPT, "no such option")

    def close(self) -> None:
        self.closed = True

    def _send(self, name: str, data: Any, addr: Any) -> None:
        outcome = self.outcomes.popleft() if self.outcomes else None
        if outcome is not None:
            raise outcome
        if len(data if name != "segments" else data[0]) > self.mtu:
            raise OSError(errno.EMSGSIZE, "message too long")
        if name == "segments" and addr is not None and addr[0] in self.unsegmented:
            raise OSError(errno.EIO, "no checksums")
        self.calls.append((name, data, addr))

    def send(self, data: bytes) -> None:
        self._send("send", data, None)

    def sendto(self, data: bytes, addr: Any) -> None:
        self._send("sendto", data, addr)

    def sendmsg(self, packets: list[bytes], control: Any, flags: int = 0, addr: Any = None) -> None:
        ((level, option, size),) = control
        assert (level, option, flags) == (udp.SOL_UDP, udp.UDP_SEGMENT, 0)
        assert size == len(packets[0]).to_bytes(2, sys.byteorder)
        self._send("segments", list(packets), addr)

    def _read(self) -> tuple[bytes, int]:
        self.reads += 1
        entry = self.inbox.popleft() if self.inbox else BlockingIOError()
        if isinstance(entry, OSError):
            raise entry
        return entry

    def recvfrom(self, size: int) -> tuple[bytes, Any]:
        return self._read()[0], ("192.0.2.9", 443)

    def recvmsg(self, size: int, space: int) -> Any:
        data, segment = self._read()
        control = [(udp.SOL_UDP, udp.UDP_GRO, segment.to_bytes(4, sys.byteorder))] if segment else []
        return data, [(0, 0, b"else"), *control], 0, ("192.0.2.9", 443)

    @property
    def packets(self) -> list[bytes]:
        """What was sent, packet by packet."""
        return [packet for name, data, _ in self.calls for packet in (data if name == "segments" else [data])]

    @property
    def names(self) -> list[str]:
        return [name for name, _, _ in self.calls]


@dataclass
class Soon:
    """A callback of the next turn."""

    callback: Any

    def cancel(self) -> None:
        self.callback = lambda: None


class WatchedLoop:
    """As much of a loop as a transport needs; a test says when the socket is ready."""

    def __init__(self) -> None:
        self.reader: Any = None
        self.writer: Any = None
        self.soon: list[Any] = []

    def add_reader(self, fd: int, callback: Any) -> None:
        self.reader = callback

    def remove_reader(self, fd: int) -> None:
        self.reader = None

    def add_writer(self, fd: int, callback: Any) -> None:
        assert self.writer is None
        self.writer = callback

    def remove_writer(self, fd: int) -> None:
        self.writer = None

    def call_soon(self, callback: Any) -> Soon:
        self.soon.append(Soon(callback))
        return self.soon[-1]

    def turn(self) -> None:
        soon, self.soon = self.soon, []
        for each in soon:
            each.callback()


class Recorder(BatchProtocol):
    """A protocol that keeps what it is told."""

    def __init__(self) -> None:
        self.log: list[Any] = []
        self.batches: list[list[bytes]] = []
        self.errors: list[Exception] = []
        self.on_error: Any = lambda exc: None

    def connection_made(self, transport: Any) -> None:
        self.log.append("made")

    def datagrams_received(self, datagrams: Any) -> None:
        self.batches.append([data for data, _ in datagrams])

    def error_received(self, exc: Exception) -> None:
        self.errors.append(exc)
        self.on_error(exc)

    def pause_writing(self) -> None:
        self.log.append("pause")

    def resume_writing(self) -> None:
        self.log.append("resume")

    def connection_lost(self, exc: Exception | None) -> None:
        self.log.append("lost")
