"""The tutorial, step by step as it tells the reader; `tests/e2e` opens its page in browsers."""

from __future__ import annotations

import re
import urllib.request
from pathlib import Path

import pytest
from page_server import PageServer
from programs import ROOT, Tutorial, run_program

from wtransport.utils import certificate_hash

PAGE = ROOT / "docs" / "tutorial.md"


@pytest.fixture
def tutorial(tmp_path: Path) -> Tutorial:
    return Tutorial(tmp_path)


def test_the_python_client_gets_its_echo(tutorial: Tutorial) -> None:
    with tutorial.serving():
        printed = run_program("client.py", cwd=tutorial.directory)
    assert printed == "b'hello on a stream'\nb'hello in a datagram'\n"


def test_the_page_and_its_scripts_are_served(tutorial: Tutorial) -> None:
    texts = {}
    with PageServer(tutorial.directory) as server:
        for name, kind in (("", "text/html"), ("echo.js", "javascript"), ("certificate_hash.js", "javascript")):
            with urllib.request.urlopen(server.url + name, timeout=10) as response:
                assert kind in response.headers["content-type"]
                texts[name] = response.read().decode()
    assert 'src="echo.js"' in texts[""]
    assert "./certificate_hash.js" in texts["echo.js"]
    octets = re.findall(r"\d+", texts["certificate_hash.js"].partition("(")[2])
    assert bytes(map(int, octets)) == certificate_hash(str(tutorial.certfile))


def test_the_tutorial_shows_every_file() -> None:
    page = PAGE.read_text(encoding="utf-8")
    for path in Tutorial.SOURCES.glob("*.*"):
        assert f"examples/tutorial/{path.name}" in page
