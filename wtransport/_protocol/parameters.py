"""What a configuration means on the wire: our SETTINGS, and the flow control that a session begins with."""

from __future__ import annotations

from collections.abc import Mapping

from ..config import ClientConfig, ServerConfig
from ..constants import (
    SETTINGS_WT_INITIAL_MAX_DATA,
    SETTINGS_WT_INITIAL_MAX_STREAMS_BIDI,
    SETTINGS_WT_INITIAL_MAX_STREAMS_UNI,
)
from . import limits
from .flow_control import ReceiveAllowance, SendAllowance, SessionFlow
from .settings import local_settings

__all__ = ["begin_session_flow", "new_session_flow", "settings_of"]


def settings_of(config: ClientConfig | ServerConfig, *, is_client: bool) -> Mapping[int, int]:
    """Return our SETTINGS; limits that the configuration leaves open (0) get sensible windows."""
    return local_settings(
        is_client=is_client,
        max_sessions=config.max_sessions,
        initial_max_data=config.initial_max_data or limits.SESSION_WINDOW_FACTOR * config.flow_control_window_size,
        initial_max_streams_uni=config.initial_max_streams_uni or limits.DEFAULT_SESSION_STREAMS,
        initial_max_streams_bidi=config.initial_max_streams_bidi or limits.DEFAULT_SESSION_STREAMS,
        profile_b=True,  # our transport takes RESET_STREAM_AT
    )


def new_session_flow(
    *, enabled: bool, local: Mapping[int, int], remote: Mapping[int, int], config: ClientConfig | ServerConfig
) -> SessionFlow:
    """Return the flow control of a new session (draft-16, 5.1).

    Args:
        enabled: it is in force on this connection.
        local: our SETTINGS; a limit that is absent in these or the next ones is 0.
        remote: the peer's SETTINGS.
        config: how our limits extend.
    """
    send = SendAllowance(
        enabled=enabled,
        max_data=remote.get(SETTINGS_WT_INITIAL_MAX_DATA, 0),
        max_streams_bidi=remote.get(SETTINGS_WT_INITIAL_MAX_STREAMS_BIDI, 0),
        max_streams_uni=remote.get(SETTINGS_WT_INITIAL_MAX_STREAMS_UNI, 0),
    )
    receive = ReceiveAllowance(
        enabled=enabled,
        auto=config.flow_control_window_auto_scale,
        data_window=local.get(SETTINGS_WT_INITIAL_MAX_DATA, 0),
        stream_windows=(
            local.get(SETTINGS_WT_INITIAL_MAX_STREAMS_BIDI, 0),
            local.get(SETTINGS_WT_INITIAL_MAX_STREAMS_UNI, 0),
        ),
        increments=(config.stream_flow_control_increment_bidi, config.stream_flow_control_increment_uni),
    )
    return SessionFlow(send, receive)


def begin_session_flow(flow: SessionFlow, *, enabled: bool, remote: Mapping[int, int]) -> None:
    """Give the flow control of a session that was made before the peer's SETTINGS came what these say."""
    send = flow.send
    send.enabled = flow.receive.enabled = enabled
    send.max_data = remote.get(SETTINGS_WT_INITIAL_MAX_DATA, 0)
    send.max_streams = [
        remote.get(SETTINGS_WT_INITIAL_MAX_STREAMS_BIDI, 0),
        remote.get(SETTINGS_WT_INITIAL_MAX_STREAMS_UNI, 0),
    ]
