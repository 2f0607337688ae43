"""Section 7.4: GOAWAY and WT_DRAIN_SESSION ask, and force nothing."""

from __future__ import annotations

import pytest
from conformance_bench import FLOW_CONTROL, PROFILES, MakeBench
from scripted_peer import DRAIN, GOAWAY, MakePeer

from wtransport._speedups import encode_varint
from wtransport.constants import ErrorCodes
from wtransport.exceptions import SessionError
from wtransport.types import SessionState

rule = pytest.mark.rule


@rule("7.4-goaway")
@pytest.mark.parametrize("identifier", [0, 400, 2**62 - 4])
def test_goaway(bench: MakeBench, identifier: int) -> None:
    ends = bench()
    ends.peer.send_goaway(identifier)
    assert ends.peer.names().count("SessionDraining") == 2
    for session in (ends.session, ends.bystander):
        assert session.state is SessionState.DRAINING
        ends.check_session_works(session)
    assert ends.peer.closed is None
    assert not ends.peer.aborted()


@rule("7.4-goaway")
def test_goaway_of_a_client_names_a_push(bench: MakeBench) -> None:
    ends = bench()
    ends.peer.send_goaway(0 if ends.is_client else 7)  # no stream's id, and none is meant
    assert ends.peer.closed is None
    ends.check_session_works(ends.session)


@rule("7.4-goaway-no-new-session")
def test_goaway_no_new_session(bench: MakeBench) -> None:
    ends = bench()
    ends.peer.send_goaway(2**62 - 4)
    with pytest.raises(SessionError, match="GOAWAY"):
        ends.peer.engine.open_session(authority="localhost", path="/", headers={})
    ends.check_session_works(ends.session)


@rule("7.4-goaway-shrinks")
def test_goaway_shrinks(bench: MakeBench) -> None:
    ends = bench()
    for identifier in (2**62 - 4, 400, 400, 0):
        ends.peer.send_goaway(identifier)
    assert ends.peer.names().count("GoawayReceived") == 1
    for session in (ends.session, ends.bystander):
        ends.check_session_works(session)
    assert ends.peer.closed is None


@rule("7.4-after-our-goaway")
def test_after_our_goaway(peer: MakePeer) -> None:
    ends = peer(settings=FLOW_CONTROL)
    session = ends.open_session()
    ends.engine.shutdown()
    ends.pump()
    late = ends.request()
    (identifier,) = [payload for kind, payload in ends.control_frames() if kind == GOAWAY]
    assert identifier == encode_varint(late)
    assert ends.aborted() == {late: (ErrorCodes.H3_REQUEST_REJECTED, ErrorCodes.H3_REQUEST_REJECTED)}
    assert session.is_open
    assert ends.closed is None


@rule("7.4-drain")
@pytest.mark.parametrize("draft", PROFILES)
def test_drain(bench: MakeBench, draft: int) -> None:
    ends = bench(settings=PROFILES[draft])
    ends.peer.send_capsule(ends.session_id, DRAIN)
    ends.peer.send_capsule(ends.session_id, DRAIN)
    assert ends.peer.names() == ["SessionDraining"]
    assert ends.session.state is SessionState.DRAINING
    assert ends.bystander.state is SessionState.CONNECTED
    ends.check_nothing_wrong()
