"""Streams, datagrams and credit between two engines of ours, over QUIC in memory."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any, TypeAlias

import pytest
from engine_pair import EnginePair
from network import Network

from wtransport._protocol import events
from wtransport.constants import ErrorCodes
from wtransport.exceptions import StreamError

MakePair: TypeAlias = Callable[..., EnginePair]
ENDS = pytest.mark.parametrize("limiter", ["client", "server"])
BOTH = pytest.mark.parametrize("unidirectional", [False, True])


def limited(pair: MakePair, limiter: str, **config: Any) -> tuple[EnginePair, Any, Any]:
    """Open a session of which one end has a configuration; return the pair, the other end, and this end."""
    ends = pair(**{limiter: config})
    ours, theirs = ends.open_session()
    return (ends, theirs, ours) if limiter == "client" else (ends, ours, theirs)


def events_of(ends: EnginePair, session: Any, kind: type) -> list[Any]:
    """Return the events of a kind at the end that has a session."""
    log = ends.client_events if session.is_client else ends.server_events
    return [event for event in log if isinstance(event, kind)]


# Data.


@ENDS
def test_the_data_limit_is_in_force(pair: MakePair, limiter: str) -> None:
    ends, sender, receiver = limited(pair, limiter, initial_max_data=1000)
    first, second = sender.open_stream(unidirectional=True), sender.open_stream(unidirectional=False)
    first.write(bytes(600))
    second.write(bytes(600), end_stream=True)
    ends.pump()
    assert receiver.flow.peer_data_sent == sender.flow.local_data_sent == sender.flow.local_max_data == 1000
    assert [event.kind for event in events_of(ends, receiver, events.SessionBlocked)] == ["data"]
    assert receiver.streams[second.stream_id].buffered == 400
    assert len(receiver.streams[first.stream_id].read()) == 600
    ends.pump()
    assert sender.flow.local_max_data == 1600
    assert ends.read_all(receiver.streams[second.stream_id]) == bytes(600)
    assert receiver.is_open
    assert sender.is_open


@ENDS
def test_far_more_than_the_windows_goes_through(pair: MakePair, limiter: str) -> None:
    ends, sender, receiver = limited(pair, limiter, initial_max_data=1000, flow_control_window_size=4096)
    data = Random(1).randbytes(100_000)
    stream = sender.open_stream(unidirectional=True)
    stream.write(data, end_stream=True)
    ends.pump()
    assert ends.read_all(receiver.streams[stream.stream_id]) == data
    assert receiver.flow.receive.data_received == receiver.flow.receive.data_consumed == 100_000


@ENDS
def test_without_auto_scale_only_grants_let_more_through(pair: MakePair, limiter: str) -> None:
    ends, sender, receiver = limited(pair, limiter, initial_max_data=1000, flow_control_window_auto_scale=False)
    stream = sender.open_stream(unidirectional=True)
    stream.write(bytes(3000))
    ends.pump()
    assert len(receiver.streams[stream.stream_id].read()) == 1000
    ends.pump()
    assert receiver.flow.peer_data_sent == 1000
    receiver.grant_data(1700)
    ends.pump()
    assert receiver.flow.peer_data_sent == 1700
    assert [event.kind for event in events_of(ends, sender, events.SessionCreditRaised)] == ["data"]


@ENDS
@pytest.mark.parametrize("size", [5000, 300_000])
def test_a_reader_that_needs_more_than_the_window_gets_it(pair: MakePair, limiter: str, size: int) -> None:
    ends, sender, receiver = limited(pair, limiter, initial_max_data=1000, flow_control_window_size=4096)
    stream = sender.open_stream(unidirectional=True)
    data = Random(2).randbytes(size)
    stream.write(data + b"and more")
    ends.pump()
    reading = receiver.streams[stream.stream_id]
    assert reading.buffered == 1000
    reading.expect(size)
    for _ in range(1000):
        if reading.buffered >= size:
            break
        ends.pump(0.02)
    assert reading.read(size) == data
    reading.expect(0)


@ENDS
def test_reset_streams_count_with_what_was_sent(pair: MakePair, limiter: str) -> None:
    ends, sender, receiver = limited(pair, limiter, initial_max_data=10_000, flow_control_window_size=4096)
    window = 4096
    for _ in range(20):
        stream = sender.open_stream(unidirectional=True)
        stream.write(bytes(8000))  # more than QUIC lets through for one stream
        ends.pump()
        stream.reset(1)
        ends.pump()
        assert sender.flow.local_data_sent == receiver.flow.peer_data_sent
    assert sender.flow.local_data_sent <= 20 * window
    assert receiver.flow.receive.data_consumed == receiver.flow.peer_data_sent
    stream = sender.open_stream(unidirectional=True)
    stream.write(b"still here", end_stream=True)
    ends.pump()
    opened = events_of(ends, receiver, events.StreamOpened)[-1].stream
    assert ends.read_all(opened) == b"still here"


@ENDS
def test_stopped_streams_count_with_what_was_sent(pair: MakePair, limiter: str) -> None:
    ends, sender, receiver = limited(pair, limiter, initial_max_data=10_000, flow_control_window_size=4096)
    for _ in range(20):
        stream = sender.open_stream(unidirectional=True)
        stream.write(bytes(8000))
        ends.pump()
        receiver.streams[stream.stream_id].stop(1)
        ends.pump()
        assert stream.stop_code == 1
        assert sender.flow.local_data_sent == receiver.flow.peer_data_sent
    assert receiver.flow.receive.data_consumed == receiver.flow.peer_data_sent
    assert sender.is_open


# Streams.


@ENDS
@BOTH
def test_the_limit_of_streams_is_in_force(pair: MakePair, limiter: str, unidirectional: bool) -> None:
    ends, opener, other = limited(pair, limiter, initial_max_streams_bidi=2, initial_max_streams_uni=2)
    streams = [opener.open_stream(unidirectional=unidirectional) for _ in range(2)]
    assert opener.open_stream(unidirectional=unidirectional) is None
    ends.pump()
    kind = "uni" if unidirectional else "bidi"
    assert [event.kind for event in events_of(ends, other, events.SessionBlocked)] == [kind]
    assert other.flow.receive.streams_opened[unidirectional] == 2
    for stream in streams:
        stream.write(b"x", end_stream=True)
    ends.pump()
    arrived = [event.stream for event in events_of(ends, other, events.StreamOpened)]
    if not unidirectional:
        for stream in arrived:
            stream.write(b"", end_stream=True)
    ends.pump()
    assert not events_of(ends, opener, events.StreamCreditAvailable)  # nobody has read them
    for stream in arrived:
        assert stream.read() == b"x"
    ends.pump()
    assert len(events_of(ends, opener, events.StreamCreditAvailable)) == 1
    assert opener.open_stream(unidirectional=unidirectional) is not None
    assert opener.open_stream(unidirectional=unidirectional) is not None
    assert opener.open_stream(unidirectional=unidirectional) is None


@ENDS
@BOTH
def test_many_more_streams_than_the_limit_one_after_the_other(
    pair: MakePair, limiter: str, unidirectional: bool
) -> None:
    ends, opener, other = limited(pair, limiter, initial_max_streams_bidi=3, initial_max_streams_uni=3)
    opened = 0
    for _ in range(400):
        stream = opener.open_stream(unidirectional=unidirectional)
        if stream is None:
            ends.pump(0.01)
            for event in events_of(ends, other, events.StreamOpened):
                event.stream.read()
                if not unidirectional:
                    event.stream.write(b"", end_stream=True)
            ends.pump(0.01)
            ends.client_events.clear()
            ends.server_events.clear()
            continue
        opened += 1
        stream.write(b"x", end_stream=True)
    assert opened >= 100
    assert opener.is_open


@ENDS
@BOTH
def test_granted_streams_can_be_open_at_a_time(pair: MakePair, limiter: str, unidirectional: bool) -> None:
    ends, opener, other = limited(
        pair,
        limiter,
        initial_max_streams_bidi=1,
        initial_max_streams_uni=1,
        flow_control_window_auto_scale=False,
    )
    assert opener.open_stream(unidirectional=unidirectional) is not None
    assert opener.open_stream(unidirectional=unidirectional) is None
    other.grant_streams(20, unidirectional=unidirectional)
    ends.pump()
    for _ in range(19):
        assert opener.open_stream(unidirectional=unidirectional) is not None
    assert opener.open_stream(unidirectional=unidirectional) is None


# Content.


@pytest.mark.parametrize("seed", range(6))
def test_content_arrives_whatever_the_network_does(pair: MakePair, seed: int) -> None:
    ends = pair(network=Network(seed=seed, loss=0.1, jitter=0.02), server={"initial_max_data": 20_000})
    ends.pump(5)
    client = ends.client.open_session(authority="localhost", path="/", headers={})
    ends.pump(5)
    server = ends.take("server", events.SessionRequested).session
    server.accept()
    ends.pump(5)
    random = Random(seed)
    expected: dict[int, bytes] = {}
    for session in (client, server):
        for number in range(10):
            stream = session.open_stream(unidirectional=bool(number & 1))
            assert stream is not None
            expected[stream.stream_id] = random.randbytes(random.choice([0, 1, 100, 10_000, 50_000]))
            stream.write(expected[stream.stream_id], end_stream=True)
    got: dict[int, bytes] = dict.fromkeys(expected, b"")
    arrived: dict[int, Any] = {}
    for _ in range(4000):
        ends.pump(0.05)
        for event in [*ends.client_events, *ends.server_events]:
            if isinstance(event, events.StreamOpened):
                arrived[event.stream.stream_id] = event.stream
        ends.client_events.clear()
        ends.server_events.clear()
        for stream_id, stream in arrived.items():
            got[stream_id] += stream.read() or b""
        if len(arrived) == 20 and all(stream.at_eof for stream in arrived.values()):
            break
    assert got == expected
    assert client.is_open
    assert server.is_open


def test_codes_cross_unchanged(pair: MakePair) -> None:
    ends = pair()
    ours, theirs = ends.open_session()
    for code in (0, 29, 30, 0xFFFFFFFF):
        stream = ours.open_stream(unidirectional=False)
        stream.write(b"part")
        ends.pump()
        other = theirs.streams[stream.stream_id]
        stream.reset(code)
        stream.stop(code)
        ends.pump()
        assert (other.reset_code, other.stop_code) == (code, code)
        assert other.read() == b"part"
        with pytest.raises(StreamError) as caught:
            other.read()
        assert caught.value.application_code == code
        assert stream.stream_id not in theirs.streams
        assert stream.stream_id not in ours.streams


def test_datagrams_both_ways(pair: MakePair) -> None:
    ends = pair()
    ours, theirs = ends.open_session()
    assert ours.max_datagram_size > 1000
    biggest = bytes(ours.max_datagram_size)
    assert ours.send_datagram(biggest)
    assert theirs.send_datagram(b"")
    ends.pump()
    assert theirs.datagrams.drain() == [biggest]
    assert ours.datagrams.drain() == [b""]
    sent = 0
    while ours.send_datagram(b"x" * 1000):
        sent += 1
    assert sent >= 1000
    ends.pump(2.0)
    assert ends.take("client", events.DatagramsWritable).session is ours
    assert ours.send_datagram(b"y")


def test_a_violation_ends_the_session_alone(pair: MakePair) -> None:
    ends = pair(server={"initial_max_data": 100})
    ours, theirs = ends.open_session()
    kept, kept_there = ends.open_session()
    ours.flow.send.enabled = False  # an end that does not keep to the limits
    stream = ours.open_stream(unidirectional=True)
    stream.write(bytes(101))
    ends.pump()
    assert ours.end_error.error_code == theirs.end_error.error_code == ErrorCodes.WT_FLOW_CONTROL_ERROR
    assert kept.is_open
    assert kept_there.is_open
    assert not ends.client.is_closed
    assert ends.client.sessions == {kept.stream_id: kept}
    assert ends.server._router.connects.keys() == {kept.stream_id}


def test_credit_comes_back_from_a_stream_that_is_stopped_after_its_fin_was_written(pair: MakePair) -> None:
    """Its bytes wait for flow control of QUIC; those that never go out must not count against the session."""
    ends = pair(client={"flow_control_window_size": 65536}, server={"flow_control_window_size": 65536})
    ours, theirs = ends.open_session()
    for _ in range(10):
        stream = ours.open_stream(unidirectional=True)
        stream.write(bytes(200_000), end_stream=True)
        ends.pump()
        ends.take("server", events.StreamOpened).stream.stop(1)
        ends.pump()
        assert ours.flow.local_data_sent == theirs.flow.peer_data_sent
    last = ours.open_stream(unidirectional=True)
    last.write(bytes(200_000), end_stream=True)
    ends.pump()
    assert len(ends.read_all(ends.take("server", events.StreamOpened).stream)) == 200_000


# The places of streams.


def open_tiny_streams(ends: EnginePair, opener: Any, *, unidirectional: bool) -> int:
    """Open and end streams of one byte until no credit is left; return how many went out."""
    for count in range(2000):
        stream = opener.open_stream(unidirectional=unidirectional)
        if stream is None:
            ends.pump()
            stream = opener.open_stream(unidirectional=unidirectional)
            if stream is None:
                return count
        stream.write(b"x", end_stream=True)
    raise AssertionError("there is no end to them")


@pytest.fixture(params=["flow control", "none"])
def make_tiny_pair(request: pytest.FixtureRequest, certificate: Any) -> Callable[[], EnginePair]:
    """Return a maker of pairs that allow 20 streams, in the session's limits or in QUIC's alone."""

    def make() -> EnginePair:
        few_streams = {"initial_max_streams_bidi": 20, "initial_max_streams_uni": 20, "max_sessions": 1}
        ends = EnginePair(tuple(certificate), client=few_streams, server=few_streams)
        if request.param == "none":
            silent = (0x2C7CF000, 0x14E9CD29)
            sent = ends.client._local_settings
            ends.client._local_settings = {setting: sent[setting] for setting in sent if setting not in silent}
        ends.connect()
        assert ends.client.profile is not None
        assert ends.client.profile.flow_control == (request.param == "flow control")
        return ends

    return make


@BOTH
def test_tiny_streams_that_nobody_reads_come_to_an_end(
    make_tiny_pair: Callable[[], EnginePair], unidirectional: bool
) -> None:
    ends = make_tiny_pair()
    ours, theirs = ends.open_session()
    count = open_tiny_streams(ends, ours, unidirectional=unidirectional)
    assert 20 <= count <= 40
    arrived = [event.stream for event in events_of(ends, theirs, events.StreamOpened)]
    assert len(arrived) == count
    for stream in arrived:
        assert stream.read() == b"x"
        if not unidirectional:
            stream.write(b"", end_stream=True)
    ends.pump()
    assert open_tiny_streams(ends, ours, unidirectional=unidirectional) >= 20


@BOTH
@pytest.mark.parametrize("how", ["stop", "reset", "end"])
def test_streams_give_their_places_back_however_they_end(
    make_tiny_pair: Callable[[], EnginePair], unidirectional: bool, how: str
) -> None:
    ends = make_tiny_pair()
    ours, theirs = ends.open_session()
    opened = []
    for _ in range(60):
        stream = ours.open_stream(unidirectional=unidirectional)
        assert stream is not None
        opened.append(stream)
        stream.write(b"x" * 10)
        ends.pump()
        arrived = events_of(ends, theirs, events.StreamOpened)[-1].stream
        if how == "reset":
            stream.reset(1)
            arrived.take()
        elif how == "end":
            stream.write(b"", end_stream=True)
            ends.pump()
        if how != "reset":
            arrived.stop(1)
        if not unidirectional:
            arrived.reset(1)
        ends.pump()
    assert not len(ends.server.places)


@BOTH
def test_a_stream_that_nobody_took_holds_its_place_although_it_is_empty(
    make_tiny_pair: Callable[[], EnginePair], unidirectional: bool
) -> None:
    ends = make_tiny_pair()
    ours, theirs = ends.open_session()
    for _ in range(40):
        stream = ours.open_stream(unidirectional=unidirectional)
        if stream is None:
            break
        stream.write(b"", end_stream=True)
        ends.pump()
        if not unidirectional:
            events_of(ends, theirs, events.StreamOpened)[-1].stream.write(b"", end_stream=True)
        ends.pump()
    assert ours.open_stream(unidirectional=unidirectional) is None
    for event in events_of(ends, theirs, events.StreamOpened):
        event.stream.take()
    ends.pump()
    assert ours.open_stream(unidirectional=unidirectional) is not None


def test_the_end_of_a_session_gives_back_the_places_of_all_its_streams(
    make_tiny_pair: Callable[[], EnginePair],
) -> None:
    ends = make_tiny_pair()
    for _ in range(5):
        ours, theirs = ends.open_session()
        assert open_tiny_streams(ends, ours, unidirectional=True) >= 16
        (theirs if theirs.stream_id % 8 else ours).close()
        ends.pump(1.0)
        assert not len(ends.server.places)
        assert not ends.server.streams
