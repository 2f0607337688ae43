"""The TLS exporter of a connection: both ends have the same, and nobody else."""

from __future__ import annotations

import pytest
from aioquic.tls import CipherSuite
from port_pair import PortPair

from wtransport.exceptions import ConnectionError

LONGEST = 255 * 32


def exports(pair: PortPair, label: bytes = b"EXPORTER-test", context: bytes = b"", length: int = 32) -> bytes:
    client, server = (end.port.export_keying_material(label, context, length) for end in pair.ends)
    assert client == server
    return client


@pytest.mark.parametrize("suite", list(CipherSuite)[:3])
def test_both_ends_export_the_same(certificate, suite):
    pair = PortPair(tuple(certificate), client_configuration={"cipher_suites": [suite]}).connect()
    first = exports(pair)
    assert len(first) == 32
    assert exports(pair) == first
    assert len(exports(pair, length=LONGEST)) == LONGEST


def test_the_export_does_not_change_with_the_life_of_the_connection(certificate):
    pair = PortPair(tuple(certificate)).connect()
    first = exports(pair)
    pair.client.port._connection.request_key_update()
    pair.client.port.send_datagram(b"by the new key")
    pair.settle()
    assert exports(pair) == first


def test_label_context_and_length_tell_exports_apart(certificate):
    pair = PortPair(tuple(certificate)).connect()
    different = [
        exports(pair),
        exports(pair, label=b"EXPORTER-other"),
        exports(pair, context=b"context"),
        exports(pair, length=31),
        exports(PortPair(tuple(certificate)).connect()),
    ]
    assert len(set(different)) == len(different)
    assert not different[0].startswith(different[3])


def test_without_a_handshake_there_is_nothing_to_export(certificate):
    pair = PortPair(tuple(certificate))
    with pytest.raises(ConnectionError, match="after the handshake"):
        pair.client.port.export_keying_material(b"EXPORTER-test", b"", 32)
    pair.client.port.connect(("192.0.2.2", 443), 0.0)
    with pytest.raises(ConnectionError, match="after the handshake"):
        pair.client.port.export_keying_material(b"EXPORTER-test", b"", 32)
