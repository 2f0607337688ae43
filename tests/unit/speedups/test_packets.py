"""Batches of UDP payloads, on both twins: how they are cut for sending, and whose they are."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

A, B = ("192.0.2.1", 1), ("192.0.2.2", 2)
PACKETS = st.lists(
    st.tuples(
        st.one_of(st.binary(max_size=12), st.sampled_from([b"\x40" * 9, b"\xc0" * 9, b"\x40ABCDEFGHI"])),
        st.sampled_from([A, B, ("192.0.2.1", 1), None]),
    ),
    max_size=20,
)


def test_packets_of_one_size_share_a_run_and_the_last_may_be_shorter(kernels: ModuleType) -> None:
    packets = [(bytes(size), A) for size in (5, 5, 3, 5, 0, 9, 9, 9, 9)]
    runs = kernels.packet_runs(packets, 3, 25)
    assert [[len(data) for data in run] for run, _ in runs] == [[5, 5, 3], [5], [0], [9, 9], [9, 9]]
    assert {addr for _, addr in runs} == {A}


def test_each_run_has_one_destination(kernels: ModuleType) -> None:
    packets = [(b"x", A), (b"x", ("192.0.2.1", 1)), (b"x", B)]
    assert kernels.packet_runs(packets, 9, 99) == [([b"x", b"x"], A), ([b"x"], B)]


def test_a_connected_socket_sends_to_its_peer_alone(kernels: ModuleType) -> None:
    packets = [(b"1", A), (b"2", B), (b"3", ("192.0.2.1", 1))]
    assert kernels.packets_to(packets, A) == [(b"1", None), (b"3", None)]
    assert kernels.packets_size(packets) == 3
    assert kernels.packets_size([]) == 0


def test_a_short_header_says_whose_it_is(kernels: ModuleType) -> None:
    owners: dict[bytes, Any] = {b"ABCDEFGH": "owner"}
    packets = [(b"\x40ABCDEFGHrest", A), (b"\x40ABCDEFG", A), (b"\xc0ABCDEFGH", A), (b"", A), (b"\x40ABCDEFGH", B)]
    asked: list[bytes] = []
    found = kernels.packet_owners(packets, owners, 8, lambda data: asked.append(data) or "found")
    assert found == ["owner", None, "found", "found", "owner"]
    assert asked == [b"\xc0ABCDEFGH", b""]


@given(packets=PACKETS, segments=st.integers(1, 5), most=st.integers(1, 40))
def test_the_twins_do_the_same(twins: Any, packets: list[Any], segments: int, most: int) -> None:
    def run(kernels: ModuleType) -> Any:
        return (
            kernels.packet_runs(packets, segments, most),
            kernels.packets_size(packets),
            kernels.packets_to(packets, A),
            kernels.packet_owners(packets, {b"@" * 8: 1}, 8, len),
        )

    first, second = map(run, twins)
    assert first == second
    assert [(data, addr) for run, addr in first[0] for data in run] == packets
