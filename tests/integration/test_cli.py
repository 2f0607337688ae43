"""The commands themselves, in processes of their own where that matters."""

from __future__ import annotations

import re
import signal
import ssl
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from wtransport import BACKEND
from wtransport._cli import demo, echo
from wtransport.client import WebTransportClient
from wtransport.config import ClientConfig
from wtransport.server import ServerApp
from wtransport.utils import certificate_hash

WAIT = 60.0


def test_the_demo_works_and_says_so() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "wtransport", "demo"],
        capture_output=True,
        text=True,
        timeout=WAIT,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    assert BACKEND in lines[0]
    for name in ("draft in force", "stream round trip", "bulk echo", "datagram round trip", "unknown path"):
        assert any(name in line for line in lines), name
    assert "MiB/s" in done.stdout
    assert lines[-1].startswith("everything works")


async def test_a_demo_that_fails_names_what_failed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def without_greeting(*, config: Any) -> ServerApp:
        app = echo.create_echo_app(config=config)
        app.router.remove_route(path="/greet")
        return app

    monkeypatch.setattr(demo, "create_echo_app", without_greeting)
    assert await demo.run_demo() == 1
    last = capsys.readouterr().out.splitlines()[-1]
    assert "opened by the server" in last
    assert "FAILED" in last
    assert "404" in last


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
async def test_serve_gives_a_page_that_knows_the_server(tmp_path: Path, host: str) -> None:
    command = [sys.executable, "-W", "error", "-m", "wtransport", "serve", "--host", host]
    command += ["--port", "0", "--http-port", "0", "--cert-dir", str(tmp_path), "--days", "3"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            told = {}
            while not (line := process.stdout.readline()).startswith("Ctrl-C"):
                assert line, process.communicate()
                name, value = re.split(r"\s{2,}", line.strip(), maxsplit=1)
                told[name] = value
            certfile = told["certificate"].removesuffix(" (3 days)")
            assert Path(certfile).parent == tmp_path
            digest = certificate_hash(certfile)
            assert told["SHA-256"] == digest.hex()
            with urllib.request.urlopen(told["open in browser"], timeout=WAIT) as response:
                page = response.read().decode()
            assert str(list(digest)) in page
            server_url = told["echo server"].removesuffix("/echo")
            assert f'"{server_url}"' in page
            config = ClientConfig(ca_certs=certfile, verify_mode=ssl.CERT_REQUIRED)
            async with WebTransportClient(config=config) as client:
                session = await client.connect(url=told["echo server"])
                await session.send_datagram(data=b"ping")
                assert await session.read_datagram() == b"ping"
        finally:
            process.send_signal(signal.SIGINT)
            try:
                out, err = process.communicate(timeout=WAIT)
            finally:
                process.kill()
    assert process.returncode == 0, out + err
    assert err == ""


def test_serve_that_cannot_begin_says_why() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "wtransport", "serve", "--host", "192.0.2.1", "--port", "0", "--http-port", "0"],
        capture_output=True,
        text=True,
        timeout=WAIT,
        check=False,
    )
    assert done.returncode == 1
    assert "192.0.2.1" in done.stdout
