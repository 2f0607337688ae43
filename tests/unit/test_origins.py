"""Origins of browsers: which texts are origins, and which of them are equal (RFC 6454)."""

from __future__ import annotations

import pytest

from wtransport._config_validation import normalized_origin
from wtransport.config import ServerConfig
from wtransport.exceptions import ConfigurationError

NO_ORIGINS = [
    "",
    "*",
    "example.com",
    "https://",
    "https://example.com/",
    "https://example.com/path",
    "https://*.example.com",
    "https://user@example.com",
    "https://example.com:",
    "https://example.com:65536",
    "https://example.com:port",
    "https://example.com, https://example.com",
    "https://example.com ",
    "https://exämple.com",
    "https://\u212aexample.com",  # a letter whose lower case is ASCII
    "https://[::1",
    "https://[::g]",
    "https://[1.2.3.4]",
    "HTTPS//example.com",
    "null ",
]


@pytest.mark.parametrize("text", NO_ORIGINS)
def test_what_is_no_origin(text: str) -> None:
    assert normalized_origin(text) is None


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("https://example.com", "HTTPS://Example.COM"),
        ("https://example.com", "https://example.com:443"),
        ("http://example.com", "http://example.com:80"),
        ("https://example.com:8443", "https://example.com:08443"),
        ("https://[::1]:8443", "https://[0:0:0:0:0:0:0:1]:8443"),
    ],
)
def test_equal_origins(one: str, other: str) -> None:
    assert normalized_origin(one) == normalized_origin(other) == one


def test_all_of_scheme_host_and_port_count() -> None:
    origins = [
        "https://example.com",
        "http://example.com",
        "https://www.example.com",
        "https://example.com.",
        "https://example.com:80",
        "https://example.org",
        "chrome-extension://abcdef",
        "null",
        "https://[::1]",
        "https://127.0.0.1",
    ]
    assert len({normalized_origin(each) for each in origins} - {None}) == len(origins)


@pytest.mark.parametrize("value", [*([text] for text in NO_ORIGINS), ["https://example.com", "x"], "null", [1], {}])
def test_a_configuration_takes_origins_only(value: object) -> None:
    with pytest.raises(ConfigurationError) as caught:
        ServerConfig(allowed_origins=value)  # type: ignore[arg-type]
    assert caught.value.config_key == "allowed_origins"
    assert caught.value.config_value == value


@pytest.mark.parametrize("value", [None, [], ["null"], ["https://example.com", "https://localhost:8443"]])
def test_a_configuration_keeps_them_as_they_are(value: list[str] | None) -> None:
    assert ServerConfig(allowed_origins=value).allowed_origins == value
