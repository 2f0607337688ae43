"""What a listener counts."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class ListenerCounters:
    """What happened to connections, and to datagrams that belong to none, since the listener began."""

    accepted: int = 0
    """Connections that were made; `validated` of them for clients that came back with the token of a Retry."""
    validated: int = 0
    refused: int = 0
    """First packets of clients that were told so: too many connections, or the server is closing."""
    over_handshake_limit: int = 0
    """First packets dropped because of all unfinished handshakes; the next two: because of those of their address."""
    over_address_limit: int = 0
    over_attempt_limit: int = 0
    handshake_timeouts: int = 0
    """Connections aborted because they were not ready in time."""
    retries_sent: int = 0
    """First packets answered with Retry."""
    invalid_tokens: int = 0
    """First packets whose token was ours, but too old or somebody else's; answered with INVALID_TOKEN."""
    undecryptable: int = 0
    """First packets dropped because they did not arrive as they were sent."""
    versions_negotiated: int = 0
    malformed: int = 0
    """Datagrams that are no packets of QUIC, or none that may be first."""
    unknown_connection: int = 0
    """Packets of connections that do not exist; `resets_sent` of them were answered with a stateless reset."""
    resets_sent: int = 0
    over_waiting_limit: int = 0
    """Datagrams, of connections as well, dropped because too many of the same sender waited to be worked on."""
    send_errors: int = 0
    """Datagrams that the operating system refused to send, but for those too large for an interface: probes of a path's
    MTU are there to find that out. QUIC sends their contents again."""
    answers_withheld: int = 0
    """Answers without a connection that were not sent, because there were too many or the socket was full."""
