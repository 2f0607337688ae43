"""Ports made from configurations."""

from __future__ import annotations

import pytest
from port_pair import CLIENT_ADDRESS, SERVER_ADDRESS

from wtransport._quic.aioquic_port import AioquicPort
from wtransport._quic.factory import (
    CONNECTION_WINDOW_FACTOR,
    MIN_STREAM_WINDOW,
    create_client_port,
    create_server_configuration,
    create_server_port,
)
from wtransport._quic.port import HandshakeFinished, HandshakeStarted, QuicPort, Terminated
from wtransport.config import ClientConfig, ServerConfig
from wtransport.exceptions import CertificateError


def handshake(client: QuicPort, server_config: ServerConfig) -> tuple[list, list]:
    """Carry packets both ways until there are none; return what both ends reported."""
    quic = create_server_configuration(server_config)
    server: QuicPort | None = None
    now = 0.0
    events: tuple[list, list] = ([], [])
    client.connect(SERVER_ADDRESS, now)
    for _ in range(200):
        now += 0.002
        for data, _ in client.datagrams_to_send(now):
            if server is None:
                server = create_server_port(
                    config=server_config,
                    quic_configuration=quic,
                    original_destination_connection_id=data[6 : 6 + data[5]],
                )
            server.receive_datagram(data, CLIENT_ADDRESS, now)
        if server is not None:
            for data, _ in server.datagrams_to_send(now):
                client.receive_datagram(data, SERVER_ADDRESS, now)
        for port, log in zip((client, server), events, strict=True):
            while port is not None and (event := port.next_event()) is not None:
                log.append(event)
    return events


@pytest.fixture
def server_config(certificate) -> ServerConfig:
    return ServerConfig(certfile=certificate.certfile, keyfile=certificate.keyfile)


def test_ports_of_both_sides_shake_hands(certificate, server_config) -> None:
    client = create_client_port(config=ClientConfig(ca_certs=certificate.certfile), server_name="localhost")
    assert client.is_client
    for log in handshake(client, server_config):
        assert log == [HandshakeStarted("h3"), HandshakeFinished()]


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "::1"])
def test_the_certificate_must_be_for_the_name(certificate, server_config, name) -> None:
    client = create_client_port(config=ClientConfig(ca_certs=certificate.certfile), server_name=name)
    assert handshake(client, server_config)[0][-1] == HandshakeFinished()


def test_a_certificate_for_another_name_is_refused(certificate, server_config) -> None:
    client = create_client_port(config=ClientConfig(ca_certs=certificate.certfile), server_name="example.org")
    ours, theirs = handshake(client, server_config)
    (end,) = [event for event in ours if isinstance(event, Terminated)]
    assert end.error_code == 0x100 + 42  # bad_certificate
    assert not end.is_application
    assert not end.by_peer
    assert not any(isinstance(event, HandshakeFinished) for event in ours + theirs)


def test_an_unknown_authority_is_refused(server_config) -> None:
    client = create_client_port(config=ClientConfig(), server_name="localhost")
    ours, _ = handshake(client, server_config)
    assert [event.is_application for event in ours if isinstance(event, Terminated)] == [False]


def test_a_certificate_that_cannot_be_read_is_told(certificate, tmp_path) -> None:
    garbage = tmp_path / "garbage.pem"
    garbage.write_text("no certificate")
    config = ServerConfig(certfile=str(garbage), keyfile=certificate.keyfile)
    with pytest.raises(CertificateError) as caught:
        create_server_configuration(config)
    assert caught.value.certificate_path == str(garbage)
    config = ServerConfig(certfile=certificate.certfile, keyfile=str(garbage))
    with pytest.raises(CertificateError):
        create_server_configuration(config)


def test_authorities_that_cannot_be_read_are_told(tmp_path) -> None:
    garbage = tmp_path / "garbage.pem"
    garbage.write_text("no certificate")
    with pytest.raises(CertificateError):
        create_client_port(config=ClientConfig(ca_certs=str(garbage)), server_name="localhost")


def test_windows_follow_the_configuration(certificate) -> None:
    config = ClientConfig(flow_control_window_size=100_000, initial_max_streams_bidi=5, initial_max_streams_uni=6)
    port = create_client_port(config=config, server_name="localhost")
    assert isinstance(port, AioquicPort)
    table = port._table
    assert table.receive_window.window == CONNECTION_WINDOW_FACTOR * 100_000
    assert table.peer_limits[0].limit == port.local_max_streams_bidi == 5 + config.max_sessions
    assert table.peer_limits[1].limit > 6


def test_windows_are_never_smaller_than_http3_needs() -> None:
    config = ClientConfig(flow_control_window_size=1)
    port = create_client_port(config=config, server_name="localhost")
    assert isinstance(port, AioquicPort)
    assert port._table.receive_window.window == CONNECTION_WINDOW_FACTOR * MIN_STREAM_WINDOW


@pytest.mark.parametrize("keep_alive", [False, True])
def test_keep_alive_is_as_configured(certificate, server_config, keep_alive) -> None:
    config = ClientConfig(
        ca_certs=certificate.certfile,
        keep_alive=keep_alive,
        connection_keepalive_timeout=7.0,
        connection_idle_timeout=20.0,
    )
    client = create_client_port(config=config, server_name="localhost")
    handshake(client, server_config)
    deadline = client.next_deadline()
    assert deadline is not None
    assert (deadline < 10.0) == keep_alive
