"""The doorway of a server's socket: which datagrams go to their connection at once, and where all others go."""

from __future__ import annotations

from collections import deque
from types import ModuleType
from typing import Any

import pytest

ID = b"conn-1.."
ADDRESS = ("192.0.2.50", 5000)
OUTLET, ELSEWHERE = object(), object()


class Rig:
    """A doorway with one connection behind it."""

    def __init__(self, kernels: ModuleType) -> None:
        rig = self
        self.now = 5.0
        self.taken: list[Any] = []
        self.others: list[Any] = []
        self.backlogs: list[Any] = []
        self.leaves_backlog = False

        class Engine:
            events: Any = deque()
            is_closed = False

            def receive_datagrams(self, datagrams: Any, now: float) -> None:
                rig.taken.append((datagrams, now))
                if rig.leaves_backlog:
                    self.events.extend(["one", "two"])

            def has_work(self) -> bool:
                return False

            def step(self) -> bool:
                return False

        class Connection(kernels.DriverLoop):  # type: ignore[misc, name-defined]
            def _on_timeout(self, now: float) -> None:
                pass

            def uses(self, outlet: Any) -> bool:
                return self._outlet is outlet

        class Loop:
            def call_soon(self, callback: Any, *, context: Any) -> None:
                pass

        self.connection = Connection(port=None, loop=Loop(), clock=lambda: self.now + 1.0)
        self.connection._engine = Engine()
        self.connection._outlet = OUTLET
        self.connection._deliver = lambda event: None
        self.waiting: deque[Any] = deque()
        self.routes: dict[bytes, Any] = {ID: self.connection}
        self.doorway = kernels.Doorway(
            routes=self.routes,
            waiting=self.waiting,
            outlet=OUTLET,
            clock=lambda: self.now,
            id_size=len(ID),
            turn_time=0.25,
            on_others=self.others.append,
            on_backlog=self.backlogs.append,
        )

    def receive(self, *datas: bytes) -> list[tuple[bytes, Any]]:
        batch = [(data, ADDRESS) for data in datas]
        self.doorway.datagrams_received(batch)
        return batch


@pytest.fixture
def rig(kernels: ModuleType) -> Rig:
    return Rig(kernels)


def test_a_datagram_that_comes_alone_goes_to_its_connection(rig: Rig) -> None:
    batch = rig.receive(b"\x40" + ID + b"rest")
    assert rig.taken == [(batch, 5.0)]
    assert (rig.others, rig.backlogs) == ([], [])


def test_a_connection_with_more_than_a_turn_s_work_is_named(rig: Rig) -> None:
    rig.leaves_backlog = True
    rig.receive(b"\x40" + ID)
    assert rig.backlogs == [rig.connection]


@pytest.mark.parametrize(
    "data",
    [b"", b"\x40", b"\x40" + ID[:-1], b"\x40" + b"unknown!", b"\xc0" + ID, b"\x80\x00\x00\x00\x01\x08" + ID],
    ids=["empty", "one byte", "cut", "a stranger's", "long header", "handshake"],
)
def test_all_other_datagrams_are_passed_on(rig: Rig, data: bytes) -> None:
    batch = rig.receive(data)
    assert rig.others == [batch]
    assert rig.taken == []


def test_the_connections_of_a_socket_take_turns(rig: Rig, kernels: ModuleType) -> None:
    other = Rig(kernels)
    rig.routes[b"conn-2.."] = other.connection
    for _ in range(2):
        rig.receive(b"\x40" + ID)
        rig.receive(b"\x40conn-2..")
        rig.receive(b"\x40conn-3..")
    assert (len(rig.taken), len(other.taken), len(rig.others)) == (2, 2, 2)


def test_a_connection_that_left_is_not_found_though_it_was_the_last_one(rig: Rig) -> None:
    rig.receive(b"\x40" + ID)
    del rig.routes[ID]
    batch = rig.receive(b"\x40" + ID)
    assert rig.others == [batch]
    rig.routes[ID] = rig.connection
    rig.receive(b"\x40" + ID)
    assert len(rig.taken) == 2


def test_batches_are_passed_on(rig: Rig) -> None:
    batch = rig.receive(b"\x40" + ID, b"\x40" + ID)
    assert rig.others == [batch]
    assert rig.taken == []


def test_nobody_passes_those_who_wait(rig: Rig) -> None:
    rig.waiting.append(None)
    batch = rig.receive(b"\x40" + ID)
    assert rig.others == [batch]
    rig.waiting.clear()
    rig.receive(b"\x40" + ID)
    assert len(rig.taken) == 1


def test_a_connection_of_another_socket_is_left_to_others(rig: Rig) -> None:
    rig.connection._outlet = ELSEWHERE
    batch = rig.receive(b"\x40" + ID)
    assert rig.others == [batch]
    assert rig.taken == []
