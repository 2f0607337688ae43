"""The stream handles under the module name that the 0.9 API gave them."""

from __future__ import annotations

from typing import TypeAlias

from .bidirectional import WebTransportStream
from .diagnostics import StreamDiagnostics
from .receive import WebTransportReceiveStream
from .send import WebTransportSendStream

__all__ = [
    "StreamDiagnostics",
    "StreamType",
    "WebTransportReceiveStream",
    "WebTransportSendStream",
    "WebTransportStream",
]

# 0.9 programs see this module's name in the classes (logs, pickles, documentation), wherever the code is kept.
for _class in (StreamDiagnostics, WebTransportReceiveStream, WebTransportSendStream, WebTransportStream):
    _class.__module__ = __name__

StreamType: TypeAlias = WebTransportStream | WebTransportReceiveStream | WebTransportSendStream
"""Any of the three handles."""
