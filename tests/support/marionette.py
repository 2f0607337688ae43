"""A client of Marionette, the remote protocol built into Firefox: enough to load a page and run a script in it.

PyPI's marionette_driver does far more, but imports a module that Python 3.13 no longer has. On the wire a message is
`LENGTH:JSON`; a command is `[0, id, name, parameters]`, its answer `[1, id, error, result]`.

Source: https://firefox-source-docs.mozilla.org/testing/marionette/Protocol.html
"""

from __future__ import annotations

import json
import socket
from typing import Any

__all__ = ["Marionette", "MarionetteError"]

MAX_LENGTH_DIGITS = 10  # a length beyond this many digits is not Marionette talking


class MarionetteError(Exception):
    """Firefox refused a command."""


class Marionette:
    """One session with a running Firefox; every call blocks, `timeout` is in seconds."""

    def __init__(self, port: int, *, timeout: float) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=timeout)
        self._stream = self._socket.makefile("rb")
        self._last_id = 0
        self._receive()  # the server's greeting
        self._command("WebDriver:NewSession", {})

    def navigate(self, url: str) -> None:
        """Load `url` and wait until it is loaded."""
        self._command("WebDriver:Navigate", {"url": url})

    def run_async(self, script: str, *arguments: Any, timeout: float) -> Any:
        """Run `script` among the page's own objects; its last argument is the function to hand the result to."""
        self._socket.settimeout(timeout)
        self._command("WebDriver:SetTimeouts", {"script": int(timeout * 1000)})
        answer = self._command("WebDriver:ExecuteAsyncScript", {"script": script, "args": arguments, "sandbox": None})
        return answer["value"]

    def close(self) -> None:
        self._stream.close()
        self._socket.close()

    def _command(self, name: str, parameters: dict[str, Any]) -> Any:
        self._last_id += 1
        body = json.dumps([0, self._last_id, name, parameters]).encode()
        self._socket.sendall(b"%d:%s" % (len(body), body))
        _, answered_id, error, result = self._receive()
        if answered_id != self._last_id:
            raise MarionetteError(f"{name}: answer {answered_id} to command {self._last_id}")
        if error is not None:
            raise MarionetteError(f"{name}: {error.get('error')}: {error.get('message')}")
        return result

    def _receive(self) -> Any:
        digits = b""
        while (octet := self._stream.read(1)) != b":":
            digits += octet
            if not octet.isdigit() or len(digits) > MAX_LENGTH_DIGITS:
                raise MarionetteError(f"connection ended or garbled after {digits!r}")
        return json.loads(self._stream.read(int(digits)))
