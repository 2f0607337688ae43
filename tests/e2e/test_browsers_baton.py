"""Devious Baton between the example's page in real browsers and the example's server."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from browsers import Browser
from examples import EXAMPLES, load_example
from page_server import PageServer
from serving import Certificate, serving

from wtransport import WebTransportSession

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]

PATH = "/webtransport/devious-baton"

NEVER = 256
"""No baton."""

PLAY = """
<script type="module">
import { play } from "./baton.js";
window.runScenario = async (name, given) => {
  const { url, ...options } = JSON.parse(given);
  try {
    return JSON.stringify({ result: await play(url, options) });
  } catch (error) {
    return JSON.stringify({ error: { name: error.name, message: `${error}` } });
  }
};
</script>
</body>"""

CLICK = """
<script>
window.runScenario = async () => {
  document.getElementById("form").requestSubmit();
  const log = document.getElementById("log");
  const end = Date.now() + 20000;
  while (!/over|failed/.test(log.textContent) && Date.now() < end) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return JSON.stringify({ result: log.textContent });
};
</script>
</body>"""


@pytest.fixture
def page_with(tmp_path: Path) -> Iterator[Callable[[str], str]]:
    """Return what puts a script into the example's page and gives the page's address."""
    shutil.copytree(EXAMPLES / "baton_page", tmp_path / "page")
    index = tmp_path / "page" / "index.html"
    text = index.read_text(encoding="utf-8")

    def insert(script: str) -> str:
        index.write_text(text.replace("</body>", script), encoding="utf-8")
        return pages.url

    with PageServer(index.parent) as pages:
        yield insert


@pytest.mark.parametrize(
    ("baton", "count", "lies_at"), [(255, 1, NEVER), (254, 1, NEVER), (150, 1, NEVER), (240, 5, NEVER), (250, 3, 252)]
)
async def test_a_browser_plays(
    browser: Browser,
    certificate: Certificate,
    page_with: Callable[[str], str],
    monkeypatch: pytest.MonkeyPatch,
    baton: int,
    count: int,
    lies_at: int,
) -> None:
    """With `lies_at` our server breaks one baton off: its answer on a bidirectional stream is a reset."""
    module = load_example("devious_baton_player", monkeypatch)
    players: list[Any] = []
    lies_left = [lies_at]

    def lies(value: int) -> bool:
        if value not in lies_left:
            return False
        lies_left.remove(value)
        return True

    async def host(session: WebTransportSession) -> None:
        game = module.Game.from_path(session.path)
        players.append(module.Player(session, game=game, is_client=False, lies=lies))
        await players[0].play()

    monkeypatch.setattr(browser, "_page", page_with(PLAY))
    async with serving(certificate, {PATH: host}) as site:
        result = await browser.run("a game", **site.at(module.Game(baton, count).path), baton=baton, count=count)

    (server,) = players
    assert result["code"] == 0
    assert result["lost"] == server.lost == (lies_at != NEVER)
    comes = [(value, count - (value >= lies_at)) for value in range(baton, 256)] + [(0, count - (lies_at < NEVER))]
    assert Counter(result["received"]) == dict(comes[0::2])
    assert Counter(server.received) == dict(comes[1::2])
    assert set(server.datagrams) <= {value for value in result["received"] if value % 7 == 1}
    assert set(result["datagrams"]) <= {value for value in server.received if value % 7 == 0}


async def test_the_form_of_the_page(
    browser: Browser, certificate: Certificate, page_with: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    server = load_example("devious_baton_server", monkeypatch)
    async with serving(certificate, {PATH: server.host_game}) as site:
        monkeypatch.setattr(browser, "_page", f"{page_with(CLICK)}?{urlencode(site.at(PATH))}")
        log = await browser.run("a click")
    *batons, over = log.splitlines()
    assert batons == [f"got {baton % 256}" for baton in range(240, 257, 2)]
    assert over == "over with 0, after 9 batons"
