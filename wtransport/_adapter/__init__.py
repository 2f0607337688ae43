"""asyncio around the sans-I/O engine: UDP sockets, timers, and the loop that moves bytes and events.

`AdapterProtocol` drives one connection; `dial` opens a client's, `listen` accepts a server's.
"""

from __future__ import annotations

from .dialer import dial
from .listener import Listener, listen
from .protocol import AdapterProtocol

__all__ = ["AdapterProtocol", "Listener", "dial", "listen"]
