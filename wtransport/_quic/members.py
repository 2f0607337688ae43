"""Members of aioquic's enumerations as plain names.

Before Python 3.12 it takes half a microsecond to get at one by its class, and a connection asks for dozens.
"""

from __future__ import annotations

from typing import Final

from aioquic.quic.connection import QuicConnectionState
from aioquic.quic.packet_builder import QuicDeliveryState
from aioquic.tls import Epoch

__all__ = ["ACKED", "CLOSING", "FIRSTFLIGHT", "HANDSHAKE", "INITIAL", "ONE_RTT", "TERMINATED", "ZERO_RTT"]

# Encryption levels (RFC 9001, section 2.1).
INITIAL: Final = Epoch.INITIAL
ZERO_RTT: Final = Epoch.ZERO_RTT
HANDSHAKE: Final = Epoch.HANDSHAKE
ONE_RTT: Final = Epoch.ONE_RTT

# States of a connection (RFC 9000, section 10.2).
FIRSTFLIGHT: Final = QuicConnectionState.FIRSTFLIGHT
CLOSING: Final = QuicConnectionState.CLOSING
TERMINATED: Final = QuicConnectionState.TERMINATED

# What became of a packet (RFC 9002); the alternative is that it was lost.
ACKED: Final = QuicDeliveryState.ACKED
