"""Drives headless Chromium and Firefox: one scenario of `pages/scenarios.js` at a time, JSON in and out.

Each browser is driven from a thread of its own, so that a test's event loop stays free for the server under test.
A browser or driver that is not installed makes `start` raise `BrowserMissingError`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import queue
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Protocol, TypeVar

from marionette import Marionette

__all__ = ["BROWSERS", "Browser", "BrowserMissingError", "ScenarioError", "start"]

T = TypeVar("T")

START_TIMEOUT = 60.0  # seconds; a cold Firefox on a busy two-core machine needs 20
SCENARIO_TIMEOUT = 60.0  # seconds, kept by the page itself
DRIVER_GRACE = 15.0  # seconds the driver gets on top before the browser counts as hung

CHROMIUM_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]

FIREFOX_PREFERENCES: dict[str, bool | int | str] = {
    "marionette.port": 0,  # the port taken is written to MarionetteActivePort in the profile
    "network.http.http3.enable": True,
    "app.normandy.enabled": False,
    "app.update.disabledForTesting": True,
    "browser.aboutwelcome.enabled": False,
    "browser.safebrowsing.malware.enabled": False,
    "browser.safebrowsing.phishing.enabled": False,
    "browser.shell.checkDefaultBrowser": False,
    "browser.startup.homepage_override.mstone": "ignore",
    "browser.startup.page": 0,
    "datareporting.policy.dataSubmissionEnabled": False,
    "extensions.update.enabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "services.settings.server": "data:,",
    "toolkit.telemetry.reportingpolicy.firstRun": False,
}


class BrowserMissingError(Exception):
    """The browser, or the package that drives it, is not installed here."""


class ScenarioError(Exception):
    """The page's script failed; `error` is what it threw, as a dict."""

    def __init__(self, scenario: str, error: dict[str, Any]) -> None:
        super().__init__(f"{scenario}: {error['name']}: {error['message']}\n{error['stack']}")
        self.error = error


class Driver(Protocol):
    """One browser's own way to be driven; every method blocks and is called from one thread."""

    def start(self) -> None: ...

    def call(self, page: str, scenario: str, arguments: str, timeout: float) -> str:
        """Load `page` afresh, run `scenario` there with JSON `arguments`, return its JSON."""
        ...

    def stop(self) -> None: ...


class ChromiumDriver:
    """Chromium through Playwright."""

    def __init__(self) -> None:
        try:
            from playwright.sync_api import sync_playwright  # optional: extra "browser"
        except ImportError as error:
            raise BrowserMissingError(f"chromium cannot be driven: {error}") from error
        self._executable = _find("chromium", "chromium-browser", "google-chrome")
        self._enter = sync_playwright
        self._playwright: Any = None
        self._browser: Any = None

    def start(self) -> None:
        self._playwright = self._enter().start()
        self._browser = self._playwright.chromium.launch(
            executable_path=self._executable, args=CHROMIUM_FLAGS, timeout=START_TIMEOUT * 1000
        )

    def call(self, page: str, scenario: str, arguments: str, timeout: float) -> str:
        tab = self._browser.new_page()
        try:
            tab.goto(page)
            result: str = tab.evaluate("([name, given]) => window.runScenario(name, given)", [scenario, arguments])
            return result
        finally:
            tab.close()

    def stop(self) -> None:
        if self._browser is not None:
            self._browser.close()
        if self._playwright is not None:
            self._playwright.stop()


class FirefoxDriver:
    """Firefox through Marionette, with a profile of its own."""

    def __init__(self) -> None:
        self._executable = _find("firefox-esr", "firefox")
        self._profile = tempfile.TemporaryDirectory(prefix="wtransport-firefox-", ignore_cleanup_errors=True)
        self._process: subprocess.Popen[bytes] | None = None
        self._client: Marionette | None = None

    def start(self) -> None:
        profile = Path(self._profile.name)
        lines = (f"user_pref({json.dumps(key)}, {json.dumps(value)});\n" for key, value in FIREFOX_PREFERENCES.items())
        (profile / "user.js").write_text("".join(lines), encoding="utf-8")
        log = profile / "firefox.log"
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                [self._executable, "--headless", "--marionette", "--no-remote", "--profile", str(profile)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,  # so that stop() reaches its content processes too
                env={**os.environ, "MOZ_CRASHREPORTER_DISABLE": "1"},
            )
        port = self._wait_for_port(profile / "MarionetteActivePort", log)
        self._client = Marionette(port, timeout=START_TIMEOUT)

    def _wait_for_port(self, file: Path, log: Path) -> int:
        deadline = time.monotonic() + START_TIMEOUT
        while time.monotonic() < deadline:
            with contextlib.suppress(FileNotFoundError, ValueError):
                return int(file.read_text())
            if self._process is None or self._process.poll() is not None:
                break
            time.sleep(0.05)  # a file written by another process: nothing to wait on
        raise RuntimeError(f"firefox opened no marionette port: {log.read_text(errors='replace')[-2000:]}")

    def call(self, page: str, scenario: str, arguments: str, timeout: float) -> str:
        if self._client is None:
            raise RuntimeError("firefox is not running")
        self._client.navigate(page)
        result: str = self._client.run_async(
            "const [name, given, done] = arguments; window.runScenario(name, given).then(done);",
            scenario,
            arguments,
            timeout=timeout + DRIVER_GRACE,
        )
        return result

    def stop(self) -> None:
        process = self._process
        if process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait(timeout=10)
        if self._client is not None:
            self._client.close()
        self._profile.cleanup()


BROWSERS: dict[str, Callable[[], Driver]] = {"chromium": ChromiumDriver, "firefox": FirefoxDriver}


class Browser:
    """A running browser; `run` is the only thing tests need."""

    def __init__(self, name: str, driver: Driver, page: str) -> None:
        self.name = name
        self._driver = driver
        self._page = page
        self._worker = _Worker(f"drives-{name}")

    def start(self) -> None:
        self._worker.submit(self._driver.start).result(timeout=START_TIMEOUT + DRIVER_GRACE)

    def stop(self) -> None:
        self._worker.submit(self._driver.stop).result(timeout=START_TIMEOUT)
        self._worker.end()

    async def run(self, scenario: str, *, timeout: float = SCENARIO_TIMEOUT, **options: Any) -> Any:
        """Run one function of `scenarios.js` with `options` in a fresh page and return its result.

        Raises:
            ScenarioError: the script threw, or was not over after `timeout` seconds.
            TimeoutError: the browser itself does not answer any more.
        """
        given = json.dumps({**options, "timeout_ms": int(timeout * 1000)})
        call = self._worker.submit(lambda: self._driver.call(self._page, scenario, given, timeout))
        async with asyncio.timeout(timeout + 2 * DRIVER_GRACE):
            answer = json.loads(await asyncio.wrap_future(call))
        if "error" in answer:
            raise ScenarioError(scenario, answer["error"])
        return answer["result"]


def start(name: str, page: str) -> Browser:
    """Start the browser `name` of `BROWSERS`; its scenarios run in `page`, a URL.

    Raises:
        BrowserMissingError: it cannot be had on this machine.
    """
    browser = Browser(name, BROWSERS[name](), page)
    browser.start()
    return browser


class _Worker:
    """One daemon thread that runs calls in order: Playwright's objects belong to the thread that made them.

    Not an executor, whose threads the interpreter joins at exit: a hung browser must not hang the test run.
    """

    def __init__(self, name: str) -> None:
        self._calls: queue.SimpleQueue[tuple[Callable[[], Any], Future[Any]] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def submit(self, call: Callable[[], T]) -> Future[T]:
        future: Future[T] = Future()
        self._calls.put((call, future))
        return future

    def end(self) -> None:
        self._calls.put(None)
        self._thread.join(timeout=DRIVER_GRACE)

    def _run(self) -> None:
        while (item := self._calls.get()) is not None:
            call, future = item
            if not future.set_running_or_notify_cancel():
                continue
            try:
                future.set_result(call())
            except BaseException as error:  # handed to the caller, whatever it is
                future.set_exception(error)


def _find(*names: str) -> str:
    for name in names:
        if path := shutil.which(name):
            return path
    raise BrowserMissingError(f"none of {', '.join(names)} is on the path")
