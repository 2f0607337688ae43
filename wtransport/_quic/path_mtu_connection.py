"""aioquic's connection with packets as large as the path takes; knows aioquic's privates.

aioquic sends packets of one size for good. Here the size belongs to the path in use: `path_mtu` searches for it, and
this file sends the probes, and has the packet builder, congestion control and the pacer follow. What must arrive for a
path to be kept or left, challenges and probes after a timeout, goes out in packets of the base size.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any

from aioquic.quic.connection import NetworkAddress, QuicNetworkPath
from aioquic.quic.packet import QuicFrameType, QuicPacketType
from aioquic.quic.packet_builder import QuicDeliveryState, QuicPacketBuilder

from .authenticated_connection import AuthenticatedConnection
from .members import ACKED, ONE_RTT
from .path_mtu import BASE_UDP_PAYLOAD, BlackHoleDetector, PathMtu

IPV6_EXTRA = 20
"""Bytes by which IPv6's header is longer than IPv4's: so much less fits into a packet of the same size."""


NO_SEARCH = PathMtu(BASE_UDP_PAYLOAD)
"""For everybody: it tries nothing, and so never changes."""


class PathMtuConnection(AuthenticatedConnection):
    """A `QuicConnection` that finds out how large its packets may be."""

    _largest_payload = _peer_limit = BASE_UDP_PAYLOAD
    """Bytes of the largest packet to try on an IPv4 path, and of the largest that the peer takes; for both, the first
    is set before the handshake."""
    _path: QuicNetworkPath | None = None
    _path_mtu: PathMtu  # `NO_SEARCH` before the first path
    _path_mtus: Mapping[Any, PathMtu] = MappingProxyType({})  # by the host: only its port may change (RFC 9000, 14.2)
    _black_hole: BlackHoleDetector | None = None  # while packets are above the base size

    def path_changed(self) -> None:
        """Take note that our own address is another one: begin again with packets that every path takes."""
        self._path_mtus = {}
        self._path = None
        super().path_changed()

    def datagrams_to_send(self, now: float) -> list[tuple[bytes, NetworkAddress]]:
        """Return the UDP payloads to send."""
        path = self._network_paths[0]
        if path is not self._path:
            self._take_path(path)
        ahead = None
        if path.bytes_sent >= self._path_mtu.check_at and self._close_event is None:
            ahead = self._probe_datagrams(path, now)
        if self._max_datagram_size > BASE_UDP_PAYLOAD and (self._probe_pending or path.remote_challenges):
            with self._in_base_packets():
                ahead = super().datagrams_to_send(now)
        datagrams = super().datagrams_to_send(now)
        return ahead + datagrams if ahead else datagrams

    def _has_data(self) -> bool:
        """Tell whether more than acknowledgements is to be sent."""
        raise NotImplementedError

    def _send_probing_frames(self, network_path: QuicNetworkPath, now: float) -> list[tuple[bytes, NetworkAddress]]:
        with self._in_base_packets():  # nothing is known of that path
            return super()._send_probing_frames(network_path, now)

    @contextmanager
    def _in_base_packets(self) -> Iterator[None]:
        self._max_datagram_size = BASE_UDP_PAYLOAD
        try:
            yield
        finally:
            self._max_datagram_size = self._path_mtu.size

    # The path in use.

    def _limit_payload(self, peer_limit: int) -> None:
        """Take the peer's max_udp_payload_size (RFC 9000, 18.2)."""
        self._peer_limit = peer_limit
        for path_mtu in self._path_mtus.values():
            path_mtu.cap(peer_limit)

    def _take_path(self, path: QuicNetworkPath) -> None:
        """Begin to send on a path: with what is known of it, or with the base size."""
        self._path = path
        if self._largest_payload <= BASE_UDP_PAYLOAD:
            return
        known: dict[Any, PathMtu] = {}
        if self._path_mtus:
            hosts = {each.addr[0] for each in self._network_paths}
            known.update((host, path_mtu) for host, path_mtu in self._path_mtus.items() if host in hosts)
        self._path_mtus = known
        host = path.addr[0]
        path_mtu = known.get(host)
        if path_mtu is None:
            limit = self._largest_payload
            if ":" in host and not host.lower().startswith("::ffff:"):
                limit -= IPV6_EXTRA
            path_mtu = known[host] = PathMtu(min(limit, self._peer_limit), sent=path.bytes_sent)
        else:
            path_mtu.rebase(path.bytes_sent)
        self._path_mtu = path_mtu
        self._follow_size()

    def _follow_size(self) -> None:
        """Have everything that counts in packets count in packets of the path's size."""
        loss, size = self._loss, self._path_mtu.size
        self._max_datagram_size = size
        loss.set_datagram_size(size)
        if size > BASE_UDP_PAYLOAD:
            self._black_hole = BlackHoleDetector()
            loss.watch_large_packets(BASE_UDP_PAYLOAD, self)
        elif self._black_hole is not None:
            self._black_hole = None
            loss.watch_large_packets(BASE_UDP_PAYLOAD, None)

    # Probes.

    def _probe_datagrams(self, path: QuicNetworkPath, now: float) -> list[tuple[bytes, NetworkAddress]]:
        """Return a probe, if one may be sent now: ahead of data, as its loss shows when something later arrives."""
        version = self._version
        if version is None or not (self._handshake_confirmed and path.is_validated and self._has_data()):
            return []
        path_mtu, loss = self._path_mtu, self._loss
        size = path_mtu.next_probe(path.bytes_sent, now)
        if size is None or loss.congestion_window - loss.bytes_in_flight < size or loss.next_send_time(now) is not None:
            return []
        builder = QuicPacketBuilder(
            host_cid=self.host_cid,
            is_client=self._is_client,
            max_datagram_size=size,
            packet_number=self._packet_number,
            peer_cid=self._peer_cid.cid,
            quic_logger=self._quic_logger,
            spin_bit=self._spin_bit,
            version=version,
        )
        builder.start_packet(QuicPacketType.ONE_RTT, self._cryptos[ONE_RTT])
        buf = builder.start_frame(
            QuicFrameType.PING, handler=self._on_probe_delivery, handler_args=(path_mtu, path, size)
        )
        buf.push_bytes(bytes(builder.remaining_buffer_space))
        packet = builder._packet
        if packet is not None:
            # Its loss is no sign of congestion (RFC 9000, 14.4), and nobody waits for it: no probe timeout either.
            packet.in_flight = packet.is_ack_eliciting = False
        path_mtu.on_probe_sent(now)
        loss.on_paced(now)
        return self._flush_builder(builder=builder, network_path=path, peer_cid=self._peer_cid.cid, now=now)

    def _on_probe_delivery(self, state: QuicDeliveryState, path_mtu: PathMtu, path: QuicNetworkPath, size: int) -> None:
        if state is not ACKED:
            path_mtu.on_probe_lost(size, path.bytes_sent)
            return
        before = path_mtu.size
        path_mtu.on_probe_acknowledged(size, path.bytes_sent)
        if path_mtu is self._path_mtu and path_mtu.size != before:
            self._follow_size()

    # Black holes: what the loss recovery tells of.

    def on_large_lost(self, number: int, smallest: int, sent_at: float) -> bool:
        """Take a loss of packets above the base size."""
        path = self._path
        black_hole = self._black_hole
        if path is None or black_hole is None:
            return False
        if not black_hole.on_lost(number, smallest, self._packet_number):
            return True
        self._path_mtu.on_black_hole(path.bytes_sent, sent_at)
        self._follow_size()
        return False

    def on_arrived(self, size: int) -> bool:
        """Take the arrival of a packet of any size."""
        if self._black_hole is None:
            return False
        self._black_hole.on_acknowledged(size)
        return self._black_hole.is_suspicious
