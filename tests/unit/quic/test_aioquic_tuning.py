"""What replaces parts of aioquic does the same: both are run side by side, with a copy of the module as it came."""

from __future__ import annotations

import importlib.util
import os
from types import ModuleType
from typing import Any

import pytest
from aioquic import tls as tuned
from aioquic._buffer import Buffer
from aioquic.quic import connection, packet
from aioquic.tls import CipherSuite
from cryptography.hazmat.primitives.asymmetric import ec, x448, x25519
from cryptography.hazmat.primitives.hashes import SHA256, SHA384

from wtransport._quic import aioquic_tuning, key_schedule, tls_blocks, tls_context
from wtransport._quic.aioquic_tuning import blocks
from wtransport._quic.backend import IS_COMPILED
from wtransport._speedups import encode_varint

SUITES = list(CipherSuite)[:3]
SECRET = bytes(range(32))
CALLBACK = "update_traffic_key_cb"


@pytest.fixture(scope="module")
def stock() -> ModuleType:
    spec = importlib.util.find_spec("aioquic.tls")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.push_block is not tuned.push_block
    return module


def test_they_are_in_place():
    # By name: the fuzz targets load the package a second time, and the last one that was loaded has put its parts in.
    for part, name in ((tuned.push_block, "PushBlock"), (tuned.pull_block, "PullBlock")):
        assert (part.__module__, part.__qualname__) == (aioquic_tuning.__name__, name)
    for name in ("KeySchedule", "hkdf_expand_label"):
        part = getattr(tuned, name)
        assert (part.__module__, part.__qualname__) == (key_schedule.__name__, name)


# Key schedule.


@pytest.mark.parametrize("algorithm", [SHA256(), SHA384()], ids=lambda algorithm: algorithm.name)
@pytest.mark.parametrize("length", [0, 1, 12, 16, 32, 48, 49, 1000, 255 * 32])
@pytest.mark.parametrize("context", [b"", b"c" * 32, b"c" * 255])
def test_expanding(stock, algorithm, length, context):
    arguments = algorithm, os.urandom(algorithm.digest_size), b"quic key", context, length
    if length == 0:
        assert key_schedule.hkdf_expand_label(*arguments) == b""
    else:
        assert key_schedule.hkdf_expand_label(*arguments) == stock.hkdf_expand_label(*arguments)


def test_more_than_255_hashes_cannot_be_expanded(stock):
    for module in (stock, key_schedule):
        with pytest.raises(ValueError):
            module.hkdf_expand_label(SHA256(), SECRET, b"label", b"", 255 * 32 + 1)


@pytest.mark.parametrize("algorithm", [SHA256(), SHA384()], ids=lambda algorithm: algorithm.name)
@pytest.mark.parametrize("salt", [b"", b"s" * 20, b"s" * 32, b"s" * 48, b"s" * 64])
def test_extracting(stock, algorithm, salt):
    for key_material in (b"", b"8 bytes!", bytes(48), b"k" * 300):
        arguments = algorithm, salt, key_material
        assert key_schedule.hkdf_extract(*arguments) == stock.hkdf_extract(*arguments)


def walk(schedule: Any) -> list[bytes]:
    """Return all that a handshake asks of a schedule."""
    results = [schedule.secret]
    schedule.extract(None)
    schedule.update_hash(b"ClientHello")
    results += [schedule.secret, schedule.derive_secret(b"c e traffic")]
    schedule.update_hash(b"ServerHello")
    schedule.extract(b"shared key")
    traffic = schedule.derive_secret(b"s hs traffic")
    results += [traffic, schedule.certificate_verify_data(b"TLS 1.3, server CertificateVerify")]
    results.append(schedule.finished_verify_data(traffic))
    schedule.update_hash(b"Finished")
    schedule.extract(None)
    return [*results, schedule.derive_secret(b"exp master"), schedule.secret]


@pytest.mark.parametrize("suite", SUITES)
def test_a_whole_handshake(stock, suite):
    mine, theirs = key_schedule.KeySchedule(suite), stock.KeySchedule(suite)
    assert walk(mine) == walk(theirs)
    assert (mine.generation, mine.algorithm.name) == (theirs.generation, theirs.algorithm.name)
    assert mine.cipher_suite == suite


@pytest.mark.parametrize("suite", SUITES)
def test_a_client_that_offers_several_suites(stock, suite):
    selected = []
    for module in (key_schedule, stock):
        proxy = module.KeyScheduleProxy(SUITES)
        proxy.extract(None)
        proxy.update_hash(b"ClientHello")
        selected.append(proxy.select(suite))
    mine, theirs = selected
    assert (mine.secret, mine.generation) == (theirs.secret, theirs.generation)
    assert mine.derive_secret(b"label") == theirs.derive_secret(b"label")


def test_a_suite_that_was_not_offered_cannot_be_selected(stock):
    for module in (key_schedule, stock):
        with pytest.raises(KeyError):
            module.KeyScheduleProxy(SUITES[:1]).select(SUITES[1])


# Messages.


class Failure(Exception):
    """What a block raises."""


@pytest.mark.parametrize("capacity", [1, 2, 3])
@pytest.mark.parametrize("content", [b"", b"x", b"x" * 255])
def test_writing_blocks(stock, capacity, content):
    written = []
    for module in (tuned, stock):
        buf = Buffer(capacity=2000)
        with module.push_block(buf, capacity):
            buf.push_bytes(content)
        with module.push_extension(buf, 0x39), module.push_block(buf, 1):
            buf.push_bytes(content)
        module.push_opaque(buf, capacity, content)
        module.push_list(buf, 2, buf.push_uint16, [1, 2, 3])
        written.append(buf.data)
    assert written[0] == written[1]


def test_a_block_that_is_too_long_or_fails(stock):
    for module in (tuned, stock):
        buf = Buffer(capacity=2000)
        with pytest.raises(OverflowError), module.push_block(buf, 1):
            buf.push_bytes(bytes(256))
        with pytest.raises(OverflowError):
            module.push_opaque(buf, 1, bytes(256))
        for writing in (module.push_block(buf, 1), module.push_extension(buf, 1)):
            with pytest.raises(Failure), writing:
                raise Failure


@pytest.mark.parametrize("data", ["03 010203", "00", "04 010203", "", "02 010203"])
def test_reading_blocks(stock, data):
    results = []
    for module in (tuned, stock):
        buf = Buffer(data=bytes.fromhex(data))
        try:
            results.append((module.pull_opaque(buf, 1), buf.tell()))
        except Exception as exc:
            results.append(type(exc).__name__)
    assert results[0] == results[1]


@pytest.mark.parametrize("nbytes", [2, 3, 4])
def test_a_block_must_be_read_to_its_end_and_no_further(stock, nbytes):
    for module in (tuned, stock):
        buf = Buffer(data=b"\x00\x03abcdef")
        if nbytes == 3:
            with module.pull_block(buf, 2) as length:
                assert (length, buf.pull_bytes(nbytes)) == (3, b"abc")
        else:
            with pytest.raises(module.AlertDecodeError), module.pull_block(buf, 2):
                buf.pull_bytes(nbytes)
        with pytest.raises(Failure), module.pull_block(Buffer(data=b"\x01a"), 1):
            raise Failure


def test_messages_go_into_the_transcript_unless_they_fail(stock):
    for module in (tuned, stock):
        schedule, buf = module.KeySchedule(SUITES[0]), Buffer(capacity=100)
        expected = module.KeySchedule(SUITES[0])
        buf.push_bytes(b"before")
        with module.push_message(schedule, buf):
            buf.push_bytes(b"message")
        with pytest.raises(Failure), module.push_message(schedule, buf):
            buf.push_bytes(b"half")
            raise Failure
        expected.update_hash(b"message")
        assert schedule.derive_secret(b"label") == expected.derive_secret(b"label")


@pytest.mark.parametrize("capacity", [1, 2])
@pytest.mark.parametrize("data", ["", "00", "02 0102", "03 0102", "01 0102", "04 01ff0203", "0000", "0002 01ff"])
def test_reading_lists(stock, capacity, data):
    results = []
    for module in (tuned, stock):
        buf = Buffer(data=bytes.fromhex(data))

        def item(module: ModuleType = module, buf: Buffer = buf) -> int:
            value = buf.pull_uint8()
            if value == 0xFF:
                raise module.SkipItem
            return value

        try:
            results.append((module.pull_list(buf, capacity, item), buf.tell()))
        except Exception as exc:
            results.append(type(exc).__name__)
    assert results[0] == results[1]


@pytest.mark.parametrize("values", [[], [1], [1, 2, 3], list(range(127)), list(range(200))])
def test_writing_lists(stock, values):
    results = []
    for module in (tuned, stock):
        buf = Buffer(capacity=1000)
        try:
            module.push_list(buf, 1, buf.push_uint16, values)
            results.append(buf.data)
        except OverflowError:
            results.append("too long")
    assert results[0] == results[1]


# Transport parameters.

PARAMETERS = [
    packet.QuicTransportParameters(),
    packet.QuicTransportParameters(
        original_destination_connection_id=b"8 bytes!",
        max_idle_timeout=30_000,
        stateless_reset_token=bytes(16),
        initial_max_data=1 << 61,
        ack_delay_exponent=0,
        disable_active_migration=True,
        active_connection_id_limit=4,
        max_datagram_frame_size=65_536,
        quantum_readiness=b"Q" * 1200,
        version_information=packet.QuicVersionInformation(chosen_version=1, available_versions=[1, 0x6B3343CF]),
    ),
    packet.QuicTransportParameters(
        disable_active_migration=False,
        initial_source_connection_id=b"",
        preferred_address=packet.QuicPreferredAddress(
            ipv4_address=("192.0.2.1", 443),
            ipv6_address=("2001:db8::1", 443),
            connection_id=b"8 bytes!",
            stateless_reset_token=bytes(16),
        ),
    ),
]


@pytest.mark.parametrize("parameters", PARAMETERS)
def test_writing_transport_parameters(parameters):
    written = []
    for push in (aioquic_tuning.push_quic_transport_parameters, packet.push_quic_transport_parameters):
        buf = Buffer(capacity=3000)
        push(buf, parameters)
        written.append(buf.data)
    assert written[0] == written[1]
    assert packet.pull_quic_transport_parameters(Buffer(data=written[0])) == parameters


def test_a_transport_parameter_that_is_no_varint_is_refused():
    with pytest.raises(ValueError):
        aioquic_tuning.push_quic_transport_parameters(
            Buffer(capacity=100), packet.QuicTransportParameters(initial_max_data=1 << 62)
        )


def _outcome(pull, data):
    buf = Buffer(data=data)
    try:
        return pull(buf), buf.eof()
    except ValueError:
        return "refused"


@pytest.mark.parametrize("parameters", PARAMETERS)
def test_reading_transport_parameters(parameters):
    buf = Buffer(capacity=3000)
    packet.push_quic_transport_parameters(buf, parameters)
    data = buf.data
    grease = b"\x40\x7b\x03abc"
    for text in (data, data + grease, grease + data, data + data, b"", *(data[:end] for end in range(len(data)))):
        ours = _outcome(aioquic_tuning.pull_quic_transport_parameters, text)
        assert ours == _outcome(packet.pull_quic_transport_parameters, text)


@pytest.mark.parametrize("identifier", [*packet.PARAMS, 0x1D])
@pytest.mark.parametrize(
    "value", [b"", b"\x01", b"\x40\x01", b"\x01\x02", bytes(4), bytes(8), bytes(49)], ids=bytes.hex
)
def test_reading_any_value_of_a_transport_parameter(identifier, value):
    text = encode_varint(identifier) + encode_varint(len(value)) + value
    ours = _outcome(aioquic_tuning.pull_quic_transport_parameters, text)
    assert ours == _outcome(packet.pull_quic_transport_parameters, text)


@pytest.mark.skipif(not IS_COMPILED, reason="there is one side only")
@pytest.mark.parametrize("parameters", PARAMETERS)
def test_both_sides_agree_on_transport_parameters(parameters):
    texts = []
    for side in (tls_blocks, blocks):
        text = side.join_parameters(packet.PARAMS, vars(parameters), aioquic_tuning._encoded)
        texts.append(text)
        for data in (text, b"\x40\x7b\x00" + text, *(text[:end] for end in range(len(text)))):
            outcomes = []
            for reader in (tls_blocks, blocks):
                values = {}
                try:
                    reader.read_parameters(data, packet.PARAMS, values, aioquic_tuning._decoded)
                except ValueError as exc:
                    values["error"] = str(exc)
                outcomes.append(values)
            assert outcomes[0] == outcomes[1]
    assert texts[0] == texts[1]


# Public keys and certificates.


@pytest.mark.parametrize(
    "key",
    [
        x25519.X25519PrivateKey.generate(),
        x448.X448PrivateKey.generate(),
        *(ec.generate_private_key(curve) for curve in (ec.SECP256R1(), ec.SECP384R1(), ec.SECP521R1())),
    ],
    ids=lambda key: type(key).__name__,
)
def test_key_shares(stock, key):
    assert tls_context.encode_public_key(key.public_key()) == stock.encode_public_key(key.public_key())


def test_a_context_has_what_aioquics_has(stock):
    settings = {"alpn_protocols": ["h3"], "server_name": "example.com", "verify_mode": None, "cipher_suites": None}
    for is_client in (False, True):
        ours, theirs = (
            vars(made(is_client=is_client, **settings)) for made in (tls_context.HandshakeContext, stock.Context)
        )
        # Functions and members of enumerations are those of either module.
        assert {name: str(value) for name, value in ours.items() if name not in ("client_random", CALLBACK)} == {
            name: str(value) for name, value in theirs.items() if name not in ("client_random", CALLBACK)
        }
    first, second = (tls_context.HandshakeContext(is_client=True) for _ in range(2))
    assert first.client_random != second.client_random
    assert len(first.client_random) == 32
    assert first._ec_private_keys is not second._ec_private_keys
    assert first.handshake_extensions is not second.handshake_extensions


def test_whether_a_name_is_an_address():
    module = tls_context.AddressModule()
    for _ in range(2):
        assert module.ip_address("192.0.2.1") == module.IPv4Address("192.0.2.1")
        assert module.ip_address("::1") == module.IPv6Address("::1")
        for name in ("example.com", "", None):
            with pytest.raises(ValueError):
                module.ip_address(name)


def test_states_are_found_where_aioquic_looks_for_them():
    states = connection.QuicConnectionState
    ended = {states.CLOSING, states.DRAINING, states.TERMINATED}
    assert {state for state in states if state in connection.END_STATES} == ended
    assert set(connection.END_STATES) == ended
