"""Packet protection in each way there is: vectors of RFC 9001, aioquic as a judge, tampering."""

from __future__ import annotations

import os
import random
import ssl
import subprocess
import sys

import pytest
from aioquic.quic.crypto import CryptoContext, derive_key_iv_hp
from aioquic.tls import CipherSuite
from hypothesis import given
from hypothesis import strategies as st
from wtransport._quic._compiled.cryptography_keys import CryptographyKeys
from wtransport._quic._compiled.libcrypto_keys import LibcryptoKeys
from wtransport._quic._compiled.provider_keys import ProviderKeys

import wtransport
from wtransport._quic._compiled import libcrypto_keys, provider_keys

PROVIDERS = [*([ProviderKeys] if provider_keys.IS_USABLE else []), LibcryptoKeys, CryptographyKeys]
CIPHERS = {"aes-128-gcm": 16, "aes-256-gcm": 32, "chacha20-poly1305": 32}

# RFC 9001, A.2: the client's first packet.
CLIENT_KEYS = (
    "aes-128-gcm",
    "1f369613dd76d5467730efcbe3b1a22d",
    "fa044b2f42a3fd3b46fb255c",
    "9f50449e04a0e810283a1e9933adedd2",
)
CLIENT_HEADER = bytes.fromhex("c300000001088394c8f03e5157080000449e00000002")
CLIENT_FRAMES = bytes.fromhex(
    "060040f1010000ed0303ebf8fa56f12939b9584a3896472ec40bb863cfd3e86804fe3a47f06a2b69484c00000413011302010000c0000000"
    "10000e00000b6578616d706c652e636f6dff01000100000a00080006001d0017001800100007000504616c706e0005000501000000000033"
    "00260024001d00209370b2c9caa47fbabaf4559fedba753de171fa71f50f1ce15d43e994ec74d748002b0003020304000d0010000e040305"
    "0306030203080408050806002d00020101001c00024001003900320408ffffffffffffffff05048000ffff07048000ffff08011001048000"
    "75300901100f088394c8f03e51570806048000ffff"
)

# RFC 9001, A.3: the server's first packet.
SERVER_KEYS = (
    "aes-128-gcm",
    "cf3a5331653c364c88f0f379b6067e37",
    "0ac1493ca1905853b0bba03e",
    "c206b8d9b9f0f37644430b490eeaa314",
)
SERVER_HEADER = bytes.fromhex("c1000000010008f067a5502a4262b50040750001")
SERVER_FRAMES = bytes.fromhex(
    "02000000000600405a020000560303eefce7f7b37ba1d1632e96677825ddf73988cfc79825df566dc5430b9a045a1200130100002e003300"
    "24001d00209d3c940d89690b84d08a60993c144eca684d1081287c834d5311bcf32bb9da1a002b00020304"
)
SERVER_PACKET = bytes.fromhex(
    "cf000000010008f067a5502a4262b5004075c0d95a482cd0991cd25b0aac406a5816b6394100f37a1c69797554780bb38cc5a99f5ede4cf7"
    "3c3ec2493a1839b3dbcba3f6ea46c5b7684df3548e7ddeb9c3bf9c73cc3f3bded74b562bfb19fb84022f8ef4cdd93795d77d06edbb7aaf2f"
    "58891850abbdca3d20398c276456cbc42158407dd074ee"
)

# RFC 9001, A.5: a short header, and ChaCha20-Poly1305.
SHORT_KEYS = (
    "chacha20-poly1305",
    "c6d98ff3441c3fe1b2182094f69caa2ed4b716b65488960a7a984979fb23e1c8",
    "e0459b3474bdd0e44a41c144",
    "25a282b9e82f06f21f488917a4fc8f1b73573685608597d0efcb076b0ab7a7a4",
)
SHORT_PACKET = bytes.fromhex("4cfe4189655e5cd55c41f69080575d7999c25a5bfb")


@pytest.fixture(params=PROVIDERS, ids=lambda provider: provider.__name__)
def provider(request: pytest.FixtureRequest) -> type:
    return request.param


def keys_of(provider: type, written: tuple[str, str, str, str]):
    return provider(written[0], *(bytes.fromhex(part) for part in written[1:]))


def some_keys(provider: type, cipher: str):
    source = random.Random(cipher)
    return provider(cipher, source.randbytes(CIPHERS[cipher]), source.randbytes(12), source.randbytes(CIPHERS[cipher]))


def test_libcrypto_is_found_where_python_has_one() -> None:
    assert ssl.OPENSSL_VERSION
    assert libcrypto_keys.LIBRARY


def test_a_libcrypto_that_refuses_a_cipher_is_not_used(tmp_path) -> None:
    """As one does that is set up for FIPS, which has no ChaCha20."""
    config = tmp_path / "openssl.cnf"
    config.write_text("openssl_conf = all\n[all]\nalg_section = chosen\n[chosen]\ndefault_properties = fips=yes\n")
    program = """if True:
        import sys, types
        for name, path in (("wtransport", sys.argv[1]), ("wtransport._quic", sys.argv[2])):  # they would need hashes
            sys.modules[name] = types.ModuleType(name)
            sys.modules[name].__path__ = [path]
        from wtransport._quic._compiled import libcrypto_keys, provider_keys
        print(libcrypto_keys.LIBRARY, provider_keys.IS_USABLE)
    """
    done = subprocess.run(
        [sys.executable, "-c", program, *wtransport.__path__, *wtransport._quic.__path__],
        env={**os.environ, "OPENSSL_CONF": str(config)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout.split()) == (0, ["None", "False"]), done.stderr


def test_the_provider_of_libcrypto_3_is_used() -> None:
    assert provider_keys.IS_USABLE or libcrypto_keys.LIBRARY != "libcrypto.so.3"


def test_the_clients_first_packet_of_the_rfc(provider) -> None:
    keys = keys_of(provider, CLIENT_KEYS)
    payload = CLIENT_FRAMES.ljust(1162, b"\0")
    packet = keys.protect(CLIENT_HEADER, payload, 2)
    assert len(packet) == 1200
    beginning = "c000000001088394c8f03e5157080000449e7b9aec34d1b1c98dd7689fb8ec11d242b123dc9b"
    assert packet.startswith(bytes.fromhex(beginning))
    assert packet.endswith(bytes.fromhex("e221af44860018ab0856972e194cd934"))
    assert keys.unprotect(packet, 18, 0) == (CLIENT_HEADER, payload, 2)


def test_the_servers_first_packet_of_the_rfc(provider) -> None:
    keys = keys_of(provider, SERVER_KEYS)
    assert keys.protect(SERVER_HEADER, SERVER_FRAMES, 1) == SERVER_PACKET
    assert keys.unprotect(SERVER_PACKET, 18, 0) == (SERVER_HEADER, SERVER_FRAMES, 1)


def test_the_short_packet_of_the_rfc(provider) -> None:
    keys = keys_of(provider, SHORT_KEYS)
    header = bytes.fromhex("4200bff4")
    assert keys.protect(header, b"\x01", 654360564) == SHORT_PACKET
    assert keys.unprotect(SHORT_PACKET, 1, 654360560) == (header, b"\x01", 654360564)


@pytest.mark.parametrize("cipher", CIPHERS)
def test_every_size_comes_back_as_it_was(provider, cipher: str) -> None:
    keys = some_keys(provider, cipher)
    content = random.Random(1).randbytes(1500)
    for size in (*range(64), 100, 1179, 1180, 1181, 1500):
        for number_size in (1, 2, 3, 4):
            if size + number_size < 4:
                continue
            header = bytes([0x40 | (number_size - 1)]) + b"identity" + (77).to_bytes(number_size, "big")
            packet = keys.protect(header, content[:size], 77)
            assert len(packet) == len(header) + size + 16
            assert keys.unprotect(packet, 9, 70) == (header, content[:size], 77)


@pytest.mark.parametrize("suite", list(CipherSuite)[:3])
@pytest.mark.parametrize("number", [0, 65_535, 2**32 + 5, 2**62 - 1])
def test_aioquic_reads_and_writes_the_same_packets(provider, suite: CipherSuite, number: int) -> None:
    names = {
        CipherSuite.AES_128_GCM_SHA256: "aes-128-gcm",
        CipherSuite.AES_256_GCM_SHA384: "aes-256-gcm",
        CipherSuite.CHACHA20_POLY1305_SHA256: "chacha20-poly1305",
    }
    judge = CryptoContext()
    secret = bytes(range(48 if suite is CipherSuite.AES_256_GCM_SHA384 else 32))
    judge.setup(cipher_suite=suite, secret=secret, version=1)
    keys = provider(names[suite], *derive_key_iv_hp(cipher_suite=suite, secret=secret, version=1))
    header = b"\x41" + bytes(8) + (number & 0xFFFF).to_bytes(2, "big")
    packet = keys.protect(header, b"frames of a packet", number)
    assert packet == judge.encrypt_packet(header, b"frames of a packet", number)
    assert judge.decrypt_packet(packet, 9, number) == (header, b"frames of a packet", number, False)
    assert keys.unprotect(packet, 9, number) == (header, b"frames of a packet", number)


@pytest.mark.parametrize("cipher", CIPHERS)
def test_no_changed_bit_passes(provider, cipher: str) -> None:
    keys = some_keys(provider, cipher)
    header = b"\x41identity\x00\x09"
    packet = keys.protect(header, b"all of this is protected", 9)
    for position in range(len(packet) * 8):
        broken = bytearray(packet)
        broken[position // 8] ^= 1 << position % 8
        assert keys.unprotect(bytes(broken), 9, 9) is None
    # A packet that was refused leaves no trace.
    assert keys.unprotect(packet, 9, 9) == (header, b"all of this is protected", 9)
    assert keys.protect(header, b"all of this is protected", 9) == packet


@pytest.mark.parametrize("cipher", CIPHERS)
def test_no_other_length_passes(provider, cipher: str) -> None:
    keys = some_keys(provider, cipher)
    packet = keys.protect(b"\x41identity\x00\x09", b"all of this is protected", 9)
    for size in range(len(packet)):
        assert keys.unprotect(packet[:size], 9, 9) is None
    assert keys.unprotect(packet + b"\0", 9, 9) is None


def test_another_packet_number_does_not_pass(provider) -> None:
    keys = some_keys(provider, "aes-128-gcm")
    packet = keys.protect(b"\x41identity\x00\x09", b"content", 9)
    assert keys.unprotect(packet, 9, 9 + 65_536) is None
    assert keys.unprotect(packet, 9, 9 + 10_000) == (b"\x41identity\x00\x09", b"content", 9)


def test_keys_count_what_they_sealed(provider) -> None:
    keys = some_keys(provider, "aes-128-gcm")
    for number in range(3):
        keys.protect(b"\x41identity\x00" + bytes([number]), b"content", number)
    assert keys.sealed == 3


@pytest.mark.parametrize(
    ("cipher", "key", "iv", "header_key"),
    [
        ("aes-192-gcm", bytes(24), bytes(12), bytes(24)),
        ("aes-128-gcm", bytes(15), bytes(12), bytes(16)),
        ("aes-128-gcm", bytes(16), bytes(11), bytes(16)),
        ("aes-256-gcm", bytes(32), bytes(12), bytes(16)),
    ],
)
def test_wrong_keys_are_refused(provider, cipher: str, key: bytes, iv: bytes, header_key: bytes) -> None:
    with pytest.raises(ValueError, match="cipher"):
        provider(cipher, key, iv, header_key)


def test_what_is_too_short_for_a_packet_is_refused(provider) -> None:
    keys = some_keys(provider, "aes-128-gcm")
    with pytest.raises(ValueError, match="short"):
        keys.protect(b"\x41identity\x00\x09", b"x", 9)


@given(
    content=st.binary(max_size=1500),
    number=st.integers(0, 2**62 - 1),
    distance=st.integers(-100, 100),
    cipher=st.sampled_from(list(CIPHERS)),
)
def test_all_write_and_read_the_same(content: bytes, number: int, distance: int, cipher: str) -> None:
    one, *others = (some_keys(provider, cipher) for provider in PROVIDERS)
    header = b"\x43" + (number & 0xFFFFFFFF).to_bytes(4, "big")
    packet = one.protect(header, content, number)
    assert all(packet == other.protect(header, content, number) for other in others)
    expected = max(number + distance, 0)
    for keys in (one, *others):
        assert keys.unprotect(packet, 1, expected) == (header, content, number)
