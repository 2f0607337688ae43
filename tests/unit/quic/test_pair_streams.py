"""Streams between two ports: every byte arrives once and in order, whatever the network does."""

from __future__ import annotations

import random

import pytest
from network import Network
from port_pair import PATIENT, End, PortPair

from wtransport._quic.port import StreamBytes


class Reader:
    """A program that reads everything at once and gives credit for it."""

    def __init__(self, end: End) -> None:
        self.end = end
        self.content: dict[int, bytearray] = {}
        self.finished: set[int] = set()
        end.on_event = self

    def __call__(self, event) -> None:
        if isinstance(event, StreamBytes):
            assert event.stream_id not in self.finished, "bytes after the FIN"
            self.content.setdefault(event.stream_id, bytearray()).extend(event.data)
            if event.data:
                self.end.port.consume(event.stream_id, len(event.data))
            if event.end_stream:
                self.finished.add(event.stream_id)


NETWORKS = {
    "clean": {},
    "loss": {"loss": 0.1},
    "heavy loss": {"loss": 0.3},
    "reordering": {"jitter": 0.05},
    "duplication": {"duplication": 0.3},
    "everything": {"loss": 0.1, "jitter": 0.03, "duplication": 0.2},
}


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("seed", [1, 2])
def test_content_is_equal_both_ways_over_a_bad_network(make_pair, name, seed) -> None:
    network = Network(seed=seed, **NETWORKS[name], delay=0.01)
    pair: PortPair = make_pair(network=network, client_configuration=PATIENT, server_configuration=PATIENT).connect(
        seconds=3000
    )
    chance = random.Random(seed)
    readers = {pair.client: Reader(pair.client), pair.server: Reader(pair.server)}
    sent: dict[End, dict[int, bytes]] = {pair.client: {}, pair.server: {}}
    for end in pair.ends:
        for number in range(24):
            stream_id = end.port.open_stream(unidirectional=number % 2 == 1)
            data = chance.randbytes(chance.choice([0, 1, 100, 5_000, 40_000]))
            sent[end][stream_id] = data
            cut = chance.randrange(len(data) + 1)
            end.port.send_stream(stream_id, data[:cut], False)
            end.port.send_stream(stream_id, data[cut:], True)
    pair.run_until(
        lambda: all(
            len(readers[other].finished & set(sent[end])) == len(sent[end])
            for end, other in ((pair.client, pair.server), (pair.server, pair.client))
        ),
        seconds=6000,
        what="every FIN",
    )
    for end, other in ((pair.client, pair.server), (pair.server, pair.client)):
        for stream_id, data in sent[end].items():
            assert bytes(readers[other].content.get(stream_id, b"")) == data


def test_turns_of_streams_follow_the_congestion_window(pair: PortPair) -> None:
    connection = pair.client.port._connection
    connection._loss.congestion_window = 16 * 30_000
    pair.client.port.send_stream(pair.client.port.open_stream(unidirectional=True), b"hello", True)
    pair.run(1.0)
    assert 29_000 < connection._writer.turn_bytes < 31_000
