"""The search for a path's MTU, against simulated paths."""

from __future__ import annotations

from random import Random

import pytest

from wtransport._quic.path_mtu import (
    BASE_UDP_PAYLOAD,
    BLACK_HOLE_INTERVAL,
    BLACK_HOLE_ROUNDS,
    MAX_PROBES,
    NEVER,
    PROBE_BYTES,
    SEARCH_INTERVAL,
    SEARCH_STEP,
    BlackHoleDetector,
    PathMtu,
    SearchState,
)

ETHERNET = 1472


class Sender:
    """Sends without end over a path, and probes when asked to."""

    def __init__(self, mtu: int, *, limit: int = ETHERNET, loss: float = 0.0, seed: int = 0) -> None:
        self.mtu = mtu
        self.loss = loss
        self.search = PathMtu(limit)
        self.sent = 0
        self.now = 0.0
        self.probes: list[int] = []
        self._random = Random(seed)

    def send(self, size: int) -> None:
        end = self.sent + size
        while self.sent < end:
            self.sent += self.search.size
            self.now += 0.001
            if self.sent < self.search.check_at:
                continue
            probe = self.search.next_probe(self.sent, self.now)
            if probe is None:
                continue
            self.probes.append(probe)
            self.search.on_probe_sent(self.now)
            assert self.search.check_at == NEVER
            if probe <= self.mtu and self._random.random() >= self.loss:
                self.search.on_probe_acknowledged(probe, self.sent)
            else:
                self.search.on_probe_lost(probe, self.sent)


@pytest.mark.parametrize("mtu", range(BASE_UDP_PAYLOAD, ETHERNET + 1))
def test_every_path_is_found_to_within_a_step(mtu: int) -> None:
    sender = Sender(mtu)
    sender.send(40 * PROBE_BYTES)
    assert sender.search.state is SearchState.COMPLETE
    assert mtu - SEARCH_STEP < sender.search.size <= mtu
    assert len(sender.probes) <= 6 * MAX_PROBES


def test_one_probe_finds_a_path_that_takes_the_limit_and_none_follows() -> None:
    sender = Sender(ETHERNET)
    sender.send(PROBE_BYTES - BASE_UDP_PAYLOAD)
    assert sender.probes == []
    sender.send(2 * BASE_UDP_PAYLOAD)
    assert sender.probes == [ETHERNET]
    assert sender.search.size == ETHERNET
    sender.now += 2 * SEARCH_INTERVAL
    sender.send(10 * PROBE_BYTES)
    assert sender.probes == [ETHERNET]


@pytest.mark.parametrize("limit", [0, 1000, BASE_UDP_PAYLOAD])
def test_a_limit_at_the_base_switches_it_off(limit: int) -> None:
    sender = Sender(ETHERNET, limit=limit)
    sender.send(100 * PROBE_BYTES)
    assert (sender.probes, sender.search.size, sender.search.state) == ([], BASE_UDP_PAYLOAD, SearchState.COMPLETE)


@pytest.mark.parametrize("peer", [1200, 1210, 1300, 9000])
def test_nothing_is_larger_than_the_peer_takes(peer: int) -> None:
    sender = Sender(ETHERNET)
    sender.search.cap(peer)
    sender.send(40 * PROBE_BYTES)
    assert sender.search.size == min(peer, ETHERNET)
    assert all(probe <= peer for probe in sender.probes)


def test_jumbo_frames_are_found_and_so_is_an_ordinary_path_below_them() -> None:
    for mtu in (ETHERNET, 8972):
        sender = Sender(mtu, limit=8972)
        sender.send(60 * PROBE_BYTES)
        assert mtu - SEARCH_STEP < sender.search.size <= mtu


@pytest.mark.parametrize("seed", range(20))
def test_lost_probes_make_no_size_that_does_not_pass(seed: int) -> None:
    sender = Sender(1400, loss=0.3, seed=seed)
    sender.send(60 * PROBE_BYTES)
    assert sender.search.state is SearchState.COMPLETE
    assert sender.search.size <= 1400
    sender.loss = 0.0
    sender.now += SEARCH_INTERVAL
    sender.send(60 * PROBE_BYTES)
    assert 1400 - SEARCH_STEP < sender.search.size <= 1400


def test_a_size_is_given_up_after_its_last_probe_only() -> None:
    search, sent = PathMtu(ETHERNET), 0
    for _ in range(MAX_PROBES - 1):
        sent += PROBE_BYTES
        assert search.next_probe(sent, 0.0) == ETHERNET
        search.on_probe_sent(0.0)
        search.on_probe_lost(ETHERNET, sent)
        assert search.check_at == sent + PROBE_BYTES
    assert search.next_probe(sent, 0.0) == ETHERNET
    search.on_probe_sent(0.0)
    search.on_probe_acknowledged(ETHERNET, sent)
    assert (search.size, search.state) == (ETHERNET, SearchState.COMPLETE)


def test_a_probe_that_could_not_be_sent_stays_due() -> None:
    search = PathMtu(ETHERNET)
    assert search.next_probe(PROBE_BYTES, 0.0) == search.next_probe(PROBE_BYTES, 0.0) == ETHERNET
    assert search.check_at <= PROBE_BYTES


def test_it_searches_again_after_the_interval_and_keeps_what_it_has() -> None:
    sender = Sender(1300)
    sender.send(40 * PROBE_BYTES)
    found, probes = sender.search.size, len(sender.probes)
    sender.send(40 * PROBE_BYTES)
    assert len(sender.probes) == probes
    sender.mtu = ETHERNET
    sender.now += SEARCH_INTERVAL
    sender.send(PROBE_BYTES + ETHERNET)
    assert sender.probes[probes:] == [ETHERNET]
    assert found < sender.search.size == ETHERNET


def test_after_a_black_hole_the_search_waits() -> None:
    sender = Sender(ETHERNET)
    sender.send(2 * PROBE_BYTES)
    sender.mtu = 1400
    sender.search.on_black_hole(sender.sent, sender.now)
    assert (sender.search.size, sender.search.state) == (BASE_UDP_PAYLOAD, SearchState.ERROR)
    sender.send(10 * PROBE_BYTES)
    assert len(sender.probes) == 1
    sender.now += BLACK_HOLE_INTERVAL
    sender.send(40 * PROBE_BYTES)
    assert 1400 - SEARCH_STEP < sender.search.size <= 1400


def test_the_fate_of_a_probe_from_before_a_black_hole_changes_nothing() -> None:
    for acknowledged in (True, False):
        search = PathMtu(ETHERNET)
        search.next_probe(PROBE_BYTES, 0.0)
        search.on_probe_sent(0.0)
        search.on_black_hole(PROBE_BYTES, 1.0)
        (search.on_probe_acknowledged if acknowledged else search.on_probe_lost)(ETHERNET, PROBE_BYTES)
        assert (search.size, search.state) == (BASE_UDP_PAYLOAD, SearchState.ERROR)


# Black holes.


def test_large_packets_that_vanish_while_small_ones_arrive_are_a_black_hole() -> None:
    detector, number = BlackHoleDetector(), 0
    for _ in range(BLACK_HOLE_ROUNDS - 1):
        assert not detector.on_lost(number, ETHERNET, number + 10)
        assert detector.is_suspicious
        detector.on_acknowledged(BASE_UDP_PAYLOAD)
        number += 10
    assert detector.on_lost(number, ETHERNET, number + 10)


def test_one_outage_is_one_loss_however_many_packets_and_reports() -> None:
    detector = BlackHoleDetector()
    for number in range(100):
        assert not detector.on_lost(number, ETHERNET, 100)
        detector.on_acknowledged(BASE_UDP_PAYLOAD)


def test_without_anything_that_arrives_it_is_an_outage() -> None:
    detector = BlackHoleDetector()
    assert not any(detector.on_lost(number, ETHERNET, number + 1) for number in range(100))


@pytest.mark.parametrize("arrives", [1300, 1301, ETHERNET])
def test_a_packet_as_large_that_arrives_ends_the_suspicion(arrives: int) -> None:
    detector = BlackHoleDetector()
    for number in range(100):
        assert not detector.on_lost(2 * number, 1300 if number % 2 else ETHERNET, 2 * number + 1)
        detector.on_acknowledged(BASE_UDP_PAYLOAD)
        if number % 2:
            detector.on_acknowledged(arrives)
            assert not detector.is_suspicious


def test_packets_between_the_hole_and_the_base_do_not_hide_it() -> None:
    detector = BlackHoleDetector()
    found = []
    for number in range(BLACK_HOLE_ROUNDS):
        found.append(detector.on_lost(number, 1450, number + 1))
        detector.on_acknowledged(1390)
    assert found == [False] * (BLACK_HOLE_ROUNDS - 1) + [True]
