"""When the peer may open another stream in place of one that is over."""

from __future__ import annotations

import pytest
from port_pair import limits
from quic_twins import current

from wtransport._quic.port import StreamOver

pytestmark = pytest.mark.usefixtures("quic_twin")

CLIENT_UNI = 2


@pytest.mark.parametrize("is_released_before", [False, True])
def test_a_stream_keeps_its_place_until_it_is_over_and_released_in_whatever_order(is_released_before) -> None:
    events: list = []
    table = current().StreamTable(is_client=False, limits=limits(max_streams_uni=1), emit=events.append)
    table.on_stream_frame(CLIENT_UNI, 0, b"x", False)
    if is_released_before:
        assert not table.release(CLIENT_UNI)
    assert table.peer_limits[1].limit == 1
    table.on_stream_frame(CLIENT_UNI, 1, b"", True)
    assert events.count(StreamOver(CLIENT_UNI)) == (not is_released_before)
    if not is_released_before:
        assert table.peer_limits[1].limit == 1
        table.release(CLIENT_UNI)
    assert table.peer_limits[1].limit == 2
    assert table.limits_due
