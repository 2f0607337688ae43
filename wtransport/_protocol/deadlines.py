"""When an engine must be called next, though nothing arrives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from .._quic.port import QuicPort
from .ending import ConnectionEnding

__all__ = ["Deadlines"]


class Waiting(Protocol):
    """What is needed of the router."""

    @property
    def has_deadlines(self) -> bool:
        """Tell whether anything waits there for a while only."""

    def next_deadline(self) -> float | None:
        """Return when that while is over, or None."""


class Deadlines:
    """The earliest deadline of a connection: the port's alone, but for what waits in the engine for a while only.

    Every packet asks for it, so while nothing waits it is the port that answers. Whoever lets something wait calls
    `watch`.
    """

    __slots__ = ("_ending", "_port", "_waiting", "next")

    def __init__(self, port: QuicPort, waiting: Waiting, ending: ConnectionEnding) -> None:
        """Begin with nothing that waits."""
        self._port = port
        self._waiting = waiting
        self._ending = ending
        self.next: Callable[[], float | None] = port.next_deadline
        """Returns the deadline, or None; may be another one each time."""

    def watch(self) -> None:
        """Take note that something waits."""
        self.next = self._earliest

    def clear(self) -> None:
        """Ask nobody but the port: the connection is over."""
        self.next = self._port.next_deadline

    def _earliest(self) -> float | None:
        port = self._port
        deadline = port.next_deadline()
        if not (self._waiting.has_deadlines or self._ending.is_closing):
            self.next = port.next_deadline
            return deadline
        for other in (self._waiting.next_deadline(), self._ending.deadline):
            if other is not None and (deadline is None or other < deadline):
                deadline = other
        return None if port.is_terminated else deadline
