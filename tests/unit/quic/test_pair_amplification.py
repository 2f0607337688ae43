"""No amplification: a server sends at most three times what it got, until it knows that the client is where it says.

Source: RFC 9000, section 8.1.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aioquic.buffer import Buffer
from aioquic.quic.packet import QuicPacketType, pull_quic_header
from hypothesis import example, given, settings
from hypothesis import strategies as st
from network import CLIENT_ADDRESS, Network, everything
from pki import Authority
from port_pair import PATIENT, SERVER_ADDRESS, PortPair, configuration, limits

from wtransport._quic.aioquic_port import AioquicPort

INTERMEDIATES = 12
"""Authorities between the root and the server: with them its first flight is well above three first packets."""


def packet_types(data: bytes) -> Iterator[QuicPacketType]:
    """Return the types of a datagram's packets with long headers, which come first."""
    buffer = Buffer(data=data)
    while not buffer.eof() and data[start := buffer.tell()] & 0x80:
        header = pull_quic_header(buffer, host_cid_length=8)
        yield header.packet_type
        buffer.seek(start + header.packet_length)


class Ledger(Network):
    """A network that checks the limit with every packet of the server's."""

    def __init__(self, **conditions: float) -> None:
        super().__init__(**conditions)
        self.received = 0
        self.sent = 0
        self.is_validated = False
        self.was_at_the_limit = False

    def arrivals(self, now: float) -> Iterator[tuple[str, bytes, Any]]:
        for side, data, source in super().arrivals(now):
            if side == "server":
                self.received += len(data)
                # Only whoever got the server's packets can make a Handshake packet.
                self.is_validated |= QuicPacketType.HANDSHAKE in packet_types(data)
            yield side, data, source

    def send(self, side: str, data: bytes, addr: Any, now: float) -> None:
        if side == "server" and not self.is_validated:
            self.sent += len(data)
            assert self.sent <= 3 * self.received
            self.was_at_the_limit |= self.sent + 1200 > 3 * self.received
        super().send(side, data, addr, now)


@pytest.fixture(scope="module", params=["small", "large"])
def chain(request, tmp_path_factory):
    """A certificate alone, and one with so many authorities that a first flight does not fit the limit."""
    directory = tmp_path_factory.mktemp("chain")
    authority = Authority(directory)
    for number in range(INTERMEDIATES if request.param == "large" else 0):
        authority = Authority(directory, f"between-{number}", issuer=authority)
    return authority.issue_for_server()


def test_a_large_first_flight_waits_for_the_client(chain) -> None:
    network = Ledger(delay=0.01)
    pair = PortPair(chain, network=network).connect()
    assert pair.is_connected
    if len(Path(chain.certfile).read_bytes()) > 5000:
        assert network.was_at_the_limit


@pytest.mark.parametrize("heard", [1, 2, 3, 4])
def test_a_client_that_falls_silent_gets_no_more(chain, heard) -> None:
    """The server's probes count as well, for as long as it tries."""
    network = Ledger(delay=0.01)
    pair = PortPair(chain, network=network, server_configuration=PATIENT)
    count = 0

    def loses(data: bytes) -> bool:
        nonlocal count
        count += 1
        return count > heard or QuicPacketType.HANDSHAKE in packet_types(data)

    network.to_server.loses = loses
    pair.client.port.connect(SERVER_ADDRESS, 0.0)
    pair.run(600.0)
    assert not network.is_validated
    assert 0 < network.sent <= 3 * network.received


@pytest.mark.parametrize("heard", [1, 2, 3])
def test_whoever_forges_an_address_cannot_have_it_flooded(chain, heard) -> None:
    """Nothing of the server's arrives where its packets go; the forger goes on to send something."""
    network = Ledger(delay=0.01)
    network.to_client.loses = everything
    pair = PortPair(chain, network=network, server_configuration=PATIENT, client_configuration=PATIENT)
    pair.client.port.connect(SERVER_ADDRESS, 0.0)
    pair.run(0.02)
    network.to_server.loses = everything
    for _ in range(heard):
        network.inject(b"\x40".ljust(100, b"x"), CLIENT_ADDRESS, pair.now)
        pair.run(30.0)
    assert 0 < network.sent <= 3 * network.received


@pytest.mark.parametrize("size", [23, 100, 1200])
def test_closing_has_no_more_to_send_than_that(chain, size) -> None:
    """Nor has saying so again to whoever goes on to send something in the client's name."""
    network = Ledger(delay=0.01)
    network.to_server.loses = lambda data: QuicPacketType.HANDSHAKE in packet_types(data)
    pair = PortPair(chain, network=network)
    pair.client.port.connect(SERVER_ADDRESS, 0.0)
    pair.run(0.2)
    network.to_server.loses = everything
    pair.server.port.close(1, "x" * 256)
    pair.run(0.001)
    before = network.sent
    for _ in range(20):
        network.inject((b"\x40" + pair.server.port.connection_id).ljust(size, b"x"), CLIENT_ADDRESS, pair.now)
        pair.run(0.001)
    assert 0 < network.sent <= 3 * network.received
    assert network.sent > before, "with room for it, the close is said again"


LOSSES = st.lists(st.booleans(), max_size=12)
LONG_SILENCE = [True] * 12, [True, False, False] * 4  # of each three packets of the server's the first is needed


@settings(max_examples=40)
@example(lost=LONG_SILENCE)
@given(lost=st.tuples(LOSSES, LOSSES))
def test_no_pattern_of_losses_gets_more_out_of_a_server(chain, lost) -> None:
    network = Ledger(delay=0.01)
    for link, pattern in zip((network.to_server, network.to_client), lost, strict=True):
        fates = iter(pattern)
        link.loses = lambda _, fates=fates: next(fates, False)
    # After the pattern nothing is lost: no loss may leave both ends waiting for each other. From 0.2 s on each loss of
    # a probe doubles the wait for the next one; 24 would make a month of it.
    a_month = 0.2 * 2**24
    unhurried = {"idle_timeout": a_month}
    PortPair(chain, network=network, client_configuration=unhurried, server_configuration=unhurried).connect(a_month)


def test_an_address_that_retry_validated_has_no_such_limit(tmp_path) -> None:
    authority = Authority(tmp_path)
    for number in range(INTERMEDIATES):
        authority = Authority(tmp_path, f"between-{number}", issuer=authority)
    quic = configuration(is_client=False)
    quic.load_cert_chain(*authority.issue_for_server())
    client = AioquicPort(configuration=configuration(is_client=True), limits=limits())
    client.connect(SERVER_ADDRESS, 0.0)
    [(first, _)] = client.datagrams_to_send(0.0)
    sent = {}
    for retry_cid in (None, first[6:14]):
        server = AioquicPort(
            configuration=quic,
            limits=limits(),
            original_destination_connection_id=b"original",
            retry_source_connection_id=retry_cid,
        )
        server.receive_datagram(first, CLIENT_ADDRESS, 0.0)
        while server.next_event() is not None:
            pass
        sent[retry_cid] = sum(len(data) for data, _ in server.datagrams_to_send(0.0))
    assert sent[None] <= 3 * len(first) < sent[first[6:14]]
