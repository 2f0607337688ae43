"""Streams of a WebTransport session, as a program sees them."""

from __future__ import annotations

from .stream import (
    StreamDiagnostics,
    StreamType,
    WebTransportReceiveStream,
    WebTransportSendStream,
    WebTransportStream,
)
from .structured import StructuredStream

__all__ = [
    "StreamDiagnostics",
    "StreamType",
    "StructuredStream",
    "WebTransportReceiveStream",
    "WebTransportSendStream",
    "WebTransportStream",
]
