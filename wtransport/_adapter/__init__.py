"""asyncio around the sans-I/O engine: UDP sockets, timers, and the loop that moves bytes and events.

`AdapterProtocol` drives one connection; `look_up`, `dial` and `race` open a client's, `listen` accepts a server's.
"""

from __future__ import annotations

from .addresses import Endpoint, is_ipv4
from .dialer import dial, look_up
from .listener import Listener, listen
from .protocol import AdapterProtocol
from .race import race
from .rate_limit import LimitLog

__all__ = ["AdapterProtocol", "Endpoint", "LimitLog", "Listener", "dial", "is_ipv4", "listen", "look_up", "race"]
