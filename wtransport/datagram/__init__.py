"""What can be built on a session's datagrams: typed objects, delivery that is confirmed, and sending to many."""

from __future__ import annotations

from .broadcaster import DatagramBroadcaster
from .reliability import DatagramReliabilityLayer
from .structured import StructuredDatagramTransport

__all__ = ["DatagramBroadcaster", "DatagramReliabilityLayer", "StructuredDatagramTransport"]
