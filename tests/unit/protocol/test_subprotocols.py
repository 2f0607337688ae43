"""draft-ietf-webtrans-http3-16, section 3.3; RFC 9651."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wtransport._protocol.profiles import Profile
from wtransport._protocol.subprotocols import (
    check_protocols,
    negotiated_protocol,
    parse_protocol,
    parse_protocols,
    select_protocol,
    serialize_choice,
    serialize_protocol,
    serialize_protocols,
)
from wtransport._protocol.violations import SessionViolation
from wtransport.constants import ErrorCodes

LISTS = {
    '"moq-00", "chat;v=2"': ["moq-00", "chat;v=2"],
    '"a"': ["a"],
    '  "a"  ': ["a"],
    '"a","b"': ["a", "b"],
    '"a" \t,\t "b"': ["a", "b"],
    '"say \\"hi\\"", "back\\\\slash"': ['say "hi"', "back\\slash"],
    '""': [""],
    '"a, b"': ["a, b"],
    '"a";q=1, "b"; x;y=?0;z="s"': ["a", "b"],
    '"a";n=-12.5;t=tok/en:1;b=:YQ==:;d=@1659578233;s=%"%c3%a9"': ["a"],
    '"a";*key.1-_': ["a"],
}
VOID = [
    None,
    "",
    "   ",
    '"a",',
    ',"a"',
    '"a",,"b"',
    '"a" "b"',
    "\"a\", 'b'",
    '"a", 1',
    '"a", 1.5',
    '"a", ?1',
    '"a", :YQ==:',
    '("a" "b")',
    '"a", ("b")',
    '"a", @1',
    '"open',
    'closed"',
    '"bad \\x escape"',
    '"tab\t"',
    '"beyond \xe9"',
    '"a";',
    '"a";Q=1',
    '"a";q=',
    '"a";q=1.',
    '"a";q=1.2345',
    '"a";q="x',
    '"a" ;q=1',
    '"a"\n',
    '\t"a"',
]


@pytest.mark.parametrize(("value", "protocols"), LISTS.items())
def test_lists(value: str, protocols: list[str]) -> None:
    assert parse_protocols(value) == protocols
    assert parse_protocols(value, accepts_tokens=True) == protocols


@pytest.mark.parametrize("value", VOID)
def test_one_bad_member_voids_the_list(value: str | None) -> None:
    assert parse_protocols(value) == []
    assert parse_protocols(value, accepts_tokens=True) == []


@pytest.mark.parametrize("value", ["a", "*a", "moq-00, chat/2", '"a", b', "a;q=1"])
def test_tokens_count_where_they_are_accepted(value: str) -> None:
    assert parse_protocols(value) == []
    assert parse_protocols(value, accepts_tokens=True) == [
        part.strip().strip('"').partition(";")[0] for part in value.split(",")
    ]


@pytest.mark.parametrize("value", ["1a", "-a", "a b", "a\u00e9"])
def test_tokens_begin_with_a_letter(value: str) -> None:
    assert parse_protocols(value, accepts_tokens=True) == []
    assert parse_protocol(value, accepts_tokens=True) is None


@pytest.mark.parametrize(
    ("value", "protocol"),
    [
        ('"moq-00"', "moq-00"),
        (' "a" ', "a"),
        ('"a";q=1', "a"),
        ('"\\""', '"'),
        ('"a", "b"', None),
        ("a", None),
        ("", None),
        (None, None),
        ('"a";', None),
        ("1", None),
    ],
)
def test_items(value: str | None, protocol: str | None) -> None:
    assert parse_protocol(value) == protocol


def test_a_token_as_an_item() -> None:
    assert parse_protocol("moq-00", accepts_tokens=True) == "moq-00"


def test_what_is_written() -> None:
    assert serialize_protocols(["moq-00", "chat;v=2"]) == '"moq-00", "chat;v=2"'
    assert serialize_protocol('a"b\\c') == '"a\\"b\\\\c"'


PRINTABLE = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=1, max_size=30)


@given(st.lists(PRINTABLE, min_size=1, max_size=6, unique=True))
def test_what_is_written_reads_back(protocols: list[str]) -> None:
    check_protocols(protocols)
    assert parse_protocols(serialize_protocols(protocols)) == protocols
    assert parse_protocol(serialize_protocol(protocols[0])) == protocols[0]


@given(st.text(st.sampled_from('"\\,; \ta=*?1:@%()'), max_size=20))
def test_any_field_is_read_or_void(value: str) -> None:
    for protocol in parse_protocols(value, accepts_tokens=True):
        assert isinstance(protocol, str)
    parse_protocol(value)


def test_a_hostile_field_takes_no_longer_than_its_length_warrants() -> None:
    for value in ('"' + "\\\\" * 30_000, '"a"' + ";a=1" * 15_000 + "!", '"a"' + ";a" * 30_000 + '="', '"a",' * 16_000):
        assert parse_protocols(value) == []
        assert parse_protocol(value) is None


def test_offers_are_checked() -> None:
    check_protocols([])
    check_protocols(["a", "x" * 512])
    for bad in (["a", "a"], [""], ["x" * 513], ["\xe9"], ["a\n"], ["tab\t"]):
        with pytest.raises(ValueError, match="wt_available_protocols"):
            check_protocols(bad)
    with pytest.raises(ValueError, match="wt_protocol"):
        check_protocols([""], argument="wt_protocol")


def test_offers_are_a_list_of_strings() -> None:
    for bad in ("moq", [1], [b"a"]):
        with pytest.raises(TypeError, match="wt_available_protocols"):
            check_protocols(bad)  # type: ignore[arg-type]


def test_a_server_takes_what_the_client_likes_best() -> None:
    assert select_protocol(["a", "b", "c"], ["c", "b"]) == "b"
    assert select_protocol(["a"], ["b"]) is None
    assert select_protocol([], ["b"]) is None


@pytest.mark.parametrize("draft", [2, 7, 14, 16])
def test_a_listed_choice_counts_in_every_draft(draft: int) -> None:
    profile = Profile(draft, flow_control=False)
    assert negotiated_protocol('"b"', offered=["a", "b"], profile=profile) == "b"
    assert negotiated_protocol(None, offered=["a"], profile=profile) is None
    assert negotiated_protocol('"a", "b"', offered=["a"], profile=profile) is None


@pytest.mark.parametrize("draft", [2, 7, 14])
def test_an_unlisted_choice_is_ignored_before_draft_15(draft: int) -> None:
    assert negotiated_protocol('"c"', offered=["a"], profile=Profile(draft, flow_control=False)) is None


@pytest.mark.parametrize("offered", [["a"], []])
def test_an_unlisted_choice_ends_the_session_from_draft_15_on(offered: list[str]) -> None:
    with pytest.raises(SessionViolation) as caught:
        negotiated_protocol('"c"', offered=offered, profile=Profile(16, flow_control=False))
    assert caught.value.error_code == ErrorCodes.WT_ALPN_ERROR


def test_a_token_counts_in_draft_07_only() -> None:
    assert negotiated_protocol("a", offered=["a"], profile=Profile(7, flow_control=False)) == "a"
    assert negotiated_protocol("a", offered=["a"], profile=Profile(16, flow_control=False)) is None


@pytest.mark.parametrize(
    ("offer", "choice"),
    [
        (None, '"chat"'),
        ('"moq-00", "chat"', '"chat"'),
        ("moq-00, chat", "chat"),
        ('"moq-00";x=chat, chat;q=1', "chat"),
        ('"a, chat, b", "chat"', '"chat"'),
        ('moq-00;x=chat, "chat"', '"chat"'),
    ],
)
def test_a_choice_has_the_form_of_the_offer(offer: str | None, choice: str) -> None:
    assert serialize_choice("chat", offer=offer) == choice
    assert parse_protocol(choice, accepts_tokens=True) == "chat"
