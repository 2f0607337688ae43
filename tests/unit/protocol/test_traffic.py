"""The books of a connection: what one end sent the other received, and what was lost on the way is named."""

from __future__ import annotations

import contextlib
import pickle
from collections.abc import Callable
from copy import copy, deepcopy
from dataclasses import asdict, fields, replace
from random import Random
from typing import Any, TypeAlias

import pytest
from engine_pair import EnginePair
from network import CLIENT_ADDRESS, SERVER_ADDRESS, Network

from wtransport._protocol import events, limits
from wtransport._protocol.traffic import TrafficStats, no_traffic, traffic_of
from wtransport.exceptions import SessionError, StreamError

MakePair: TypeAlias = Callable[..., EnginePair]

LARGE = 3_000_000
"""Bytes: more than flow control and the congestion window let go at once."""

NAMES = [each.name for each in fields(TrafficStats)]


def books(ends: EnginePair) -> tuple[TrafficStats, TrafficStats]:
    return traffic_of(ends.client), traffic_of(ends.server)


def assert_balanced(ends: EnginePair, written: list[int] | None = None, read: list[int] | None = None) -> None:
    """Fail unless the sums hold that `TrafficStats` promises of two ends that are quiet.

    `written` and `read` are what each program did, the client first.
    """
    both = books(ends)
    for index, (mine, others) in enumerate([both, both[::-1]]):
        engine = (ends.client, ends.server)[index]
        assert mine.bytes_sent == others.bytes_received
        assert mine.sessions_opened == mine.sessions_closed + sum(each.is_open for each in engine.sessions.values())
        assert mine.streams_opened == mine.streams_closed + mine.streams_aborted + len(engine.streams)
        assert mine.streams_opened + mine.streams_unclaimed == others.streams_opened + others.streams_unclaimed
        assert mine.datagrams_sent == others.datagrams_received
        if written is not None:
            assert written[index] == mine.bytes_sent + mine.bytes_dropped
        if read is not None:
            assert mine.bytes_received == read[index] + mine.bytes_discarded


def exchange(ends: EnginePair, ours: Any, size: int) -> tuple[Any, Any]:
    """Write so many bytes, and the FIN, to a new stream; return both ends of it."""
    stream = ours.open_stream(unidirectional=False)
    stream.write(bytes(size), end_stream=True)
    ends.pump()
    return stream, ends.take("server", events.StreamOpened).stream


def test_streams_that_end_in_order(pair: MakePair) -> None:
    ends = pair()
    ours, _ = ends.open_session()
    stream, other = exchange(ends, ours, 5000)
    other.write(b"x" * 70, end_stream=True)
    ends.pump()
    assert (len(ends.read_all(other)), len(ends.read_all(stream))) == (5000, 70)
    assert_balanced(ends, written=[5000, 70], read=[70, 5000])
    client, server = books(ends)
    assert (client.sessions_opened, client.streams_opened, client.streams_closed) == (1, 1, 1)
    assert (server.bytes_received, server.bytes_discarded, server.streams_aborted) == (5000, 0, 0)


def test_a_stream_that_is_reset_half_way(pair: MakePair) -> None:
    ends = pair(client={"flow_control_window_size": 65536}, server={"flow_control_window_size": 65536})
    ours, theirs = ends.open_session()
    stream = ours.open_stream(unidirectional=True)
    stream.write(bytes(LARGE))
    ends.pump()
    other = ends.take("server", events.StreamOpened).stream
    read = len(other.read(1000))
    stream.reset(7)
    ends.pump()
    read += len(other.read())
    with pytest.raises(StreamError):
        other.read()
    assert_balanced(ends, written=[LARGE, 0], read=[0, read])
    assert stream.bytes_sent == LARGE
    assert stream.bytes_sent - stream.bytes_dropped == read + other.bytes_discarded
    assert ours.flow.local_data_sent == theirs.flow.peer_data_sent
    assert books(ends)[0].streams_aborted == books(ends)[1].streams_aborted == 1


def test_what_a_reset_overtook_is_not_counted_as_arrived(pair: MakePair) -> None:
    ends = pair()
    ours, _ = ends.open_session()
    stream = ours.open_stream(unidirectional=True)
    stream.write(b"head")
    ends.pump()
    stream.write(bytes(600))
    assert ends.client.datagrams_to_send(ends.now), "and lost"
    stream.reset(7)
    ends.pump(1.0)
    other = ends.take("server", events.StreamOpened).stream
    assert other.bytes_received == 4
    assert other.bytes_discarded == 600
    assert_balanced(ends, written=[604, 0])


@pytest.mark.parametrize("side", ["reader", "writer"])
def test_a_stream_that_is_stopped_half_way(pair: MakePair, side: str) -> None:
    ends = pair(client={"flow_control_window_size": 65536}, server={"flow_control_window_size": 65536})
    ours, _ = ends.open_session()
    stream = ours.open_stream(unidirectional=True)
    stream.write(bytes(LARGE))
    ends.pump()
    other = ends.take("server", events.StreamOpened).stream
    read = len(other.read(1000))
    other.stop(3)
    if side == "writer":
        stream.reset(4)
    ends.pump()
    assert_balanced(ends, written=[LARGE, 0], read=[0, read])
    assert other.bytes_discarded == stream.bytes_sent - stream.bytes_dropped - read


@pytest.mark.parametrize("closer", ["client", "server", "abort"])
def test_a_session_that_ends_with_bytes_under_way(pair: MakePair, closer: str) -> None:
    ends = pair(client={"flow_control_window_size": 65536}, server={"flow_control_window_size": 65536})
    ours, theirs = ends.open_session()
    stream = ours.open_stream(unidirectional=False)
    stream.write(bytes(LARGE))
    ends.pump(0.0001)
    theirs_first = theirs.open_stream(unidirectional=True)
    theirs_first.write(bytes(LARGE))
    ends.client.datagrams_to_send(ends.now)  # lost, and only then the end
    if closer == "client":
        ours.close()
    elif closer == "server":
        theirs.close(5, "enough")
    else:
        ours.abort(0x10C, SessionError("cancelled"))
    ends.pump(3.0)
    assert_balanced(ends, written=[LARGE, LARGE])
    client, server = books(ends)
    assert client.sessions_closed == server.sessions_closed == 1
    assert client.streams_aborted + client.streams_unclaimed == 2
    assert client.bytes_dropped
    assert server.bytes_dropped


def finished_with_bytes_left(ends: EnginePair, ours: Any, *, unidirectional: bool = True) -> tuple[Any, Any]:
    """Write more than may go out at once, and the FIN; return both ends of the stream."""
    stream = ours.open_stream(unidirectional=unidirectional)
    stream.write(b"head")
    ends.pump()
    other = ends.take("server", events.StreamOpened).stream
    stream.write(bytes(LARGE), end_stream=True)
    carry(ends, "client")
    assert 0 < stream.bytes_unsent < LARGE
    return stream, other


def carry(ends: EnginePair, side: str) -> None:
    """Deliver what one end may send right now."""
    sender, receiver = (ends.client, ends.server) if side == "client" else (ends.server, ends.client)
    ends.collect()
    for data, _ in sender.datagrams_to_send(ends.now):
        receiver.receive_datagram(data, CLIENT_ADDRESS if side == "client" else SERVER_ADDRESS, ends.now)
    ends.collect()


def test_a_stop_that_is_under_way_when_the_session_ends(pair: MakePair) -> None:
    ends = pair(server={"flow_control_window_size": 2 * LARGE})
    ours, theirs = ends.open_session()
    stream, other = finished_with_bytes_left(ends, ours)
    assert stream.stream_id not in ours.streams, "over for the program"
    unsent = stream.bytes_unsent
    other.stop(3)
    ours.close()
    assert (stream.bytes_sent, stream.bytes_dropped, stream.bytes_unsent) == (LARGE + 4, 0, unsent)
    carry(ends, "server")
    assert (stream.bytes_dropped, stream.bytes_unsent) == (unsent, 0)
    ends.advance_until(lambda: not theirs.streams, seconds=1.0)
    assert other.bytes_discarded == stream.bytes_sent - stream.bytes_dropped
    ends.pump(1.0)
    assert_balanced(ends, written=[LARGE + 4, 0], read=[0, 0])
    assert ours.tally.bytes_dropped == books(ends)[0].bytes_dropped == unsent


def carry_unheard(ends: EnginePair) -> None:
    """Carry packets both ways for a while, of which the client pulls no events: it is busy."""
    for _ in range(10):
        for data, _ in ends.client.datagrams_to_send(ends.now):
            ends.server.receive_datagram(data, CLIENT_ADDRESS, ends.now)
        while (event := ends.server.next_event()) is not None:
            ends.server_events.append(event)
        for data, _ in ends.server.datagrams_to_send(ends.now):
            ends.client.receive_datagram(data, SERVER_ADDRESS, ends.now)
        ends.now += 0.03
        ends.server.handle_timeout(ends.now)


@pytest.mark.parametrize("end_stream", [False, True], ids=["still writing", "has written"])
@pytest.mark.parametrize("unidirectional", [False, True], ids=["bidi", "uni"])
@pytest.mark.parametrize("ending", ["session", "connection", "reset", "none"])
def test_a_busy_end_that_hears_of_a_stop_after_the_stream_was_over(
    pair: MakePair, ending: str, unidirectional: bool, end_stream: bool
) -> None:
    ends = pair(server={"flow_control_window_size": 2 * LARGE})
    ours, _ = ends.open_session()
    stream = ours.open_stream(unidirectional=unidirectional)
    stream.write(b"head")
    ends.pump()
    other = ends.take("server", events.StreamOpened).stream
    if not unidirectional:
        other.write(b"", end_stream=True)
    stream.write(bytes(LARGE))
    carry(ends, "client")
    unsent = stream.bytes_unsent
    assert 0 < unsent < LARGE
    other.stop(3)
    carry_unheard(ends)
    if end_stream:
        stream.write(b"", end_stream=True)
    match ending:
        case "session":
            ours.close()
        case "connection":
            ends.client.close()
        case "reset":
            stream.reset(4)
    ends.collect()
    assert (stream.bytes_sent, stream.bytes_dropped, stream.bytes_unsent) == (LARGE + 4, unsent, 0)
    ends.pump(1.0)
    assert_balanced(ends, written=[LARGE + 4, 0], read=[0, 0])
    assert not ends.client.port._table.streams.get(stream.stream_id)  # type: ignore[attr-defined]


@pytest.mark.parametrize("unidirectional", [False, True], ids=["bidi", "uni"])
@pytest.mark.parametrize("is_early", [False, True], ids=["end first", "abort first"])
@pytest.mark.parametrize("aborter", ["reader", "writer", "nobody"])
@pytest.mark.parametrize("closer", ["client", "server", "client aborts", "server aborts"])
def test_bytes_that_are_left_when_the_session_ends(
    pair: MakePair, closer: str, aborter: str, is_early: bool, unidirectional: bool
) -> None:
    ends = pair(server={"flow_control_window_size": 2 * LARGE})
    ours, theirs = ends.open_session()
    stream, other = finished_with_bytes_left(ends, ours, unidirectional=unidirectional)
    session = ours if "client" in closer else theirs

    def end() -> None:
        if "aborts" in closer:
            session.abort(0x10C, SessionError("cancelled"))
        else:
            session.close()

    if not is_early:
        end()
    if aborter == "reader":
        other.stop(3)
    elif aborter == "writer":
        stream.reset(3)
    if is_early:
        end()
    ends.pump(5.0)
    read = len(other.read() or b"") if other.buffered else 0
    assert_balanced(ends, written=[LARGE + 4, 0], read=[0, read])
    client, server = books(ends)
    assert stream.bytes_unsent == 0
    assert stream.bytes_sent - stream.bytes_dropped == client.bytes_sent == ours.flow.local_data_sent
    assert ours.tally.bytes_dropped == client.bytes_dropped > 0
    assert client.sessions_closed == server.sessions_closed == 1


def test_what_was_ended_just_before_the_session_arrives(pair: MakePair) -> None:
    ends = pair()
    ours, theirs = ends.open_session()
    stream = ours.open_stream(unidirectional=True)
    stream.write(b"last words", end_stream=True)
    ours.close()
    ends.pump()
    assert not theirs.is_open
    other = ends.take("server", events.StreamOpened).stream
    assert ends.read_all(other) == b"last words"
    assert_balanced(ends, written=[10, 0], read=[0, 10])
    assert books(ends)[0].streams_closed == books(ends)[1].streams_closed == 1


def test_a_stream_for_a_session_that_is_over(pair: MakePair) -> None:
    ends = pair()
    ours, theirs = ends.open_session()
    stream = ours.open_stream(unidirectional=True)
    stream.write(b"late", end_stream=True)
    theirs.close()
    ends.pump(1.0)
    assert_balanced(ends, written=[4, 0], read=[0, 0])
    assert books(ends)[1].streams_unclaimed == 1


def test_streams_for_a_session_that_never_comes(pair: MakePair) -> None:
    ends = pair()
    session = ends.client.open_session(authority="localhost", path="/", headers={})
    ends.pump()
    request = ends.take("server", events.SessionRequested)
    # As a client does that does not wait for the answer.
    session._enter_open()
    for number in range(3):
        stream = session.open_stream(unidirectional=True)
        stream.write(bytes(100), end_stream=number < 2)
    session.send_datagram(b"early")
    ends.pump()
    request.session.reject(404)
    ends.pump(1.0)
    client, server = books(ends)
    assert server.streams_unclaimed == 3
    assert server.bytes_received == server.bytes_discarded == client.bytes_sent == 300
    assert (server.datagrams_received, server.datagrams_dropped) == (1, 1)
    assert (server.sessions_opened, server.sessions_rejected) == (0, 1)


def test_requests_that_come_to_nothing(pair: MakePair) -> None:
    ends = pair(server={"max_sessions": 1})
    ends.open_session()
    ends.client.open_session(authority="localhost", path="/one-too-many", headers={})
    ends.pump()
    withdrawn = ends.client.open_session(authority="localhost", path="/", headers={})
    withdrawn.close()
    ends.pump()
    client, server = books(ends)
    assert (client.sessions_opened, client.sessions_rejected) == (1, 2)
    assert server.sessions_opened == 1
    assert server.sessions_rejected >= 1


def test_datagrams(pair: MakePair) -> None:
    ends = pair()
    ours, theirs = ends.open_session()
    number = limits.MAX_QUEUED_DATAGRAMS + 100
    sent = 0
    while sent < number:
        sent += ours.send_datagram(b"d")
        if not sent % 64:
            ends.pump(0.01)
    ends.pump(1.0)
    theirs.close()
    ours.send_datagram(b"late")
    ends.pump(1.0)
    assert_balanced(ends)
    server = books(ends)[1]
    assert server.datagrams_received == number + 1
    assert server.datagrams_dropped == 100 + 1


def test_totals_are_added() -> None:
    one = TrafficStats(**{name: index for index, name in enumerate(NAMES)})
    total = one + one
    total.add(one)
    assert [getattr(total, name) for name in NAMES] == [3 * index for index in range(len(NAMES))]


def test_figures_for_programs_are_all_there(pair: MakePair) -> None:
    ends = pair()
    figures = traffic_of(ends.client)
    for each in (figures, figures + figures):
        assert type(each) is TrafficStats
        assert vars(each) == asdict(each) == {name: getattr(each, name) for name in NAMES}
        for same in (copy(each), deepcopy(each), pickle.loads(pickle.dumps(each)), replace(each)):
            assert same == each
            assert vars(same) == vars(each)


def test_figures_that_nobody_has_counted_are_like_any_others() -> None:
    none = no_traffic()
    assert none == TrafficStats()
    assert repr(none) == repr(TrafficStats())
    assert asdict(none) == dict.fromkeys(NAMES, 0)
    assert replace(none, bytes_sent=1) == TrafficStats(bytes_sent=1)
    none.count_late_datagrams(2)
    assert copy(none) == TrafficStats(datagrams_received=2, datagrams_dropped=2)
    assert no_traffic() == TrafficStats()


class _Churn:
    """Two programs that do whatever comes to mind on their sessions and streams."""

    def __init__(self, ends: EnginePair, seed: int) -> None:
        self.ends = ends
        self.random = Random(seed)
        self.sessions: list[list[Any]] = [[], []]
        self.streams: list[list[Any]] = [[], []]
        self.written = [0, 0]
        self.read = [0, 0]

    def step(self) -> None:
        chance, side = self.random, self.random.randrange(2)
        engine = (self.ends.client, self.ends.server)[side]
        self._meet()
        deed = chance.choice(
            ["open", "open", "write", "write", "read", "read", "read", "reset", "stop", "end", "close"]
        )
        if not engine.sessions and not side:
            session = self.ends.client.open_session(authority="localhost", path="/", headers={})
            self.sessions[0].append(session)
        streams = self.streams[side]
        stream = chance.choice(streams) if streams else None
        sessions = [each for each in self.sessions[side] if each.is_open]
        if deed == "open" and sessions:
            opened = chance.choice(sessions).open_stream(unidirectional=chance.random() < 0.5)
            streams += [opened] if opened is not None else []
        elif deed == "close" and sessions and chance.random() < 0.1:
            chance.choice(sessions).close(chance.randrange(3))
        elif stream is not None:
            self._act(side, deed, stream)
        self.ends.pump(chance.choice([0.0, 0.0001, 0.01]))

    def _act(self, side: int, deed: str, stream: Any) -> None:
        size = self.random.choice([0, 1, 100, 5000, 200_000])
        try:
            if deed == "write":
                stream.write(bytes(size))
                self.written[side] += size
            elif deed == "end":
                stream.write(b"", end_stream=True)
            elif deed == "read":
                self.read[side] += len(stream.read(self.random.choice([1, 1000, -1])) or b"")
            elif deed == "reset":
                stream.reset(size & 0xFF)
            elif deed == "stop":
                stream.stop(size & 0xFF)
        except StreamError:
            pass

    def _meet(self) -> None:
        for side, log in enumerate((self.ends.client_events, self.ends.server_events)):
            for event in log:
                if isinstance(event, events.SessionRequested) and event.session.response_status is None:
                    if self.random.random() < 0.8 and event.session.state != "closed":
                        event.session.accept()
                        self.sessions[1].append(event.session)
                    elif event.session.state != "closed":
                        event.session.reject(403)
                elif isinstance(event, events.StreamOpened):
                    self.streams[side].append(event.stream)
            log.clear()

    def finish(self) -> None:
        """Let everything arrive, and read what there is."""
        quiet_rounds = 0
        while quiet_rounds < 3:
            self.ends.pump(1.0)
            self._meet()
            before = sum(self.read)
            for side in (0, 1):
                for stream in self.streams[side]:
                    with contextlib.suppress(StreamError):
                        self.read[side] += len(stream.read() or b"")
            quiet_rounds = quiet_rounds + 1 if sum(self.read) == before else 0


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("is_bad", [False, True], ids=["good network", "bad network"])
def test_the_books_are_balanced_whatever_the_programs_do(pair: MakePair, seed: int, is_bad: bool) -> None:
    ends = pair(client={"flow_control_window_size": 65536}, server={"flow_control_window_size": 65536})
    if is_bad:
        ends.network = Network(seed=seed, loss=0.05, delay=0.001, jitter=0.002)
    churn = _Churn(ends, seed)
    for _ in range(300):
        churn.step()
    churn.finish()
    assert_balanced(ends, churn.written, churn.read)
    for session in [*ends.client.sessions.values(), *ends.server.sessions.values()]:
        session.close()
    churn.finish()
    assert_balanced(ends, churn.written, churn.read)
    client, server = books(ends)
    assert client.sessions_opened == client.sessions_closed == server.sessions_opened == server.sessions_closed
    assert not ends.client.streams
    assert not ends.server.streams
    assert not any(stream.bytes_unsent for streams in churn.streams for stream in streams)
