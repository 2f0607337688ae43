"""Tests of the compiled data path: without it, as pure Python was asked for, there is nothing to test."""

from __future__ import annotations

from wtransport._quic.backend import IS_COMPILED
from wtransport._speedups import _switches

# Only then: where it is missing for another reason, its tests must fail and not be skipped.
collect_ignore_glob = ["test_*.py"] if _switches.pure_requested() else []

# These are of connections, which leave their packets to aioquic where that was asked for.
_OF_CONNECTIONS = [
    "test_handshake_reader.py",
    "test_handshake_writer.py",
    "test_packet_reader.py",
    "test_packet_writer.py",
    "test_tls_messages.py",
]
collect_ignore = [] if IS_COMPILED else _OF_CONNECTIONS
