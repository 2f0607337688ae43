"""The kernel's buffers of a UDP socket: as large as wanted or allowed, and one warning when that is too little."""

from __future__ import annotations

import logging
import socket
import sys

SOCKET_BUFFER_SIZE = 2 * 1024 * 1024
"""Bytes wanted as receive and send buffer: about 15 ms at 1 Gbit/s, so that a busy loop turn loses no packets."""

SMALLEST_REQUEST = 64 * 1024
"""Bytes below which nothing is asked for: systems begin with more."""

_LIMITS = {
    socket.SO_RCVBUF: ("receive", "net.core.rmem_max"),
    socket.SO_SNDBUF: ("send", "net.core.wmem_max"),
}
"""What each buffer is called, and the name of Linux's limit."""

_LIMIT_ELSEWHERE = "kern.ipc.maxsockbuf"
"""The limit of both on macOS and the BSDs."""

_logger = logging.getLogger(__name__)


class BufferWarning:
    """Says once that the kernel allows too little."""

    def __init__(self) -> None:
        self.is_settled = False
        """It was given, or is not needed: a first socket got what it asked for."""

    def give(self, too_small: list[tuple[int, int]]) -> None:
        """Name each option of which too little was granted, with the bytes that were; none: all is well."""
        self.is_settled = True
        if not too_small:
            return
        parts = []
        for option, granted in too_small:
            name, limit = _LIMITS[option]
            limit = limit if sys.platform == "linux" else _LIMIT_ELSEWHERE
            parts.append(f"{name} buffer {granted} instead of {SOCKET_BUFFER_SIZE} bytes, raise {limit}")
        _logger.warning("UDP sockets get small buffers, so bursts of packets may be lost: %s", "; ".join(parts))


_WARNING = BufferWarning()
"""One for the process, as the limit is one for the machine."""


def enlarge_buffers(sock: socket.socket, warning: BufferWarning = _WARNING) -> None:
    """Ask for buffers of `SOCKET_BUFFER_SIZE`, and take what the kernel gives; the first time, see how much."""
    for option in _LIMITS:
        _enlarge(sock, option)
    if not warning.is_settled:
        granted = {option: size for option in _LIMITS if (size := _size_of(sock, option)) is not None}
        warning.give([(option, size) for option, size in granted.items() if size < SOCKET_BUFFER_SIZE])


def _enlarge(sock: socket.socket, option: int) -> None:
    wanted = SOCKET_BUFFER_SIZE
    while wanted >= SMALLEST_REQUEST:
        try:
            # Linux grants what it can without a word; others refuse what is beyond their limit.
            sock.setsockopt(socket.SOL_SOCKET, option, wanted)
        except OSError:
            wanted //= 2
        else:
            return


def _size_of(sock: socket.socket, option: int) -> int | None:
    """Return the bytes granted, None when the system does not say."""
    try:
        granted = sock.getsockopt(socket.SOL_SOCKET, option)
    except OSError:
        return None
    # Linux doubles the figure, to account for its own structures; socket(7).
    return granted // 2 if sys.platform == "linux" else granted
