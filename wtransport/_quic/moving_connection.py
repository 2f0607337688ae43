"""aioquic's connection with what RFC 9000 asks of ends that move (9.4 and 9.5); knows aioquic's privates.

A client that changes its network goes on with another connection id, and neither end judges the new path by the old.
"""

from __future__ import annotations

from aioquic._buffer import Buffer
from aioquic.quic.connection import NetworkAddress, QuicReceiveContext

from .hardened_connection import HardenedConnection


class MovingConnection(HardenedConnection):
    """A `QuicConnection` that begins a new path from nothing."""

    def path_changed(self) -> None:
        """Client only: send from another address from now on."""
        if self._handshake_confirmed:
            self.change_connection_id()
            self._loss.measure_anew()

    def _handle_path_response_frame(self, context: QuicReceiveContext, frame_type: int, buf: Buffer) -> None:
        path, *others = self._network_paths
        was_validated = path.is_validated
        super()._handle_path_response_frame(context, frame_type, buf)
        # The path before is the second now. Another port alone is mostly a translator's doing.
        if path.is_validated and not was_validated and others and _host(path.addr) != _host(others[0].addr):
            self._loss.measure_anew()


def _host(addr: NetworkAddress) -> object:
    return addr[0]
