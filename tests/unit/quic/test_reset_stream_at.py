"""RESET_STREAM_AT (draft-ietf-quic-reliable-stream-reset-10): a reset that leaves the beginning of a stream alone."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from port_pair import PATIENT, WINDOW, Network, PortPair, limits
from quic_frames import PacketLoop, StreamFrame
from quic_twins import current

from wtransport._quic.backend import IS_COMPILED
from wtransport._quic.limits import PeerLimits
from wtransport._quic.port import StreamBytes, StreamDiscarded, StreamOver, StreamReset, StreamStopped, Terminated
from wtransport._quic.violations import TransportViolation
from wtransport.constants import ErrorCodes

pytestmark = pytest.mark.usefixtures("quic_twin")

HEADER = bytes.fromhex("405404")
CODE = 0x52E4A40FA8DB
UNI = 2
"""The first unidirectional stream of a client."""


class Sender:
    """A client's table with its writer, and one stream that begins with a header."""

    def __init__(self, *, supported: bool = True, credit: int = 10**6) -> None:
        self.events: list = []
        self.table = current().StreamTable(is_client=True, limits=limits(), emit=self.events.append)
        self.table.remote = PeerLimits(10**6, 10**6, 10**6, credit, 100, 100, supported)
        self.loop = PacketLoop(current().FrameWriter(self.table))
        self.stream = self.table.streams[self.table.open(unidirectional=True)]
        self.table.write_header(self.stream, HEADER)

    def write(self, data: bytes, *, fin: bool = False) -> None:
        self.table.write(self.stream, data, fin)

    def reset(self) -> None:
        self.table.reset(self.stream, CODE)

    def flush(self) -> list:
        return self.loop.flush()

    def frames(self) -> list:
        return [frame for packet in self.flush() for frame in packet.frames]


class Receiver:
    """A server's table and what it reported."""

    def __init__(self, **given: int) -> None:
        self.events: list = []
        self.table = current().StreamTable(is_client=False, limits=limits(**given), emit=self.events.append)

    def take(self) -> list:
        events, self.events[:] = list(self.events), []
        return [event for event in events if not isinstance(event, StreamOver)]

    def violation(self, *args: int) -> int:
        with pytest.raises(TransportViolation) as caught:
            self.table.on_reset(*args)
        return caught.value.error_code


# Sending.


def test_a_stream_that_is_reset_at_once_still_sends_its_header() -> None:
    sender = Sender()
    sender.write(bytes(100))
    sender.reset()
    assert sender.frames() == [StreamFrame(UNI, 0, HEADER, False), ("RESET_STREAM_AT", UNI, CODE, 3, 3)]
    assert sender.table.data_used == 3
    assert sender.frames() == []


def test_the_final_size_counts_all_that_was_sent_and_the_reliable_size_the_header() -> None:
    sender = Sender()
    sender.write(bytes(997))
    assert sum(len(frame.data) for frame in sender.frames()) == 1000
    sender.write(bytes(5))
    sender.reset()
    assert sender.frames() == [("RESET_STREAM_AT", UNI, CODE, 1000, 3)]


def test_lost_bytes_are_repeated_up_to_the_reliable_size_only() -> None:
    sender = Sender()
    sender.write(b"body", fin=True)
    (first,) = sender.flush()
    sender.reset()
    (second,) = sender.flush()
    first.lose()
    second.lose()
    assert sender.frames() == [StreamFrame(UNI, 0, HEADER, False), ("RESET_STREAM_AT", UNI, CODE, 7, 3)]


def test_bytes_that_were_lost_before_the_reset_are_repeated_up_to_the_reliable_size_only() -> None:
    sender = Sender()
    sender.write(b"body")
    (first,) = sender.flush()
    first.lose()
    sender.reset()
    assert sender.frames() == [StreamFrame(UNI, 0, HEADER, False), ("RESET_STREAM_AT", UNI, CODE, 7, 3)]


@pytest.mark.parametrize("order", list(itertools.permutations(range(2))))
def test_the_half_is_over_when_reset_and_header_were_acknowledged(order) -> None:
    sender = Sender()
    packets = sender.flush()
    sender.reset()
    packets += sender.flush()
    for index in order:
        assert sender.table.streams
        packets[index].acknowledge()
    assert not sender.table.streams


def test_a_header_beyond_the_streams_credit_postpones_the_reset() -> None:
    sender = Sender(credit=2)
    sender.reset()
    assert sender.frames() == [StreamFrame(UNI, 0, HEADER[:2], False), ("STREAM_DATA_BLOCKED", UNI, 2)]
    assert sender.frames() == []
    sender.table.on_max_stream_data(UNI, 1000)
    assert sender.frames() == [StreamFrame(UNI, 2, HEADER[2:], False), ("RESET_STREAM_AT", UNI, CODE, 3, 3)]


def test_a_header_beyond_the_connections_credit_postpones_the_reset() -> None:
    sender = Sender()
    sender.table.remote.max_data = 0
    sender.reset()
    assert sender.frames() == [("DATA_BLOCKED", 0)]
    sender.table.on_max_data(100)
    assert sender.frames() == [StreamFrame(UNI, 0, HEADER, False), ("RESET_STREAM_AT", UNI, CODE, 3, 3)]


def test_a_peer_without_it_is_reset_plainly_once_the_header_was_acknowledged() -> None:
    sender = Sender(supported=False)
    sender.write(b"body")
    (packet,) = sender.flush()
    sender.reset()
    assert sender.frames() == []
    packet.lose()
    (again,) = sender.flush()
    assert again.frames == [StreamFrame(UNI, 0, HEADER, False)]
    again.acknowledge()
    (reset,) = sender.flush()
    assert reset.frames == [("RESET_STREAM", UNI, CODE, 7)]
    reset.lose()
    (reset,) = sender.flush()
    assert reset.frames == [("RESET_STREAM", UNI, CODE, 7)]
    reset.acknowledge()
    assert not sender.table.streams


@pytest.mark.parametrize("supported", [False, True])
def test_a_stream_without_a_header_is_reset_plainly(supported) -> None:
    sender = Sender(supported=supported)
    stream = sender.table.streams[sender.table.open(unidirectional=False)]
    sender.table.write(stream, b"body", False)
    sender.frames()
    sender.table.reset(stream, CODE)
    assert sender.frames() == [("RESET_STREAM", stream.stream_id, CODE, 4)]


def test_stop_sending_is_answered_without_taking_the_header_back() -> None:
    sender = Sender()
    sender.write(bytes(50))
    sender.table.on_stop_sending(UNI, 77)
    assert sender.events == [StreamStopped(UNI, 77, 50)]
    assert sender.frames() == [StreamFrame(UNI, 0, HEADER, False), ("RESET_STREAM_AT", UNI, 77, 3, 3)]


# Receiving.


def test_bytes_up_to_the_reliable_size_come_before_the_reset() -> None:
    receiver = Receiver()
    receiver.table.on_reset(UNI, CODE, 1000, 3)
    assert receiver.take() == []
    receiver.table.on_stream_frame(UNI, 1, HEADER[1:], False)
    assert receiver.take() == []
    receiver.table.on_stream_frame(UNI, 0, HEADER[:1], False)
    assert receiver.take() == [StreamBytes(UNI, HEADER, False), StreamReset(UNI, CODE, 1000)]
    assert not receiver.table.streams


def test_a_reset_whose_bytes_are_here_takes_effect_at_once() -> None:
    receiver = Receiver()
    receiver.table.on_stream_frame(UNI, 0, HEADER, False)
    receiver.take()
    receiver.table.on_reset(UNI, CODE, 1000, 3)
    assert receiver.take() == [StreamReset(UNI, CODE, 1000)]


@pytest.mark.parametrize("fin", [False, True])
def test_a_reset_after_which_everything_arrives_is_still_a_reset(fin) -> None:
    receiver = Receiver()
    receiver.table.on_reset(UNI, CODE, 3, 3)
    receiver.table.on_stream_frame(UNI, 0, HEADER, fin)
    assert receiver.take() == [StreamBytes(UNI, HEADER, False), StreamReset(UNI, CODE, 3)]


def test_a_reset_after_everything_arrived_is_no_news() -> None:
    receiver = Receiver()
    receiver.table.on_stream_frame(0, 0, HEADER, True)
    receiver.take()
    receiver.table.on_reset(0, CODE, 3, 3)
    assert receiver.take() == []


def test_a_reset_that_begins_a_bidirectional_stream_keeps_an_early_stop_for_after_the_bytes() -> None:
    receiver = Receiver()
    receiver.table.on_stop_sending(0, 7)
    receiver.table.on_reset(0, CODE, 10, 3)
    assert receiver.take() == []
    receiver.table.on_stream_frame(0, 0, HEADER, False)
    assert receiver.take() == [StreamBytes(0, HEADER, False), StreamStopped(0, 7, 0), StreamReset(0, CODE, 10)]


@pytest.mark.parametrize("effect", ["bytes", "at once", "stopped"])
def test_credit_for_bytes_that_never_come_is_given_back(effect) -> None:
    receiver = Receiver()
    window = receiver.table.receive_window
    receiver.table.on_stream_frame(UNI, 100, bytes(50), False)
    if effect == "at once":
        receiver.table.on_stream_frame(UNI, 0, bytes(3), False)
    receiver.table.on_reset(UNI, CODE, 1000, 3)
    assert window.received == 1000
    handed_out = 3
    if effect == "bytes":
        assert window.consumed == 0
        receiver.table.on_stream_frame(UNI, 0, bytes(3), False)
    elif effect == "stopped":
        handed_out = 0
        receiver.table.stop(receiver.table.streams[UNI], 5)
    assert StreamReset(UNI, CODE, 1000) in receiver.take()
    assert window.consumed == 1000 - handed_out
    assert not receiver.table.streams


def test_stopping_a_stream_whose_reset_waits_ends_it_and_sends_nothing() -> None:
    receiver = Receiver()
    receiver.table.on_reset(UNI, CODE, 1000, 3)
    receiver.table.stop(receiver.table.streams[UNI], 5)
    assert receiver.take() == [StreamReset(UNI, CODE, 1000)]
    assert not receiver.table.ready


def test_a_stopped_stream_waits_for_no_bytes() -> None:
    receiver = Receiver()
    receiver.table.on_stream_frame(UNI, 0, b"4", False)
    receiver.table.stop(receiver.table.streams[UNI], 5)
    receiver.take()
    receiver.table.on_reset(UNI, CODE, 1000, 3)
    assert receiver.take() == [StreamReset(UNI, CODE, 1000)]


@pytest.mark.parametrize(("sizes", "needed"), [((5, 3), 3), ((3, 5), 3), ((5, 0), 0), ((0, 5), 0)])
def test_the_reliable_size_may_shrink_and_never_grows(sizes, needed) -> None:
    receiver = Receiver()
    for size in sizes:
        receiver.table.on_reset(0, CODE, 10, size)
    receiver.table.on_stream_frame(0, 0, bytes(10)[:needed], False)
    assert receiver.take() == [StreamBytes(0, bytes(needed), False)] * bool(needed) + [StreamReset(0, CODE, 10)]


def test_violations() -> None:
    receiver = Receiver(connection_window=2 * WINDOW)
    receiver.table.on_reset(UNI, CODE, 1000, 3)
    assert receiver.violation(UNI, CODE + 1, 1000, 3) == ErrorCodes.STREAM_STATE_ERROR
    assert receiver.violation(UNI, CODE, 1001, 3) == ErrorCodes.FINAL_SIZE_ERROR
    assert receiver.violation(UNI, CODE, 999, 3) == ErrorCodes.FINAL_SIZE_ERROR
    assert receiver.violation(UNI + 4, CODE, 3, 4) == ErrorCodes.FRAME_ENCODING_ERROR
    assert receiver.violation(UNI + 4, CODE, WINDOW + 1, 3) == ErrorCodes.FLOW_CONTROL_ERROR
    receiver.table.on_reset(UNI + 8, CODE, WINDOW, 3)
    assert receiver.violation(UNI + 12, CODE, WINDOW, 3) == ErrorCodes.FLOW_CONTROL_ERROR
    assert receiver.violation(3, CODE, 3, 3) == ErrorCodes.STREAM_STATE_ERROR
    with pytest.raises(TransportViolation) as caught:
        receiver.table.on_stream_frame(UNI, 999, b"xx", False)
    assert caught.value.error_code == ErrorCodes.FINAL_SIZE_ERROR


@given(
    st.permutations(range(6)),
    st.integers(0, 12),
    st.integers(0, 12),
)
def test_in_every_order_the_reliable_bytes_arrive_once_and_the_reset_follows(order, sent, reliable) -> None:
    reliable = min(reliable, sent)
    content = bytes(range(12))
    receiver = Receiver()
    for index in order:
        if index == 5:
            receiver.table.on_reset(0, CODE, 12, reliable)
        elif index * 3 < sent:
            receiver.table.on_stream_frame(0, index * 3, content[index * 3 : min(index * 3 + 3, sent)], False)
    *before, reset = receiver.take()
    got = b"".join(event.data for event in before)
    assert reset == StreamReset(0, CODE, 12)
    assert not any(event.end_stream for event in before)
    assert got == content[: len(got)]
    assert len(got) >= reliable
    assert receiver.table.receive_window.consumed == 12 - len(got)


# Between two ports.


@pytest.fixture(params=["both", "neither"])
def connected(request, make_pair, monkeypatch) -> PortPair:
    """Return a connected pair that has RESET_STREAM_AT, or whose ends do not announce it."""
    if request.param == "neither":
        monkeypatch.setattr("wtransport._quic.negotiating_connection.encode_reset_stream_at", bytes)
        if IS_COMPILED:
            monkeypatch.setattr("wtransport._quic._compiled.negotiation.encode_reset_stream_at", bytes)
    pair = make_pair(client_configuration=PATIENT, server_configuration=PATIENT).connect()
    assert {end.port.remote_has_reset_stream_at for end in pair.ends} == {request.param == "both"}
    return pair


@pytest.mark.parametrize("side", ["client", "server"])
@pytest.mark.parametrize("lost", [0, 1, 2, 5])
def test_a_stream_that_is_reset_in_the_turn_that_opened_it_can_be_attributed(connected, side, lost) -> None:
    end, other = connected.client, connected.server
    if side == "server":
        end, other = other, end
    connected.settle()
    end.lose_next = lost
    stream_id = end.port.open_stream(unidirectional=True)
    end.port.send_stream_header(stream_id, HEADER)
    end.port.send_stream(stream_id, bytes(5000), False)
    end.port.reset_stream(stream_id, CODE)
    connected.settle(120)
    assert other.received(stream_id) == HEADER
    assert other.of(StreamReset) == [StreamReset(stream_id, CODE, 3)]
    assert not any(end.port._table.streams for end in connected.ends)
    assert not any(end.of(Terminated) for end in connected.ends)


@pytest.mark.parametrize("seed", range(4))
def test_headers_survive_resets_on_a_bad_network(make_pair, seed) -> None:
    network = Network(seed=seed, loss=0.2, duplication=0.1, jitter=0.05)
    pair = make_pair(network=network, client_configuration=PATIENT, server_configuration=PATIENT).connect(600)
    opened = []
    for number in range(12):
        stream_id = pair.client.port.open_stream(unidirectional=True)
        opened.append(stream_id)
        pair.client.port.send_stream_header(stream_id, HEADER)
        pair.client.port.send_stream(stream_id, bytes(700 * number), number % 3 == 0)
        pair.run(0.01 * (number % 4))
        pair.client.port.reset_stream(stream_id, CODE)
    pair.settle(600)
    for stream_id in opened:
        assert pair.server.received(stream_id)[:3] == HEADER
    resets = {event.stream_id for event in pair.server.of(StreamReset)}
    ended = {event.stream_id for event in pair.server.of(StreamBytes) if event.end_stream}
    assert resets | ended == set(opened)
    assert not resets & ended
    assert not pair.client.port._table.streams
    assert not pair.server.of(StreamDiscarded)


def test_the_frame_is_read_and_refused_as_on_the_wire(pair) -> None:
    pair.inject(pair.client, bytes.fromhex("0a0203405404"))
    pair.inject(pair.client, bytes.fromhex("2402c00052e4a40fa8db43e803"))
    assert pair.server.of(StreamReset) == [StreamReset(UNI, CODE, 1000)]
    pair.inject(pair.client, bytes.fromhex("2406c00052e4a40fa8db0304"))
    pair.settle()
    (end,) = pair.client.of(Terminated)
    assert (end.error_code, end.is_application) == (ErrorCodes.FRAME_ENCODING_ERROR, False)


def test_a_truncated_frame_is_an_encoding_error(pair) -> None:
    pair.inject(pair.client, bytes.fromhex("2402c00052e4a40fa8db43e8"))
    pair.settle()
    (end,) = pair.client.of(Terminated)
    assert (end.error_code, end.is_application) == (ErrorCodes.FRAME_ENCODING_ERROR, False)
