"""Every kind of client with every kind of server, over QUIC: the draft, what follows from it, and that it works."""

from __future__ import annotations

from typing import Any

import pytest
from draft_kinds import CLIENTS, SERVERS, Kind
from draft_pair import DraftPair
from draft_rules import expected


@pytest.mark.parametrize("server", SERVERS, ids=str)
@pytest.mark.parametrize("client", CLIENTS, ids=str)
def test_a_pair(certificate: Any, client: Kind, server: Kind) -> None:
    outcome = expected(client, server)
    pair = DraftPair(tuple(certificate), client, server)
    assert pair.outcome() == outcome
    if outcome.opens:
        pair.exercise()
