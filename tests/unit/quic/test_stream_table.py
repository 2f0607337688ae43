"""Who may open and send how much, and what breaks the rules."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from port_pair import WINDOW, limits
from quic_tables import make_table

from wtransport._quic.limits import PeerLimits
from wtransport._quic.port import StreamBytes, StreamCreditRaised
from wtransport._quic.stream_table import MAX_STREAM_COUNT
from wtransport._quic.violations import TransportViolation
from wtransport.constants import ErrorCodes

pytestmark = pytest.mark.usefixtures("quic_twin")

CLIENT_BIDI, SERVER_BIDI, CLIENT_UNI, SERVER_UNI = 0, 1, 2, 3


def violation(action) -> int:
    with pytest.raises(TransportViolation) as caught:
        action()
    assert caught.value.reason
    return caught.value.error_code


# Violations.


@pytest.mark.parametrize("kind", [CLIENT_BIDI, CLIENT_UNI])
def test_opening_more_streams_than_allowed(kind) -> None:
    table = make_table()
    table.on_stream_frame((15 << 2) | kind, 0, b"x", False)
    for action in (
        lambda: table.on_stream_frame((16 << 2) | kind, 0, b"x", False),
        lambda: table.on_reset((16 << 2) | kind, 0, 0),
        lambda: table.on_stream_data_blocked((16 << 2) | kind),
        lambda: table.on_stream_frame(2**62 - 4 + kind, 0, b"", True),
    ):
        assert violation(action) == ErrorCodes.STREAM_LIMIT_ERROR


def test_opening_beyond_the_limit_by_frames_for_our_sending_side() -> None:
    table = make_table()
    assert violation(lambda: table.on_stop_sending(16 << 2, 0)) == ErrorCodes.STREAM_LIMIT_ERROR
    assert violation(lambda: table.on_max_stream_data(16 << 2, 0)) == ErrorCodes.STREAM_LIMIT_ERROR


@pytest.mark.parametrize("is_client", [False, True])
def test_frames_against_the_direction_or_for_streams_that_were_not_opened(is_client) -> None:
    table = make_table(is_client=is_client)
    own_uni = table.open(unidirectional=True)
    ours, theirs = (CLIENT_BIDI, SERVER_UNI) if is_client else (SERVER_BIDI, CLIENT_UNI)
    for action in (
        lambda: table.on_stream_frame(own_uni, 0, b"", False),
        lambda: table.on_reset(own_uni, 0, 0),
        lambda: table.on_stream_data_blocked(own_uni),
        lambda: table.on_stop_sending(theirs, 0),
        lambda: table.on_max_stream_data(theirs, 0),
        lambda: table.on_stream_frame(ours, 0, b"", False),
        lambda: table.on_reset(ours, 0, 0),
        lambda: table.on_stop_sending(ours, 0),
        lambda: table.on_max_stream_data(ours, 0),
        lambda: table.on_stop_sending(own_uni + 4, 0),
        lambda: table.on_max_stream_data(own_uni + 4, 0),
    ):
        assert violation(action) == ErrorCodes.STREAM_STATE_ERROR


def test_going_over_a_streams_limit() -> None:
    table = make_table()
    table.on_stream_frame(0, 0, bytes(WINDOW), False)
    assert violation(lambda: table.on_stream_frame(0, WINDOW, b"x", False)) == ErrorCodes.FLOW_CONTROL_ERROR
    assert violation(lambda: table.on_stream_frame(4, WINDOW, b"x", False)) == ErrorCodes.FLOW_CONTROL_ERROR
    assert violation(lambda: table.on_reset(4, 0, WINDOW + 1)) == ErrorCodes.FLOW_CONTROL_ERROR


def test_going_over_the_connections_limit() -> None:
    table = make_table(given=limits(connection_window=2 * WINDOW - 1))
    table.on_stream_frame(0, 0, bytes(WINDOW), False)
    assert violation(lambda: table.on_stream_frame(4, 0, bytes(WINDOW), False)) == ErrorCodes.FLOW_CONTROL_ERROR
    assert violation(lambda: table.on_stream_frame(4, WINDOW - 1, b"x", False)) == ErrorCodes.FLOW_CONTROL_ERROR
    assert violation(lambda: table.on_reset(4, 0, WINDOW)) == ErrorCodes.FLOW_CONTROL_ERROR
    table.on_stream_frame(4, 0, bytes(WINDOW - 1), False)


def test_contradicting_the_final_size() -> None:
    table = make_table()
    table.on_stream_frame(0, 0, b"abc", True)
    assert violation(lambda: table.on_stream_frame(0, 3, b"x", False)) == ErrorCodes.FINAL_SIZE_ERROR
    assert violation(lambda: table.on_stream_frame(0, 0, b"ab", True)) == ErrorCodes.FINAL_SIZE_ERROR
    assert violation(lambda: table.on_reset(0, 0, 2)) == ErrorCodes.FINAL_SIZE_ERROR
    assert violation(lambda: table.on_reset(0, 0, 4)) == ErrorCodes.FINAL_SIZE_ERROR


def test_offsets_beyond_what_a_varint_holds() -> None:
    table = make_table()
    assert violation(lambda: table.on_stream_frame(0, 2**62 - 1, b"x", False)) == ErrorCodes.FRAME_ENCODING_ERROR


def test_more_streams_than_ids_allow() -> None:
    table = make_table()
    assert violation(lambda: table.on_max_streams(MAX_STREAM_COUNT + 1, unidirectional=True)) == (
        ErrorCodes.FRAME_ENCODING_ERROR
    )
    table.on_max_streams(MAX_STREAM_COUNT, unidirectional=True)


def test_scattering_a_stream_over_too_many_pieces() -> None:
    table = make_table()
    for offset in range(1, 4096, 2):
        table.on_stream_frame(0, offset, b"x", False)

    def scatter() -> None:
        for offset in range(4097, 10_000, 2):
            table.on_stream_frame(0, offset, b"x", False)

    assert violation(scatter) == ErrorCodes.INTERNAL_ERROR


# Opening.


def test_a_frame_opens_the_lower_streams_of_its_kind_too() -> None:
    table = make_table()
    table.on_stream_frame(12, 0, b"x", False)
    assert sorted(table.streams) == [0, 4, 8, 12]
    table.on_stream_frame(4, 0, b"y", False)
    assert sorted(table.streams) == [0, 4, 8, 12]
    assert table.events == [StreamBytes(12, b"x", False), StreamBytes(4, b"y", False)]


@pytest.mark.parametrize(
    "frame",
    [
        lambda table: table.on_stop_sending(4, 0),
        lambda table: table.on_max_stream_data(4, 5),
        lambda table: table.on_stream_data_blocked(4),
    ],
)
def test_every_frame_that_names_a_stream_opens_it(frame) -> None:
    table = make_table()
    frame(table)
    assert sorted(table.streams) == [0, 4]


def test_each_opener_has_its_own_credit() -> None:
    table = make_table(is_client=True)
    table.remote = PeerLimits(
        max_data=100,
        max_stream_data_bidi_local=1,
        max_stream_data_bidi_remote=2,
        max_stream_data_uni=3,
        max_streams_bidi=5,
        max_streams_uni=5,
    )
    table.on_stream_data_blocked(SERVER_BIDI)
    table.on_stream_data_blocked(SERVER_UNI)
    assert table.streams[SERVER_BIDI].send.limit == 1
    assert table.streams[table.open(unidirectional=False)].send.limit == 2
    assert table.streams[table.open(unidirectional=True)].send.limit == 3
    assert not table.streams[SERVER_UNI].send.is_open


def test_ids_go_up_by_four_and_refusal_is_remembered_until_the_limit_rises() -> None:
    table = make_table(is_client=True)
    table.remote.max_streams_bidi = 2
    assert [table.open(unidirectional=False) for _ in range(3)] == [0, 4, None]
    table.on_max_streams(2, unidirectional=False)
    table.on_max_streams(1, unidirectional=False)
    table.on_max_streams(200, unidirectional=True)
    assert table.events == []
    table.on_max_streams(3, unidirectional=False)
    assert table.events == [StreamCreditRaised(False)]
    assert table.open(unidirectional=False) == 8
    table.on_max_streams(4, unidirectional=False)
    assert table.events == [StreamCreditRaised(False)], "nobody was refused since"


# Frames for streams that are over.


def test_frames_for_finished_streams_are_ignored() -> None:
    table = make_table()
    table.on_stream_frame(0, 0, b"all", True)
    table.finish_sending(0)
    assert table.streams == {}
    table.events.clear()
    table.on_stream_frame(0, 0, b"all", True)
    table.on_stream_frame(0, 1000, b"nonsense", False)
    table.on_reset(0, 1, 3)
    table.on_stop_sending(0, 1)
    table.on_max_stream_data(0, 10**6)
    table.on_stream_data_blocked(0)
    assert table.streams == {}
    assert table.events == []
    assert table.receive_window.received == 3


def test_each_stream_is_found_whichever_was_asked_for_before() -> None:
    table = make_table()
    first, second = (table.open(unidirectional=True) for _ in range(2))
    for stream_id, data in ((first, b"1"), (second, b"22"), (first, b"333")):
        assert table.send(stream_id, data, False)
    assert [table.unsent_bytes(stream_id) for stream_id in (second, first, first, 2**62 - 1)] == [2, 4, 4, 0]
    stream = table.streams[first]
    table.send(first, b"", True)
    offset, data, fin, _ = stream.send.next_frame(100, 100)
    stream.send.on_frame_delivery(True, offset, data, fin)
    table.forget_if_finished(stream)
    assert (table.send_room(first), table.unsent_bytes(first), table.send(first, b"x", False)) == (0, 0, False)
    assert table.unsent_bytes(second) == 2


def test_frames_for_our_finished_streams_are_ignored() -> None:
    table = make_table(is_client=True)
    stream_id = table.open(unidirectional=False)
    table.finish_sending(stream_id)
    table.on_stream_frame(stream_id, 0, b"", True)
    assert table.streams == {}
    table.on_stream_frame(stream_id, 0, b"", True)
    table.on_stop_sending(stream_id, 0)
    assert table.streams == {}


def test_a_closed_stream_lets_the_peer_open_another() -> None:
    table = make_table(given=limits(max_streams_bidi=2))
    for number in range(10):
        table.on_stream_frame(number << 2, 0, b"", True)
        assert number << 2 in table.streams
        table.finish_sending(number << 2)
    assert table.peer_limits[0].limit == 12


def test_our_own_closed_streams_do_not_count_for_the_peer() -> None:
    table = make_table(is_client=True)
    stream_id = table.open(unidirectional=True)
    table.finish_sending(stream_id)
    assert table.streams == {}
    assert table.peer_limits[1].limit == 16
    assert not table.limits_due


# What ends, and what is asked of it.


def test_a_stream_that_waited_for_credit_is_dropped_when_it_is_over() -> None:
    table = make_table(is_client=True)
    stream_id = table.open(unidirectional=True)
    stream = table.streams[stream_id]
    table.write(stream, b"blocked", False)
    table.wait_for_max_data(stream)
    table.reset(stream, 1)
    stream.send.on_reset_delivery(True)
    table.forget_if_finished(stream)
    assert table.streams == {}
    assert not table.waiting_for_max_data


def test_a_watch_on_a_stream_that_drained_already_is_answered_at_once() -> None:
    table = make_table(is_client=True)
    stream_id = table.open(unidirectional=True)
    table.write(table.streams[stream_id], bytes(10), False)
    table.watch_unsent(table.streams[stream_id], 9)
    assert table.events == []
    table.watch_unsent(table.streams[stream_id], 10)
    assert [type(event).__name__ for event in table.events] == ["StreamDrained"]
    table.sent(table.streams[stream_id], 0)
    assert len(table.events) == 1


def test_a_watch_on_a_streams_room_is_answered_once_when_it_rises() -> None:
    table = make_table(is_client=True)
    stream_id = table.open(unidirectional=True)
    send = table.streams[stream_id].send
    room = send.room
    table.write(table.streams[stream_id], bytes(room - 5), False)
    assert send.room == 5
    send.wants_room = True
    table.on_max_stream_data(stream_id, send.limit)
    assert table.events == [], "no raise"
    for more in (10, 20):
        table.on_max_stream_data(stream_id, send.limit + more)
    assert [type(event).__name__ for event in table.events] == ["StreamRoomRaised"]
    assert send.room == 35
    table.reset(table.streams[stream_id], 1)
    assert send.room == 0


def test_what_the_program_asks_of_a_stream_that_is_over_or_unknown() -> None:
    table = make_table(is_client=True)
    stream_id = table.open(unidirectional=True)
    assert table.send(stream_id, bytes(10), False)
    assert table.unsent_bytes(stream_id) == 10
    assert table.send_room(stream_id) == 10**5 - 10
    table.reset(table.streams[stream_id], 1)
    assert not table.send(stream_id, b"more", False)
    assert table.unsent_bytes(stream_id) == 10, "what the reset dropped"
    assert table.send_room(stream_id) == 0
    assert not table.send(stream_id + 4, b"more", True)
    assert (table.unsent_bytes(stream_id + 4), table.send_room(stream_id + 4)) == (0, 0)
    assert table.streams.keys() == {stream_id}


# Credit.


class Peer:
    """Sends on streams as far as the limits allow, in any order, with resets; and remembers what it sent."""

    def __init__(self, table: Any) -> None:
        self.table = table
        self.highest: dict[int, int] = {}
        self.final: dict[int, int] = {}

    @property
    def sent(self) -> int:
        return sum(self.highest.values())

    def room(self, stream_id: int) -> int:
        stream = self.table.streams.get(stream_id)
        limit = WINDOW if stream is None else stream.receive.window.limit
        highest = self.highest.get(stream_id, 0)
        window = self.table.receive_window
        return max(min(limit - highest, window.limit - self.sent), 0)

    def grow(self, stream_id: int, size: int) -> int:
        end = self.highest.get(stream_id, 0) + min(size, self.room(stream_id))
        self.highest[stream_id] = end
        return end


OPERATIONS = st.lists(
    st.tuples(
        st.sampled_from(["data", "gap", "fill", "fin", "reset", "stop", "read", "again"]),
        st.integers(0, 2),
        st.integers(1, WINDOW // 4),
    ),
    min_size=15,
    max_size=60,
)


@given(OPERATIONS)
def test_connection_credit_never_leaks(operations) -> None:
    """However streams end: when the program has taken all that it was given, every byte sent is accounted for."""
    table = make_table(given=limits(connection_window=2 * WINDOW))
    peer = Peer(table)
    unread: dict[int, int] = {}
    window = table.receive_window

    def collect() -> None:
        for event in table.events:
            if isinstance(event, StreamBytes):
                unread[event.stream_id] = unread.get(event.stream_id, 0) + len(event.data)
        table.events.clear()

    for what, number, size in operations:
        stream_id = (number << 2) | CLIENT_UNI
        before = peer.highest.get(stream_id, 0)
        is_open = stream_id not in peer.final
        if what == "data" and is_open:
            end = peer.grow(stream_id, size)
            table.on_stream_frame(stream_id, before, bytes(end - before), False)
        elif what == "gap" and is_open:
            end = peer.grow(stream_id, size)
            if end > before:
                table.on_stream_frame(stream_id, end - 1, b"x", False)
        elif what == "fill":
            table.on_stream_frame(stream_id, 0, bytes(before), False)
        elif what == "fin" and is_open:
            peer.final[stream_id] = end = peer.grow(stream_id, size)
            table.on_stream_frame(stream_id, end, b"", True)
        elif what == "reset":
            end = peer.final.get(stream_id)
            if end is None:
                end = peer.final[stream_id] = peer.grow(stream_id, size)
            table.on_reset(stream_id, 0, end)
        elif what == "stop" and stream_id in table.streams:
            table.stop(table.streams[stream_id], 0)
        elif what == "read":
            collect()
            count = min(size, unread.get(stream_id, 0))
            unread[stream_id] = unread.get(stream_id, 0) - count
            table.consume(stream_id, count)
        elif what == "again" and stream_id in peer.final:
            table.on_stream_frame(stream_id, peer.final[stream_id], b"", True)
        assert window.received == peer.sent
        assert window.consumed <= window.received
        assert window.limit <= window.consumed + window.window
    for stream_id in peer.highest:
        if stream_id not in peer.final:
            peer.final[stream_id] = peer.highest[stream_id]
            table.on_reset(stream_id, 0, peer.final[stream_id])
        else:
            table.on_stream_frame(stream_id, 0, bytes(peer.final[stream_id]), True)
    collect()
    for stream_id, count in unread.items():
        table.consume(stream_id, count)
    assert window.consumed == window.received == peer.sent
    assert window.limit - window.received > window.window // 2
    assert table.streams.keys() & peer.highest.keys() == set()
