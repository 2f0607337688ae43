"""How many streams two ports let each other open."""

from __future__ import annotations

import pytest
from network import Network
from port_pair import End, PortPair, limits

from wtransport._quic.port import StreamBytes, StreamCreditRaised, Terminated


def finish_streams_at_once(end: End) -> None:
    """Have an end close its half of every stream whose other half ends."""

    def act(event) -> None:
        if isinstance(event, StreamBytes):
            if event.data:
                end.port.consume(event.stream_id, len(event.data))
            if event.end_stream and not event.stream_id & 2:
                end.port.send_stream(event.stream_id, b"", True)

    end.on_event = act


def open_all(end: End, *, unidirectional: bool) -> list[int]:
    opened = []
    while (stream_id := end.port.open_stream(unidirectional=unidirectional)) is not None:
        opened.append(stream_id)
    return opened


@pytest.mark.parametrize("unidirectional", [False, True])
def test_no_more_streams_than_allowed_until_some_close(make_pair, unidirectional) -> None:
    pair = make_pair(server_limits=limits(max_streams_bidi=3, max_streams_uni=3)).connect()
    opened = open_all(pair.client, unidirectional=unidirectional)
    assert len(opened) == 3
    finish_streams_at_once(pair.server)
    for stream_id in opened:
        pair.client.port.send_stream(stream_id, b"x", True)
    assert not pair.client.of(StreamCreditRaised)
    pair.settle()
    assert pair.client.of(StreamCreditRaised) == [StreamCreditRaised(unidirectional)]
    assert len(open_all(pair.client, unidirectional=unidirectional)) == 3


@pytest.mark.parametrize("closed", [1, 2, 3])
def test_streams_closed_early_are_given_back_although_the_rest_stay_open(make_pair, closed) -> None:
    pair = make_pair(server_limits=limits(max_streams_bidi=8)).connect()
    finish_streams_at_once(pair.server)
    for _ in range(closed):
        stream_id = pair.client.port.open_stream(unidirectional=False)
        pair.client.port.send_stream(stream_id, b"x", True)
        pair.settle()
    for stream_id in open_all(pair.client, unidirectional=False):
        pair.client.port.send_stream(stream_id, b"stays open", False)
    pair.settle()
    assert pair.client.of(StreamCreditRaised)
    assert len(pair.client.port._table.streams) < 8
    assert len(open_all(pair.client, unidirectional=False)) == closed
    assert pair.client.port.open_stream(unidirectional=False) is None


def test_a_lost_max_streams_is_sent_again(make_pair) -> None:
    pair = make_pair(server_limits=limits(max_streams_uni=2)).connect()
    pair.settle()
    for stream_id in open_all(pair.client, unidirectional=True):
        pair.client.port.send_stream(stream_id, b"x", True)
    pair.server.lose_next = 2
    pair.settle()
    assert pair.server.lose_next == 0
    assert pair.client.of(StreamCreditRaised)
    assert len(open_all(pair.client, unidirectional=True)) == 2


def test_being_blocked_is_told_at_once(make_pair) -> None:
    """Some peers raise MAX_STREAMS only when asked."""
    pair = make_pair(server_limits=limits(max_streams_uni=0)).connect()
    pair.settle()
    before = pair.client.packets_sent
    assert pair.client.port.open_stream(unidirectional=True) is None
    assert pair.client.wants_flush
    pair.run(0.1)
    assert pair.client.packets_sent > before
    again = pair.client.packets_sent
    assert pair.client.port.open_stream(unidirectional=True) is None
    pair.run(0.1)
    assert pair.client.packets_sent == again, "the peer was told twice"


def test_ten_thousand_streams_leave_nothing_behind(make_pair) -> None:
    pair: PortPair = make_pair(
        network=Network(seed=3, loss=0.02, delay=0.001),
        server_limits=limits(max_streams_bidi=500, connection_window=10_000_000),
    ).connect()
    finish_streams_at_once(pair.server)
    opened = 0
    port = pair.client.port

    def open_more() -> None:
        nonlocal opened
        while opened < 10_000 and (stream_id := port.open_stream(unidirectional=False)) is not None:
            opened += 1
            port.send_stream(stream_id, b"hello", True)

    pair.client.on_event = lambda event: open_more() if isinstance(event, StreamCreditRaised) else None
    open_more()
    pair.run_until(lambda: opened == 10_000, seconds=600)
    pair.settle(10)
    pair.client.events.clear()
    for end in pair.ends:
        assert not end.of(Terminated)
        table = end.port._table
        assert table.streams == {}
        assert not table.ready
        assert not table.waiting_for_max_data
    assert len(open_all(pair.client, unidirectional=False)) > 250
