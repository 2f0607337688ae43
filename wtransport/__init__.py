"""WebTransport over HTTP/3 for Python."""

from __future__ import annotations

from .version import __version__

__all__ = ["__version__"]
