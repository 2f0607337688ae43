"""How subprotocols are offered and chosen in each draft: Strings, Tokens, unlisted names (draft-16, 3.3)."""

from __future__ import annotations

import pytest
from draft_kinds import KINDS, OURS, Kind
from draft_rules import expected
from scripted_peer import MakePeer

from wtransport.constants import ErrorCodes

DRAFTS = {2: "draft-02", 7: "draft-07", 14: "draft-14", 16: "draft-16"}
STRINGS, TOKENS = '"moq-00", "chat"', "moq-00, chat"


def single(draft: int) -> Kind:
    return next(kind for kind in KINDS if kind.name == DRAFTS[draft])


@pytest.mark.parametrize("draft", DRAFTS)
@pytest.mark.parametrize(("offer", "is_tokens"), [(STRINGS, False), (TOKENS, True)])
def test_what_our_server_takes_for_an_offer(our_server: MakePeer, draft: int, offer: str, is_tokens: bool) -> None:
    """Tokens were the form of drafts 10 to 12; in all others a field of them is void."""
    peer = our_server(single(draft))
    stream_id = peer.request(token=expected(single(draft), OURS).token, wt_available_protocols=offer)
    session = peer.take_event("SessionRequested").session
    if is_tokens and draft != 7:
        assert session.available_protocols == []
        with pytest.raises(ValueError, match="not among"):
            session.accept(protocol="chat")
        return
    assert session.available_protocols == ["moq-00", "chat"]
    session.accept(protocol="chat")
    # Who offers Tokens reads nothing but Tokens.
    assert dict(peer.fields(stream_id))[b"wt-protocol"] == (b"chat" if is_tokens else b'"chat"')


def test_a_name_that_is_no_token_is_answered_as_a_string(our_server: MakePeer) -> None:
    peer = our_server(single(7))
    stream_id = peer.request(token="webtransport", wt_available_protocols='moq-00, "two words"')
    session = peer.take_event("SessionRequested").session
    session.accept(protocol="two words")
    assert dict(peer.fields(stream_id))[b"wt-protocol"] == b'"two words"'


CHOICES = {
    # what the server says: by draft, the protocol, or None for no choice, or False for the end of the session
    '"chat"': {2: "chat", 7: "chat", 14: "chat", 16: "chat"},
    '"chat";q=1': {2: "chat", 7: "chat", 14: "chat", 16: "chat"},
    "chat": {2: None, 7: "chat", 14: None, 16: None},
    '"other"': {2: None, 7: None, 14: None, 16: False},
    "other": {2: None, 7: None, 14: None, 16: None},
    '"chat", "moq-00"': {2: None, 7: None, 14: None, 16: None},
    "?1": {2: None, 7: None, 14: None, 16: None},
    "": {2: None, 7: None, 14: None, 16: None},
}


@pytest.mark.parametrize("draft", DRAFTS)
@pytest.mark.parametrize("choice", CHOICES)
def test_what_our_client_takes_for_a_choice(our_client: MakePeer, draft: int, choice: str) -> None:
    peer = our_client(single(draft))
    session = peer.engine.open_session(authority="localhost", path="/", headers={}, protocols=["moq-00", "chat"])
    peer.send(0, peer.response(wt_protocol=choice))
    meant = CHOICES[choice][draft]
    if meant is False:
        assert peer.ends(0) == (ErrorCodes.WT_ALPN_ERROR, ErrorCodes.WT_ALPN_ERROR)
        assert session.end_error is not None
        assert session.end_error.error_code == ErrorCodes.WT_ALPN_ERROR
        assert peer.closed is None
    else:
        assert session.is_open
        assert session.protocol == meant
