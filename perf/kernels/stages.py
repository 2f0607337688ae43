"""What stands around a kernel that works between others, as small as it can be: of one twin each."""

from __future__ import annotations

import asyncio
import functools
import itertools
import operator
from collections import deque
from collections.abc import Callable
from types import ModuleType
from typing import Any

__all__ = [
    "PEER",
    "Datagrams",
    "StreamBytes",
    "handle",
    "make_caller",
    "make_doorway",
    "make_driver",
    "make_pump",
    "make_spare_task",
]

PEER = ("192.0.2.9", 443)

_ID_SIZE = 8


class Kind(str):
    """The type of an event."""

    __slots__ = ()


class Event:
    """What handlers get."""

    __slots__ = ("data", "source", "timestamp", "type")


class StreamBytes:
    """Bytes of a stream, as a port reports them."""

    __slots__ = ("data", "end_stream", "stream_id")

    def __init__(self, stream_id: int, data: bytes, end_stream: bool) -> None:
        """Say of which stream they are."""
        self.stream_id = stream_id
        self.data = data
        self.end_stream = end_stream


class Datagrams:
    """Datagrams, as a port reports them."""

    __slots__ = ("datagrams",)

    def __init__(self, datagrams: list[bytes]) -> None:
        """Take those of one packet."""
        self.datagrams = datagrams


class _Reader:
    def on_data(self, data: bytes, end_stream: bool) -> None:
        """Take bytes of the stream."""


class _Session:
    def __init__(self, datagrams: Any) -> None:
        self.datagrams = datagrams


class _Loop:
    """Takes what is to be called, and forgets it; timers never fire."""

    call_soon = functools.partial

    def time(self) -> float:
        return 0.0

    def call_later(self, delay: float, callback: Callable[[], None], context: Any = None) -> Any:
        return self

    def call_at(self, when: float, callback: Callable[[], None], context: Any = None) -> Any:
        return self

    def cancel(self) -> None:
        """Forget a timer."""


class _Engine:
    """One answer for each packet; functions of C, so that the kernel is what is measured."""

    is_closed = False

    def __init__(self) -> None:
        self.events: deque[Any] = deque()
        self.receive_datagrams = operator.is_
        self.datagrams_to_send = {0.0: [(b"answer", PEER)]}.get
        self.has_work = self.step = bool
        self.deadlines = self
        self.next = itertools.repeat(30.0).__next__


class _Outlet:
    is_paused = False

    def __init__(self) -> None:
        self.send_one = operator.is_


class _Port:
    is_paced = False


def _nothing(*_: object) -> None:
    """Take what comes."""


def make_caller(k: ModuleType, handlers: int) -> tuple[Any, Kind, Any]:
    """Return a caller of so many plain handlers, the type of event that they get, and an inbox for datagrams."""
    kind = Kind("kind")
    route = tuple(k.Listener(_nothing, order, False, False) for order in range(handlers))
    caller = k.HandlerCaller({kind: route}, Event, Kind)
    caller.history = deque(maxlen=100)
    inbox = k.DatagramInbox(64)
    return caller, kind, (inbox, k.DatagramTap(inbox))


async def handle() -> None:
    """Handle an event without waiting for anything."""


class _LastingLoop(asyncio.SelectorEventLoop):
    """Says that it runs when it does not, so that a task can begin while nobody but the clock is asked."""

    is_lasting = False

    def is_running(self) -> bool:
        return self.is_lasting or super().is_running()


def make_spare_task(k: ModuleType) -> Any:
    """Return a task that stands ready."""
    loop = _LastingLoop()

    async def make() -> Any:
        spare = k.SpareTask(loop)
        await asyncio.sleep(0)
        return spare

    spare = loop.run_until_complete(make())
    loop.is_lasting = True
    if not spare.begin(handle()) or not spare.is_ready:
        raise RuntimeError("the task does not stand ready")
    return spare


def make_pump(k: ModuleType) -> tuple[Any, deque[Any]]:
    """Return the events of a port with one stream's reader and one open session, and the queue that they come from."""
    queue: deque[Any] = deque()
    pump = k.PortEvents(_nothing, queue.popleft, {4: _Reader()}, (ValueError, StreamBytes, Datagrams))
    inbox = k.DatagramInbox(64)
    inbox.is_open = True
    inbox.announce = inbox.drain
    pump.sessions[0] = _Session(inbox)
    return pump, queue


def make_driver(k: ModuleType) -> tuple[Any, Callable[[], None], Callable[[Any], None]]:
    """Return the driver of a connection that answers each packet, its flush, and what adds an event."""
    loop = _Loop()
    outlet = _Outlet()
    driver = type("Driver", (k.DriverLoop,), {"uses": lambda self, used: self._outlet is used})(
        port=_Port(), loop=loop, clock=itertools.repeat(0.0).__next__
    )
    driver._engine = _Engine()
    driver._deliver = callable
    driver._outlet = outlet
    driver._straight_to = PEER
    driver._ready_reported = True
    return driver, driver._flush, driver._engine.events.append


def make_doorway(k: ModuleType) -> tuple[Any, Callable[[], None], Callable[[Any], None]]:
    """Return the way to such a driver, whose connection id is eight zeros, and the same two."""
    driver, flush, put = make_driver(k)
    doorway = k.Doorway(
        routes={bytes(_ID_SIZE): driver},
        waiting=(),
        outlet=driver._outlet,
        clock=itertools.repeat(0.0).__next__,
        id_size=_ID_SIZE,
        turn_time=1.0,
        on_others=_nothing,
        on_backlog=_nothing,
    )
    return doorway, flush, put
