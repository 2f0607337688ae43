"""The public events: `Event`, and the `EventEmitter` that every handle has or is.

They are for programs. Below the handles the package says things to itself with typed events and plain calls.
"""

from __future__ import annotations

from .emitter import EventEmitter
from .event import Event
from .listeners import EventHandler

__all__ = ["Event", "EventEmitter", "EventHandler"]
