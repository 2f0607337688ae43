"""What the reader of handshakes makes of datagrams is what aioquic makes of them, whatever they are.

Everything here is sent with the keys of Initial packets, which follow from a connection id: anybody can make them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from aioquic.quic.crypto import CryptoPair
from hypothesis import example, given, settings
from hypothesis import strategies as st
from network import CLIENT_ADDRESS, SERVER_ADDRESS
from port_pair import PortPair, configuration, limits

from wtransport._quic.aioquic_port import AioquicPort
from wtransport._speedups import encode_varint

V1, V2 = 1, 0x6B3343CF
ORIGINAL, PEER_ID = bytes(range(8)), b"peer's id"
KINDS = {"initial": 0, "0-rtt": 1, "handshake": 2, "retry": 3}


@dataclass(frozen=True)
class Piece:
    """A part of a datagram."""

    kind: str = "initial"
    version: int = V1
    destination: str = "right"
    source: bytes = PEER_ID
    token: bytes = b""
    frames: bytes = b"\x01"
    number: int = 0
    reserved: int = 0
    damage: str = ""

    def written(self, own_id: bytes, keys: CryptoPair) -> bytes:
        """Return it as it stands in a datagram to an end with this connection id."""
        destination = {"right": own_id, "original": ORIGINAL, "other": b"another!", "none": b"", "long": bytes(21)}
        if self.kind == "padding":
            return bytes(30)
        if self.kind == "short":
            return b"\x41" + destination[self.destination] + b"?" * 40
        target = destination[self.destination]
        kind = (KINDS[self.kind] + (self.version == V2)) & 3
        header = bytes([0xC1 | kind << 4 | self.reserved << 2]) + self.version.to_bytes(4)
        header += bytes([len(target)]) + target + bytes([len(self.source)]) + self.source
        if self.kind == "initial":
            header += encode_varint(len(self.token)) + self.token
        frames = self.frames.ljust(3, b"\x00")
        header += (2 + len(frames) + 16 | 0x4000).to_bytes(2) + self.number.to_bytes(2)
        if self.damage == "fixed bit":
            header = bytes([header[0] & 0xBF]) + header[1:]
        packet = bytearray(keys.send.encrypt_packet(header, frames, self.number))
        if self.damage == "byte":
            packet[-1] ^= 1
        return bytes(packet[:-20] if self.damage == "cut" else packet)


def crypto(offset: int, data: bytes) -> bytes:
    return b"\x06" + encode_varint(offset) + encode_varint(len(data)) + data


FRAMES = st.lists(
    st.one_of(
        st.sampled_from([b"\x00", b"\x00" * 40, b"\x01", b"\x40\x01", b"\x02\x00\x00\x00\x00"]),
        st.sampled_from([b"\x03\x00\x00\x00\x00\x00\x00\x00", b"\x02\x00\x00", b"\x1e", b"\x1c\x00\x00\x00"]),
        st.sampled_from([b"\x02\x09\x00\x00\x00", b"\x7f\xff", b"\x06\x00\x44", b"\xff", b"\x21", b"\x18\x00"]),
        st.sampled_from([b"\x1a12345678", b"\x08\x00abc"]),
        st.builds(crypto, st.integers(0, 40), st.binary(max_size=20)),
        st.builds(crypto, st.just(0), st.binary(min_size=4, max_size=20).map(lambda data: b"\x01\x00\x10" + data)),
    ),
    max_size=4,
).map(b"".join)
PIECES = st.builds(
    Piece,
    kind=st.sampled_from(["initial"] * 8 + ["handshake", "0-rtt", "retry", "short", "padding"]),
    version=st.sampled_from([V1] * 8 + [V2, 0, 0x1A2A3A4A]),
    destination=st.sampled_from(["right", "right", "right", "original", "original", "other", "none", "long"]),
    source=st.sampled_from([PEER_ID] * 6 + [b"", b"somebody", bytes(20), bytes(21)]),
    token=st.sampled_from([b"", b"", b"token", bytes(70)]),
    frames=FRAMES,
    number=st.integers(0, 5),
    reserved=st.sampled_from([0] * 9 + [1, 3]),
    damage=st.sampled_from([""] * 8 + ["byte", "cut", "fixed bit"]),
)
DATAGRAMS = st.lists(
    st.tuples(st.lists(PIECES, min_size=1, max_size=4), st.booleans(), st.booleans()), min_size=1, max_size=6
)


class Bench:
    """One end, alone."""

    def __init__(self, certificate: tuple[Any, Any], versions: list[int], *, is_client: bool, is_ours: bool) -> None:
        options = configuration(is_client=is_client, supported_versions=versions)
        if not is_client:
            options.certificate, options.private_key = certificate
        arguments: dict[str, Any] = {} if is_client else {"original_destination_connection_id": ORIGINAL}
        self.port = AioquicPort(configuration=options, limits=limits(), **arguments)
        self.connection = connection = self.port._connection
        connection.reads_packets = is_ours
        self.peer = SERVER_ADDRESS if is_client else CLIENT_ADDRESS
        self.now = 0.0
        if is_client:
            self.port.connect(self.peer, self.now)
            self.sent = len(self.port.datagrams_to_send(self.now))
        secret_id = connection.original_destination_connection_id if is_client else ORIGINAL
        self.keys = {}
        for version in (V1, V2):
            self.keys[version] = CryptoPair()
            self.keys[version].setup_initial(secret_id, is_client=not is_client, version=version)

    def take(self, pieces: list[Piece], *, is_padded: bool, is_elsewhere: bool) -> tuple[Any, ...]:
        """Receive a datagram, and return all that shows what became of it."""
        own = self.connection.host_cid
        data = b"".join(piece.written(own, self.keys[V2 if piece.version == V2 else V1]) for piece in pieces)
        self.now += 0.01
        address = ("203.0.113.9", 4433) if is_elsewhere else self.peer
        self.port.receive_datagram(data.ljust(1200, b"\x00") if is_padded else data, address, self.now)
        return self.state()

    def state(self) -> tuple[Any, ...]:
        """Return what is to be seen."""
        connection = self.connection
        paths = [(path.addr, path.bytes_received, path.is_validated) for path in connection._network_paths]
        end = connection.close_event
        ended = None if end is None else (end.error_code, end.frame_type, end.reason_phrase)
        spaces = [
            (space.largest_received_packet, space.ack_at, list(space.ack_queue), space.discarded)
            for space in connection._spaces.values()
        ]
        events = []
        while (event := self.port.next_event()) is not None:
            events.append(type(event).__name__)
        streams = [stream.receiver.starting_offset() for stream in connection._crypto_streams.values()]
        return (
            (connection._state, connection._close_pending, ended, paths, spaces, events, streams),
            (connection._remote_initial_source_connection_id, connection._peer_cid.sequence_number),
            (connection._version, connection._crypto_retransmitted, connection._close_at, self.port.next_deadline()),
        )


@pytest.fixture(scope="module")
def loaded(certificate: tuple[str, str]) -> tuple[Any, Any]:
    options = configuration(is_client=False)
    options.load_cert_chain(*certificate)
    return options.certificate, options.private_key


@pytest.fixture(autouse=True)
def no_log(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wtransport._quic.hardened_connection._DebugLog.debug", lambda *_, **__: None)


@pytest.mark.parametrize("versions", [[V1], [V1, V2]], ids=["v1", "v1 and v2"])
@pytest.mark.parametrize("is_client", [True, False], ids=["client", "server"])
@given(datagrams=DATAGRAMS)
@example(datagrams=[([Piece(), Piece(source=b"", number=1)], False, False)])
@settings(max_examples=50)
def test_whatever_comes(loaded, is_client, versions, datagrams):
    ours, theirs = (Bench(loaded, versions, is_client=is_client, is_ours=is_ours) for is_ours in (True, False))
    for pieces, is_padded, is_elsewhere in datagrams:
        results = [
            end.take(pieces, is_padded=is_padded or not is_client, is_elsewhere=is_elsewhere and is_client)
            for end in (ours, theirs)
        ]
        assert results[0] == results[1], pieces


@pytest.mark.parametrize("size", [0, 1, 2, 5, 6, 7, 14, 15, 20, 24, 25, 26, 27, 28, 30, 45, 1199])
def test_a_datagram_that_is_cut_anywhere(loaded, size):
    states = []
    for is_ours in (True, False):
        end = Bench(loaded, [V1], is_client=False, is_ours=is_ours)
        data = Piece(frames=crypto(0, b"\x01") + bytes(1150), destination="original").written(b"", end.keys[V1])
        end.port.receive_datagram(data[:size], CLIENT_ADDRESS, 0.0)
        states.append(end.state())
    assert states[0] == states[1]


def test_handshakes_are_read_here(certificate):
    pair = PortPair(certificate)
    left = []
    for end in pair.ends:
        connection = end.port._connection
        connection._find_network_path = left.append  # only aioquic's way of receiving asks for it
    pair.connect()
    assert left == []
