"""Configurations: what is accepted, what is refused and how, and how they are copied and converted."""

from __future__ import annotations

import copy
import dataclasses
import json
import logging
import math
import ssl
from pathlib import Path
from typing import Any

import pytest

from wtransport._config_validation import RULES
from wtransport.config import ClientConfig, ServerConfig
from wtransport.exceptions import CertificateError, ConfigurationError, WebTransportError

Config = ClientConfig | ServerConfig
both = pytest.mark.parametrize("cls", [ClientConfig, ServerConfig])

COUNTS = [
    "flow_control_window_size",
    "max_connections",
    "max_datagram_size",
    "max_message_size",
    "max_pending_events_per_session",
    "max_sessions",
    "max_stream_read_buffer",
    "max_stream_write_buffer",
    "max_total_pending_events",
    "pubsub_subscription_queue_size",
    "rpc_concurrency_limit",
    "stream_flow_control_increment_bidi",
    "stream_flow_control_increment_uni",
]
SERVER_COUNTS = [
    "address_validation_threshold",
    "max_connection_attempts_per_address",
    "max_handshakes_per_address",
    "max_unfinished_handshakes",
]
WINDOWS = ["initial_max_data", "initial_max_streams_bidi", "initial_max_streams_uni"]
SECONDS = [
    "close_timeout",
    "connection_idle_timeout",
    "connection_keepalive_timeout",
    "pending_event_ttl",
    "resource_cleanup_interval",
    "stream_creation_timeout",
]
CLIENT_SECONDS = ["connect_timeout", "connection_attempt_delay", "max_retry_delay", "retry_delay"]
OPTIONAL_SECONDS = ["read_timeout", "write_timeout"]
BOOLEANS = ["debug", "flow_control_window_auto_scale", "keep_alive", "strict"]

NOT_COUNTS = [0, -1, 1.5, True, "1", None]
NOT_SECONDS = [0, -0.1, math.nan, math.inf, True, "1", None]

BAD_COMMON: list[tuple[str, Any]] = [
    *[(key, value) for key in COUNTS for value in NOT_COUNTS],
    *[(key, value) for key in WINDOWS for value in (-1, 1.5, False, "1", None)],
    *[(key, value) for key in SECONDS for value in NOT_SECONDS],
    *[(key, value) for key in OPTIONAL_SECONDS for value in NOT_SECONDS if value is not None],
    *[(key, value) for key in BOOLEANS for value in (1, "yes", None)],
    ("max_datagram_size", 65536),
    *[("max_udp_payload_size", value) for value in (1199, 16384, *NOT_COUNTS)],
    ("initial_max_data", 2**62),
    ("initial_max_streams_bidi", 2**60 + 1),
    ("initial_max_streams_uni", 2**60 + 1),
    *[
        ("alpn_protocols", value)
        for value in ([], ["h2"], "h3", ["h3", ""], ["h3", 3], ["h3", "x" * 256], ["h3", "é"], None)
    ],
    *[("congestion_control_algorithm", value) for value in ("bbr", "CUBIC", "", None, 1)],
    *[("log_level", value) for value in ("LOUD", "", 10, None)],
    *[("wt_available_protocols", value) for value in ("moq", [""], ["x" * 513], ["é"], ["a\n"], ["a", "a"], [1], None)],
    *[(key, value) for key in ("ca_certs",) for value in (5, Path("/"), ["a"])],
    *[("verify_mode", value) for value in ("CERT_NONE", 3, True)],
]
BAD_CLIENT: list[tuple[str, Any]] = [
    *[(key, value) for key in CLIENT_SECONDS for value in NOT_SECONDS],
    *[("auto_reconnect", value) for value in (1, None)],
    *[("max_retries", value) for value in (1.5, "3", True, None)],
    *[("retry_backoff", value) for value in (0.9, 0, -1, math.nan, math.inf, "2", None)],
    *[("user_agent", value) for value in ("a\r\nb", "a\x00", 1, None)],
    *[
        ("headers", value)
        for value in (None, [("a", "b")], {"a b": "c"}, {":path": "/"}, {"": "x"}, {"a": "b\nc"}, {"a": 1}, {1: "a"})
    ],
]
BAD_SERVER: list[tuple[str, Any]] = [
    *[(key, value) for key in SERVER_COUNTS for value in NOT_COUNTS],
    *[("handshake_timeout", value) for value in NOT_SECONDS],
    *[(key, value) for key in ("access_log", "stateless_reset") for value in (0, None)],
    *[("address_validation", value) for value in ("", "sometimes", "Auto", True, None, 1)],
    *[("bind_host", value) for value in ("", " localhost", 1, None)],
    *[("bind_port", value) for value in (-1, 65536, "4433", True, None)],
    *[("middleware", value) for value in (None, print, [1], "abc")],
    ("verify_mode", None),
]
BAD = [
    *[(cls, key, value) for cls in (ClientConfig, ServerConfig) for key, value in BAD_COMMON],
    *[(ClientConfig, key, value) for key, value in BAD_CLIENT],
    *[(ServerConfig, key, value) for key, value in BAD_SERVER],
]


@pytest.fixture
def pem(tmp_path: Path) -> str:
    """Return the path of some file: a configuration only looks whether it exists."""
    path = tmp_path / "some.pem"
    path.write_text("x")
    return str(path)


@pytest.mark.parametrize(("cls", "key", "value"), BAD)
def test_a_wrong_value_is_refused_by_name(cls: type[Config], key: str, value: Any) -> None:
    with pytest.raises(ConfigurationError) as caught:
        cls(**{key: value})
    assert caught.value.config_key == key
    assert caught.value.config_value is value
    assert key in str(caught.value)
    with pytest.raises(ConfigurationError):
        cls().update(**{key: value})


@pytest.mark.parametrize(
    ("cls", "key", "value"),
    [
        *[(cls, key, 1) for cls in (ClientConfig, ServerConfig) for key in [*COUNTS, *SECONDS, *OPTIONAL_SECONDS]],
        *[(cls, key, None) for cls in (ClientConfig, ServerConfig) for key in OPTIONAL_SECONDS],
        *[(cls, key, 0) for cls in (ClientConfig, ServerConfig) for key in WINDOWS],
        *[(cls, key, 2**60) for cls in (ClientConfig, ServerConfig) for key in WINDOWS],
        *[(cls, "max_udp_payload_size", value) for cls in (ClientConfig, ServerConfig) for value in (1200, 16383)],
        (ClientConfig, "max_retries", -1),
        (ClientConfig, "max_retries", 0),
        (ClientConfig, "retry_backoff", 1),
        (ClientConfig, "verify_mode", None),
        (ClientConfig, "user_agent", ""),
        (ClientConfig, "headers", {"X-Token": "a\tb é"}),
        (ClientConfig, "log_level", "debug"),
        (ClientConfig, "wt_available_protocols", ["moq-00", 'chat;v="2"']),
        (ServerConfig, "bind_port", 0),
        (ServerConfig, "bind_host", "::"),
        (ServerConfig, "congestion_control_algorithm", "reno"),
        (ServerConfig, "alpn_protocols", ["h3", "h3-29"]),
    ],
)
def test_values_at_the_edge_are_accepted(cls: type[Config], key: str, value: Any) -> None:
    assert getattr(cls(**{key: value}), key) == value


@both
def test_every_field_has_a_rule_and_every_rule_a_field(cls: type[Config]) -> None:
    assert set(RULES[cls.__name__]) == {field.name for field in dataclasses.fields(cls)}


@both
def test_arguments_are_keyword_only(cls: type[Config]) -> None:
    with pytest.raises(TypeError):
        cls(["h3"])  # type: ignore[call-arg]


@both
@pytest.mark.parametrize("key", ["ca_certs", "certfile", "keyfile"])
def test_a_missing_file_is_a_certificate_error(cls: type[Config], key: str, pem: str, tmp_path: Path) -> None:
    values: dict[str, Any] = {"certfile": pem, "keyfile": pem, key: str(tmp_path / "no-such-file")}
    with pytest.raises(CertificateError) as caught:
        cls(**values)
    assert caught.value.certificate_path == values[key]


@both
def test_a_certificate_needs_its_key_and_the_other_way_round(cls: type[Config], pem: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        cls(certfile=pem)
    assert caught.value.config_key == "keyfile"
    with pytest.raises(ConfigurationError) as caught:
        cls(keyfile=pem)
    assert caught.value.config_key == "certfile"


def test_a_server_that_demands_certificates_needs_authorities(pem: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        ServerConfig(verify_mode=ssl.CERT_REQUIRED)
    assert caught.value.config_key == "verify_mode"
    assert ServerConfig(verify_mode=ssl.CERT_REQUIRED, ca_certs=pem).verify_mode is ssl.CERT_REQUIRED


@both
def test_lists_and_dicts_of_the_caller_stay_the_callers(cls: type[Config]) -> None:
    protocols = ["a"]
    config = cls(wt_available_protocols=protocols)
    protocols.append("b\n")
    assert config.wt_available_protocols == ["a"]
    assert cls().alpn_protocols is not cls().alpn_protocols


def test_a_tuple_becomes_a_list() -> None:
    assert ClientConfig(alpn_protocols=("h3",)).alpn_protocols == ["h3"]  # type: ignore[arg-type]


@both
def test_update_returns_a_new_object(cls: type[Config]) -> None:
    config = cls()
    changed = config.update(max_sessions=7, debug=True)
    assert type(changed) is cls
    assert (changed.max_sessions, changed.debug) == (7, True)
    assert (config.max_sessions, config.debug) == (cls().max_sessions, False)
    assert config.update() == config


@both
def test_update_refuses_an_unknown_setting(cls: type[Config]) -> None:
    with pytest.raises(ConfigurationError) as caught:
        cls().update(max_sesions=7)
    assert caught.value.config_key == "max_sesions"


@both
def test_a_copy_is_equal_and_independent(cls: type[Config]) -> None:
    config = cls(wt_available_protocols=["a"])
    twin = config.copy()
    assert twin == config
    twin.wt_available_protocols.append("b")
    assert config.wt_available_protocols == ["a"]
    assert copy.deepcopy(config) == config


@both
def test_to_dict_and_from_dict_are_inverse(cls: type[Config]) -> None:
    config = cls(max_sessions=3, verify_mode=ssl.CERT_NONE, wt_available_protocols=["a"])
    assert cls.from_dict(config_dict=config.to_dict()) == config
    assert cls.from_dict(config_dict=json.loads(json.dumps(config.to_dict()))) == config
    config.to_dict()["wt_available_protocols"].append("b")
    assert config.wt_available_protocols == ["a"]


@both
def test_from_dict_warns_once_of_all_unknown_keys(cls: type[Config], caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger="wtransport"):
        config = cls.from_dict(config_dict={"max_sessions": 5, "max_sesions": 1, "colour": "red"})
    assert config.max_sessions == 5
    assert len(caplog.records) == 1
    assert "'max_sesions', 'colour'" in caplog.text


@both
def test_from_dict_is_silent_when_all_keys_are_known(cls: type[Config], caplog: pytest.LogCaptureFixture) -> None:
    cls.from_dict(config_dict=cls().to_dict())
    assert caplog.records == []


@both
def test_from_dict_checks_values_and_its_argument(cls: type[Config]) -> None:
    with pytest.raises(ConfigurationError):
        cls.from_dict(config_dict={"max_sessions": 0})
    with pytest.raises(ConfigurationError):
        cls.from_dict(config_dict=[("max_sessions", 1)])  # type: ignore[arg-type]


@both
def test_validate_sees_what_was_assigned_later(cls: type[Config]) -> None:
    config = cls()
    config.validate()
    config.max_datagram_size = 0
    with pytest.raises(WebTransportError):
        config.validate()


def test_a_subclass_with_fields_of_its_own_is_still_checked() -> None:
    @dataclasses.dataclass(kw_only=True)
    class Special(ClientConfig):
        colour: str = "red"

    assert Special(colour="blue").update(max_retries=1).colour == "blue"
    with pytest.raises(ConfigurationError):
        Special(max_sessions=0)


def test_client_presets() -> None:
    assert ClientConfig.create_for_development().verify_mode is ssl.CERT_NONE
    assert ClientConfig.create_for_development(verify_ssl=True).verify_mode is ssl.CERT_REQUIRED
    assert ClientConfig.create_for_production().verify_mode is ssl.CERT_REQUIRED
    assert ClientConfig().verify_mode is ssl.CERT_REQUIRED


def test_server_presets(pem: str) -> None:
    config = ServerConfig.create_for_development(host="127.0.0.1", port=0)
    assert (config.bind_host, config.bind_port, config.certfile, config.debug) == ("127.0.0.1", 0, "", True)
    config = ServerConfig.create_for_production(host="::", port=443, certfile=pem, keyfile=pem, ca_certs=pem)
    assert (config.bind_host, config.bind_port, config.certfile, config.ca_certs) == ("::", 443, pem, pem)
    assert not config.debug


def test_a_default_of_a_subclass_is_checked_like_any_value(tmp_path):
    @dataclasses.dataclass(kw_only=True)
    class Careless(ClientConfig):
        retry_delay: float = -1.0

    with pytest.raises(ConfigurationError):
        Careless()
    assert Careless(retry_delay=1.0).retry_delay == 1.0
    path = tmp_path / "ca.pem"
    path.write_text("")

    @dataclasses.dataclass(kw_only=True)
    class Private(ClientConfig):
        ca_certs: str | None = str(path)

    assert Private().ca_certs == str(path)
    path.unlink()
    with pytest.raises(CertificateError):
        Private()


def test_a_default_list_that_is_shared_and_changes_is_checked():
    offered = ["chat"]

    @dataclasses.dataclass(kw_only=True)
    class Chatty(ClientConfig):
        wt_available_protocols: list[str] = dataclasses.field(default_factory=lambda: offered)

    assert Chatty().wt_available_protocols == ["chat"]
    offered.append("chat")
    with pytest.raises(ConfigurationError):
        Chatty()


def test_a_value_that_only_equals_a_default_is_checked():
    with pytest.raises(ConfigurationError):
        ClientConfig(max_retries=float(ClientConfig().max_retries))


def test_what_changes_in_place_is_seen_by_every_check(tmp_path):
    paths = [tmp_path / name for name in ("cert.pem", "key.pem", "ca.pem")]
    for path in paths:
        path.write_text("")
    certfile, keyfile, ca_certs = map(str, paths)
    config = ClientConfig(certfile=certfile, keyfile=keyfile, ca_certs=ca_certs, max_retries=4)
    config.validate()
    config.alpn_protocols.clear()
    with pytest.raises(ConfigurationError):
        config.validate()
    config.alpn_protocols.append("h3")
    config.validate()
    paths[2].unlink()
    with pytest.raises(CertificateError):
        config.validate()
    config.ca_certs = None
    config.validate()
    config.max_retries = 4.0
    for _ in range(2):
        with pytest.raises(ConfigurationError):
            config.validate()
    again = dataclasses.replace(config, max_retries=5)
    assert again == copy.copy(again) == copy.deepcopy(again)
    again.validate()
