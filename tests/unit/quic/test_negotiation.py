"""Transport parameters that were seen before are taken as at the first time, and refused as at the first time."""

import pytest
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnectionError

from wtransport._quic import negotiating_connection
from wtransport._quic.aioquic_port import Connection
from wtransport._quic.limits import TransportLimits
from wtransport._remembered import MAX_REMEMBERED, Remembered

CLIENT, SERVER, RETRIED, ORIGINAL = b"client-1", b"server-1", b"retried1", b"original"
TOKEN = bytes(range(16))


def text(identifier: int, value: bytes) -> bytes:
    return bytes((identifier, len(value))) + value


NUMBERS = {0x01: "80007530", 0x04: "80100000", 0x05: "4400", 0x08: "08", 0x09: "07", 0x0A: "05", 0x0B: "14", 0x0E: "04"}
COMMON = b"".join(text(identifier, bytes.fromhex(value)) for identifier, value in NUMBERS.items())
COMMON += text(0x20, bytes.fromhex("4800")) + text(0x11, bytes.fromhex("0000000100000001"))
IDENTIFYING = {
    True: text(0x00, ORIGINAL) + text(0x02, TOKEN) + text(0x0F, SERVER) + text(0x10, RETRIED),
    False: text(0x0F, CLIENT),
}


@pytest.fixture(autouse=True)
def known(monkeypatch):
    known = Remembered()
    monkeypatch.setattr(negotiating_connection, "_known", known)
    return known


def make(*, is_client: bool):
    private = {} if is_client else {"certificate": object, "private_key": object}
    connection = Connection(
        configuration=QuicConfiguration(is_client=is_client, **private),
        limits=TransportLimits(1 << 16, 1 << 19, 8, 9),
        original_destination_connection_id=None if is_client else ORIGINAL,
    )
    connection._crypto_packet_version = connection._version = 1
    connection._remote_initial_source_connection_id = SERVER if is_client else CLIENT
    if is_client:
        connection._original_destination_connection_id = ORIGINAL
        connection._retry_source_connection_id = RETRIED
        connection._peer_cid.sequence_number = 0
    return connection


def taken(data: bytes, *, is_client: bool):
    """Return all that a new connection knows after the parameters, or why it refuses them."""
    connection = make(is_client=is_client)
    try:
        connection._parse_transport_parameters(data)
    except QuicConnectionError as exc:
        return exc.error_code, exc.frame_type, exc.reason_phrase
    limits = connection.table.remote
    return (
        {name: getattr(connection, name) for name in dir(connection) if name.startswith("_remote")},
        connection._peer_cid.stateless_reset_token,
        (connection._loss.max_ack_delay, connection._loss.ack_delay_exponent, connection._peer_limit),
        (limits.max_data, limits.max_stream_data_bidi_local, limits.max_streams_bidi, limits.max_streams_uni),
        limits.reset_stream_at,
    )


@pytest.mark.parametrize("is_client", [True, False])
def test_the_second_time_gives_the_same(known, is_client):
    first = taken(COMMON + IDENTIFYING[is_client], is_client=is_client)
    assert first[2] == (0.02, 5, 65_527)
    assert first[3][0] == 1 << 20
    assert len(known) == 1
    assert taken(IDENTIFYING[is_client] + COMMON, is_client=is_client) == first
    assert len(known) == 1  # in whatever order


@pytest.mark.parametrize("is_client", [True, False])
@pytest.mark.parametrize(
    "change",
    [
        lambda data: data.replace(text(0x0F, SERVER), text(0x0F, b"somebody")),
        lambda data: data.replace(text(0x0F, CLIENT), text(0x0F, b"somebody")),
        lambda data: data.replace(text(0x0F, SERVER), b"").replace(text(0x0F, CLIENT), b""),
        lambda data: data.replace(ORIGINAL, b"somebody"),
        lambda data: data.replace(text(0x10, RETRIED), b""),
        lambda data: data.replace(RETRIED, b"somebody"),
        lambda data: data + text(0x01, b"\x01"),
        lambda data: data + text(0x0D, b"\x01"),
        lambda data: data + text(0x00, ORIGINAL),
        lambda data: data + text(0x02, TOKEN),
        lambda data: data[:-1],
        lambda data: data.replace(text(0x0E, b"\x04"), text(0x0E, b"\x01")),
        lambda data: data.replace(bytes(3) + b"\x01", bytes(3) + b"\x02"),
    ],
)
def test_what_is_wrong_is_refused_also_after_what_is_right(known, is_client, change):
    right = COMMON + IDENTIFYING[is_client]
    wrong = change(right)
    refused = taken(wrong, is_client=is_client)
    taken(right, is_client=is_client)
    assert known
    assert taken(wrong, is_client=is_client) == refused
    assert isinstance(refused[0], int) or wrong == right


@pytest.mark.parametrize("is_client", [True, False])
def test_another_version_is_another_case(known, is_client):
    data = COMMON + IDENTIFYING[is_client]
    taken(data, is_client=is_client)
    connection = make(is_client=is_client)
    connection._crypto_packet_version = 2
    with pytest.raises(QuicConnectionError, match="version"):
        connection._parse_transport_parameters(data)


def test_what_strangers_can_have_remembered_is_bounded(known):
    for number in range(3 * MAX_REMEMBERED):
        taken(COMMON + text(0x3F, bytes((number,))) + IDENTIFYING[False], is_client=False)
        assert 0 < len(known) <= MAX_REMEMBERED
    known.clear()
    taken(COMMON + b"\x3f\x44\x00" + bytes(1024) + IDENTIFYING[False], is_client=False)
    assert not known


def test_limits_that_the_peer_raises_are_of_one_connection():
    one, other = (make(is_client=False) for _ in range(2))
    for connection in (one, other):
        connection._parse_transport_parameters(COMMON + IDENTIFYING[False])
    one.table.on_max_data(1 << 30)
    assert one.table.remote.max_data == 1 << 30
    assert other.table.remote.max_data == 1 << 20
