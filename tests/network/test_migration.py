"""A client whose address changes in the middle, in virtual time: as behind a NAT that forgot it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, TypeAlias

import pytest
from engine_pair import EnginePair
from network import CLIENT_ADDRESS, Network, everything
from transfer import Transfer

from wtransport._protocol import events

MakePair: TypeAlias = Callable[..., EnginePair]

MIB = 1 << 20
NEW_ADDRESSES = [("192.0.2.77", 40_000 + number) for number in range(5)]
ELSEWHERE = ("198.51.100.1", 666)


def started(make_pair: MakePair, network: Network, **options: Any) -> tuple[EnginePair, Any, Any]:
    """A pair with an open session: the pair and both ends of the session."""
    pair = make_pair(network=network, **options)
    return (pair, *pair.connect_in())


class Moves:
    """Changes the client's address whenever another part of a transfer has arrived, and sees whether that is followed.

    The next change waits until the server answers at the new address, which must not take long.
    """

    def __init__(self, pair: EnginePair, transfer: Transfer, addresses: list[Any]) -> None:
        self.pair = pair
        self.transfer = transfer
        self.left = list(addresses)
        self._every = 2 * transfer.size / (len(addresses) + 1)
        self._next = self._every
        self._moved_at: float | None = None

    def __call__(self) -> None:
        network = self.pair.network
        if self._moved_at is not None:
            if self.pair.server.remote_address == network.client_address:
                self._moved_at = None
            else:
                assert self.pair.now < self._moved_at + 5.0, "the server has not followed"
        elif self.left and self.transfer.received >= self._next:
            network.client_address = self.left.pop(0)
            self._moved_at = self.pair.now
            self._next += self._every


@pytest.mark.parametrize("loss", [0.0, 0.05])
def test_a_transfer_both_ways_survives_five_changes(make_pair: MakePair, loss: float) -> None:
    network = Network(seed=3, delay=0.025, loss=loss, reordering=loss)
    pair, ours, theirs = started(make_pair, network)
    transfer = Transfer(pair, size=MIB, seed=3)
    moves = Moves(pair, transfer, NEW_ADDRESSES)
    transfer.begin(ours, theirs)
    transfer.run(seconds=300, each=moves)
    assert not moves.left
    assert pair.server.remote_address == NEW_ADDRESSES[-1]


@pytest.mark.parametrize("direction", ["up", "down"])
def test_a_transfer_one_way_survives_five_changes(make_pair: MakePair, direction: str) -> None:
    """A client that only reads must say something when nothing reaches it any more: its new address becomes known."""
    network = Network(seed=4, delay=0.025)
    pair, ours, theirs = started(make_pair, network)
    transfer = Transfer(pair, size=MIB, seed=4)
    transfer.begin_one_way(ours if direction == "up" else theirs)
    moves = Moves(pair, transfer, NEW_ADDRESSES)
    moves._every = moves._next = MIB / 6
    transfer.run(seconds=120, each=moves)
    assert not moves.left


@pytest.mark.parametrize("pause", [0.0, 0.03, 3.0])
def test_there_and_back_again(make_pair: MakePair, pause: float) -> None:
    network = Network(delay=0.025)
    pair, ours, theirs = started(make_pair, network)
    transfer = Transfer(pair, size=MIB, seed=5)
    transfer.begin(ours, theirs)
    pair.advance_until(lambda: transfer.step() or transfer.received > MIB // 2, seconds=30)
    for _ in range(3):
        network.client_address = NEW_ADDRESSES[0]
        ends = pair.now + pause
        pair.advance_until(lambda ends=ends: transfer.step() or pair.now >= ends, seconds=30)
        network.client_address = CLIENT_ADDRESS
        ends = pair.now + pause
        pair.advance_until(lambda ends=ends: transfer.step() or pair.now >= ends, seconds=30)
    transfer.run(seconds=120)
    assert ours.send_datagram(b"back")
    pair.advance(1.0)
    assert pair.server.remote_address == CLIENT_ADDRESS


def test_a_change_while_nothing_is_said_is_noticed_at_the_next_word(make_pair: MakePair) -> None:
    network = Network(delay=0.025)
    pair, ours, theirs = started(make_pair, network, client={"keep_alive": False}, server={"keep_alive": False})
    for address in NEW_ADDRESSES:
        pair.advance(20.0)
        network.client_address = address
        pair.advance(20.0)
        assert ours.send_datagram(b"here")
        pair.advance(1.0)
        assert theirs.datagrams.drain() == [b"here"]
        assert pair.server.remote_address == address
        assert theirs.send_datagram(b"seen")
        pair.advance(1.0)
        assert ours.datagrams.drain() == [b"seen"]


def test_a_quiet_client_is_found_again_by_its_keep_alive(make_pair: MakePair) -> None:
    """The server speaks first, to an address that is no more; what it said arrives when the client was heard."""
    network = Network(delay=0.025)
    pair, _ours, theirs = started(make_pair, network, client={"connection_keepalive_timeout": 5.0})
    pair.advance(2.0)
    network.client_address = NEW_ADDRESSES[0]
    stream = theirs.open_stream(unidirectional=True)
    stream.write(b"hello", end_stream=True)
    pair.advance(10.0)
    opened = pair.take("client", events.StreamOpened).stream
    assert opened.read() == b"hello"
    assert pair.server.remote_address == NEW_ADDRESSES[0]


@pytest.mark.parametrize("silence", [2.0, 12.0])
def test_what_was_under_way_to_the_old_address_does_not_keep_the_new_one_waiting(
    make_pair: MakePair, silence: float
) -> None:
    """The congestion window is full of packets that nobody gets, and probes are further and further apart."""
    network = Network(delay=0.025)
    pair, ours, theirs = started(make_pair, network)
    transfer = Transfer(pair, size=4 * MIB, seed=2)
    transfer.begin_one_way(theirs)
    pair.advance_until(lambda: transfer.step() or transfer.received > MIB, seconds=30)
    network.to_server.loses = everything  # or the last acknowledgements would tell of the change
    network.client_address = NEW_ADDRESSES[0]
    ends = pair.now + silence
    pair.advance_until(lambda: transfer.step() or pair.now >= ends, seconds=30)
    network.mend()
    before = transfer.received
    assert ours.send_datagram(b"here")
    ends = pair.now + 0.3  # six round trips
    pair.advance_until(lambda: transfer.step() or pair.now >= ends, seconds=30)
    assert transfer.received > before + 4000
    transfer.run(seconds=30)


# A client that moves and knows it (RFC 9000, 9.4 and 9.5).


def test_a_client_that_moves_uses_another_connection_id_each_time(make_pair: MakePair) -> None:
    """Nobody on the way can tell that it is the same client; there are always ids left to go on with."""
    network = Network(delay=0.025)
    pair, ours, theirs = started(make_pair, network)
    transfer = Transfer(pair, size=MIB, seed=1)
    transfer.begin(ours, theirs)
    seen: dict[Any, set[bytes]] = {}

    def note(data: bytes) -> bool:
        if not data[0] & 0x80:
            seen.setdefault(network.client_address, set()).add(data[1:9])
        return False

    network.to_server.loses = note
    for address in NEW_ADDRESSES * 2:
        goal = transfer.received + MIB // 8
        pair.advance_until(lambda goal=goal: transfer.step() or transfer.received > goal, seconds=30)
        network.client_address = (address[0], address[1] + len(seen))
        pair.client.port.path_changed()
    transfer.run(seconds=60)
    assert len(seen) == 11
    ids = [connection_id for used in seen.values() for connection_id in used]
    assert len(ids) == len(set(ids)), "an id was used from two addresses"


@pytest.mark.parametrize("address", [ELSEWHERE, (CLIENT_ADDRESS[0], 666)], ids=["another host", "another port"])
def test_a_new_path_is_measured_anew(make_pair: MakePair, address: Any) -> None:
    """What was learned about the old path says nothing about the new one, unless only the port is another."""
    network = Network(delay=0.2)
    pair, ours, theirs = started(make_pair, network)
    moves_some(pair, theirs)
    assert pair.server.round_trip_time > 0.39
    network.change(delay=0.01)
    network.client_address = address
    assert ours.send_datagram(b"moved")
    pair.advance(0.5)
    assert theirs.send_datagram(b"seen")
    pair.advance(0.5)
    assert (pair.server.round_trip_time < 0.1) == (address == ELSEWHERE)
    moves_some(pair, theirs)
    loss = pair.server.port._connection._loss  # type: ignore[attr-defined]
    assert loss.bytes_in_flight == 0


def test_a_client_that_moves_in_the_middle_of_an_upload_measures_anew(make_pair: MakePair) -> None:
    network = Network(delay=0.2)
    pair, ours, theirs = started(make_pair, network)
    transfer = Transfer(pair, size=MIB, seed=1)
    transfer.begin(ours, theirs)
    pair.advance_until(lambda: transfer.step() or transfer.received > MIB // 2, seconds=30)
    network.change(delay=0.01)
    network.client_address = ELSEWHERE
    pair.client.port.path_changed()
    transfer.run(seconds=30)
    pair.advance(5.0)
    for engine in (pair.client, pair.server):
        assert engine.round_trip_time < 0.1
        assert engine.port._connection._loss.bytes_in_flight == 0  # type: ignore[attr-defined]


def moves_some(pair: EnginePair, session: Any) -> None:
    transfer = Transfer(pair, size=100_000, seed=1, streams=1)
    transfer.begin_one_way(session)
    transfer.run(seconds=30)
    pair.advance(2.0)


# Paths that do not work.


def deaf_towards(pair: EnginePair, address: Any) -> Callable[[bytes], bool]:
    """Lose what goes to the client while it is at an address; what it sends from there arrives."""
    return lambda data: pair.network.client_address == address


def test_a_path_that_works_one_way_only_is_left_when_the_client_leaves_it(make_pair: MakePair) -> None:
    network = Network(delay=0.025)
    pair, ours, theirs = started(make_pair, network)
    transfer = Transfer(pair, size=MIB, seed=6)
    transfer.begin(ours, theirs)
    pair.advance_until(lambda: transfer.step() or transfer.received > MIB // 2, seconds=30)
    network.to_client.loses = deaf_towards(pair, ELSEWHERE)
    network.client_address = ELSEWHERE
    ends = pair.now + 5.0
    pair.advance_until(lambda: transfer.step() or pair.now >= ends, seconds=30)
    network.client_address = CLIENT_ADDRESS
    transfer.run(seconds=120)
    assert pair.server.remote_address == CLIENT_ADDRESS


def test_a_path_that_works_one_way_only_ends_both_ends_by_their_idle_time_outs(make_pair: MakePair) -> None:
    network = Network(delay=0.025)
    settings = {"connection_idle_timeout": 10.0}
    pair, ours, _theirs = started(make_pair, network, client=settings, server=settings)
    stream = ours.open_stream(unidirectional=True)
    network.to_client.loses = deaf_towards(pair, ELSEWHERE)
    network.client_address = ELSEWHERE
    stream.write(bytes(100_000))
    pair.advance(60.0)
    for side in ("client", "server"):
        assert pair.take(side, events.ConnectionClosed).by_peer is False
    for engine in (pair.client, pair.server):
        assert engine.sessions == {}
        assert engine.next_deadline() is None


# Somebody who sees packets and sends them on from elsewhere (RFC 9000, 9.3 and 21.1.1.4).


def bytes_to(pair: EnginePair, address: Any) -> list[int]:
    """Count from now on what the server sends to an address; the sum is the result's first item."""
    total = [0]
    send = pair.network.send

    def counted(side: str, data: bytes, addr: Any, now: float) -> None:
        if addr == address:
            total[0] += len(data)
        send(side, data, addr, now)

    pair.network.send = counted  # type: ignore[method-assign]
    return total


def test_packets_replayed_from_elsewhere_divert_nothing(make_pair: MakePair) -> None:
    network = Network(delay=0.025)
    pair, ours, theirs = started(make_pair, network)
    transfer = Transfer(pair, size=MIB, seed=8)
    recorded: deque[tuple[float, bytes]] = deque()

    def record(data: bytes) -> bool:
        recorded.append((pair.now, data))
        return False

    network.to_server.loses = record
    transfer.begin(ours, theirs)
    diverted = bytes_to(pair, ELSEWHERE)

    def replay() -> None:
        while recorded and recorded[0][0] < pair.now - 0.1:  # the server has had it
            network.inject(recorded.popleft()[1], ELSEWHERE, pair.now)
        assert pair.server.remote_address == CLIENT_ADDRESS

    transfer.run(seconds=120, each=replay)
    assert network.to_server.packets > 500
    assert diverted == [0]


@pytest.mark.parametrize("share", [0.02, 0.3])
def test_packets_that_overtake_the_client_from_elsewhere_divert_little(make_pair: MakePair, share: float) -> None:
    """An attacker on the path is faster than the client. What goes to the false address is bounded, and a moment's."""
    network = Network(seed=9, delay=0.025)
    pair, ours, theirs = started(make_pair, network)
    transfer = Transfer(pair, size=MIB, seed=9)
    transfer.begin(ours, theirs)
    diverted = bytes_to(pair, ELSEWHERE)
    forged = [0]

    def forge(data: bytes) -> bool:
        if network._count % 100 < 100 * share:
            forged[0] += len(data)
            network.inject(data, ELSEWHERE, pair.now)
        return False

    network.to_server.loses = forge
    transfer.run(seconds=300)
    assert forged[0] > 0
    assert diverted[0] <= 3 * forged[0]
    network.mend()
    assert ours.send_datagram(b"x")
    pair.advance(1.0)
    assert pair.server.remote_address == CLIENT_ADDRESS
