"""The keys of a client's first packet are made once, and are what aioquic makes."""

from __future__ import annotations

import pytest
from aioquic._crypto import CryptoError
from aioquic.quic.crypto import CryptoPair

from wtransport._quic import initial_keys
from wtransport._quic.initial_keys import InitialCryptoPair, first_packet_keys

CID = bytes.fromhex("8394c8f03e515708")
HEADER = bytes.fromhex("c10000000108") + CID + bytes.fromhex("000044 9e 0002")
VERSIONS = [1, 0x6B3343CF]


def end(version: int, *, is_client: bool, kind: type[CryptoPair] = CryptoPair, cid: bytes = CID) -> CryptoPair:
    pair = kind()
    pair.setup_initial(cid=cid, is_client=is_client, version=version)
    return pair


def packet(sender: CryptoPair) -> bytes:
    return sender.encrypt_packet(HEADER, b"\x01" * 40, 2)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_first_packet_can_be_read(version):
    data = packet(end(version, is_client=True))
    _, payload, number, _ = first_packet_keys(CID, version).decrypt_packet(data, len(HEADER) - 2, 0)
    assert (payload, number) == (b"\x01" * 40, 2)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("looked_at", [True, False])
def test_a_server_speaks_with_its_client(version, looked_at):
    if looked_at:
        first_packet_keys(CID, version)
    server = end(version, is_client=False, kind=InitialCryptoPair)
    for kind in (CryptoPair, InitialCryptoPair):
        client = end(version, is_client=True, kind=kind)
        for sender, receiver in ((client, server), (server, client)):
            assert receiver.decrypt_packet(packet(sender), len(HEADER) - 2, 0)[1] == b"\x01" * 40


def test_they_are_made_once_and_belong_to_one_connection():
    keys = first_packet_keys(CID, 1)
    first, second = (end(1, is_client=False, kind=InitialCryptoPair) for _ in range(2))
    assert first.recv is keys
    assert second.recv is not keys
    first.teardown()
    assert second.decrypt_packet(packet(end(1, is_client=True)), len(HEADER) - 2, 0)


def test_those_of_another_connection_are_not_taken():
    first_packet_keys(CID, 1)
    for version, cid in ((VERSIONS[1], CID), (1, b"another!")):
        server = end(version, is_client=False, kind=InitialCryptoPair, cid=cid)
        assert server.decrypt_packet(packet(end(version, is_client=True, cid=cid)), len(HEADER) - 2, 0)
        with pytest.raises(CryptoError):
            server.decrypt_packet(packet(end(1, is_client=True)), len(HEADER) - 2, 0)


def test_of_many_first_packets_little_is_kept():
    for number in range(100):
        first_packet_keys(number.to_bytes(8), 1)
    assert len(initial_keys._last) == 1
