"""What a configuration means in SETTINGS and in the flow control of a session."""

from __future__ import annotations

from typing import Any

import pytest
from scripted_peer import INITIAL_MAX_DATA, INITIAL_MAX_STREAMS_BIDI, INITIAL_MAX_STREAMS_UNI

from wtransport._protocol.parameters import new_session_flow, settings_of
from wtransport.config import ClientConfig, ServerConfig


def server_config(certificate: Any, **options: Any) -> ServerConfig:
    return ServerConfig(certfile=certificate.certfile, keyfile=certificate.keyfile, **options)


def test_limits_left_open_become_windows() -> None:
    settings = settings_of(ClientConfig(flow_control_window_size=100_000), is_client=True)
    assert settings[INITIAL_MAX_DATA] == 400_000
    assert settings[INITIAL_MAX_STREAMS_BIDI] == settings[INITIAL_MAX_STREAMS_UNI] == 256


def test_limits_that_are_set_are_announced_as_they_are() -> None:
    config = ClientConfig(initial_max_data=1, initial_max_streams_bidi=2, initial_max_streams_uni=3)
    settings = settings_of(config, is_client=True)
    assert settings[INITIAL_MAX_DATA] == 1
    assert settings[INITIAL_MAX_STREAMS_BIDI] == 2
    assert settings[INITIAL_MAX_STREAMS_UNI] == 3


def test_a_server_announces_its_sessions(certificate: Any) -> None:
    assert settings_of(server_config(certificate, max_sessions=7), is_client=False)[0xC671706A] == 7


@pytest.mark.parametrize("enabled", [False, True])
def test_a_session_begins_with_both_sides_settings(enabled: bool) -> None:
    config = ClientConfig(
        initial_max_data=1000,
        initial_max_streams_bidi=20,
        initial_max_streams_uni=30,
        stream_flow_control_increment_bidi=4,
        stream_flow_control_increment_uni=5,
    )
    flow = new_session_flow(
        enabled=enabled,
        local=settings_of(config, is_client=True),
        remote={INITIAL_MAX_DATA: 7, INITIAL_MAX_STREAMS_UNI: 8},
        config=config,
    )
    assert (flow.local_max_data, flow.local_max_streams_uni, flow.local_max_streams_bidi) == (7, 8, 0)
    assert (flow.peer_max_data, flow.peer_max_streams_bidi, flow.peer_max_streams_uni) == (1000, 20, 30)
    assert (flow.send.enabled, flow.receive.enabled, flow.receive.auto) == (enabled, enabled, True)
    assert flow.receive.increments == (4, 5)


def test_windows_that_do_not_extend_by_themselves() -> None:
    config = ClientConfig(flow_control_window_auto_scale=False)
    local = settings_of(config, is_client=True)
    flow = new_session_flow(enabled=True, local=local, remote={}, config=config)
    assert flow.receive.consume(flow.peer_max_data) is None
