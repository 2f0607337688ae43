"""How long a peer says that an acknowledgement waited, in units of its own (RFC 9000, 13.2.5 and 18.2)."""

from __future__ import annotations

import pytest
from port_pair import DELAY

from wtransport._speedups import encode_varint

WAITED = 0.018
"""Seconds between receiving a packet and acknowledging it; below the 25 ms that every peer announces."""


@pytest.mark.parametrize("exponent", [0, 3, 8, 12])
def test_what_an_acknowledgement_waited_is_not_part_of_the_round_trip(make_pair, exponent) -> None:
    pair = make_pair()
    pair.client.port._connection._local_ack_delay_exponent = exponent
    pair.connect().settle()
    recovery = pair.server.port._connection._loss
    before = recovery.smoothed_rtt
    assert before == pytest.approx(2 * DELAY, abs=0.005)

    sent = pair.now
    number = pair.server.port._connection._packet_number
    stream_id = pair.server.port.open_stream(unidirectional=True)
    pair.client.lose_next = 100  # its own acknowledgement, in other units
    pair.server.port.send_stream(stream_id, b"x", False)
    units = int(WAITED * 1e6) >> exponent
    waited = (units << exponent) * 1e-6
    pair.run(sent + before + waited + 0.001 - pair.now)  # more than the round trip
    acknowledgement = b"\x02" + b"".join(encode_varint(value) for value in (number, units, 0, 0))
    pair.inject(pair.client, acknowledgement)
    assert recovery.smoothed_rtt == pytest.approx(before, abs=0.0005)
