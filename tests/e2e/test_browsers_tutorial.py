"""The tutorial's page in real browsers: what they send to the tutorial's server comes back."""

from __future__ import annotations

from pathlib import Path

import pytest
from browsers import Browser
from page_server import PageServer
from programs import Tutorial

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]

# Hands the page's log to the driver, once everything that the page does by itself is there, or nothing more comes.
REPORT = """
<script>
window.runScenario = async () => {
  const log = document.getElementById("log");
  const end = Date.now() + 20000;
  while (!/datagram:|failed|lost/.test(log.textContent) && Date.now() < end) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return JSON.stringify({result: log.textContent});
};
</script>
</body>"""


async def test_the_page_of_the_tutorial_gets_its_echo(
    browser: Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tutorial = Tutorial(tmp_path)
    page = tmp_path / "index.html"
    page.write_text(page.read_text(encoding="utf-8").replace("</body>", REPORT), encoding="utf-8")
    with tutorial.serving(), PageServer(tmp_path) as server:
        monkeypatch.setattr(browser, "_page", server.url)
        log = await browser.run("the whole page")
    assert log.splitlines() == ["connected", "stream: hello from the page", "datagram: hello from the page"]
