"""A client whose address changes under it, as behind a NAT that forgot it, goes on."""

from __future__ import annotations

import pytest
from network import CLIENT_ADDRESS
from port_pair import WINDOW, PortPair

from wtransport._quic.port import DatagramsArrived, StreamBytes, Terminated

NEW_ADDRESS = ("192.0.2.77", 40_000)


def read_everything(pair: PortPair) -> None:
    for end in pair.ends:

        def act(event, end=end) -> None:
            if isinstance(event, StreamBytes) and event.data:
                end.port.consume(event.stream_id, len(event.data))

        end.on_event = act


@pytest.mark.parametrize("loss", [0.0, 0.1])
def test_streams_go_on_from_another_address(make_pair, loss) -> None:
    pair: PortPair = make_pair().connect()
    read_everything(pair)
    pair.settle()
    up = pair.client.port.open_stream(unidirectional=True)
    down = pair.server.port.open_stream(unidirectional=True)
    pair.client.port.send_stream(up, bytes(20 * WINDOW), True)
    pair.server.port.send_stream(down, bytes(20 * WINDOW), True)
    pair.run(0.02)
    # A client that waits for credit alone would not know that it has moved (a keep-alive would, see AioquicPort).
    pair.run_until(lambda: pair.client.port._connection._loss.bytes_in_flight > 0)
    assert pair.server.port.remote_address == CLIENT_ADDRESS
    pair.network.change(loss=loss)
    pair.network.client_address = NEW_ADDRESS
    pair.run_until(lambda: len(pair.server.received(up)) == len(pair.client.received(down)) == 20 * WINDOW, seconds=300)
    assert pair.server.port.remote_address == NEW_ADDRESS
    pair.settle(30)
    assert not pair.server.of(Terminated)
    assert not pair.server.port._table.streams
    assert not pair.client.port._table.streams


def test_the_server_answers_where_it_was_last_spoken_to(make_pair) -> None:
    pair: PortPair = make_pair().connect()
    pair.settle()
    for number in range(5):
        pair.network.client_address = ("192.0.2.77", 40_000 + number)
        pair.client.port.send_datagram(b"moved")
        pair.settle(1.0)
        assert pair.server.port.remote_address == pair.network.client_address
        pair.server.port.send_datagram(b"seen")
        pair.settle(1.0)
    assert sum(len(event.datagrams) for event in pair.client.of(DatagramsArrived)) == 5
    assert not pair.server.of(Terminated)


def test_an_address_that_cannot_be_validated_gets_little_and_is_given_up(make_pair) -> None:
    """Somebody replays a client's packet from another address (RFC 9000, 9.3): no flood goes there."""
    pair: PortPair = make_pair().connect()
    read_everything(pair)
    pair.settle()
    stream_id = pair.server.port.open_stream(unidirectional=True)
    pair.client.port.send_datagram(b"replayed")
    for data, _ in pair.client.port.datagrams_to_send(pair.now):
        pair.server.port.receive_datagram(data, NEW_ADDRESS, pair.now)
    pair.server.port.send_stream(stream_id, bytes(10 * WINDOW), True)
    size = 0
    for _ in range(20):
        size += sum(len(data) for data, addr in pair.server.port.datagrams_to_send(pair.now) if addr == NEW_ADDRESS)
    assert size <= 3 * 1200
    pair.run(60.0)
    assert pair.server.port.remote_address == CLIENT_ADDRESS
    assert len(pair.client.received(stream_id)) == 10 * WINDOW
