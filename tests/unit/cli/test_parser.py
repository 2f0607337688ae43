"""The command line: what it takes, what it refuses."""

from __future__ import annotations

import pytest

from wtransport._cli import build_parser, main
from wtransport.version import __version__


def test_serve_has_defaults_that_browsers_accept() -> None:
    arguments = build_parser().parse_args(["serve"])
    assert (arguments.host, arguments.port, arguments.http_port) == ("localhost", 4433, 8080)
    assert arguments.days == 14
    assert arguments.cert_dir is None


def test_serve_takes_everything_from_the_command_line() -> None:
    arguments = build_parser().parse_args(
        ["serve", "--host", "::1", "--port", "0", "--http-port", "8888", "--cert-dir", "certs", "--days", "3"]
    )
    assert (arguments.host, arguments.port, arguments.http_port) == ("::1", 0, 8888)
    assert (arguments.cert_dir, arguments.days) == ("certs", 3)


@pytest.mark.parametrize(
    ("argv", "complaint"),
    [
        ([], "COMMAND"),
        (["fly"], "invalid choice"),
        (["serve", "--port", "65536"], "0 to 65535"),
        (["serve", "--port", "x"], "whole number"),
        (["serve", "--http-port", "-1"], "0 to 65535"),
        (["serve", "--days", "0"], "1 to 3650"),
    ],
)
def test_wrong_arguments_are_named(argv: list[str], complaint: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(argv)
    assert caught.value.code == 2
    assert complaint in capsys.readouterr().err


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--version"])
    assert caught.value.code == 0
    assert capsys.readouterr().out.strip() == f"wtransport {__version__}"
