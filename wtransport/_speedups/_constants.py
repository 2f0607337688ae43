"""The numbers that both twins of the kernels share.

They stand here, in one place, because a limit that differs between the twins is a bug that no user could
explain. Nothing here is configuration: every value is fixed by a document.
"""

from __future__ import annotations

# Largest value a QUIC varint can carry: 62 bits, the top two hold the length (RFC 9000, section 16).
MAX_VARINT = 2**62 - 1

# A quarter stream id names a client-initiated bidirectional stream (a multiple of 4) of at most 2**62 - 1, so
# anything above this is H3_DATAGRAM_ERROR (RFC 9297, section 2.1).
MAX_QUARTER_STREAM_ID = 2**60 - 1

# HTTP/3 frame type whose payload is handed on as it arrives (RFC 9114, section 7.2.1).
FRAME_TYPE_DATA = 0x00

# Most bytes a record header (type and length, one varint each) can take: 8 each (RFC 9000, section 16).
MAX_RECORD_HEADER_SIZE = 16

# Session id reported for a stream that does not begin with the signal value; no stream has a negative id.
NO_SESSION_ID = -1

# No UDP payload is longer (RFC 768).
MAX_UDP_PAYLOAD = 65_535

# Linux's level of socket options and control messages for UDP, and the control message that says of which size joined
# datagrams were (include/uapi/linux/udp.h); `socket` got names for them late or never.
SOL_UDP = 17
UDP_GRO = 104

# What a WebTransport stream begins with, by direction, bidirectional first (draft-16, sections 4.2 and 4.3).
STREAM_SIGNALS = (0x41, 0x54)

# Most bytes of what a WebTransport stream begins with: a type of two bytes and a session id (draft-16, section 4.2).
STREAM_HEADER_MAX = 2 + 8

# Seconds between two time-outs for one and the same deadline; QUIC's own granularity (RFC 9002, 6.1.2).
TIMER_GRANULARITY = 0.001

# Seconds by which a timer may fire early and still count as due: rounding of deadlines, not lateness.
TIMER_SLACK = 0.000_05

# The first bit of a packet with a long header (RFC 8999, section 5.1).
LONG_HEADER = 0x80

# Wake-ups with one datagram each, after which the next one looks for a second. In a dialogue there never is one, and
# finding that out costs as much as reading it (3 us).
LOOK_AGAIN = 8

# Events whose coroutine handlers get a task of their own, after one that waited took the task that stood ready, or that
# was for another context: making another one at once would cost more than it brings where many wait.
EVENTS_WITHOUT_SPARE = 64
