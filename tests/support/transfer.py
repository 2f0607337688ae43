"""Much content both ways over the streams of one session between two engines, made and checked on the fly.

Nothing is kept but what is under way: each end feeds its streams from a seeded generator while little is unsent, and
hashes what it reads.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from content import Content, Digest
from engine_pair import EnginePair

from wtransport._protocol import events

__all__ = ["Transfer"]

UNSENT = 64 * 1024
"""Unsent bytes of a stream from which on nothing more is written to it."""


class _Sender:
    def __init__(self, stream: Any, content: Content) -> None:
        self.stream = stream
        self.content = content
        self.is_done = False

    def feed(self) -> None:
        while not self.is_done and self.stream.unsent < UNSENT:
            piece = self.content.take()
            self.is_done = not self.content.left
            self.stream.write(piece, end_stream=self.is_done)


class _Receiver:
    def __init__(self, stream: Any) -> None:
        self.stream = stream
        self.content = Digest()
        self.is_done = False

    def drain(self) -> None:
        while (data := self.stream.read()) is not None:
            if not data:
                self.is_done = True
                return
            self.content.add(data)


class Transfer:
    """Moves `size` bytes up and `size` bytes down at once, on `streams` unidirectional streams each way."""

    def __init__(self, pair: EnginePair, *, size: int, seed: int, streams: int = 2) -> None:
        self.pair = pair
        self.size = size
        self._streams = streams
        self._seed = seed
        self._senders: dict[tuple[bool, int], _Sender] = {}
        self._receivers: dict[tuple[bool, int], _Receiver] = {}
        self._numbers: dict[tuple[bool, int], int] = {}

    def begin(self, ours: Any, theirs: Any) -> None:
        """Open the streams of a session whose both ends are given."""
        self.begin_one_way(ours)
        self.begin_one_way(theirs)

    def begin_one_way(self, session: Any) -> None:
        """Open the streams on which one end of a session sends."""
        for number in range(self._streams):
            stream = session.open_stream(unidirectional=True)
            key = session.is_client, stream.stream_id
            self._numbers[key] = number
            content = Content(self.size // self._streams, (self._seed, session.is_client, number))
            self._senders[key] = _Sender(stream, content)

    @property
    def received(self) -> int:
        """Return how many bytes have been read, of both directions."""
        return sum(receiver.content.size for receiver in self._receivers.values())

    def step(self) -> bool:
        """Write and read what can be now; True when everything has arrived. A condition for `advance_until`."""
        self._meet()
        for receiver in self._receivers.values():
            if not receiver.is_done:
                receiver.drain()
        for sender in self._senders.values():
            sender.feed()
        return len(self._receivers) == len(self._senders) and all(each.is_done for each in self._receivers.values())

    def _meet(self) -> None:
        for is_client, log in ((False, self.pair.client_events), (True, self.pair.server_events)):
            for event in log:
                if isinstance(event, events.StreamOpened):
                    self._receivers[is_client, event.stream.stream_id] = _Receiver(event.stream)
                elif isinstance(event, events.ConnectionClosed):
                    raise AssertionError(f"the connection ended: {event}")
            log.clear()

    def run(self, *, seconds: float, each: Callable[[], None] = lambda: None) -> None:
        """Let time pass until everything has arrived, and fail unless it is what was sent. `each`: called at each step.

        Raises:
            AssertionError: not in time, or not the same.
        """

        def step() -> bool:
            each()
            return self.step()

        self.pair.advance_until(step, seconds=seconds, what="the whole content")
        for key, sender in self._senders.items():
            if self._receivers[key].content.digest != sender.content.digest:
                raise AssertionError(f"stream {key[1]} arrived changed")

    @property
    def digest(self) -> str:
        """Return one hash of everything that arrived."""
        whole = Digest()
        for key, each in sorted(self._receivers.items()):
            whole.add(f"{key[0]} {self._numbers[key]} {each.content.digest}\n".encode())
        return whole.digest
