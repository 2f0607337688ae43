"""Which packets share a system call, and taking apart what the kernel joined."""

import random

import pytest

from wtransport._adapter.batching import MAX_BATCH_BYTES, MAX_SEGMENTS, runs

A, B = ("192.0.2.1", 1), ("192.0.2.2", 2)


def sizes(datagrams):
    return [([len(packet) for packet in packets], addr) for packets, addr in runs(datagrams)]


def packets_of(addr, *lengths):
    return [(bytes(length), addr) for length in lengths]


@pytest.mark.parametrize(
    ("lengths", "expected"),
    [
        ([], []),
        ([5], [[5]]),
        ([5, 5, 5], [[5, 5, 5]]),
        ([5, 5, 3], [[5, 5, 3]]),
        ([5, 3, 3], [[5, 3], [3]]),
        ([5, 3, 5, 5], [[5, 3], [5, 5]]),
        ([3, 5, 5], [[3], [5, 5]]),
        ([0, 0, 5], [[0], [0], [5]]),
        ([5, 0, 5], [[5], [0], [5]]),
        ([1] * (MAX_SEGMENTS + 1), [[1] * MAX_SEGMENTS, [1]]),
        ([32_000, 32_000, 1507], [[32_000, 32_000, 1507]]),
        ([32_000, 32_000, 1508], [[32_000, 32_000], [1508]]),
        ([MAX_BATCH_BYTES, 1], [[MAX_BATCH_BYTES], [1]]),
        ([MAX_BATCH_BYTES + 1, 1], [[MAX_BATCH_BYTES + 1], [1]]),
    ],
)
def test_only_the_last_packet_of_a_run_may_be_shorter(lengths, expected):
    assert sizes(packets_of(A, *lengths)) == [(run, A) for run in expected]


def test_another_destination_begins_another_run():
    datagrams = packets_of(A, 5, 5) + packets_of(B, 5) + packets_of(("192.0.2.2", 2), 5) + packets_of(A, 5)
    assert sizes(datagrams) == [([5, 5], A), ([5, 5], B), ([5], A)]


def test_nothing_is_lost_reordered_or_too_much():
    rng = random.Random(1)
    for _ in range(300):
        datagrams = [
            (rng.randbytes(rng.choice([0, 1, 40, 1200, 1200, 1200, 9000, 40_000])), rng.choice([A, A, A, B]))
            for _ in range(rng.randrange(150))
        ]
        found = list(runs(datagrams))
        assert [(packet, addr) for packets, addr in found for packet in packets] == datagrams
        for packets, _ in found:
            assert len(packets) <= MAX_SEGMENTS
            assert len(packets) == 1 or sum(map(len, packets)) <= MAX_BATCH_BYTES
            if len(packets) > 1:  # the kernel cuts it into the same packets again
                joined, size = b"".join(packets), len(packets[0])
                assert [joined[start : start + size] for start in range(0, len(joined), size)] == packets
