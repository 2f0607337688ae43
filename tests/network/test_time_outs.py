"""Idle time-outs with and without keep-alive, and sessions that one end never finished; in virtual time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import pytest
from engine_pair import EnginePair
from network import SERVER_ADDRESS, Network, everything

from wtransport._protocol import events

MakePair: TypeAlias = Callable[..., EnginePair]

SIDES = pytest.mark.parametrize("side", ["client", "server"])


def settings(*, idle: float, keep_alive: float | None) -> dict[str, Any]:
    """The settings of one end; `keep_alive` None sends no PINGs."""
    values: dict[str, Any] = {"connection_idle_timeout": idle, "keep_alive": keep_alive is not None}
    return values if keep_alive is None else values | {"connection_keepalive_timeout": keep_alive}


def connected(make_pair: MakePair, **options: Any) -> tuple[EnginePair, Any, Any]:
    pair = make_pair(network=Network(delay=0.025), **options)
    return (pair, *pair.connect_in())


def assert_all_gone(pair: EnginePair) -> None:
    """Fail unless both ends have told their program of the end, and keep nothing, not even a timer."""
    for side in ("client", "server"):
        engine = getattr(pair, side)
        assert pair.take(side, events.ConnectionClosed)
        assert engine.is_closed
        assert engine.sessions == {}
        assert engine.streams == {}
        assert engine.next_deadline() is None


# Idle time-outs.


def test_without_keep_alive_silence_ends_both_ends_at_the_smaller_time_out(make_pair: MakePair) -> None:
    pair, _, _ = connected(
        make_pair, client=settings(idle=40, keep_alive=None), server=settings(idle=15, keep_alive=None)
    )
    pair.advance(1.0)
    began = pair.now
    pair.advance_until(lambda: pair.client.is_closed and pair.server.is_closed, seconds=60)
    assert 13 < pair.now - began < 15.5
    pair.advance(1.0)
    assert_all_gone(pair)


@SIDES
def test_one_end_with_keep_alive_keeps_both(make_pair: MakePair, side: str) -> None:
    options = {end: settings(idle=10, keep_alive=4 if end == side else None) for end in ("client", "server")}
    pair, ours, theirs = connected(make_pair, **options)
    before = sum(pair.packets.values())
    pair.advance(600.0)
    assert ours.is_open
    assert theirs.is_open
    assert sum(pair.packets.values()) - before <= 600 / 4 * 2 + 20


@pytest.mark.parametrize("loss", [0.1, 0.3])
def test_keep_alive_survives_loss(make_pair: MakePair, loss: float) -> None:
    """A lost PING is sent again as every lost packet is: three thirds of the time-out are never needed."""
    pair, ours, _ = connected(
        make_pair, client=settings(idle=30, keep_alive=10), server=settings(idle=30, keep_alive=None)
    )
    pair.network.change(loss=loss)
    pair.advance(1200.0)
    assert ours.is_open


@SIDES
def test_whoever_is_gone_is_noticed_despite_keep_alive(make_pair: MakePair, side: str) -> None:
    """PINGs that nobody answers do not keep a connection."""
    both = settings(idle=10, keep_alive=4)
    pair, _, _ = connected(make_pair, client=both, server=both)
    link = pair.network.to_client if side == "server" else pair.network.to_server
    link.loses = everything  # the other end hears nothing any more
    other = "client" if side == "server" else "server"
    began = pair.now
    pair.advance_until(lambda: bool(getattr(pair, other).is_closed), seconds=30)
    assert pair.now - began < 16  # the time-out begins anew at the first PING after the last word
    pair.advance(30.0)
    assert_all_gone(pair)


class Translator:
    """A NAT that forgets a mapping in which nothing went out for a while; then the client gets another port."""

    def __init__(self, pair: EnginePair, lifetime: float) -> None:
        self.pair = pair
        self.lifetime = lifetime
        self.rebound = 0
        self._last = pair.now
        pair.network.to_server.loses = self
        pair.network.to_client.loses = self.inward

    def __call__(self, data: bytes) -> bool:
        if self.is_expired:
            self.rebound += 1
            self.pair.network.client_address = ("192.0.2.1", 50_000 + self.rebound)
        self._last = self.pair.now
        return False

    def inward(self, data: bytes) -> bool:
        return self.is_expired

    @property
    def is_expired(self) -> bool:
        return self.pair.now - self._last > self.lifetime


def test_a_keep_alive_shorter_than_the_translators_memory_keeps_the_path(make_pair: MakePair) -> None:
    pair, ours, theirs = connected(make_pair, client=settings(idle=60, keep_alive=20))
    translator = Translator(pair, lifetime=30.0)
    for _ in range(20):
        pair.advance(100.0)
        assert theirs.send_datagram(b"ping")
        pair.advance(1.0)
        assert ours.datagrams.drain() == [b"ping"]
    assert translator.rebound == 0


def test_a_longer_one_loses_it_and_finds_it_again(make_pair: MakePair) -> None:
    pair, ours, theirs = connected(
        make_pair, client=settings(idle=100, keep_alive=40), server=settings(idle=100, keep_alive=None)
    )
    translator = Translator(pair, lifetime=30.0)
    for number in range(5):
        pair.advance(35.0)
        stream = theirs.open_stream(unidirectional=True)
        stream.write(b"%d" % number, end_stream=True)
        pair.advance(60.0)
        assert pair.take("client", events.StreamOpened).stream.read() == b"%d" % number
    assert translator.rebound > 0
    assert ours.is_open


# Half-open sessions.


def test_a_client_that_is_gone_after_its_request_leaves_nothing(make_pair: MakePair) -> None:
    pair = make_pair(network=Network(delay=0.025), server=settings(idle=10, keep_alive=None))
    pair.client.port.connect(SERVER_ADDRESS, 0.0)
    pair.advance_until(lambda: pair.client.is_ready, seconds=5)
    pair.client.open_session(authority="localhost", path="/", headers={})
    pair.advance(0.03)
    pair.network.cut()
    request = pair.take("server", events.SessionRequested).session
    request.accept()
    request.open_stream(unidirectional=False).write(bytes(100_000))
    pair.advance(60.0)
    assert request.end_error is not None
    assert_all_gone(pair)


def test_a_server_that_never_answers_leaves_nothing_at_the_client_that_gives_up(make_pair: MakePair) -> None:
    pair, _, _ = connected(make_pair)
    for _ in range(300):
        session = pair.client.open_session(authority="localhost", path="/slow", headers={})
        pair.advance(0.2)
        request = pair.take("server", events.SessionRequested).session
        session.close()
        pair.advance(0.2)
        assert request.end_error is not None
    pair.client_events.clear()
    assert len(pair.client.sessions) == len(pair.server.sessions) == 1
    for engine in (pair.client, pair.server):
        assert len(engine._router.connects) == 1
        table = engine.port._table  # type: ignore[attr-defined]
        assert len([stream_id for stream_id in table.streams if not stream_id & 2]) == 1


def test_a_server_that_goes_away_before_it_answers(make_pair: MakePair) -> None:
    pair, ours, _ = connected(make_pair, client=settings(idle=10, keep_alive=4), server=settings(idle=10, keep_alive=4))
    pair.client.open_session(authority="localhost", path="/slow", headers={})
    pair.advance(0.2)
    pair.network.cut()
    pair.advance(60.0)
    assert pair.take("client", events.SessionRejected).status is None
    assert ours.end_error is not None
    assert_all_gone(pair)
