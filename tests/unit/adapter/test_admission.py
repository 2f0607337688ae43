"""Who is let in: Retry, the limits on handshakes, and what is answered without a connection."""

import logging

import pytest
from aioquic.buffer import Buffer
from aioquic.quic.packet import QuicPacketType, pull_quic_header
from listener_rig import CLIENT, SERVER, new_client

from wtransport._adapter.admission import ANSWERS_PER_SECOND, AdmissionSettings
from wtransport._adapter.handshakes import ATTEMPT_PERIOD, HandshakeLimits
from wtransport._adapter.rate_limit import WARNING_INTERVAL
from wtransport.config import ServerConfig

NEIGHBOR = ("192.0.2.51", 5000)
TOKEN_LIFETIME = 30.0
ALWAYS = AdmissionSettings("always")


def host(number: int):
    return f"198.51.100.{number}", 4000


def after_retry(rig, client, addr=CLIENT) -> bytes:
    """Return the client's answer to the Retry that the rig has sent last."""
    data, to = rig.sent.pop()
    assert to == addr
    client.receive_datagram(data, SERVER, now=rig.loop.time())
    return client.datagrams_to_send(rig.loop.time())[0][0]


def begin_validated(rig, addr=CLIENT):
    """Go through a Retry; return the connection, or None."""
    client, data = new_client()
    assert rig.route(data, addr) is None
    return rig.route(after_retry(rig, client, addr), addr)


# Retry.


def test_always_answers_a_first_packet_with_retry_and_keeps_nothing(make_rig):
    rig = make_rig(ALWAYS)
    _, data = new_client()
    assert rig.route(data) is None
    [retry] = rig.answers()
    header = pull_quic_header(Buffer(data=retry))
    assert header.packet_type is QuicPacketType.RETRY
    assert header.source_cid != data[6:14]
    assert len(retry) <= len(data)
    assert rig.counters == {"retries_sent": 1}
    assert rig.made == []
    assert rig.asked == []
    assert rig.listener._handshakes.sources == 0


def test_the_token_of_a_retry_lets_a_client_in(make_rig):
    rig = make_rig(ALWAYS)
    client, data = new_client()
    rig.route(data)
    again = after_retry(rig, client)
    connection = rig.route(again)
    assert connection is rig.accepted[0]
    [(original_cid, retry_cid, _)] = rig.made
    assert original_cid == data[6:14]
    assert retry_cid == again[6:14]
    assert rig.counters == {"accepted": 1, "validated": 1, "retries_sent": 1}
    # Late copies of either packet belong to it.
    assert rig.route(data) is connection
    assert rig.route(again) is connection


@pytest.mark.parametrize(
    "addr",
    [("2001:db8::1", 5000, 0, 0), ("fe80::1%eth0", 5000, 0, 2), ("::ffff:192.0.2.50", 5000, 0, 0)],
    ids=["ipv6", "scoped", "mapped"],
)
def test_every_form_of_address_is_validated(make_rig, addr):
    rig = make_rig(ALWAYS)
    assert begin_validated(rig, addr) is not None


@pytest.mark.parametrize("addr", [NEIGHBOR, (CLIENT[0], CLIENT[1] + 1)], ids=["host", "port"])
def test_a_token_is_good_for_one_address_only(make_rig, addr):
    rig = make_rig(ALWAYS)
    client, data = new_client()
    rig.route(data)
    again = after_retry(rig, client)
    assert rig.route(again, addr) is None
    assert rig.counters == {"retries_sent": 1, "invalid_tokens": 1}
    assert rig.made == []


def test_a_token_expires_and_its_client_is_told(make_rig):
    rig = make_rig(ALWAYS)
    client, data = new_client()
    rig.route(data)
    again = after_retry(rig, client)
    rig.loop.advance(TOKEN_LIFETIME + 1)
    assert rig.route(again) is None
    [refusal] = rig.answers()
    assert len(refusal) < len(again)
    client.receive_datagram(refusal, SERVER, now=rig.loop.time())
    client.handle_timer(client.get_timer())
    assert client.next_event() is None or client._close_event.error_code == 0xB
    assert client._close_event.error_code == 0xB
    assert rig.counters["invalid_tokens"] == 1


def test_a_token_is_good_for_the_connection_id_of_its_retry_only(make_rig):
    rig = make_rig(ALWAYS)
    first, data = new_client()
    rig.route(data)
    after_retry(rig, first)
    other, data = new_client()
    rig.route(data)
    other.receive_datagram(rig.sent.pop()[0], SERVER, now=0.0)
    other._peer_token = first._peer_token
    assert rig.route(other.datagrams_to_send(0.0)[0][0]) is None
    assert rig.counters == {"retries_sent": 2, "invalid_tokens": 1}


def test_a_token_of_somebody_else_counts_as_none(make_rig):
    elsewhere, rig = make_rig(ALWAYS), make_rig(ALWAYS)
    client, data = new_client()
    elsewhere.route(data)
    again = after_retry(elsewhere, client)
    assert rig.route(again) is None
    assert rig.counters == {"retries_sent": 1}
    assert make_rig(AdmissionSettings("never")).route(again) is not None
    assert make_rig().route(again) is not None


def test_never_sends_none_and_drops_what_is_too_much(make_rig):
    rig = make_rig(AdmissionSettings("never", 1, HandshakeLimits(unfinished=3)))
    assert [rig.begin(host(number)) is not None for number in range(5)] == [True, True, True, False, False]
    assert rig.counters == {"accepted": 3, "over_handshake_limit": 2}
    assert rig.sent == []
    rig.finish(0)
    assert rig.begin() is not None
    assert rig.begin() is None


def test_auto_validates_from_the_threshold_on_and_stops_below_it(make_rig):
    rig = make_rig(AdmissionSettings("auto", 3))
    for number in range(3):
        assert rig.begin(host(number)) is not None
    assert rig.begin() is None
    assert rig.counters == {"accepted": 3, "retries_sent": 1}
    assert begin_validated(rig) is not None
    rig.finish(0)
    assert rig.begin(host(9)) is None  # the validated one counts as well
    rig.finish(1)
    assert rig.begin(host(9)) is not None


def test_validated_clients_have_the_rest_of_the_places(make_rig):
    rig = make_rig(AdmissionSettings("auto", 2, HandshakeLimits(unfinished=4)))
    assert None not in [rig.begin(host(number)) for number in range(2)]
    assert None not in [begin_validated(rig, host(number)) for number in range(2, 4)]
    assert begin_validated(rig) is None
    assert rig.counters["over_handshake_limit"] == 1


def test_a_small_server_keeps_half_its_places_for_validated_clients():
    assert AdmissionSettings.of(ServerConfig()).validation_threshold == 200
    assert AdmissionSettings.of(ServerConfig(max_connections=10)).validation_threshold == 5
    assert AdmissionSettings.of(ServerConfig(max_connections=1)).validation_threshold == 1


def test_settings_follow_the_configuration():
    config = ServerConfig(
        address_validation="always",
        address_validation_threshold=7,
        max_unfinished_handshakes=6,
        max_handshakes_per_address=5,
        max_connection_attempts_per_address=4,
        handshake_timeout=3.0,
    )
    limits = HandshakeLimits(unfinished=6, per_address=5, attempts_per_address=4, timeout=3.0)
    assert AdmissionSettings.of(config) == AdmissionSettings("always", 7, limits)
    assert AdmissionSettings.of(ServerConfig()) == AdmissionSettings()


# Limits of one address.


def test_an_address_has_so_many_unfinished_handshakes(make_rig):
    rig = make_rig(AdmissionSettings("never", limits=HandshakeLimits(per_address=2)))
    assert None not in [rig.begin((CLIENT[0], port)) for port in range(2)]
    assert rig.begin((CLIENT[0], 9)) is None
    assert rig.counters == {"accepted": 2, "over_address_limit": 1}
    assert rig.begin(NEIGHBOR) is not None
    rig.finish(0)
    assert rig.begin() is not None


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        ("2001:db8:0:1::1", "2001:db8:0:1:ffff::2", True),
        ("2001:db8:0:1::1", "2001:db8:0:2::1", False),
        ("192.0.2.50", "::ffff:192.0.2.50", True),
        ("fe80::1%eth0", "fe80::2%eth1", True),
    ],
)
def test_what_counts_as_one_address(make_rig, one, other, is_same):
    rig = make_rig(AdmissionSettings("never", limits=HandshakeLimits(per_address=1)))
    assert rig.begin((one, 1, 0, 0)) is not None
    assert (rig.begin((other, 1, 0, 0)) is None) is is_same


def test_an_address_at_its_limit_must_be_validated_and_is_counted_apart_then(make_rig):
    rig = make_rig(AdmissionSettings("auto", limits=HandshakeLimits(per_address=1)))
    assert rig.begin() is not None  # forged, say
    assert begin_validated(rig) is not None
    assert begin_validated(rig) is None
    assert rig.counters == {"accepted": 2, "validated": 1, "retries_sent": 2, "over_address_limit": 1}
    assert rig.begin(NEIGHBOR) is not None


def test_an_address_may_begin_so_many_connections_in_a_while(make_rig):
    rig = make_rig(AdmissionSettings("never", limits=HandshakeLimits(attempts_per_address=2)))
    for number in range(2):
        assert rig.begin() is not None
        rig.finish(number)
    assert rig.begin() is None
    assert rig.counters == {"accepted": 2, "over_attempt_limit": 1}
    assert rig.begin(NEIGHBOR) is not None
    rig.loop.advance(ATTEMPT_PERIOD / 2)
    assert rig.begin() is not None
    assert rig.begin() is None


# Answers without a connection.


@pytest.mark.parametrize(
    ("data", "counter"),
    [
        (b"\xc0\x1a\x2a\x3a\x4a\x08abcdefgh\x00".ljust(1200, b"\0"), "versions_negotiated"),
        (b"\x40" + b"x" * 40, "resets_sent"),
    ],
)
def test_answers_of_one_kind_are_limited(make_rig, data, counter):
    rig = make_rig()
    for _ in range(ANSWERS_PER_SECOND + 5):
        rig.route(data)
    assert len(rig.answers()) == rig.counters[counter] == ANSWERS_PER_SECOND
    assert rig.counters["answers_withheld"] == 5
    rig.loop.advance(0.5)
    rig.route(data)
    assert len(rig.answers()) == 1


def test_refusals_are_limited(make_rig):
    rig = make_rig()
    rig.welcome = False
    packets = [new_client()[1] for _ in range(3)]
    for _ in range(ANSWERS_PER_SECOND):
        rig.listener._admission._refusals.take(rig.loop.time())
    assert [rig.route(data) for data in packets] == [None] * 3
    assert rig.counters == {"refused": 3, "answers_withheld": 3}


def test_a_paused_socket_gets_no_retry(make_rig):
    rig = make_rig(ALWAYS)
    rig.outlet.pause()
    rig.begin()
    assert rig.counters == {"answers_withheld": 1}
    assert rig.sent == []


def test_a_closing_server_refuses_instead_of_validating(make_rig):
    rig = make_rig(ALWAYS)
    rig.listener.close()
    assert rig.begin() is None
    assert rig.counters == {"refused": 1}


@pytest.mark.parametrize("size", [22, 30, 43, 44, 1200])
def test_an_unknown_short_packet_is_answered_with_a_smaller_reset(make_rig, size):
    rig = make_rig()
    data = b"\x40unknown!".ljust(size, b"x")
    assert rig.route(data) is None
    [reset] = rig.answers()
    assert 21 <= len(reset) < size
    assert len(reset) <= 42
    assert reset[0] & 0xC0 == 0x40
    assert reset.endswith(b"reset unknown!  ")
    assert rig.counters == {"unknown_connection": 1, "resets_sent": 1}


def test_two_ends_that_both_know_nothing_stop_answering_each_other(make_rig):
    ends = [make_rig(), make_rig()]
    data, count = b"\x40unknown!".ljust(1200, b"x"), 0
    while data:
        end = ends[count % 2]
        end.route(data)
        data = b"".join(end.answers())
        count += 1
    assert count == 23  # 42 bytes, 41, … 21, and nothing


@pytest.mark.parametrize("data", [b"\x40unknown!".ljust(21, b"x"), b"\x00unknown!".ljust(100, b"x")])
def test_what_is_too_small_or_no_packet_is_not_answered(make_rig, data):
    rig = make_rig()
    assert rig.route(data) is None
    assert rig.counters == {"unknown_connection": 1}
    assert rig.sent == []


def test_resets_differ_in_all_but_the_token(make_rig):
    rig = make_rig()
    for _ in range(20):
        rig.route(b"\x40unknown!".ljust(100, b"x"))
    answers = rig.answers()
    assert len({answer[:-16] for answer in answers}) == 20
    assert len({answer[0] for answer in answers}) > 1


# What is said about it.


def test_a_limit_is_logged_once_a_minute(make_rig, caplog):
    caplog.set_level(logging.WARNING)
    rig = make_rig(AdmissionSettings("never", limits=HandshakeLimits(per_address=1)))
    rig.begin()
    for _ in range(5):
        rig.begin()
    assert [record.getMessage() for record in caplog.records] == [
        "limit reached: max_handshakes_per_address, by 192.0.2.50"
    ]
    rig.loop.clock += WARNING_INTERVAL
    rig.begin()
    assert "4 times since" in caplog.records[-1].getMessage()
    assert len(caplog.records) == 2


def test_the_beginning_of_validation_is_logged(make_rig, caplog):
    rig = make_rig(AdmissionSettings("auto", 1))
    rig.begin()
    rig.begin()
    assert "address_validation_threshold" in caplog.text
