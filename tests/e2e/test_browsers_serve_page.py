"""The page of ``python -m wtransport serve`` in real browsers: every check of it works."""

from __future__ import annotations

from typing import Any

import pytest
from browsers import Browser
from loopback import HOST, running, server_config

from wtransport._cli.echo import create_echo_app
from wtransport._cli.page import render_page
from wtransport._cli.serve import page_server
from wtransport.utils import certificate_hash

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]

# The page says when it is done; this hands its table to the driver.
REPORT = b"""
<script>
window.runScenario = async () => {
  const summary = document.getElementById("summary");
  while (summary.className === "running") await new Promise((resolve) => setTimeout(resolve, 20));
  const rows = [...document.querySelectorAll("#rows tr")].map((row) => [...row.cells].map((cell) => cell.textContent));
  return JSON.stringify({result: {summary: summary.textContent, rows}});
};
</script>
</body>"""


async def test_every_check_of_the_page_works(
    browser: Browser, certificate: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = create_echo_app(config=server_config(certificate, access_log=False))
    async with running(app) as url:
        digest = certificate_hash(certificate.certfile)
        page = render_page(url=url, certificate_hash=digest).replace(b"</body>", REPORT)
        async with page_server(page=page, port=0) as page_url:
            assert page_url.startswith(f"http://{HOST}:")
            monkeypatch.setattr(browser, "_page", page_url)
            outcome = await browser.run("the whole page")
    failed = [row for row in outcome["rows"] if row[1] != "ok"]
    assert failed == []
    assert outcome["summary"] == "everything works"
    assert len(outcome["rows"]) == 8
