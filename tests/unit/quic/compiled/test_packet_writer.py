"""What the data path sends: batches of equal packets, packet numbers, key updates, and what it leaves to aioquic."""

from __future__ import annotations

import tracemalloc
from typing import Any

import pytest
from network import CLIENT_ADDRESS, SERVER_ADDRESS
from port_pair import PortPair, limits
from wtransport._quic._compiled.cryptography_keys import CryptographyKeys
from wtransport._quic._compiled.packet_writer import MAX_BATCH

from wtransport._quic._compiled import packet_keys
from wtransport._quic.port import DatagramsArrived, StreamBytes

SIZE = 400_000


def connection_of(end: Any) -> Any:
    return end.port._connection


def wide(make_pair: Any) -> PortPair:
    """Return a connected pair with windows that hold nothing back."""
    return make_pair(
        client_limits=limits(stream_window=1 << 24, connection_window=1 << 25),
        server_limits=limits(stream_window=1 << 24, connection_window=1 << 25),
    ).connect()


def grow_window(pair: PortPair) -> None:
    """Have the client's congestion window grow as large as a transfer needs it."""
    stream_id = pair.client.port.open_stream(unidirectional=True)
    pair.client.port.send_stream(stream_id, bytes(3_000_000), True)
    pair.run_until(lambda: any(event.end_stream for event in pair.server.of(StreamBytes)))
    pair.settle()
    pair.server.events.clear()


def transfer(pair: PortPair, *, while_running: Any = None) -> None:
    """Move bytes from the client, and check what arrives."""
    content = bytes(range(256)) * (SIZE // 256)
    stream_id = pair.client.port.open_stream(unidirectional=True)
    pair.client.port.send_stream(stream_id, content, True)
    if while_running is not None:
        pair.run_until(lambda: len(pair.server.received(stream_id)) > SIZE // 4)
        while_running()
    pair.run_until(lambda: any(event.end_stream for event in pair.server.of(StreamBytes)))
    assert pair.server.received(stream_id) == content


def test_packets_of_a_batch_are_of_one_size(make_pair) -> None:
    pair = wide(make_pair)
    grow_window(pair)
    port = pair.client.port
    port.send_stream(port.open_stream(unidirectional=True), bytes(50_000), True)
    datagrams = port.datagrams_to_send(pair.now)
    sizes = [len(data) for data, _ in datagrams]
    assert len(sizes) > 5
    assert set(sizes[:-1]) == {connection_of(pair.client)._max_datagram_size}
    assert all(address == SERVER_ADDRESS for _, address in datagrams)


def test_a_batch_is_bounded_and_the_rest_follows_at_once(make_pair) -> None:
    pair = wide(make_pair)
    grow_window(pair)
    port = pair.client.port
    pair.now += 10.0
    port.send_stream(port.open_stream(unidirectional=True), bytes(3_000_000), True)
    datagrams = port.datagrams_to_send(pair.now)
    assert 0 < len(datagrams) <= MAX_BATCH
    deadline = port.next_deadline()
    assert deadline is not None
    assert deadline < pair.now + 0.01


def test_what_is_sent_is_counted(pair: PortPair) -> None:
    connection, port = connection_of(pair.client), pair.client.port
    pair.settle()
    path = connection._network_paths[0]
    before = path.bytes_sent, connection._packet_number, connection._loss.bytes_in_flight
    port.send_stream(port.open_stream(unidirectional=True), bytes(3000), True)
    datagrams = port.datagrams_to_send(pair.now)
    size = sum(len(data) for data, _ in datagrams)
    assert path.bytes_sent == before[0] + size
    assert connection._packet_number == before[1] + len(datagrams)
    assert connection._loss.bytes_in_flight == before[2] + size


def test_numbers_far_ahead_of_what_was_acknowledged_take_four_bytes(pair: PortPair) -> None:
    pair.settle()
    connection_of(pair.client)._packet_number += 40_000
    (sent,) = self_contained(pair, b"near")
    connection_of(pair.client)._packet_number += 60_000
    (far,) = self_contained(pair, b"far!")
    assert len(far) == len(sent)
    pair.settle()
    assert [event.datagrams for event in pair.server.of(DatagramsArrived)] == [[b"near"], [b"far!"]]


def self_contained(pair: PortPair, content: bytes) -> list[bytes]:
    """Send a datagram, deliver it, and return the packets."""
    pair.client.port.send_datagram(content)
    datagrams = [data for data, _ in pair.client.port.datagrams_to_send(pair.now)]
    for data in datagrams:
        pair.server.port.receive_datagram(data, CLIENT_ADDRESS, pair.now)
    pair.server.collect()
    return datagrams


def test_the_first_packet_after_a_silence_moves_the_idle_time_out(pair: PortPair) -> None:
    pair.settle()
    began = pair.now
    for _ in range(2):
        pair.client.port.send_datagram(b"here")
        pair.client.port.datagrams_to_send(pair.now)
        assert connection_of(pair.client)._close_at == pytest.approx(began + 30.0)  # the idle time-out
        pair.now += 1.0


@pytest.mark.parametrize("who", ["client", "server"])
def test_keys_change_in_the_middle_of_a_transfer(pair: PortPair, who: str) -> None:
    ends = pair.client, pair.server
    pair.server.on_event = reading(pair)
    transfer(pair, while_running=connection_of(getattr(pair, who)).request_key_update)
    assert [connection_of(end)._application_keys.recv.key_phase for end in ends] == [1, 1]
    before = connection_of(pair.server).packets_read, connection_of(pair.client).packets_written
    pair.server.events.clear()
    transfer(pair)
    assert connection_of(pair.server).packets_read > before[0] + 300
    assert connection_of(pair.client).packets_written > before[1] + 300


@pytest.mark.parametrize("who", ["client", "server"])
def test_what_is_under_way_when_keys_change_is_read_all_the_same(pair: PortPair, who: str) -> None:
    """The peer goes on with the old keys until it has seen the new ones (RFC 9001, 6.1)."""
    pair.server.on_event = reading(pair)
    transfer(pair, while_running=connection_of(getattr(pair, who)).request_key_update)
    assert [connection_of(end)._unread for end in pair.ends] == [0, 0]
    assert connection_of(pair.client)._application_keys.recv.key_phase == 1


def test_keys_change_again_only_once_the_peer_has_shown_that_it_has_them(pair: PortPair) -> None:
    """RFC 9001, 6.2. Who sends nothing but acknowledgements has to ask for that."""
    pair.settle()
    client = connection_of(pair.client)
    client.key_update_after = 2
    secrets = [client._application_keys.send.secret]
    for _ in range(12):
        pair.server.port.send_datagram(b"answered by an acknowledgement that is lost")
        for data, _addr in pair.server.port.datagrams_to_send(pair.now):
            pair.client.port.receive_datagram(data, SERVER_ADDRESS, pair.now)
        pair.now += 0.01
        pair.client.port.datagrams_to_send(pair.now)
        secrets.append(client._application_keys.send.secret)
    assert len(set(secrets)) <= 2
    for _ in range(12):
        pair.server.port.send_datagram(b"answered by one that arrives")
        pair.settle(0.1)
        secrets.append(client._application_keys.send.secret)
    assert len(set(secrets)) > 3


def test_the_largest_datagram_goes_where_packet_numbers_are_long(pair: PortPair) -> None:
    pair.settle()
    # As if so many packets were received that asked for no acknowledgement.
    connection_of(pair.client)._packet_number += 1 << 15
    connection_of(pair.server)._application_space.largest_received_packet += 1 << 15
    content = bytes(pair.client.port.max_datagram_payload)
    pair.client.port.send_datagram(content)
    pair.settle(0.1)
    assert [event.datagrams for event in pair.server.of(DatagramsArrived)] == [[content]]
    assert pair.client.port.datagrams_dropped == 0


def test_keys_change_again_and_again(pair: PortPair) -> None:
    """A key protects so many packets only (RFC 9001, 6.6); header protection keeps its first key."""
    client = connection_of(pair.client)
    secrets = []
    client.key_update_after = 100
    pair.server.on_event = reading(pair)
    for _ in range(4):
        secrets.append(client._application_keys.send.secret)
        pair.server.events.clear()
        transfer(pair)
    assert len(set(secrets)) == 4
    assert client.packets_written > 1000


def test_without_libcrypto_packets_are_protected_all_the_same(make_pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packet_keys, "_KEYS", CryptographyKeys)
    pair = make_pair().connect()
    pair.server.on_event = reading(pair)
    transfer(pair)
    assert connection_of(pair.server).packets_read > 300
    assert connection_of(pair.client).packets_written > 300


def reading(pair: PortPair) -> Any:
    def read(event: Any) -> None:
        if isinstance(event, StreamBytes):
            pair.server.port.consume(event.stream_id, len(event.data))

    return read


def test_what_is_rare_to_send_goes_the_other_way_and_all_else_with_it(pair: PortPair) -> None:
    pair.settle()
    client = connection_of(pair.client)
    before = client.packets_written
    client.send_ping(1)
    (sent,) = self_contained(pair, b"with it")
    assert len(sent) > 20
    assert client.packets_written == before
    assert [event.datagrams for event in pair.server.of(DatagramsArrived)] == [[b"with it"]]
    self_contained(pair, b"alone")
    assert client.packets_written == before + 1


def test_acknowledgements_that_nobody_acknowledges_take_no_memory(pair: PortPair) -> None:
    """Who only receives datagrams sends nothing else for hours, and hears of nothing that it sent."""
    client, before = connection_of(pair.client), 0
    pair.settle()
    tracemalloc.start()
    try:
        for sent in range(6000):
            pair.inject(pair.server, b"\x30")
            pair.client.events.clear()
            pair.now += 0.003
            assert pair.client.port.datagrams_to_send(pair.now)
            if sent == 1000:
                before = tracemalloc.get_traced_memory()[0]
        assert client.packets_written > 5000
        assert tracemalloc.get_traced_memory()[0] < before + 20_000
    finally:
        tracemalloc.stop()


def test_nothing_to_send_is_nothing(pair: PortPair) -> None:
    pair.settle()
    assert pair.client.port.datagrams_to_send(pair.now) == []
    assert not connection_of(pair.client).is_paced


def test_packets_carry_the_id_of_the_peer_that_is_in_use(make_pair) -> None:
    pair = make_pair().connect()
    port, connection = pair.client.port, connection_of(pair.client)
    pair.settle()
    seen = set()
    for _ in range(2):
        for _ in range(2):
            port.send_datagram(b"datagram")
            (data, _), *_ = port.datagrams_to_send(pair.now)
            identity = connection._peer_cid.cid
            assert data[1 : 1 + len(identity)] == identity
        seen.add(identity)
        connection.change_connection_id()
    assert len(seen) == 2
