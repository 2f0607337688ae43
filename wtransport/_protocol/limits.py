"""Named limits of everything that a peer can make the engine keep, and what happens when one is hit."""

from __future__ import annotations

__all__ = [
    "ABORTED_STREAMS_PER_SECOND",
    "CLOSE_PROBE_TIMEOUTS",
    "DEFAULT_SESSION_STREAMS",
    "IDLE_ACTIONS_PER_SECOND",
    "MAX_ABORTED_STREAMS",
    "MAX_CONNECTION_ID",
    "MAX_EARLY_CAPSULE_BYTES",
    "MAX_IDLE_ACTIONS",
    "MAX_QUEUED_DATAGRAMS",
    "MAX_QUEUED_DATAGRAM_BYTES",
    "MAX_REMEMBERED_SESSIONS",
    "OTHER_STREAMS",
    "REQUEST_TIMEOUT",
    "SAFE_DATAGRAM_SIZE",
    "SESSION_WINDOW_FACTOR",
]

CLOSE_PROBE_TIMEOUTS = 3
"""How many probe timeouts the end of a CONNECT stream is waited for: before the connection closes (draft-16, 6), and
when the peer stopped our side of one as if it had closed the session."""

MAX_QUEUED_DATAGRAMS = 4096
"""Received datagrams of one session that nobody took yet; beyond, the oldest are dropped and counted."""

MAX_QUEUED_DATAGRAM_BYTES = 4 * 1024 * 1024
"""Bytes of the same queue; 4096 datagrams of the usual size fit."""

MAX_EARLY_CAPSULE_BYTES = 64 * 1024
"""Bytes a client may send on a CONNECT stream before it is answered; beyond, the request is reset
(H3_EXCESSIVE_LOAD). A CLOSE capsule takes 1 KiB at most, so this is ample."""

MAX_IDLE_ACTIONS = 1000
"""Things a peer may do at once that cost it nothing and bring nothing (see `idleness`); beyond, the connection is
closed (H3_EXCESSIVE_LOAD). A browser does a handful in the life of a connection."""

IDLE_ACTIONS_PER_SECOND = 100
"""How many of these are forgiven in each second."""

MAX_ABORTED_STREAMS = 2000
"""Streams that a peer may reset or stop at once (see `idleness`); beyond, the connection is closed (H3_EXCESSIVE_LOAD).
Two for each stream that it may have open in a session, four times over."""

ABORTED_STREAMS_PER_SECOND = 500
"""How many of these are forgiven in each second: a program that sends each picture or sound on a stream of its own,
and gives up those that are late, has some hundred streams a second at most."""

MAX_REMEMBERED_SESSIONS = 256
"""Ended sessions of a connection that are remembered, so that a stream which comes late for one is reset with
WT_SESSION_GONE at once; for one forgotten it waits as for an unknown session."""

DEFAULT_SESSION_STREAMS = 256
"""Streams of one direction that the peer may have open in a session when the configuration says 0."""

OTHER_STREAMS = 16
"""Streams of one direction that QUIC lets the peer have beside those that sessions granted it: control, QPACK, requests
that become sessions."""

SESSION_WINDOW_FACTOR = 4
"""A session's data window as a multiple of a stream's when the configuration says 0, as for the connection."""

MAX_CONNECTION_ID = 20
"""Bytes of the longest connection id (RFC 9000, 17.2): so much room packets may lose when the peer changes its id."""

SAFE_DATAGRAM_SIZE = 1200 - (1 + MAX_CONNECTION_ID + 4) - 16 - 3 - 8
"""Bytes of a session's datagram that fit the smallest packet of any path, however long header, frame and session id."""

REQUEST_TIMEOUT = 10.0
"""Seconds from the first bytes of a client's bidirectional stream until they are a session's id or a whole request;
beyond, the stream is reset (H3_REQUEST_INCOMPLETE). Both fit one packet, so only somebody who wants to takes longer."""
