"""Handshakes whose packets are built in C: the same packets at the same times as those that Python has built."""

from __future__ import annotations

from typing import Any

import port_pair
import pytest
from network import Network
from port_pair import PortPair

from wtransport._quic.aioquic_port import AioquicPort

SIGNATURES = 8
"""Bytes by which the lengths of two signatures may differ."""


class Record(Network):
    """A network that notes what is sent."""

    def __init__(self, **conditions: Any) -> None:
        super().__init__(**conditions)
        self.sent: list[tuple[float, str, int]] = []

    def send(self, side: str, data: bytes, addr: Any, now: float) -> None:
        self.sent.append((now, side, len(data)))
        super().send(side, data, addr, now)


@pytest.fixture
def handshake(make_pair, monkeypatch):
    """Return what is sent in a handshake and a short exchange after it, by one of the two ways."""

    def handshake(*, in_c: bool, **conditions: Any) -> Record:
        def make_port(**options: Any) -> AioquicPort:
            port = AioquicPort(**options)
            port._connection.writes_packets = in_c
            return port

        monkeypatch.setattr(port_pair, "AioquicPort", make_port)
        record = Record(delay=0.01, **conditions)
        pair: PortPair = make_pair(network=record)
        pair.client.port.connect(port_pair.SERVER_ADDRESS, pair.now)
        pair.run_until(lambda: pair.is_connected, seconds=60.0)
        for end in pair.ends:
            stream_id = end.port.open_stream(unidirectional=True)
            end.port.send_stream(stream_id, b"hello", True)
        pair.run(0.2)
        pair.client.port.close(0, "enough")
        pair.run(0.1)
        return record

    return handshake


def assert_same(ours: Record, theirs: Record) -> None:
    assert [side for _, side, _ in ours.sent] == [side for _, side, _ in theirs.sent]
    assert [at for at, _, _ in ours.sent] == pytest.approx([at for at, _, _ in theirs.sent])
    for (_, _, size), (_, _, expected) in zip(ours.sent, theirs.sent, strict=True):
        assert abs(size - expected) <= SIGNATURES


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("loss", [0.0, 0.2, 0.5])
def test_whatever_is_lost(handshake, seed, loss):
    if loss == 0.0 and seed:
        return
    records = [handshake(in_c=in_c, seed=seed, loss=loss) for in_c in (True, False)]
    assert_same(*records)
    assert len(records[0].sent) > 5


def test_a_server_sends_no_more_than_three_times_what_came(handshake):
    record = handshake(in_c=True, seed=3, loss=0.5)
    first_answer = next(number for number, (_, side, _) in enumerate(record.sent) if side == "client" and number)
    came = sum(size for _, side, size in record.sent[:first_answer] if side == "client")
    assert sum(size for _, side, size in record.sent[:first_answer] if side == "server") <= 3 * came
