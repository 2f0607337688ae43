"""The dicts of defaults agree with the dataclasses that use them."""

from __future__ import annotations

from wtransport.config import ClientConfig, ServerConfig
from wtransport.constants import (
    ClientConfigDefaults,
    ServerConfigDefaults,
    get_default_client_config,
    get_default_server_config,
)


def test_client_defaults_are_those_of_the_configuration() -> None:
    assert get_default_client_config() == ClientConfig().to_dict()
    assert ClientConfigDefaults.__required_keys__ == set(ClientConfig().to_dict())


def test_server_defaults_are_those_of_the_configuration() -> None:
    assert get_default_server_config() == ServerConfig().to_dict()
    assert ServerConfigDefaults.__required_keys__ == set(ServerConfig().to_dict())


def test_every_call_gives_lists_and_dicts_of_its_own() -> None:
    get_default_client_config()["headers"]["x"] = "1"
    get_default_client_config()["alpn_protocols"].append("x")
    get_default_server_config()["middleware"].append(print)
    assert get_default_client_config()["headers"] == {}
    assert get_default_client_config()["alpn_protocols"] == ["h3"]
    assert get_default_server_config()["middleware"] == []


def test_the_user_agent_names_the_package() -> None:
    assert get_default_client_config()["user_agent"].startswith("wtransport/")
