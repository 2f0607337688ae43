"""Flow control between two ports: credit follows reading, and none is ever lost."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from network import Network
from port_pair import PATIENT, WINDOW, End, PortPair, limits

from wtransport._quic.port import StreamBytes, StreamDiscarded, StreamDrained, StreamReset, StreamStopped, Terminated


def send(end: End, size: int, *, fin: bool = False) -> int:
    stream_id = end.port.open_stream(unidirectional=True)
    end.port.send_stream(stream_id, bytes(size), fin)
    return stream_id


def windows_are_open(end: End) -> bool:
    window = end.port._table.receive_window
    return window.consumed == window.received and window.limit - window.received > window.window // 2


def test_a_stream_that_nobody_reads_stops_at_its_window(pair) -> None:
    stream_id = send(pair.client, 10 * WINDOW)
    pair.settle()
    assert len(pair.server.received(stream_id)) == WINDOW
    assert pair.client.port.unsent_bytes(stream_id) == 9 * WINDOW


def test_streams_that_nobody_reads_stop_together_at_the_connections_window(pair) -> None:
    ids = [send(pair.client, WINDOW) for _ in range(10)]
    pair.settle()
    assert sum(len(pair.server.received(stream_id)) for stream_id in ids) == 4 * WINDOW


def test_reading_lets_exactly_as_much_follow(pair) -> None:
    stream_id = send(pair.client, 10 * WINDOW)
    pair.settle()
    for _ in range(5):
        before = len(pair.server.received(stream_id))
        pair.server.port.consume(stream_id, WINDOW)
        pair.settle()
        assert len(pair.server.received(stream_id)) == before + WINDOW


def test_reading_one_stream_lets_another_go_on(make_pair) -> None:
    pair = make_pair(server_limits=limits(connection_window=WINDOW)).connect()
    first = send(pair.client, WINDOW)
    pair.settle()
    second = send(pair.client, WINDOW, fin=True)
    pair.settle()
    assert pair.server.received(second) == b""
    pair.server.port.consume(first, WINDOW)
    pair.settle()
    assert pair.server.of(StreamBytes)[-1].end_stream
    assert len(pair.server.received(second)) == WINDOW


@pytest.mark.parametrize("which", ["stream", "connection"])
@pytest.mark.parametrize("lost", [1, 2, 5])
def test_lost_credit_is_announced_again(make_pair, which, lost) -> None:
    pair = make_pair(server_limits=limits(connection_window=WINDOW if which == "connection" else 4 * WINDOW)).connect()
    pair.settle()
    stream_id = send(pair.client, 2 * WINDOW, fin=True)
    pair.settle()
    assert len(pair.server.received(stream_id)) == WINDOW
    pair.server.lose_next = lost
    pair.server.port.consume(stream_id, WINDOW)
    pair.settle(30)
    assert pair.server.lose_next == 0
    assert len(pair.server.received(stream_id)) == 2 * WINDOW
    assert pair.server.of(StreamBytes)[-1].end_stream


def test_credit_is_asked_to_be_flushed_only_when_there_is_news(pair) -> None:
    stream_id = send(pair.client, WINDOW)
    pair.settle()
    pair.server.port.consume(stream_id, 10)
    assert not pair.server.wants_flush
    pair.server.port.consume(stream_id, WINDOW // 2)
    assert pair.server.wants_flush


# Aborts.


def test_a_reset_gives_the_connections_credit_back(pair) -> None:
    for _ in range(20):
        stream_id = send(pair.client, 2 * WINDOW)
        pair.settle(0.5)
        arrived = len(pair.server.received(stream_id))
        assert arrived == WINDOW
        pair.client.port.reset_stream(stream_id, 66)
        pair.settle(0.5)
        assert pair.server.of(StreamReset)[-1] == StreamReset(stream_id, 66, WINDOW)
        pair.server.port.consume(stream_id, arrived)
    assert windows_are_open(pair.server)
    assert pair.client.port._table.data_used == 20 * WINDOW


def test_bytes_that_were_queued_but_never_sent_use_no_credit(pair) -> None:
    stream_id = send(pair.client, 5 * WINDOW)
    pair.client.port.reset_stream(stream_id, 1)
    pair.settle()
    assert pair.client.port._table.data_used == 0
    assert pair.server.of(StreamReset) == [StreamReset(stream_id, 1, 0)]
    assert pair.client.port.unsent_bytes(stream_id) == 0


@pytest.mark.parametrize("lost", [0, 1, 3])
def test_stop_sending_is_answered_by_a_reset(pair, lost) -> None:
    stream_id = send(pair.client, 3 * WINDOW)
    pair.settle()
    pair.server.port.consume(stream_id, len(pair.server.received(stream_id)) // 4)
    pair.settle()
    pair.server.lose_next = pair.client.lose_next = lost
    pair.server.port.stop_stream(stream_id, 33)
    unsent = pair.client.port.unsent_bytes(stream_id)
    pair.settle(60)
    assert pair.client.lose_next == pair.server.lose_next == 0
    assert pair.client.of(StreamStopped) == [StreamStopped(stream_id, 33, unsent)]
    (reset,) = pair.server.of(StreamReset)
    assert reset.error_code == 33
    assert reset.final_size == pair.client.port._table.data_used
    assert not pair.client.port._table.streams
    assert not pair.server.port._table.streams


@pytest.mark.parametrize("lost", [1, 2, 4])
def test_a_lost_reset_is_sent_again(pair, lost) -> None:
    stream_id = send(pair.client, 100)
    pair.settle()
    pair.client.lose_next = lost
    pair.client.port.reset_stream(stream_id, 9)
    pair.settle(60)
    assert pair.client.lose_next == 0
    assert pair.server.of(StreamReset) == [StreamReset(stream_id, 9, 100)]
    assert not pair.client.port._table.streams


def test_a_reset_after_the_fin_was_delivered_changes_nothing(pair) -> None:
    stream_id = send(pair.client, 100, fin=True)
    pair.settle()
    pair.client.port.reset_stream(stream_id, 9)
    pair.settle()
    assert pair.server.of(StreamReset) == []
    assert not pair.client.of(Terminated)


def test_a_reset_after_the_fin_was_written_takes_back_what_is_not_delivered(pair) -> None:
    stream_id = send(pair.client, 3 * WINDOW, fin=True)
    pair.settle()
    pair.client.port.reset_stream(stream_id, 9)
    pair.settle()
    assert pair.server.of(StreamReset) == [StreamReset(stream_id, 9, WINDOW)]
    assert not any(event.end_stream for event in pair.server.of(StreamBytes))


def test_stopping_a_stream_whose_end_is_on_its_way_discards_it(pair) -> None:
    stream_id = send(pair.client, 1000)
    pair.settle()
    pair.client.port.send_stream(stream_id, bytes(500), True)
    pair.run(0.001)
    pair.server.port.stop_stream(stream_id, 1)
    pair.server.port.consume(stream_id, 1000)
    pair.settle()
    assert pair.server.of(StreamDiscarded) == [StreamDiscarded(stream_id, 1500)]
    assert windows_are_open(pair.server)
    assert not pair.client.port._table.streams
    assert not pair.server.port._table.streams


def test_both_halves_of_a_stream_end_apart(pair) -> None:
    client, server = pair.client.port, pair.server.port
    stream_id = client.open_stream(unidirectional=False)
    client.send_stream(stream_id, b"question", True)
    pair.settle()
    assert stream_id in server._table.streams
    server.send_stream(stream_id, b"ans", False)
    pair.settle()
    server.reset_stream(stream_id, 8)
    pair.settle()
    assert pair.client.received(stream_id) == b"ans"
    assert pair.client.of(StreamReset) == [StreamReset(stream_id, 8, 3)]
    assert not client._table.streams
    assert not server._table.streams


def test_resets_both_ways(pair) -> None:
    client, server = pair.client.port, pair.server.port
    stream_id = client.open_stream(unidirectional=False)
    client.send_stream(stream_id, b"x", False)
    pair.settle()
    client.reset_stream(stream_id, 1)
    server.reset_stream(stream_id, 2)
    pair.settle()
    assert pair.server.of(StreamReset) == [StreamReset(stream_id, 1, 1)]
    assert pair.client.of(StreamReset) == [StreamReset(stream_id, 2, 0)]
    assert not client._table.streams
    assert not server._table.streams


# Back-pressure.


def test_a_watched_stream_drains_as_credit_arrives(pair) -> None:
    stream_id = send(pair.client, 3 * WINDOW)
    pair.client.port.watch_unsent(stream_id, WINDOW)
    pair.settle()
    assert pair.client.of(StreamDrained) == []
    pair.server.port.consume(stream_id, WINDOW)
    pair.settle()
    assert pair.client.of(StreamDrained) == [StreamDrained(stream_id)]
    pair.server.port.consume(stream_id, WINDOW)
    pair.settle()
    assert pair.client.of(StreamDrained) == [StreamDrained(stream_id)]


def test_a_watch_that_is_met_already_is_answered(pair) -> None:
    stream_id = send(pair.client, 10)
    pair.settle()
    pair.client.port.watch_unsent(stream_id, 0)
    assert pair.client.wants_flush
    pair.settle()
    assert pair.client.of(StreamDrained) == [StreamDrained(stream_id)]


def test_commands_for_streams_that_are_over_do_nothing(pair) -> None:
    port = pair.client.port
    stream_id = send(pair.client, 10, fin=True)
    pair.settle()
    port.send_stream(stream_id, b"more", False)
    port.reset_stream(stream_id, 0)
    port.stop_stream(stream_id, 0)
    port.watch_unsent(stream_id, 0)
    assert port.unsent_bytes(stream_id) == 0
    pair.settle()
    assert not pair.client.of(Terminated)
    assert not pair.server.of(Terminated)


# Everything at once.


class Program:
    """Does the operations of a test at one end, reading slowly, and remembers what the other end was sent."""

    def __init__(self, end: End) -> None:
        self.end = end
        self.unread: dict[int, int] = {}
        self.content: dict[int, bytearray] = {}
        self.ended: set[int] = set()
        end.on_event = self

    def __call__(self, event) -> None:
        if isinstance(event, StreamBytes):
            assert event.stream_id not in self.ended
            self.content.setdefault(event.stream_id, bytearray()).extend(event.data)
            self.unread[event.stream_id] = self.unread.get(event.stream_id, 0) + len(event.data)
            if event.end_stream:
                self.ended.add(event.stream_id)
        elif isinstance(event, StreamReset | StreamDiscarded):
            assert event.stream_id not in self.ended
            self.ended.add(event.stream_id)

    def read(self, stream_id: int, size: int) -> None:
        count = min(size, self.unread.get(stream_id, 0))
        if count:
            self.unread[stream_id] -= count
            self.end.port.consume(stream_id, count)


OPERATION = st.tuples(
    st.booleans(),
    st.sampled_from(["open", "write", "fin", "reset", "stop", "read", "run", "run"]),
    st.integers(0, 5),
    st.integers(0, 30_000),
)


@settings(max_examples=40)
@given(st.lists(OPERATION, min_size=15, max_size=50), st.integers(0, 1000))
def test_whatever_two_programs_do_all_windows_open_again_and_all_streams_go(certificate, operations, seed) -> None:
    pair = PortPair(
        tuple(certificate),
        network=Network(seed=seed, loss=0.1 * (seed % 3), jitter=0.01 * (seed % 2), duplication=0.1, delay=0.01),
        client_limits=limits(connection_window=2 * WINDOW),
        server_limits=limits(connection_window=2 * WINDOW),
        client_configuration=PATIENT,
        server_configuration=PATIENT,
    ).connect(seconds=3000)
    programs = {end: Program(end) for end in pair.ends}
    written: dict[tuple[End, int], bytearray] = {}
    aborted: set[tuple[End, int]] = set()
    ids: list[int] = []
    chance = random.Random(seed)
    opening = [(True, "open", 0, 0), (False, "open", 0, 0), (True, "open", 1, 0), (False, "open", 1, 0)]
    for at_client, what, number, size in opening + operations:
        end = pair.client if at_client else pair.server
        other = pair.server if at_client else pair.client
        if what == "open":
            unidirectional = bool(number % 2)
            stream_id = end.port.open_stream(unidirectional=unidirectional)
            if stream_id is not None:
                ids.append(stream_id)
                written[end, stream_id] = bytearray()
                end.port.send_stream(stream_id, b"!", False)
                written[end, stream_id] += b"!"
            continue
        if what == "run":
            pair.run(size / 100_000)
            continue
        if not ids:
            continue
        stream_id = ids[number % len(ids)]
        can_send = not stream_id & 2 or bool(stream_id & 1) != at_client
        can_receive = not stream_id & 2 or not can_send
        stream = end.port._table.streams.get(stream_id)
        if what in {"write", "fin"} and can_send and stream is not None and stream.send.is_open:
            data = chance.randbytes(size)
            written.setdefault((end, stream_id), bytearray()).extend(data)
            end.port.send_stream(stream_id, data, what == "fin")
        elif what == "reset" and can_send:
            aborted.add((end, stream_id))
            end.port.reset_stream(stream_id, 1)
        elif what == "stop" and can_receive:
            aborted.add((other, stream_id))
            end.port.stop_stream(stream_id, 2)
        elif what == "read" and can_receive:
            programs[end].read(stream_id, size)
    # In the end both programs finish what they began, and read all there is.
    pair.network.change(loss=0.05)
    for _ in range(200):
        for end, program in programs.items():
            for stream_id in list(program.unread):
                program.read(stream_id, 10**9)
            for stream_id in ids:
                stream = end.port._table.streams.get(stream_id)
                if stream is not None and stream.send.is_open:
                    end.port.send_stream(stream_id, b"", True)
        pair.run(2.0)
        if not any(end.port._table.streams for end in pair.ends):
            break
    for end, program in programs.items():
        for stream_id in list(program.unread):
            program.read(stream_id, 10**9)
        other = pair.server if end is pair.client else pair.client
        assert not end.of(Terminated)
        assert end.port._table.streams == {}
        assert windows_are_open(end)
        assert end.port._table.receive_window.received == other.port._table.data_used
        for stream_id, data in program.content.items():
            sent = bytes(written.get((other, stream_id), b""))
            assert sent.startswith(bytes(data))
            if (other, stream_id) not in aborted:
                assert bytes(data) == sent
