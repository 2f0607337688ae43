"""DATA_BLOCKED and STREAM_DATA_BLOCKED: said once for each limit, and again only when lost (RFC 9000, 4.1 and 13.3)."""

from __future__ import annotations

import pytest
from frame_sender import FrameSender
from port_pair import WINDOW, PortPair
from quic_frames import StreamFrame, note_frames

from wtransport._quic.port import StreamBytes

STREAM_DATA_BLOCKED = 0x15

pytestmark = pytest.mark.usefixtures("quic_twin")


def blocked(frames: list) -> list[tuple]:
    return [frame for frame in frames if isinstance(frame, tuple) and frame[0].endswith("BLOCKED")]


def test_a_stream_that_ends_at_its_limit_is_not_blocked() -> None:
    sender = FrameSender(max_data=10, max_stream_data_bidi_remote=10)
    stream_id = sender.open(bytes(10))
    assert sender.frames() == [StreamFrame(stream_id, 0, bytes(10), False)]
    sender.write(stream_id, b"", fin=True)
    assert sender.frames() == [StreamFrame(stream_id, 10, b"", True)]


def test_each_limit_of_a_stream_is_named_once() -> None:
    sender = FrameSender(max_stream_data_bidi_remote=10)
    stream_id = sender.open(bytes(10))
    assert blocked(sender.frames()) == []
    for _ in range(3):
        sender.write(stream_id, b"more")
    assert sender.frames() == [("STREAM_DATA_BLOCKED", stream_id, 10)]
    sender.write(stream_id, b"and more")
    assert sender.frames() == []
    sender.table.on_max_stream_data(stream_id, 15)
    assert blocked(sender.frames()) == [("STREAM_DATA_BLOCKED", stream_id, 15)]


def test_each_limit_of_the_connection_is_named_once_whatever_the_number_of_streams() -> None:
    sender = FrameSender(max_data=10)
    for _ in range(5):
        sender.open(bytes(8))
    assert blocked(sender.frames()) == [("DATA_BLOCKED", 10)]
    sender.open(bytes(8))
    assert sender.frames() == []
    sender.table.on_max_data(20)
    assert blocked(sender.frames()) == [("DATA_BLOCKED", 20)]
    sender.table.on_max_data(1000)
    assert blocked(sender.frames()) == []


def test_a_stream_with_no_credit_at_all_is_told_of() -> None:
    sender = FrameSender(max_stream_data_uni=0)
    stream_id = sender.open(b"x", unidirectional=True)
    assert sender.frames() == [("STREAM_DATA_BLOCKED", stream_id, 0)]


def test_streams_are_told_of_one_by_one() -> None:
    sender = FrameSender(max_stream_data_bidi_remote=3)
    ids = [sender.open(bytes(5)) for _ in range(3)]
    assert blocked(sender.frames()) == [("STREAM_DATA_BLOCKED", stream_id, 3) for stream_id in ids]


@pytest.mark.parametrize("fate", ["lost", "acknowledged"])
def test_what_is_lost_is_said_again_while_it_is_so(fate: str) -> None:
    sender = FrameSender(max_data=100, max_stream_data_bidi_remote=10)
    stream_id = sender.open(bytes(20))
    other = sender.open(bytes(10))
    (packet,) = sender.loop.flush()
    again = [("STREAM_DATA_BLOCKED", stream_id, 10)]
    assert blocked(packet.frames) == again
    if fate == "acknowledged":
        packet.acknowledge()
        assert sender.frames() == []
        return
    packet.lose()
    frames = sender.frames()
    assert blocked(frames) == again
    assert [frame.stream_id for frame in frames if isinstance(frame, StreamFrame)] == [stream_id, other]


def test_what_is_lost_of_the_connection_is_said_again_while_it_is_so() -> None:
    sender = FrameSender(max_data=10)
    ids = [sender.open(bytes(10)) for _ in range(3)]
    first, *rest = sender.loop.flush()
    assert rest == []
    assert blocked(first.frames) == [("DATA_BLOCKED", 10)]
    sender.table.reset(sender.table.streams[ids[1]], 1)  # who waited first does not wait any more
    sender.frames()
    first.lose()
    assert blocked(sender.frames()) == [("DATA_BLOCKED", 10)]


def test_what_is_lost_and_over_is_not_said_again() -> None:
    sender = FrameSender(max_data=15, max_stream_data_bidi_remote=10)
    stream_id = sender.open(bytes(12))
    sender.open(bytes(10))
    (packet,) = sender.loop.flush()
    assert blocked(packet.frames) == [("STREAM_DATA_BLOCKED", stream_id, 10), ("DATA_BLOCKED", 15)]
    sender.table.on_max_stream_data(stream_id, 100)
    sender.table.on_max_data(100)
    sender.frames()
    packet.lose()
    assert blocked(sender.frames()) == []


@pytest.mark.parametrize("unidirectional", [False, True])
@pytest.mark.parametrize("raised", [False, True])
def test_that_streams_cannot_be_opened_is_said_again_while_it_is_so(unidirectional: bool, raised: bool) -> None:
    name = "STREAMS_BLOCKED_UNI" if unidirectional else "STREAMS_BLOCKED_BIDI"
    sender = FrameSender(max_streams_bidi=0, max_streams_uni=0)
    assert sender.table.open(unidirectional=unidirectional) is None
    (packet,) = sender.loop.flush()
    assert packet.frames == [(name, 0)]
    if raised:
        sender.table.on_max_streams(1, unidirectional=unidirectional)
    packet.lose()
    assert sender.frames() == ([] if raised else [(name, 0)])


def test_a_word_of_an_old_limit_of_streams_is_not_said_again() -> None:
    sender = FrameSender(max_streams_bidi=0)
    sender.table.open(unidirectional=False)
    (old,) = sender.loop.flush()
    sender.table.on_max_streams(1, unidirectional=False)
    assert [sender.table.open(unidirectional=False) for _ in range(2)] == [0, None]
    (packet,) = sender.loop.flush()
    assert packet.frames == [("STREAMS_BLOCKED_BIDI", 1)]
    old.lose()
    assert sender.frames() == []
    packet.acknowledge()
    assert sender.frames() == []


def test_a_stream_that_was_reset_is_not_blocked_any_more() -> None:
    sender = FrameSender(max_stream_data_bidi_remote=10)
    stream_id = sender.open(bytes(20))
    (packet,) = sender.loop.flush()
    sender.table.reset(sender.table.streams[stream_id], 7)
    packet.lose()
    assert sender.frames() == [("RESET_STREAM", stream_id, 7, 10)]


def test_without_room_it_is_said_in_the_next_packet() -> None:
    size = 1200 - 11 - 16 - 5  # a packet's frames, without what a STREAM frame begins with
    for less in range(24):
        sender = FrameSender(max_stream_data_bidi_remote=size - less)
        stream_id = sender.open(bytes(5000))
        packets = sender.loop.flush()
        said = [frame for packet in packets for frame in blocked(packet.frames)]
        assert said == [("STREAM_DATA_BLOCKED", stream_id, size - less)], less
        assert not sender.writer.has_work


def test_a_reader_that_waits_is_told_and_the_transfer_goes_on(pair: PortPair) -> None:
    told: list[int] = []
    note_frames(pair.server.port._connection, STREAM_DATA_BLOCKED, told.append)
    port = pair.client.port
    stream_id = port.open_stream(unidirectional=True)
    port.send_stream(stream_id, bytes(2 * WINDOW), True)
    pair.settle()
    assert told == [STREAM_DATA_BLOCKED]
    assert sum(len(event.data) for event in pair.server.of(StreamBytes)) == WINDOW
    pair.server.port.consume(stream_id, WINDOW)
    pair.settle()
    assert told == [STREAM_DATA_BLOCKED]
    assert sum(len(event.data) for event in pair.server.of(StreamBytes)) == 2 * WINDOW
