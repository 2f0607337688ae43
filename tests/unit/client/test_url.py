"""URLs: what is accepted, what is refused and why, and what goes into the request."""

from __future__ import annotations

import pytest

from wtransport.client.url import format_authority, parse_url
from wtransport.exceptions import ConfigurationError


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://example.org", ("example.org", 443, "/")),
        ("https://example.org/", ("example.org", 443, "/")),
        ("https://example.org:4433/echo", ("example.org", 4433, "/echo")),
        ("HTTPS://Example.ORG/Echo", ("example.org", 443, "/Echo")),
        ("https://example.org/a?b=c&d=/e?f", ("example.org", 443, "/a?b=c&d=/e?f")),
        ("https://example.org?b=c", ("example.org", 443, "/?b=c")),
        ("https://example.org/a?", ("example.org", 443, "/a?")),
        ("https://example.org/a#fragment", ("example.org", 443, "/a")),
        ("https://example.org/a?b=c#fragment?", ("example.org", 443, "/a?b=c")),
        ("https://127.0.0.1:1/x", ("127.0.0.1", 1, "/x")),
        ("https://[::1]:4433/x", ("::1", 4433, "/x")),
        ("https://[2001:DB8:0::1]/", ("2001:db8::1", 443, "/")),
        ("https://example.org/a%20b/%C3%BC", ("example.org", 443, "/a%20b/%C3%BC")),
        ("https://example.org/ü?ö=ä", ("example.org", 443, "/%C3%BC?%C3%B6=%C3%A4")),
        ("https://bücher.example/", ("xn--bcher-kva.example", 443, "/")),
    ],
)
def test_a_usable_url_is_taken_apart(url: str, expected: tuple[str, int, str]) -> None:
    assert parse_url(url=url) == expected


@pytest.mark.parametrize(
    "url",
    [
        "",
        "example.org/echo",
        "//example.org/echo",
        "http://example.org/",
        "wss://example.org/",
        "https://",
        "https:///path",
        "https://:443/",
        "https://example.org:0/",
        "https://example.org:65536/",
        "https://example.org:port/",
        "https://[::1/",
        "https://[not-an-address]/",
        "https://example.org/a b",
        "https://example.org/a\r\nx: y",
        "https://exam\tple.org/",
        "https://example.org/\udcc3",
        "https://example.org/?a=\ud800",
        "https://ex\udfffample.org/",
        "https://exa$mple.org/",
        "https://" + "a" * 254 + "/",
    ],
)
def test_an_unusable_url_is_refused_by_name(url: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse_url(url=url)
    assert caught.value.config_key == "url"
    assert caught.value.config_value == url


def test_credentials_are_refused_without_repeating_them() -> None:
    with pytest.raises(ConfigurationError, match="password") as caught:
        parse_url(url="https://user:secret@example.org/")
    assert "secret" not in str(caught.value)
    assert caught.value.config_value == "https://***@example.org/"


def test_a_url_must_be_a_string() -> None:
    with pytest.raises(ConfigurationError, match="string"):
        parse_url(url=b"https://example.org/")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("host", "port", "expected"),
    [
        ("example.org", 443, "example.org"),
        ("example.org", 4433, "example.org:4433"),
        ("::1", 443, "[::1]"),
        ("::1", 4433, "[::1]:4433"),
    ],
)
def test_an_authority_names_host_and_unusual_port(host: str, port: int, expected: str) -> None:
    assert format_authority(host=host, port=port) == expected
