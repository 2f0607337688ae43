"""Section 7.3: wt-available-protocols and wt-protocol."""

from __future__ import annotations

from typing import Any

import pytest
from conformance_bench import PROFILES, Bench, MakeBench

from wtransport.constants import ErrorCodes

rule = pytest.mark.rule

OFFER = b"wt-available-protocols"
CHOICE = b"wt-protocol"


def offered(ends: Bench, *values: bytes) -> Any:
    """Let the client offer this, in so many lines, and return the session that it asks for."""
    ends.begin_message(ends.head(*((OFFER, value) for value in values)))
    return ends.peer.take_event("SessionRequested").session


@rule("7.3-offer")
@pytest.mark.parametrize(
    ("lines", "protocols"),
    [
        ([b'"moq-00"'], ["moq-00"]),
        ([b'"moq-00", "chat;v=2"'], ["moq-00", "chat;v=2"]),
        ([b'"a","b" ,\t"c"'], ["a", "b", "c"]),
        ([b'"a"', b'"b", "c"'], ["a", "b", "c"]),
        ([b'"a";q=1;b, "b";x="y, z";t=tok;n=1.5;d=?0;bin=:aGk=:'], ["a", "b"]),
        ([rb'"say \"hi\" \\o/"'], ['say "hi" \\o/']),
        ([b'"' + b"x" * 512 + b'"'], ["x" * 512]),
    ],
)
def test_offer(bench: MakeBench, lines: list[bytes], protocols: list[str]) -> None:
    ends = bench()
    session = offered(ends, *lines)
    assert session.available_protocols == protocols
    session.accept(protocol=protocols[-1])
    ends.peer.pump()
    ends.check_session_works(session)
    ends.check_nothing_wrong()


VOID = [
    b"",
    b",",
    b'"a",',
    b'"a", ',
    b'"a",,"b"',
    b'"a" "b"',
    b'"a", 5',
    b'"a", ?1',
    b'"a", :YWJj:',
    b'"a", ("b" "c")',
    b'"a", "unfinished',
    b'"a", "bad \\escape"',
    b'"a", "\xc3\xa9"',
    b'"a";=1',
    b"1.5",
    b"@1659578233",
]


@rule("7.3-void-offer")
@pytest.mark.parametrize("value", [*VOID, b'"a", token', b"token"])
def test_void_offer(bench: MakeBench, value: bytes) -> None:
    ends = bench()
    session = offered(ends, value.strip())
    assert session.available_protocols == []
    session.accept()
    ends.peer.pump()
    ends.check_session_works(session)
    ends.check_nothing_wrong()


@rule("7.3-choice")
def test_choice(bench: MakeBench) -> None:
    ends = bench()
    session = offered(ends, b'"a", "b \\"quoted\\""')
    with pytest.raises(ValueError, match="not among"):
        session.accept(protocol="c")
    session.accept(protocol='b "quoted"')
    ends.peer.pump()
    assert dict(ends.peer.fields(session.stream_id))[CHOICE] == b'"b \\"quoted\\""'
    ends.check_nothing_wrong()


@rule("7.3-choice")
@pytest.mark.parametrize("status", [None, 404], ids=["none chosen", "refused"])
def test_choice_is_in_no_other_response(bench: MakeBench, status: int | None) -> None:
    ends = bench()
    session = offered(ends, b'"a"')
    session.accept() if status is None else session.reject(status)
    ends.peer.pump()
    assert CHOICE not in dict(ends.peer.fields(session.stream_id))


def chosen(ends: Bench, value: bytes | None, *, status: bytes = b"200") -> tuple[Any, int]:
    """Offer two names, let the server choose this, and return the session and its stream's id."""
    session = ends.peer.engine.open_session(authority="localhost", path="/", headers={}, protocols=["a", "b;v=2"])
    lines = [(b":status", status), *([] if value is None else [(CHOICE, value)])]
    ends.peer.send(session.stream_id, ends.peer.headers(lines))
    return session, session.stream_id


@rule("7.3-unlisted-choice")
@pytest.mark.parametrize("draft", PROFILES)
@pytest.mark.parametrize("value", [b'"c"', b'"A"', b'"b"', b'"b";v=2', b'""'])
def test_unlisted_choice(bench: MakeBench, value: bytes, draft: int) -> None:
    ends = bench(settings=PROFILES[draft])
    session, _ = chosen(ends, value)
    if draft == 16:
        assert "SessionOpened" not in ends.peer.names()
        ends.check_session_error(ErrorCodes.WT_ALPN_ERROR, session=session)
    else:
        assert session.protocol is None
        ends.check_session_works(session)
        ends.check_nothing_wrong()


@rule("7.3-void-choice")
@pytest.mark.parametrize("value", [None, b"", b"a", b'"a", "b;v=2"', b"1", b'"a', b'("a")', b'"\xc3\xa9"'])
def test_void_choice(bench: MakeBench, value: bytes | None) -> None:
    ends = bench()
    session, _ = chosen(ends, value)
    assert session.protocol is None
    ends.check_session_works(session)
    ends.check_nothing_wrong()


@rule("7.3-void-choice")
@pytest.mark.parametrize(("value", "protocol"), [(b'"a"', "a"), (b'"b;v=2"', "b;v=2"), (b'"a";x=1;y', "a")])
def test_void_choice_is_not_a_good_one(bench: MakeBench, value: bytes, protocol: str) -> None:
    ends = bench()
    session, _ = chosen(ends, value)
    assert session.protocol == protocol
    ends.check_nothing_wrong()


@rule("7.3-tokens")
@pytest.mark.parametrize("draft", PROFILES)
def test_tokens(bench: MakeBench, draft: int) -> None:
    ends = bench(settings=PROFILES[draft])
    if ends.is_client:
        session, _ = chosen(ends, b"a")
        assert session.protocol == ("a" if draft == 7 else None)
    else:
        session = offered(ends, b"moq-00, chat;v=2")
        assert session.available_protocols == (["moq-00", "chat"] if draft == 7 else [])
        session.accept()
        ends.peer.pump()
    ends.check_session_works(session)
    ends.check_nothing_wrong()
