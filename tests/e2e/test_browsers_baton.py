"""Devious Baton between the example's page in real browsers and the example's server."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from browsers import Browser
from examples import EXAMPLES, load_example
from page_server import PageServer
from serving import Certificate, serving

from wtransport import WebTransportSession

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]

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


@pytest.mark.parametrize(
    ("baton", "count", "lies_at"), [(255, 1, NEVER), (254, 1, NEVER), (150, 1, NEVER), (240, 5, NEVER), (250, 3, 252)]
)
async def test_a_browser_plays(
    browser: Browser,
    certificate: Certificate,
    tmp_path: Path,
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

    shutil.copytree(EXAMPLES / "baton_page", tmp_path / "page")
    page = tmp_path / "page" / "index.html"
    page.write_text(page.read_text(encoding="utf-8").replace("</body>", PLAY), encoding="utf-8")
    with PageServer(page.parent) as pages:
        monkeypatch.setattr(browser, "_page", pages.url)
        async with serving(certificate, {"/webtransport/devious-baton": host}) as site:
            path = module.Game(baton, count).path
            result = await browser.run("a game", **site.at(path), baton=baton, count=count)

    (server,) = players
    assert result["code"] == 0
    assert result["lost"] == server.lost == (lies_at != NEVER)
    comes = [(value, count - (value >= lies_at)) for value in range(baton, 256)] + [(0, count - (lies_at < NEVER))]
    assert Counter(result["received"]) == dict(comes[0::2])
    assert Counter(server.received) == dict(comes[1::2])
    assert set(server.datagrams) <= {value for value in result["received"] if value % 7 == 1}
    assert set(result["datagrams"]) <= {value for value in server.received if value % 7 == 0}
