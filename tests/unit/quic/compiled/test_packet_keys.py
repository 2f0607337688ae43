"""Keys of an encryption level in C do what aioquic's do, with hashes of libcrypto and with Python's."""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Iterator

import pytest
from aioquic.quic.crypto import CryptoError, CryptoPair, KeyUnavailableError
from aioquic.tls import CipherSuite
from wtransport._quic._compiled.key_schedule import KeySchedule
from wtransport._quic._compiled.libcrypto_keys import LIBRARY
from wtransport._quic._compiled.packet_keys import PacketPair

from wtransport._quic._compiled import hkdf
from wtransport._quic.key_schedule import PureKeySchedule

VERSIONS = [1, 0x6B3343CF]
LONG = bytes.fromhex("e3000000010883 94c8f03e515708 00 4080 00000002")
NUMBER = 2


@pytest.fixture(autouse=True, params=["libcrypto", "hashlib"])
def hashes(request: pytest.FixtureRequest) -> Iterator[None]:
    used = hkdf.use_library(LIBRARY if request.param == "libcrypto" else None)
    assert used or request.param == "hashlib" or LIBRARY is None
    yield
    hkdf.use_library(LIBRARY)


def short(phase: int) -> bytes:
    return bytes([0x43 | phase << 2]) + b"8 bytes!" + NUMBER.to_bytes(4)


def connected(suite: CipherSuite, version: int) -> tuple[CryptoPair, PacketPair]:
    """Return two ends with the same secrets: aioquic's, and ours."""
    size = 48 if suite is CipherSuite.AES_256_GCM_SHA384 else 32
    there, back = os.urandom(size), os.urandom(size)
    theirs, ours = CryptoPair(), PacketPair()
    for context, secret in ((theirs.send, there), (theirs.recv, back), (ours.recv, there), (ours.send, back)):
        context.setup(cipher_suite=suite, secret=secret, version=version)
    return theirs, ours


def exchange(sender: CryptoPair | PacketPair, receiver: CryptoPair | PacketPair, header: bytes) -> None:
    packet = sender.encrypt_packet(header, b"\x01" * 30, NUMBER)
    offset = len(header) - 4
    assert receiver.decrypt_packet(packet, offset, 1) == (header, b"\x01" * 30, NUMBER)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("suite", list(CipherSuite)[:3], ids=lambda suite: suite.name)
def test_both_understand_each_other(suite, version):
    theirs, ours = connected(suite, version)
    for sender, receiver in ((theirs, ours), (ours, theirs)):
        for header in (LONG, short(0)):
            exchange(sender, receiver, header)
            assert sender.encrypt_packet(header, bytes(40), 7) == sender.send.encrypt_packet(header, bytes(40), 7)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("suite", list(CipherSuite)[:3], ids=lambda suite: suite.name)
def test_keys_are_updated_by_either_side(suite, version):
    theirs, ours = connected(suite, version)
    for phase, (first, second) in enumerate([(theirs, ours), (ours, theirs), (ours, theirs)], start=1):
        first.update_key()
        assert first.key_phase == phase & 1
        exchange(first, second, short(phase & 1))
        assert second.key_phase == phase & 1
        exchange(second, first, short(phase & 1))
        assert ours.recv.secret == theirs.send.secret
        assert ours.send.secret == theirs.recv.secret


@pytest.mark.parametrize("initiator", ["peer", "we"])
def test_packets_of_the_key_phase_before_are_read_while_they_are_older(initiator):
    """RFC 9001, 6.1 and 6.5."""
    theirs, ours = connected(CipherSuite.AES_128_GCM_SHA256, 1)
    early, late, too_late = (
        theirs.encrypt_packet(short(0)[:-4] + number.to_bytes(4), bytes(30), number) for number in (5, 8, 10)
    )
    offset = len(short(0)) - 4
    (theirs if initiator == "peer" else ours).update_key()
    if initiator == "we":
        exchange_number(ours, theirs, 2, 1)
        assert ours.decrypt_packet(early, offset, 4)[2] == 5
    exchange_number(theirs, ours, 9, 1)
    if initiator == "peer":
        assert ours.decrypt_packet(early, offset, 10)[2] == 5
    assert ours.decrypt_packet(late, offset, 10)[2] == 8
    with pytest.raises(CryptoError):
        ours.decrypt_packet(too_late, offset, 10)
    assert ours.key_phase == 1
    theirs.update_key()
    exchange_number(theirs, ours, 11, 0)
    assert ours.key_phase == 0
    with pytest.raises(CryptoError):
        ours.decrypt_packet(late, offset, 12)  # two phases ago


def exchange_number(
    sender: CryptoPair | PacketPair, receiver: CryptoPair | PacketPair, number: int, phase: int
) -> None:
    header = short(phase)[:-4] + number.to_bytes(4)
    packet = sender.encrypt_packet(header, bytes(30), number)
    assert receiver.decrypt_packet(packet, len(header) - 4, number)[2] == number


def test_nothing_is_read_or_written_without_keys():
    told = []
    pair = PacketPair(recv_setup_cb=told.append, send_teardown_cb=told.append)
    with pytest.raises(KeyUnavailableError):
        pair.decrypt_packet(bytes(100), 10, 0)
    with pytest.raises(KeyUnavailableError):
        pair.encrypt_packet(short(0), bytes(20), 0)
    pair.recv.setup(cipher_suite=CipherSuite.AES_128_GCM_SHA256, secret=bytes(32), version=1)
    assert pair.recv.is_valid()
    assert not pair.send.is_valid()
    pair.teardown()
    assert not pair.recv.is_valid()
    assert told == ["tls", "tls"]


@pytest.mark.parametrize("size", [0, 1, 10, 12, 13, 24, 28, 29, 30, 45])
def test_what_is_short_or_not_authentic_is_refused_and_updates_no_keys(size):
    _, ours = connected(CipherSuite.AES_128_GCM_SHA256, 1)
    secret = ours.recv.secret
    for _ in range(20):
        with pytest.raises(CryptoError):
            ours.decrypt_packet(os.urandom(size), 9, 0)
    assert ours.recv.secret == secret
    with pytest.raises(CryptoError):
        ours.decrypt_packet(os.urandom(100), 0, 0)


@pytest.mark.parametrize("suite", list(CipherSuite)[:3], ids=lambda suite: suite.name)
def test_the_key_schedule_is_its_twins(suite):
    schedules = KeySchedule(suite), PureKeySchedule(suite)
    results = []
    for schedule in schedules:
        found = [schedule.secret, schedule.generation, schedule.algorithm.name]
        for step in range(3):
            schedule.extract(None if step == 1 else b"key material")
            schedule.update_hash(b"message %d" % step)
            found += [schedule.secret, schedule.derive_secret(b"s hs traffic"), schedule.generation]
            found += [schedule.finished_verify_data(schedule.secret), schedule.certificate_verify_data(b"context")]
        results.append(found)
    assert results[0] == results[1]


def test_hmac():
    for wide, name in ((False, "sha256"), (True, "sha384")):
        block = 128 if wide else 64
        for size in (0, 1, 20, block):
            key, message = os.urandom(size), os.urandom(3 * size)
            assert hkdf.hmac(wide, key, message) == hmac.new(key, message, getattr(hashlib, name)).digest()
        with pytest.raises(ValueError):
            hkdf.hmac(wide, bytes(block + 1), b"")
