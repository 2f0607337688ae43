"""Version negotiation as a client meets it, honest and forged (RFC 9000, section 6; RFC 8999, section 6)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from network import SERVER_ADDRESS
from port_pair import PortPair, configuration, limits

from wtransport._adapter.packets import LongHeader, encode_version_negotiation, read_long_header
from wtransport._quic.aioquic_port import AioquicPort
from wtransport._quic.port import Terminated

VERSION_1 = 1
VERSION_2 = 0x6B3343CF
OTHERS = [0x1A2A3A4A, 0xFF00001D]


def begun() -> tuple[AioquicPort, LongHeader]:
    """Return a client that has sent its first packet, and that packet's header."""
    client = AioquicPort(configuration=configuration(is_client=True, supported_versions=[VERSION_1]), limits=limits())
    client.connect(SERVER_ADDRESS, 0.0)
    [(data, _)] = client.datagrams_to_send(0.0)
    return client, read_long_header(data)


def receive(client: AioquicPort, data: bytes, now: float = 0.01) -> list[Terminated]:
    client.receive_datagram(data, SERVER_ADDRESS, now)
    events = []
    while (event := client.next_event()) is not None:
        events.append(event)
    return [event for event in events if isinstance(event, Terminated)]


def test_a_server_without_a_version_of_ours_ends_the_attempt_at_once() -> None:
    client, header = begun()
    [end] = receive(client, encode_version_negotiation(header, OTHERS))
    assert "version" in end.reason
    assert not end.is_application
    assert client.is_terminated
    assert client.next_deadline() is None


@pytest.mark.parametrize("versions", [[VERSION_1], [*OTHERS, VERSION_1], [VERSION_2, VERSION_1]])
def test_one_that_lists_the_version_in_use_is_ignored(versions) -> None:
    client, header = begun()
    assert receive(client, encode_version_negotiation(header, versions)) == []
    assert not client.is_terminated


@pytest.mark.parametrize(
    "change",
    [
        {"source_cid": b"anything"},
        {"destination_cid": b"anything"},
        {"source_cid": b""},
        {"destination_cid": b""},
        {"source_cid": b"anything", "destination_cid": b"anything"},
    ],
    ids=["source", "destination", "no source", "no destination", "both"],
)
def test_one_that_does_not_echo_both_connection_ids_is_forged(change) -> None:
    client, header = begun()
    assert receive(client, encode_version_negotiation(header._replace(**change), OTHERS)) == []
    assert not client.is_terminated


def test_one_from_another_address_is_forged() -> None:
    client, header = begun()
    client.receive_datagram(encode_version_negotiation(header, OTHERS), ("192.0.2.99", 443), 0.01)
    assert client.next_event() is None


def test_one_after_the_server_was_heard_comes_too_late(make_pair) -> None:
    pair: PortPair = make_pair()
    pair.client.port.connect(SERVER_ADDRESS, 0.0)
    pair.run(0.021)  # the server's first flight is there
    connection = pair.client.port._connection
    for source_cid in (connection._peer_cid.cid, connection.original_destination_connection_id):
        header = LongHeader(VERSION_1, source_cid, pair.client.port.connection_id)
        assert receive(pair.client.port, encode_version_negotiation(header, OTHERS), pair.now) == []
    pair.run_until(lambda: pair.is_connected, what="the handshake")


@given(st.binary(max_size=300))
def test_garbage_after_its_header_changes_nothing(noise) -> None:
    client, header = begun()
    data = encode_version_negotiation(header, [VERSION_1]) + noise
    assert receive(client, data) == []


def test_a_server_ignores_it(make_pair) -> None:
    pair: PortPair = make_pair().connect()
    header = LongHeader(VERSION_1, pair.client.port.connection_id, pair.server.port.connection_id)
    pair.server.port.receive_datagram(encode_version_negotiation(header, OTHERS), pair.client.address, pair.now)
    pair.server.collect()
    assert pair.server.of(Terminated) == []
