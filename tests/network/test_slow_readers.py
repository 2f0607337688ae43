"""Readers that take little or nothing: they stop their own sender, and nobody else. In virtual time.

What is kept is counted in unread bytes; `test_memory` measures what they cost.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import pytest
from engine_pair import EnginePair
from network import Network
from transfer import Transfer

from wtransport._protocol import events, limits
from wtransport._quic.factory import CONNECTION_WINDOW_FACTOR
from wtransport.types import SessionState

MakePair: TypeAlias = Callable[..., EnginePair]

KIB = 1 << 10
WINDOW = 64 * KIB
SMALL = {"flow_control_window_size": WINDOW}
SESSION_WINDOW = limits.SESSION_WINDOW_FACTOR * WINDOW
CONNECTION_WINDOW = CONNECTION_WINDOW_FACTOR * WINDOW

HEADER = 8
"""Bytes of what a stream begins with, at most; they count for QUIC alone."""

SENDERS = pytest.mark.parametrize("sender", ["client", "server"])


def connected(make_pair: MakePair, sender: str, **options: Any) -> tuple[EnginePair, Any, Any]:
    """A pair whose windows are small, and the sender's and the receiver's end of a session."""
    pair = make_pair(network=Network(delay=0.01), client=SMALL | options, server=SMALL | options)
    ours, theirs = pair.connect_in()
    return (pair, ours, theirs) if sender == "client" else (pair, theirs, ours)


def another_session(pair: EnginePair, sender: str) -> tuple[Any, Any]:
    ours, theirs = pair.open_session()
    return (ours, theirs) if sender == "client" else (theirs, ours)


def flood(session: Any, streams: int, *, size: int = 16 * WINDOW) -> list[Any]:
    """Open streams and write far more than may be sent."""
    opened = [session.open_stream(unidirectional=True) for _ in range(streams)]
    for stream in opened:
        stream.write(bytes(size))
    return opened


def unread(session: Any) -> int:
    return sum(stream.buffered for stream in session.streams.values())


def moves(pair: EnginePair, session: Any, *, size: int = 512 * KIB, seconds: float = 20.0) -> None:
    """Send and read so much in a session, beside everything else; fails when it takes too long."""
    transfer = Transfer(pair, size=size, seed=1)
    transfer.begin_one_way(session)
    transfer.run(seconds=seconds)


@SENDERS
def test_a_stream_that_nobody_reads_stops_itself_alone(make_pair: MakePair, sender: str) -> None:
    pair, sending, receiving = connected(make_pair, sender)
    (stuck,) = flood(sending, 1)
    pair.advance(2.0)
    assert WINDOW - HEADER <= unread(receiving) <= WINDOW
    assert stuck.unsent >= 15 * WINDOW
    pair.client_events.clear()
    pair.server_events.clear()
    moves(pair, sending)
    moves(pair, another_session(pair, sender)[0])
    assert receiving.streams[stuck.stream_id].buffered <= WINDOW


@SENDERS
def test_a_stream_read_at_one_kibibyte_a_second_stops_itself_alone(make_pair: MakePair, sender: str) -> None:
    pair, sending, receiving = connected(make_pair, sender)
    (slow,) = flood(sending, 1)
    pair.advance(2.0)
    reading = receiving.streams[slow.stream_id]
    pair.client_events.clear()
    pair.server_events.clear()
    transfer = Transfer(pair, size=2 << 20, seed=1)
    transfer.begin_one_way(sending)
    read = [0, pair.now]

    def each() -> None:
        if pair.now >= read[1]:
            read[1] += 1.0
            read[0] += len(reading.read(KIB))
        assert reading.buffered <= WINDOW

    transfer.run(seconds=60, each=each)
    for _ in range(100):
        pair.advance(1.0)
        each()
    assert read[0] >= 100 * KIB
    assert slow.bytes_sent - slow.unsent <= read[0] + WINDOW


@SENDERS
def test_a_session_that_nobody_reads_stops_itself_alone(make_pair: MakePair, sender: str) -> None:
    """Its window is smaller than the connection's, so that other sessions have something left."""
    pair, sending, receiving = connected(make_pair, sender)
    flood(sending, 20)
    pair.advance(2.0)
    assert unread(receiving) == SESSION_WINDOW < CONNECTION_WINDOW
    pair.client_events.clear()
    pair.server_events.clear()
    moves(pair, another_session(pair, sender)[0])
    assert unread(receiving) == SESSION_WINDOW


@SENDERS
def test_all_sessions_together_stop_at_the_connections_window(make_pair: MakePair, sender: str) -> None:
    pair, sending, receiving = connected(make_pair, sender)
    ends = [(sending, receiving), *(another_session(pair, sender) for _ in range(4))]
    for session, _ in ends:
        flood(session, 5, size=4 * WINDOW)
    pair.advance(5.0)
    total = sum(unread(other) for _, other in ends)
    assert CONNECTION_WINDOW - 25 * HEADER - KIB <= total <= CONNECTION_WINDOW
    for _ in range(60):
        for _, other in ends:
            for stream in other.streams.values():
                stream.read()
        pair.advance(0.1)
    assert sum(session.flow.peer_data_sent for _, session in ends) == 25 * 4 * WINDOW, "reading lets everything follow"


@SENDERS
def test_streams_that_nobody_takes_are_bounded(make_pair: MakePair, sender: str) -> None:
    """Nobody asks for them: they stop at the limit of streams, and at the session's window."""
    pair, sending, receiving = connected(make_pair, sender)
    opened = 0
    for _ in range(3):
        while (stream := sending.open_stream(unidirectional=True)) is not None:
            opened += 1
            stream.write(bytes(WINDOW), end_stream=True)
        pair.advance(1.0)
    assert opened == limits.DEFAULT_SESSION_STREAMS
    assert len(receiving.streams) <= opened
    assert unread(receiving) == SESSION_WINDOW
    pair.client_events.clear()
    pair.server_events.clear()
    moves(pair, another_session(pair, sender)[0])


# Datagrams.


@SENDERS
def test_datagrams_that_nobody_reads_push_out_the_oldest(make_pair: MakePair, sender: str) -> None:
    pair, sending, receiving = connected(make_pair, sender)
    sent = 0
    for _ in range(12):
        while sending.send_datagram(sent.to_bytes(4, "big") + bytes(100)):
            sent += 1
        pair.advance(0.5)
    pair.advance(2.0)
    assert sent > 1.5 * limits.MAX_QUEUED_DATAGRAMS
    queue = receiving.datagrams
    assert len(queue) == limits.MAX_QUEUED_DATAGRAMS
    assert queue.nbytes <= limits.MAX_QUEUED_DATAGRAM_BYTES
    assert receiving.datagrams_received - queue.dropped_full == len(queue)
    numbers = [int.from_bytes(data[:4], "big") for data in queue.drain()]
    assert numbers == sorted(numbers)
    assert numbers[-1] == sent - 1
    moves(pair, sending)


@SENDERS
def test_datagrams_for_a_session_that_nobody_reads_do_not_stop_another(make_pair: MakePair, sender: str) -> None:
    pair, sending, _ = connected(make_pair, sender)
    other, receiving = another_session(pair, sender)
    for number in range(10):
        while sending.send_datagram(bytes(1000)):
            pass
        pair.advance(0.1)
        while not other.send_datagram(b"%d" % number):
            pair.advance(0.01)
        pair.advance(0.2)
        assert receiving.datagrams.drain() == [b"%d" % number]


# A peer that gives nothing.


def test_a_client_without_credit_keeps_its_streams_and_is_told_nothing_wrong(make_pair: MakePair) -> None:
    frugal = {"initial_max_data": 1000, "flow_control_window_auto_scale": False}
    pair = make_pair(network=Network(delay=0.01), client=SMALL, server=SMALL | frugal)
    ours, theirs = pair.connect_in()
    flood(ours, 10, size=10_000)
    pair.advance(60.0)
    assert unread(theirs) == 1000
    assert ours.is_open
    packets = sum(pair.packets.values())
    pair.advance(60.0)
    assert sum(pair.packets.values()) - packets < 20, "nobody asks again and again"
    theirs.grant_data(200_000)
    pair.advance(2.0)
    assert unread(theirs) == 100_000


def test_sessions_that_nobody_accepts_are_bounded(make_pair: MakePair) -> None:
    """Neither what they are, nor what comes for them."""
    pair = make_pair(network=Network(delay=0.01), client=SMALL, server=SMALL | {"max_sessions": 20})
    pair.connect_in()
    waiting = [ours_ for ours_ in (open_request(pair) for _ in range(40)) if ours_ is not None]
    pair.advance(1.0)
    assert len(pair.server.sessions) == 20
    assert len([each for each in waiting if each.state is SessionState.CONNECTING]) == 19
    for session in waiting:
        for _ in range(20):
            if session.state is SessionState.CONNECTING:
                pair.client.port.send_datagram(bytes([session.stream_id >> 2]) + bytes(1000))
    pair.advance(1.0)
    assert pair.server._early._total <= 1000
    for session in list(pair.server.sessions.values()):
        session.close()  # refused, where it was not answered
    assert pair.server._early._total == 0
    pair.advance(1.0)
    pair.client_events.clear()
    pair.server_events.clear()
    moves(pair, pair.open_session()[0])


def open_request(pair: EnginePair) -> Any:
    session = pair.client.open_session(authority="localhost", path="/", headers={})
    pair.advance(0.05)
    if any(isinstance(event, events.SessionRejected) for event in pair.client_events):
        pair.client_events.clear()
        return None
    return session
