"""Which draft is in force, with the settings that real peers send."""

from __future__ import annotations

import itertools

import pytest

from wtransport._protocol.profiles import Profile, announced_sessions, choose_profile
from wtransport._protocol.settings import decode_settings, encode_settings, local_settings

CHROMIUM = {0x01: 65536, 0x06: 16384, 0x07: 100, 0x33: 1, 0xFFD277: 1, 0x2B603742: 1}
FIREFOX = {0x01: 65536, 0x07: 20, 0x2B603742: 1, 0xFFD277: 1, 0x33: 1, 0x08: 1}
SAFARI = {0x33: 1, 0xC671706A: 1, 0x14E9CD29: 1, 0x2B61: 8388608, 0x2B64: 100, 0x2B65: 100}
AIOQUIC = {0x01: 4096, 0x07: 16, 0x08: 1, 0x21: 1, 0x33: 1, 0x2B603742: 1}
WT_RS = {0x01: 0, 0x07: 0, 0x08: 1, 0x2B603742: 1, 0x33: 1, 0xC671706A: 1}
WT_GO_CLIENT = {0x33: 1, 0x2C7CF000: 1}
PYWEBTRANSPORT_09 = {0x01: 0, 0x07: 0, 0x08: 1, 0x33: 1, 0x2B61: 1000, 0x2B64: 10, 0x2B65: 10}


def ours(*, is_client: bool, flow_control: bool = True, profile_b: bool = False) -> dict[int, int]:
    limit = 100 if flow_control else 0
    return local_settings(
        is_client=is_client,
        max_sessions=10,
        initial_max_data=limit,
        initial_max_streams_uni=limit,
        initial_max_streams_bidi=limit,
        profile_b=profile_b,
    )


def choose(
    remote: dict[int, int],
    *,
    is_client: bool = False,
    strict: bool = False,
    datagrams: bool = True,
    reset_stream_at: bool = False,
    local: dict[int, int] | None = None,
) -> Profile | None:
    return choose_profile(
        local=ours(is_client=is_client) if local is None else local,
        remote=remote,
        is_client=is_client,
        strict=strict,
        remote_has_datagrams=datagrams,
        remote_has_reset_stream_at=reset_stream_at,
    )


@pytest.mark.parametrize("is_client", [True, False])
def test_our_own_two_ends_speak_16_with_flow_control(is_client: bool) -> None:
    assert choose(ours(is_client=not is_client), is_client=is_client) == Profile(16, flow_control=True)


@pytest.mark.parametrize(
    ("remote", "profile"),
    [
        (CHROMIUM, Profile(2, flow_control=False)),
        (FIREFOX, Profile(2, flow_control=False)),
        (AIOQUIC, Profile(2, flow_control=False)),
        (SAFARI, Profile(7, flow_control=False)),
        (WT_RS, Profile(7, flow_control=False)),
        (WT_GO_CLIENT, Profile(16, flow_control=False)),
        (PYWEBTRANSPORT_09, Profile(7, flow_control=False)),
    ],
    ids=["chromium", "firefox", "aioquic", "safari", "wt-rs", "wt-go", "no id at all"],
)
def test_clients_that_a_server_meets(remote: dict[int, int], profile: Profile) -> None:
    assert choose(remote) == profile


@pytest.mark.parametrize(
    ("remote", "profile"),
    [
        (AIOQUIC, Profile(2, flow_control=False)),
        (WT_RS, Profile(7, flow_control=False)),
        ({0x08: 1, 0x33: 1, 0x2B603742: 1, 0x2C7CF000: 1, 0x14E9CD29: 2**62 - 1}, Profile(16, flow_control=False)),
        (PYWEBTRANSPORT_09, None),
    ],
    ids=["aioquic", "wt-rs", "wt-go", "no id at all"],
)
def test_servers_that_a_client_meets(remote: dict[int, int], profile: Profile | None) -> None:
    assert choose(remote, is_client=True) == profile


def test_safari_gets_14_with_flow_control_once_we_name_it() -> None:
    local = ours(is_client=False, profile_b=True)
    assert choose(SAFARI, local=local) == Profile(14, flow_control=True)


def test_strict_asks_for_reset_stream_at_in_16_and_14_and_not_below() -> None:
    local = ours(is_client=False, profile_b=True)
    for remote in (WT_GO_CLIENT, SAFARI):
        assert choose(remote, strict=True, local=local) is None
        assert choose(remote, strict=True, local=local, reset_stream_at=True) is not None
    assert choose(WT_RS, strict=True) == Profile(7, flow_control=False)
    assert choose(CHROMIUM, strict=True) == Profile(2, flow_control=False)


def test_strict_does_not_take_a_client_without_any_id() -> None:
    assert choose(PYWEBTRANSPORT_09, strict=True) is None


def test_without_http_datagrams_there_is_no_webtransport() -> None:
    for remote in (CHROMIUM, WT_RS, WT_GO_CLIENT, PYWEBTRANSPORT_09):
        assert choose(remote, datagrams=False) is None
        assert choose({key: value for key, value in remote.items() if key not in (0x33, 0xFFD277)}) is None


def test_draft02_is_content_with_the_old_datagram_setting() -> None:
    assert choose({0x2B603742: 1, 0xFFD277: 1}) == Profile(2, flow_control=False)
    assert choose({0xC671706A: 1, 0xFFD277: 1}) is None


def test_a_server_without_extended_connect_falls_back_to_draft02_unless_strict() -> None:
    server = {0x33: 1, 0x2C7CF000: 1, 0xC671706A: 1, 0x2B603742: 1}
    assert choose(server, is_client=True) == Profile(2, flow_control=False)
    assert choose(server, is_client=True, strict=True, reset_stream_at=True) is None
    assert choose({0x33: 1, 0x2C7CF000: 1, 0x08: 0}, is_client=True) is None


def test_a_client_needs_no_extended_connect_setting() -> None:
    assert choose(WT_GO_CLIENT, strict=True, reset_stream_at=True) == Profile(16, flow_control=False)


def test_an_enabling_setting_of_zero_counts_as_absent() -> None:
    assert choose({0x33: 1, 0x08: 1, 0x2C7CF000: 0, 0xC671706A: 0, 0x2B603742: 0}, is_client=True) is None


def test_a_draft_that_we_did_not_name_is_not_chosen() -> None:
    assert choose({0x33: 1, 0x14E9CD29: 5}) is None
    assert choose({0x33: 1}, local={0x2C7CF000: 1}) is None
    assert choose({0x33: 1}, local={0xC671706A: 1}) == Profile(7, flow_control=False)


FLOW_CONTROL = [
    # draft, ours, theirs, on
    (16, {}, {}, False),
    (16, {0x2B61: 1}, {}, False),
    (16, {}, {0x2B64: 1}, False),
    (16, {0x2B61: 1}, {0x2B65: 1}, True),
    (16, {0x2B61: 1}, {0x2B65: 0}, False),
    (14, {}, {}, False),
    (14, {0x2B61: 1}, {0x2B64: 1}, True),
    (14, {0x14E9CD29: 2}, {0x14E9CD29: 2}, True),
    (14, {0x14E9CD29: 2}, {0x2B61: 1}, True),
    (14, {0x14E9CD29: 2}, {}, False),
    (7, {0x2B61: 1}, {0x2B61: 1}, False),
    (2, {0x2B61: 1}, {0x2B61: 1}, False),
]
ENABLING = {16: 0x2C7CF000, 14: 0x14E9CD29, 7: 0xC671706A, 2: 0x2B603742}


@pytest.mark.parametrize(("draft", "local", "remote", "on"), FLOW_CONTROL)
def test_when_flow_control_is_on(draft: int, local: dict[int, int], remote: dict[int, int], on: bool) -> None:
    base = {ENABLING[draft]: 1, 0x33: 1, 0x08: 1}
    assert choose(base | remote, local=base | local) == Profile(draft, flow_control=on)
    assert choose(base | remote, local=base | local, is_client=True) == Profile(draft, flow_control=on)


def test_the_highest_common_draft_is_in_force_on_both_sides_alike() -> None:
    identifiers = list(ENABLING.items())
    for size in range(1, 5):
        for common in itertools.combinations(identifiers, size):
            settings = {0x33: 1, 0x08: 1} | {identifier: 1 for _, identifier in common}
            expected = Profile(max(draft for draft, _ in common), flow_control=False)
            assert choose(settings, local=settings) == expected
            assert choose(settings, local=settings, is_client=True) == expected


def test_what_follows_from_a_draft() -> None:
    rules = {
        # draft: token, draft-02 header, tokens as subprotocols, unlisted is an error, limits must increase
        2: ("webtransport", True, False, False, False),
        7: ("webtransport", False, True, False, False),
        14: ("webtransport", False, False, False, False),
        16: ("webtransport-h3", False, False, True, True),
    }
    for draft, expected in rules.items():
        profile = Profile(draft, flow_control=False)
        assert expected == (
            profile.connect_token,
            profile.sends_draft02_header,
            profile.accepts_protocol_tokens,
            profile.unlisted_protocol_is_error,
            profile.limits_must_increase,
        )


def test_one_session_only_from_draft_13_on_without_flow_control() -> None:
    single = {(draft, on): Profile(draft, on).single_session for draft in (2, 7, 14, 16) for on in (True, False)}
    assert {key for key, value in single.items() if value} == {(14, False), (16, False)}


def test_how_many_sessions_a_server_announces() -> None:
    settings = {0xC671706A: 7, 0x14E9CD29: 14}
    announced = {draft: announced_sessions(Profile(draft, flow_control=True), settings) for draft in (2, 7, 14, 16)}
    assert announced == {2: None, 7: 7, 14: 14, 16: None}


def test_the_choice_for_settings_met_before_is_the_same_for_every_argument() -> None:
    ours = local_settings(
        is_client=False, max_sessions=4, initial_max_data=1, initial_max_streams_uni=1, initial_max_streams_bidi=1
    )
    others = [decode_settings(encode_settings(settings), sender_is_client=True) for settings in ({}, dict(ours))]
    for _ in range(2):
        for remote, *flags in itertools.product(others, *[(False, True)] * 4):
            names = ("is_client", "strict", "remote_has_datagrams", "remote_has_reset_stream_at")
            options = dict(zip(names, flags, strict=True))
            expected = choose_profile(local=dict(ours), remote=dict(remote), **options)
            assert choose_profile(local=ours, remote=remote, **options) == expected
