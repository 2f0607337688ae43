"""Whatever a stranger sends: nothing is raised, nothing is kept, it is counted, and no answer is larger."""

from __future__ import annotations

import logging

import pytest
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnection
from hypothesis import given
from hypothesis import strategies as st
from listener_rig import CLIENT, ListenerRig, new_client

from wtransport._adapter.admission import AdmissionSettings
from wtransport._adapter.packets import InitialPacket, is_initial, read_long_header
from wtransport.config import ServerConfig

FIRST = new_client()[1]
SIZE = len(InitialPacket.read(FIRST, read_long_header(FIRST)).data)
"""A client's first datagram, and how much of it is the packet; the rest is padding."""

IDLE_TIMEOUT = 5.0

connection_ids = st.binary(max_size=255)
small_connection_ids = st.binary(max_size=20)


@st.composite
def long_headers(draw, ids=connection_ids):
    """A packet with a long header of any kind and version, cut off or padded."""
    first = draw(st.integers(0x80, 0xFF))
    version = draw(st.sampled_from([0, 1, 0x6B3343CF, 0x1A2A3A4A]) | st.integers(0, 2**32 - 1))
    destination, source = draw(ids), draw(ids)
    head = bytes([first]) + version.to_bytes(4, "big")
    head += bytes([len(destination)]) + destination + bytes([len(source)]) + source
    size = draw(st.sampled_from([0, 1199, 1200, 1252, 1500]))
    return (head + draw(st.binary(max_size=60))).ljust(size, draw(st.sampled_from([b"\0", b"\x40", b"\xff"])))


def meets_nothing(data: bytes) -> dict[str, int]:
    """Send a datagram to listeners that know nobody; return what one that lets everybody in counted."""
    _meets_nothing(data, AdmissionSettings("always"), True)
    _meets_nothing(data, None, False)
    return _meets_nothing(data, None, True)


def _meets_nothing(data: bytes, settings: AdmissionSettings | None, welcome: bool) -> dict[str, int]:
    rig = ListenerRig(settings)
    rig.welcome = welcome
    try:
        assert rig.route(data) is None
        assert rig.made == []
        assert not rig.listener.routes
        assert rig.listener.unfinished_handshakes == 0
        assert rig.listener._handshakes.sources == 0
        assert rig.loop.live_timers() == []
        answers = rig.answers()
        assert len(answers) <= 1
        assert all(len(answer) <= len(data) for answer in answers)
        counted = rig.counters
        resets = counted.pop("resets_sent", 0)
        assert resets <= counted.get("unknown_connection", 0)
        assert sum(counted.values()) == 1
        return counted
    finally:
        rig.loop.close()


@given(st.binary(max_size=1500))
def test_arbitrary_bytes(data):
    meets_nothing(data)


@given(long_headers())
def test_long_headers_of_every_kind(data):
    meets_nothing(data)


@given(long_headers(small_connection_ids))
def test_long_headers_with_possible_ids(data):
    meets_nothing(data)


@given(st.integers(0, 8 * SIZE - 1))
def test_a_first_packet_with_one_bit_flipped(bit):
    changed = bytearray(FIRST)
    changed[bit >> 3] ^= 1 << (bit & 7)
    meets_nothing(bytes(changed))


@given(st.integers(0, len(FIRST) - 1))
def test_a_first_packet_cut_off(length):
    meets_nothing(FIRST[:length])


@given(st.integers(1, SIZE - 1))
def test_a_first_packet_whose_end_is_another(length):
    meets_nothing(FIRST[:length] + bytes(byte ^ 0xFF for byte in FIRST[length:]))


@pytest.mark.parametrize(("kind", "first"), [("0-RTT", 0xD0), ("Handshake", 0xE0), ("Retry", 0xF0)])
def test_other_packets_of_connections_that_do_not_exist(kind, first):
    assert meets_nothing(bytes([first]) + FIRST[1:]) == {"unknown_connection": 1}


@pytest.mark.parametrize("size", [21, 30, 255])
def test_ids_that_version_1_does_not_have(size):
    head = b"\xc0\x00\x00\x00\x01" + bytes([size]) + bytes(size) + b"\0\0" + b"\x44\xd0"
    assert meets_nothing(head.ljust(1252, b"\0")) == {"malformed": 1}


def test_a_damaged_first_packet_is_told_from_a_malformed_one():
    damaged = FIRST[: SIZE - 1] + bytes([FIRST[SIZE - 1] ^ 1]) + FIRST[SIZE:]
    assert meets_nothing(damaged) == {"undecryptable": 1}
    header = read_long_header(FIRST)
    assert is_initial(FIRST, header)
    assert InitialPacket.read(FIRST, header).is_authentic
    # Behind two ids of 8 bytes and no token stands the length, here one that the datagram does not have.
    assert meets_nothing(FIRST[:24] + b"\x7f\xff" + FIRST[26:]) == {"malformed": 1}


# With a connection behind it.


@pytest.fixture(scope="module")
def real(certificate):
    """A listener with real connections."""
    config = ServerConfig(
        certfile=certificate.certfile, keyfile=certificate.keyfile, connection_idle_timeout=IDLE_TIMEOUT
    )
    rig = ListenerRig(config=config)
    yield rig
    rig.loop.close()


def packets_to(connection_id: bytes):
    """Packets of every kind, to one connection."""
    rest = st.binary(max_size=200)
    short = st.builds(lambda first, tail: bytes([first]) + connection_id + tail, st.integers(0, 127), rest)
    long = st.builds(
        lambda first, source, tail: (
            bytes([first])
            + b"\0\0\0\1"
            + bytes([len(connection_id)])
            + connection_id
            + bytes([len(source)])
            + source
            + tail
        ),
        st.integers(128, 255),
        small_connection_ids,
        rest,
    )
    return st.one_of(short, long, rest)


@given(st.data())
def test_a_connection_that_gets_garbage_with_and_after_its_first_packet(real, data):
    """It goes on if the client does, and else leaves nothing."""
    _, first = new_client()
    real.loop.run_until_idle()
    errors: list[logging.LogRecord] = []
    handler = logging.Handler(logging.ERROR)
    handler.emit = errors.append  # type: ignore[method-assign]
    logging.getLogger("wtransport").addHandler(handler)
    try:
        garbage = data.draw(st.binary(max_size=200))
        real.receive(first + garbage)
        connection = real.accepted[-1]
        for _ in range(data.draw(st.integers(0, 5))):
            own_id = data.draw(st.sampled_from([connection.port.connection_id, first[6:14]]))
            real.receive(data.draw(packets_to(own_id)), data.draw(st.sampled_from([CLIENT, ("192.0.2.7", 7)])))
        assert not connection.is_closed
        assert real.sent
        real.sent.clear()
        real.loop.advance(60.0)
        assert connection.is_finished
        assert real.listener.connections == []
        assert not real.listener.routes
        assert real.loop.live_timers() == []
        assert errors == []
    finally:
        logging.getLogger("wtransport").removeHandler(handler)
        real.sent.clear()


def test_a_broken_handshake_is_no_warning(real, caplog):
    """Strangers must not be able to fill a log."""
    caplog.set_level(logging.INFO)
    configuration = QuicConfiguration(is_client=True, alpn_protocols=["other"], server_name="localhost")
    client = QuicConnection(configuration=configuration)
    client.connect(CLIENT, now=0.0)
    real.receive(client.datagrams_to_send(0.0)[0][0])
    assert real.accepted[-1].is_closed
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []
    real.loop.advance(60.0)
