"""What is written into packets, in which order, and what follows from a packet's fate."""

from __future__ import annotations

import sys
from itertools import groupby

import pytest
from frame_sender import FrameSender
from hypothesis import given
from hypothesis import strategies as st
from quic_frames import DatagramFrame, StreamFrame

from wtransport._quic.frame_writer import MAX_TURN_BYTES, TURN_BYTES, turn_bytes
from wtransport._quic.port import StreamDrained

pytestmark = pytest.mark.usefixtures("quic_twin")

PACKET = 1200
ROOM = PACKET - 11 - 16
"""Bytes of frames in a packet, after the header and before the tag."""


def kinds(packet) -> set[type]:
    return {type(frame) for frame in packet.frames}


@pytest.mark.parametrize("flight_packets", [1, 2, 3])
def test_streams_and_datagrams_take_turns_however_few_packets_go_at_a_time(flight_packets) -> None:
    setup = FrameSender()
    setup.open(bytes(1_000_000))
    served = []
    for _ in range(20):
        while len(setup.writer.datagrams) < 50:
            setup.writer.datagrams.append(bytes(ROOM - 3))
        served += [kinds(packet) for packet in setup.loop.flush(PACKET * flight_packets)]
    assert served.count({DatagramFrame}) == pytest.approx(len(served) / 2, abs=2)


@pytest.mark.parametrize("flight_packets", [1, 2, 3])
def test_the_largest_datagram_goes_out_although_every_first_packet_is_shared(flight_packets) -> None:
    setup = FrameSender()
    setup.open(bytes(1_000_000))
    sent = 0
    for _ in range(20):
        if not setup.writer.datagrams:
            setup.writer.datagrams.append(bytes(ROOM - 3))
            sent += 1
        setup.loop.flush(PACKET * flight_packets, reserve=30)
    assert sent >= 5


@pytest.mark.parametrize("datagrams_before", [0, 1])
def test_a_datagram_does_not_overtake_what_streams_had_ready_before_it(datagrams_before) -> None:
    setup = FrameSender()
    setup.open(b"settings")
    for number in range(datagrams_before):
        setup.writer.queue_datagram(bytes([number]))
    setup.frames()

    setup.open(b"response")
    setup.writer.queue_datagram(b"first datagram")

    assert [type(frame) for frame in setup.frames()] == [StreamFrame, DatagramFrame]


def test_what_a_datagram_leaves_of_its_packet_is_filled_by_streams() -> None:
    setup = FrameSender()
    setup.open(bytes(20_000))
    setup.writer.datagrams.extend([bytes(700)] * 10)
    packets = setup.loop.flush()
    assert len(packets) <= (20_000 + 7000) / ROOM + 3


def test_what_streams_leave_of_their_packet_is_filled_by_datagrams() -> None:
    setup = FrameSender()
    setup.open(b"short", fin=True)
    setup.writer.datagrams.extend([bytes(100)] * 5)
    (packet,) = setup.loop.flush()
    assert len(packet.frames) == 6


def test_nothing_to_write_gives_no_packet() -> None:
    setup = FrameSender()
    setup.open()
    assert setup.loop.flush() == []
    assert not setup.writer.has_work


def turns(frames) -> list[tuple[int, int]]:
    """Return which stream sends how many bytes in a row."""
    rows = groupby(frames, key=lambda frame: frame.stream_id)
    return [(stream_id, sum(len(frame.data) for frame in row)) for stream_id, row in rows]


def test_ready_streams_are_served_in_turns_of_so_many_bytes() -> None:
    setup = FrameSender()
    ids = [setup.open(bytes(2 * TURN_BYTES)) for _ in range(3)]
    first = turns(setup.frames())[:6]
    assert [stream_id for stream_id, _ in first] == ids * 2
    assert all(TURN_BYTES - 2 * ROOM < size <= TURN_BYTES for _, size in first)


def test_turns_can_be_longer() -> None:
    setup = FrameSender()
    assert setup.writer.turn_bytes == TURN_BYTES
    setup.writer.turn_bytes = 3 * TURN_BYTES
    ids = [setup.open(bytes(6 * TURN_BYTES)) for _ in range(2)]
    first = turns(setup.frames())[:4]
    assert [stream_id for stream_id, _ in first] == ids * 2
    assert all(3 * TURN_BYTES - 2 * ROOM < size <= 3 * TURN_BYTES for _, size in first)


@pytest.mark.parametrize(
    ("window", "size"),
    [(12_000, TURN_BYTES), (16 * 20_000, 20_000), (10 * 1024 * 1024, MAX_TURN_BYTES), (0, TURN_BYTES)],
)
def test_turns_grow_with_the_congestion_window_between_two_limits(window: int, size: int) -> None:
    assert turn_bytes(window) == size


def test_a_turn_goes_on_however_few_packets_go_at_a_time() -> None:
    setup = FrameSender()
    ids = [setup.open(bytes(2 * TURN_BYTES)) for _ in range(2)]
    first = turns(frame for _ in range(20) for frame in setup.frames(3 * PACKET))[:4]
    assert [stream_id for stream_id, _ in first] == ids * 2


def test_what_a_stream_leaves_of_its_turn_is_not_taken_from_the_next() -> None:
    setup = FrameSender()
    setup.open(bytes(TURN_BYTES // 2))
    ids = [setup.open(bytes(2 * TURN_BYTES)) for _ in range(2)]
    (_, first), (second, size), (third, _), *_ = turns(setup.frames())
    assert first == TURN_BYTES // 2
    assert [second, third] == ids
    assert size > TURN_BYTES - 2 * ROOM


def test_small_streams_share_a_packet() -> None:
    setup = FrameSender()
    ids = [setup.open(b"hello", fin=True) for _ in range(20)]
    (packet,) = setup.loop.flush()
    assert [frame.stream_id for frame in packet.frames] == ids
    assert all(frame == StreamFrame(frame.stream_id, 0, b"hello", True) for frame in packet.frames)


def test_fin_alone_needs_no_credit() -> None:
    setup = FrameSender(max_data=5)
    stream_id = setup.open(b"hello")
    setup.frames()
    setup.write(stream_id, b"", fin=True)
    assert setup.frames() == [StreamFrame(stream_id, 5, b"", True)]


def test_a_stream_blocked_by_its_limit_goes_on_when_that_rises() -> None:
    setup = FrameSender(max_stream_data_bidi_remote=10)
    stream_id = setup.open(bytes(25), fin=True)
    assert setup.frames() == [StreamFrame(stream_id, 0, bytes(10), False), ("STREAM_DATA_BLOCKED", stream_id, 10)]
    assert setup.frames() == []
    assert not setup.writer.has_work
    setup.table.on_max_stream_data(stream_id, 20)
    assert setup.frames() == [StreamFrame(stream_id, 10, bytes(10), False), ("STREAM_DATA_BLOCKED", stream_id, 20)]
    setup.table.on_max_stream_data(stream_id, 15)
    assert setup.frames() == []
    setup.table.on_max_stream_data(stream_id, 100)
    assert setup.frames() == [StreamFrame(stream_id, 20, bytes(5), True)]


def test_streams_blocked_by_max_data_go_on_when_that_rises() -> None:
    setup = FrameSender(max_data=10)
    ids = [setup.open(bytes(6), fin=True) for _ in range(3)]
    assert setup.frames() == [
        StreamFrame(ids[0], 0, bytes(6), True),
        StreamFrame(ids[1], 0, bytes(4), False),
        ("DATA_BLOCKED", 10),
    ]
    assert not setup.writer.has_work
    setup.table.on_max_data(18)
    frames = setup.frames()
    assert sorted((frame.stream_id, frame.offset, frame.data, frame.fin) for frame in frames) == [
        (ids[1], 4, bytes(2), True),
        (ids[2], 0, bytes(6), True),
    ]


@pytest.mark.parametrize("first", ["max_data", "max_stream_data"])
def test_a_stream_blocked_by_both_limits_goes_on_when_both_rose_in_either_order(first) -> None:
    setup = FrameSender(max_data=10, max_stream_data_bidi_remote=10)
    stream_id = setup.open(bytes(20), fin=True)
    setup.frames()
    raises = [lambda: setup.table.on_max_data(100), lambda: setup.table.on_max_stream_data(stream_id, 100)]
    if first != "max_data":
        raises.reverse()
    raises[0]()
    assert setup.frames() == ([("STREAM_DATA_BLOCKED", stream_id, 10)] if first == "max_data" else [])
    raises[1]()
    assert setup.frames() == [StreamFrame(stream_id, 10, bytes(10), True)]


def test_what_is_lost_is_sent_again_before_anything_new_and_costs_no_credit() -> None:
    setup = FrameSender(max_data=100)
    stream_id = setup.open(bytes(100))
    (packet,) = setup.loop.flush()
    assert setup.table.send_credit == 0
    setup.write(stream_id, b"", fin=True)
    packet.lose()
    assert setup.frames() == [StreamFrame(stream_id, 0, bytes(100), False), StreamFrame(stream_id, 100, b"", True)]
    assert setup.table.data_used == 100


def test_lost_bytes_are_cut_to_the_room_there_is() -> None:
    setup = FrameSender()
    stream_id = setup.open(bytes(range(250)) * 4, fin=True)
    (packet,) = setup.loop.flush()
    packet.lose()
    content = bytearray(1000)
    packets = []
    while setup.table.ready:
        packets += setup.loop.flush(400)
    for sent in packets:
        for frame in sent.frames:
            content[frame.offset : frame.offset + len(frame.data)] = frame.data
        sent.acknowledge()
    assert content == bytes(range(250)) * 4
    assert sum(frame.fin for sent in packets for frame in sent.frames) == 1
    assert setup.table.streams[stream_id].send.is_finished


def test_a_stream_is_not_squeezed_into_a_few_bytes_unless_all_of_it_fits() -> None:
    setup = FrameSender()
    setup.open(bytes(2000))
    assert setup.loop.flush(11 + 16 + 40) == []
    assert setup.table.ready
    setup = FrameSender()
    stream_id = setup.open(bytes(20), fin=True)
    assert setup.frames(11 + 16 + 40) == [StreamFrame(stream_id, 0, bytes(20), True)]


def test_a_reset_drops_what_is_queued_and_counts_only_what_was_sent() -> None:
    setup = FrameSender(max_data=1000)
    stream_id = setup.open(bytes(5000))
    stream = setup.table.streams[stream_id]
    assert sum(len(frame.data) for frame in setup.frames(PACKET // 2)) < 1000
    sent = setup.table.data_used
    assert sent == stream.send.offset
    setup.table.reset(stream, 7)
    assert setup.frames() == [("RESET_STREAM", stream_id, 7, sent)]
    assert setup.table.data_used == sent
    assert stream.send.unsent == 0


def test_a_lost_reset_is_sent_again_and_an_acknowledged_one_ends_the_half() -> None:
    setup = FrameSender()
    stream_id = setup.open(bytes(10), unidirectional=True)
    (data_packet,) = setup.loop.flush()
    setup.table.reset(setup.table.streams[stream_id], 7)
    (reset_packet,) = setup.loop.flush()
    reset_packet.lose()
    data_packet.lose()
    (again,) = setup.loop.flush()
    assert again.frames == [("RESET_STREAM", stream_id, 7, 10)]
    again.acknowledge()
    assert setup.table.streams == {}
    assert setup.frames() == []


def test_limits_are_announced_once_and_again_when_lost() -> None:
    setup = FrameSender()
    stream_id = setup.open()
    setup.table.on_stream_frame(stream_id, 0, bytes(16_384), False)
    assert setup.frames() == []
    setup.table.consume(stream_id, 16_384)
    (packet,) = setup.loop.flush()
    assert packet.frames == [("MAX_STREAM_DATA", stream_id, 2 * 16_384)]
    assert setup.frames() == []
    packet.lose()
    assert setup.frames() == [("MAX_STREAM_DATA", stream_id, 2 * 16_384)]
    setup.table.consume(stream_id, 16_384)
    assert setup.table.limits_due
    frames = setup.frames()
    assert ("MAX_DATA", 6 * 16_384) in frames


def test_a_lost_stop_sending_is_sent_again_until_the_end_is_known() -> None:
    setup = FrameSender()
    stream_id = setup.open()
    setup.table.stop(setup.table.streams[stream_id], 9)
    (packet,) = setup.loop.flush()
    assert packet.frames == [("STOP_SENDING", stream_id, 9)]
    packet.lose()
    (packet,) = setup.loop.flush()
    assert packet.frames == [("STOP_SENDING", stream_id, 9)]
    setup.table.on_reset(stream_id, 9, 0)
    packet.lose()
    assert setup.frames() == []


def test_being_blocked_on_streams_is_written_once() -> None:
    setup = FrameSender(max_streams_bidi=0, max_streams_uni=0)
    for unidirectional in (False, True, True):
        assert setup.table.open(unidirectional=unidirectional) is None
    assert setup.writer.has_work
    assert setup.frames() == [("STREAMS_BLOCKED_BIDI", 0), ("STREAMS_BLOCKED_UNI", 0)]
    assert not setup.writer.has_work


def test_a_watched_stream_reports_once_when_its_unsent_bytes_fell_to_the_mark() -> None:
    setup = FrameSender(max_data=5000)
    stream_id = setup.open(bytes(10_000))
    setup.table.streams[stream_id].send.low_water = 3000
    setup.frames()
    assert setup.events == []
    setup.table.on_max_data(7000)
    setup.frames()
    assert setup.events == [StreamDrained(stream_id)]
    setup.table.on_max_data(10_000)
    setup.frames()
    assert setup.events == [StreamDrained(stream_id)]


def test_the_cost_of_a_packet_does_not_grow_with_idle_streams() -> None:
    """Counted in calls, not in time."""

    def calls(idle: int) -> int:
        setup = FrameSender()
        for _ in range(idle):
            setup.open(b"x")
        for packet in setup.loop.flush():
            packet.acknowledge()
        stream_id = setup.open(bytes(100_000))
        count = 0

        def tracer(*_: object) -> None:
            nonlocal count
            count += 1

        sys.setprofile(tracer)
        try:
            packets = setup.loop.flush()
            for packet in packets:
                packet.acknowledge()
        finally:
            sys.setprofile(None)
        assert setup.table.streams[stream_id].send.unsent == 0
        return count

    assert calls(900) == pytest.approx(calls(0), rel=0.02)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["write", "fin", "reset", "flush", "ack", "lose", "data", "stream"]), st.integers(0, 9)
        ),
        max_size=80,
    )
)
def test_no_sending_stream_with_something_to_send_is_forgotten(steps) -> None:
    """Whatever happens in whatever order: once everything is granted and acknowledged, all bytes were sent."""
    setup = FrameSender(max_data=100, max_stream_data_bidi_remote=50)
    table = setup.table
    written: dict[int, bytearray] = {setup.open(): bytearray() for _ in range(3)}
    received = {stream_id: {} for stream_id in written}
    ended: set[int] = set()
    gone: set[int] = set()
    flying: list = []

    def flush() -> None:
        for packet in setup.loop.flush():
            flying.append(packet)

    def deliver(packet) -> None:
        for frame in packet.frames:
            if isinstance(frame, StreamFrame):
                for index, byte in enumerate(frame.data, frame.offset):
                    assert received[frame.stream_id].setdefault(index, byte) == byte
        packet.acknowledge()

    for what, number in steps:
        stream_id = list(written)[number % 3]
        stream = table.streams.get(stream_id)
        if what == "write" and stream is not None and stream.send.is_open:
            data = bytes([number]) * (number * 9)
            written[stream_id] += data
            setup.write(stream_id, data)
        elif what == "fin" and stream is not None and stream.send.is_open:
            setup.write(stream_id, b"", fin=True)
            ended.add(stream_id)
        elif what == "reset" and stream is not None and number < 2:
            if not stream.send.is_finished:
                gone.add(stream_id)
            table.reset(stream, 0)
        elif what == "flush":
            flush()
        elif what == "ack" and flying:
            deliver(flying.pop(number % len(flying)))
        elif what == "lose" and flying:
            flying.pop(number % len(flying)).lose()
        elif what == "data":
            table.on_max_data(table.remote.max_data + number * 20)
        elif what == "stream":
            table.on_max_stream_data(stream_id, 50 + number * 40)
    table.on_max_data(10**6)
    for stream_id in written:
        table.on_max_stream_data(stream_id, 10**6)
    for _ in range(3):
        flush()
        while flying:
            deliver(flying.pop())
    for stream_id, data in written.items():
        stream = table.streams[stream_id]
        if stream_id in gone:
            assert stream.send.is_finished
            continue
        assert bytes(received[stream_id][index] for index in sorted(received[stream_id])) == data
        assert stream.send.is_finished == (stream_id in ended)
    assert table.data_used == sum(stream.send.offset for stream in table.streams.values())
