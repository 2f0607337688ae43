"""What we announce, and what the documentation says comes of it."""

from __future__ import annotations

from typing import Any

import pytest
from draft_kinds import OURS, OURS_STRICT, SESSIONS
from draft_report import documented
from programs import ROOT
from scripted_peer import ScriptedPeer

from wtransport._protocol.settings import decode_settings
from wtransport._quic.transport_parameters import encode_reset_stream_at


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("is_client", [False, True])
def test_our_settings(certificate: Any, is_client: bool, strict: bool) -> None:
    """The tests of this directory take us for a peer that sends these, in the order of the fact sheets."""
    options = {} if is_client else {"max_sessions": SESSIONS}
    peer = ScriptedPeer(tuple(certificate), is_client=is_client, settings=None, strict=strict, **options)
    ((frame_type, payload),) = peer.control_frames()
    assert frame_type == 0x04
    us = OURS_STRICT if strict else OURS
    assert decode_settings(payload, sender_is_client=is_client) == (us.client if is_client else us.server)


def test_our_transport_parameters() -> None:
    assert encode_reset_stream_at() == bytes.fromhex("1d00 c017f7586d2cb57100")


def test_the_documentation_has_the_table() -> None:
    page = (ROOT / "docs" / "interop.md").read_text(encoding="utf-8")
    assert "\n".join(documented()) in page, "make drafts ARGS=--docs prints what belongs there"
