"""Batched reading and sending: what goes into which call, and what becomes of packets that the kernel does not take."""

import errno
import sys

import pytest
from fake_udp import FakeSocket, Recorder, WatchedLoop

from wtransport._adapter import udp
from wtransport._adapter.outlet import Outlet
from wtransport._adapter.udp_transport import (
    HIGH_WATER,
    MAX_UNSEGMENTED,
    READ_BATCH,
    REFUSALS,
    BatchProtocol,
    UdpTransport,
)
from wtransport._speedups._constants import LOOK_AGAIN

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the offloads are Linux's")

A, B = ("192.0.2.8", 1), ("192.0.2.9", 2)
FULL = BlockingIOError(errno.EAGAIN, "full")


class Rig:
    def __init__(self, **options):
        self.sock = FakeSocket(**options)
        self.loop = WatchedLoop()
        self.protocol = Recorder()
        self.transport = UdpTransport(loop=self.loop, sock=self.sock, protocol=self.protocol)

    def send(self, *packets, addr=A):
        self.transport.send_all([(data, addr) for data in packets])


@pytest.fixture
def rig():
    return Rig()


def numbered(count, size=100):
    return [b"%03d" % number + bytes(size - 3) for number in range(count)]


# Sending.


def test_one_packet_is_sent_as_ever(rig):
    rig.transport.sendto(b"one", A)
    rig.send(b"two")
    assert rig.sock.calls == [("sendto", b"one", A), ("sendto", b"two", A)]


def test_packets_to_one_destination_share_a_call(rig):
    packets = numbered(5)
    rig.transport.send_all([*[(data, A) for data in packets], (b"short", A), (b"other", B)])
    assert rig.sock.calls == [("segments", [*packets, b"short"], A), ("sendto", b"other", B)]


def test_a_connected_socket_needs_no_addresses():
    rig = Rig(peer=A)
    rig.transport.sendto(b"0", A)
    rig.transport.sendto(b"1")
    rig.send(b"2", b"3", addr=None)
    rig.send(b"4", b"5", addr=A)
    assert rig.sock.calls == [
        ("send", b"0", None),
        ("send", b"1", None),
        ("segments", [b"2", b"3"], None),
        ("segments", [b"4", b"5"], None),
    ]


def test_a_kernel_without_segmentation_gets_packets_one_by_one():
    rig = Rig(refuse=(udp.UDP_SEGMENT,))
    rig.send(b"1", b"2", b"3")
    assert rig.sock.names == ["sendto"] * 3
    assert rig.sock.packets == [b"1", b"2", b"3"]


@pytest.mark.parametrize("number", sorted(REFUSALS))
def test_a_refusal_ends_segmentation_to_that_host_and_loses_nothing(rig, number):
    rig.sock.outcomes.extend([OSError(number, "refused")] * 2)
    rig.send(b"1", b"2", b"3")
    rig.send(b"4", b"5")  # to the same host
    assert rig.sock.names == ["sendto"] * 5
    assert rig.sock.packets == [b"1", b"2", b"3", b"4", b"5"]
    assert rig.protocol.errors == []


def test_a_packet_that_is_too_long_takes_no_other_with_it(rig):
    """A probe of the path's MTU leads data of a smaller size."""
    rig.sock.mtu = 1400
    rig.send(bytes(1452), b"1" * 1200)
    rig.send(b"2" * 1200, b"3" * 1200)
    assert rig.sock.packets == [b"1" * 1200, b"2" * 1200, b"3" * 1200]
    assert rig.sock.names == ["sendto", "segments"]
    assert [exc.errno for exc in rig.protocol.errors] == [errno.EMSGSIZE]


def test_packets_that_have_become_too_long_do_not_end_segmentation(rig):
    rig.sock.mtu = 1400
    rig.send(bytes(1452), bytes(1452), b"short")
    assert rig.sock.packets == [b"short"]
    rig.send(b"1" * 1200, b"2" * 1200)
    assert rig.sock.names[1:] == ["segments"]


def test_a_route_that_does_not_segment_leaves_the_others_their_segments(rig):
    rig.sock.unsegmented.add(A[0])
    for _ in range(2):
        rig.send(b"1", b"2", addr=A)
        rig.send(b"3", b"4", addr=B)
    assert rig.sock.names == ["sendto", "sendto", "segments"] * 2
    assert rig.protocol.errors == []


def test_many_routes_that_do_not_segment_are_the_socket_s_fault(rig):
    hosts = [f"192.0.2.{number}" for number in range(MAX_UNSEGMENTED + 1)]
    rig.sock.unsegmented.update(hosts)
    for host in hosts:
        rig.send(b"1", b"2", addr=(host, 1))
    rig.sock.calls.clear()
    rig.send(b"1", b"2", addr=("198.51.100.1", 1))
    assert rig.sock.names == ["sendto", "sendto"]


def test_a_refusal_is_the_destinations_fault_if_single_packets_fail_as_well(rig):
    bad = OSError(errno.EINVAL, "port 0")
    rig.sock.outcomes.extend([bad] * 6)
    rig.send(b"1", b"2")
    assert rig.protocol.errors == [bad, bad]
    rig.send(b"3", b"4", addr=B)
    assert rig.sock.calls == [("segments", [b"3", b"4"], B)]


def test_another_error_that_lasts_does_not_end_segmentation(rig):
    rig.sock.outcomes.extend([OSError(errno.ENOBUFS, "no memory for so much")] * 2)
    rig.send(b"1", b"2")
    rig.send(b"3", b"4")
    assert rig.sock.names == ["sendto", "sendto", "segments"]
    assert rig.sock.packets == [b"1", b"2", b"3", b"4"]


@pytest.mark.parametrize("number", [errno.ECONNREFUSED, errno.ENOPROTOOPT])
def test_the_error_of_an_earlier_packet_is_reported_and_costs_no_packet(rig, number):
    refused = OSError(number, "ICMP")
    rig.sock.outcomes.append(refused)
    rig.send(b"1", b"2")
    rig.send(b"3", b"4")
    assert rig.sock.names == ["segments", "segments"]
    assert rig.sock.packets == [b"1", b"2", b"3", b"4"]
    assert rig.protocol.errors == [refused]


def test_a_single_packet_does_not_pay_for_an_earlier_one_either(rig):
    refused, too_long = ConnectionRefusedError(errno.ECONNREFUSED, "ICMP"), OSError(errno.EMSGSIZE, "ICMP")
    rig.sock.outcomes.append(refused)
    rig.transport.sendto(b"1", A)
    rig.sock.outcomes.append(too_long)
    rig.send(b"2", b"3", addr=B)
    rig.sock.outcomes.extend([refused, too_long])
    rig.transport.sendto(b"4", A)
    assert rig.sock.packets == [b"1", b"2", b"3"]
    assert rig.protocol.errors == [refused, too_long, refused, too_long]
    rig.sock.outcomes.extend([refused, FULL])
    rig.transport.sendto(b"5", A)
    assert rig.protocol.errors[4:] == [refused]
    rig.loop.writer()
    assert rig.sock.packets[3:] == [b"5"]


@pytest.mark.parametrize("failing", [1, 3])
def test_an_error_that_ends_the_transport_leaves_nothing_to_wait_for(rig, failing):
    rig.protocol.on_error = lambda exc: rig.transport.abort()
    rig.sock.outcomes.extend([OSError(errno.EPERM, "not allowed")] * failing + [FULL])
    rig.send(b"1", b"2", b"3")
    assert rig.loop.writer is None
    assert rig.transport.get_write_buffer_size() == 0
    rig.loop.turn()
    assert rig.sock.closed
    assert rig.protocol.log == ["made", "lost"]


def test_an_error_of_one_packet_does_not_stop_the_next():
    rig = Rig(refuse=(udp.UDP_SEGMENT,))
    error = OSError(errno.EMSGSIZE, "too long")
    rig.sock.outcomes.extend([None, error, error, None])
    rig.send(b"1", b"2", b"3")
    assert rig.sock.packets == [b"1", b"3"]
    rig.sock.outcomes.extend([error, error])
    rig.transport.sendto(b"4", A)
    assert rig.protocol.errors == [error, error]


# A full socket.


@pytest.mark.parametrize("refuse", [(), (udp.UDP_SEGMENT,)])
@pytest.mark.parametrize("passing", range(4))
def test_a_full_socket_keeps_the_rest_in_order(refuse, passing):
    rig = Rig(refuse=refuse)
    rig.sock.outcomes.extend([None] * passing + [FULL])
    packets = numbered(9)
    rig.send(*packets[:3])
    rig.send(*packets[3:6], addr=B)
    rig.transport.sendto(packets[6], A)
    rig.send(*packets[7:])
    assert rig.loop.writer is not None or rig.sock.packets == packets
    while rig.loop.writer is not None:
        rig.sock.outcomes.extend([None, FULL])
        rig.loop.writer()
    assert rig.sock.packets == packets
    assert rig.transport.get_write_buffer_size() == 0


def test_a_full_socket_pauses_above_the_mark_and_resumes_below(rig):
    outlet = Outlet(rig.transport)
    rig.sock.outcomes.append(FULL)
    rig.send(*[bytes(1000)] * 60)
    assert rig.transport.get_write_buffer_size() == 60_000
    assert rig.protocol.log == ["made"]
    rig.sock.outcomes.append(FULL)
    outlet.send([(bytes(1000), A)] * 10)
    assert rig.transport.get_write_buffer_size() == 70_000 > HIGH_WATER
    assert rig.protocol.log == ["made", "pause"]
    rig.sock.outcomes.clear()
    rig.sock.outcomes.append(FULL)
    rig.loop.writer()
    assert rig.protocol.log == ["made", "pause"]
    rig.loop.writer()
    assert rig.protocol.log == ["made", "pause", "resume"]
    assert len(rig.sock.packets) == 70
    assert rig.loop.writer is None


def test_a_single_packet_waits_as_well(rig):
    rig.sock.outcomes.append(FULL)
    rig.transport.sendto(bytearray(b"1"), A)
    assert rig.transport.get_write_buffer_size() == 1
    rig.loop.writer()
    assert rig.sock.packets == [b"1"]


def test_a_full_socket_after_an_earlier_error_reports_it(rig):
    refused = ConnectionRefusedError(errno.ECONNREFUSED, "ICMP")
    rig.sock.outcomes.extend([refused, FULL])
    rig.send(b"1", b"2")
    assert rig.protocol.errors == [refused]
    rig.loop.writer()
    assert rig.sock.packets == [b"1", b"2"]


# The outlet in front of it.


def test_an_outlet_hands_a_single_packet_over_the_short_way(rig):
    outlet = Outlet(rig.transport)
    outlet.send([(b"1", A)])
    outlet.send([(b"2", A), (b"3", A)])
    outlet.send([])
    assert rig.sock.names == ["sendto", "segments"]


# Reading.


def test_waiting_datagrams_are_one_batch(rig):
    rig.sock.inbox.extend([(b"1", 0), (b"2", 0), (b"3", 0)])
    rig.loop.reader()
    assert rig.protocol.batches == [[b"1", b"2", b"3"]]


@pytest.mark.parametrize("waiting", [1, 5, 3 * READ_BATCH])
@pytest.mark.parametrize("refuse", [(), (udp.UDP_GRO,)])
def test_a_batch_has_a_bound(refuse, waiting):
    rig = Rig(refuse=refuse)
    rig.sock.inbox.extend([(b"%d" % number, 0) for number in range(waiting)])
    rig.loop.reader()
    assert rig.protocol.batches == [[b"%d" % number for number in range(min(waiting, READ_BATCH))]]


def test_joined_datagrams_are_handed_on_in_order(rig):
    rig.sock.inbox.extend([(b"first", 0), (b"aabbc", 2), (b"ddee", 2), (b"ff", 2), (b"last", 0)])
    rig.loop.reader()
    assert rig.protocol.batches == [[b"first", b"aa", b"bb", b"c", b"dd", b"ee", b"ff", b"last"]]


def test_datagrams_that_come_alone_are_read_alone_but_for_a_look_now_and_then(rig):
    for _ in range(2 * LOOK_AGAIN):
        rig.sock.inbox.append((b"ping", 0))
        rig.loop.reader()
    assert rig.protocol.batches == [[b"ping"]] * 2 * LOOK_AGAIN
    assert rig.sock.reads == 2 * LOOK_AGAIN + 2


def test_a_burst_after_lone_datagrams_is_found(rig):
    rig.sock.inbox.append((b"alone", 0))
    rig.loop.reader()
    rig.sock.inbox.extend([(b"%d" % number, 0) for number in range(20)])
    while rig.sock.inbox:
        rig.loop.reader()
    assert [data for batch in rig.protocol.batches[1:] for data in batch] == [b"%d" % number for number in range(20)]
    assert len(rig.protocol.batches) <= 1 + LOOK_AGAIN
    # What was joined is the sign of a burst by itself.
    rig.sock.inbox.append((b"alone", 0))
    rig.loop.reader()
    rig.sock.inbox.extend([(b"aabb", 2), (b"c", 0)])
    rig.loop.reader()
    assert rig.protocol.batches[-1] == [b"aa", b"bb", b"c"]


def test_an_error_of_reading_comes_after_what_was_read(rig):
    error = ConnectionRefusedError(errno.ECONNREFUSED, "ICMP")
    rig.protocol.on_error = lambda exc: rig.protocol.log.append(len(rig.protocol.batches))
    rig.sock.inbox.extend([(b"1", 0), error])
    rig.loop.reader()
    assert rig.protocol.batches == [[b"1"]]
    assert rig.protocol.errors == [error]
    assert rig.protocol.log == ["made", 1]


def test_an_error_met_by_whoever_reads_along_is_reported_with_the_next_read(rig):
    error = ConnectionRefusedError(errno.ECONNREFUSED, "ICMP")
    rig.sock.inbox.extend([(b"1", 0), error])
    assert [data for data, _ in rig.transport.read_waiting()] == [b"1"]
    assert rig.protocol.errors == []
    rig.sock.inbox.append((b"2", 0))
    rig.loop.reader()
    assert rig.protocol.batches == [[b"2"]]
    assert rig.protocol.errors == [error]


def test_nothing_to_read_is_nothing(rig):
    rig.loop.reader()
    assert rig.protocol.batches == []


def test_the_batches_of_a_loops_own_transport_have_one_datagram():
    protocol = Recorder()
    protocol.datagram_received(b"1", A)
    assert protocol.batches == [[b"1"]]


# The end.


def test_closing_waits_for_what_is_unsent_and_reads_no_more(rig):
    read = rig.loop.reader
    rig.sock.outcomes.append(FULL)
    rig.send(b"1", b"2")
    rig.transport.close()
    rig.transport.close()
    assert rig.transport.is_closing()
    assert rig.loop.reader is None
    rig.sock.inbox.append((b"late", 0))
    read()  # the loop had it in hand already
    rig.loop.turn()
    assert not rig.sock.closed
    rig.loop.writer()
    assert rig.sock.packets == [b"1", b"2"]
    assert not rig.sock.closed
    rig.loop.turn()
    assert rig.sock.closed
    assert rig.protocol.batches == []
    assert rig.protocol.log == ["made", "lost"]


def test_a_socket_can_be_closed_without_a_turn_of_the_loop(rig):
    rig.send(b"1")
    assert rig.transport.close_now()
    assert rig.sock.closed
    assert rig.loop.reader is None
    assert rig.protocol.log == ["made", "lost"]
    rig.loop.turn()
    assert rig.transport.close_now()
    assert rig.protocol.log == ["made", "lost"]


def test_a_socket_is_not_closed_before_what_is_unsent_has_left(rig):
    rig.sock.outcomes.append(FULL)
    rig.send(b"1", b"2")
    assert not rig.transport.close_now()
    assert not rig.sock.closed
    rig.loop.writer()
    assert rig.sock.packets == [b"1", b"2"]
    assert rig.transport.close_now()
    assert rig.sock.closed
    assert rig.protocol.log == ["made", "lost"]


def test_aborting_forgets_what_is_unsent(rig):
    rig.sock.outcomes.append(FULL)
    rig.send(b"1", b"2")
    rig.transport.abort()
    rig.transport.abort()
    assert rig.loop.writer is None
    assert rig.transport.get_write_buffer_size() == 0
    rig.loop.turn()
    assert rig.sock.closed
    assert rig.protocol.log == ["made", "lost"]


def test_a_transport_can_be_aborted_while_it_closes_and_while_it_sends(rig):
    rig.sock.outcomes.extend([FULL, *[OSError(errno.EPERM, "not allowed")] * 4])
    rig.send(b"1", b"2")
    rig.transport.close()
    rig.protocol.on_error = lambda exc: rig.transport.abort()
    rig.loop.writer()
    rig.loop.turn()
    assert rig.sock.closed
    assert rig.protocol.log == ["made", "lost"]


def test_nothing_is_sent_after_the_end(rig):
    rig.transport.close()
    rig.send(b"1", b"2")
    rig.transport.sendto(b"3", A)
    rig.loop.turn()
    assert rig.sock.calls == []
    assert rig.sock.closed


def test_another_protocol_can_take_over(rig):
    other = Recorder()
    rig.transport.set_protocol(other)
    assert rig.transport.get_protocol() is other
    rig.sock.inbox.append((b"1", 0))
    rig.loop.reader()
    assert other.batches == [[b"1"]]
    with pytest.raises(TypeError):
        rig.transport.set_protocol(object())
    rig.transport.set_protocol(BatchProtocol())
    rig.sock.inbox.append((b"2", 0))
    rig.loop.reader()


def test_the_representation_names_both_ends():
    rig = Rig(peer=B)
    assert "open" in repr(rig.transport)
    assert "192.0.2.9" in repr(rig.transport)


def test_other_systems_are_not_asked_for_offloads(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    rig = Rig()
    rig.send(b"1", b"2")
    assert rig.sock.names == ["sendto", "sendto"]
