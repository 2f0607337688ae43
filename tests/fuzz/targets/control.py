"""Settings and the control stream, and which draft two sets of settings amount to.

Documented: ConnectionViolation. However the stream is cut, the same items come out and the same error ends them; both
ends of a connection come to the same draft.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import MappingProxyType
from typing import Any

from fuzzing.byte_source import ByteSource
from fuzzing.outcomes import Trace, check, every_way, outcome

from wtransport._protocol.control import ControlReader, GoawayRead, SettingsRead, control_stream_opening, goaway
from wtransport._protocol.profiles import choose_profile
from wtransport._protocol.settings import decode_settings, encode_settings, local_settings
from wtransport._protocol.violations import ConnectionViolation
from wtransport._speedups import BACKEND
from wtransport.constants import ErrorCodes

__all__ = ["BACKEND", "SHORT_RUNS", "fuzz", "seeds"]

SHORT_RUNS = 400

_OPENINGS = [
    "0420010007000801330180ffd27701ab60374201c0000000c671706a01ac7cf00001",
    "0433010007000801330180ffd27701ab60374201c0000000c671706a0194e9cd2901ac7cf000016b61808000006b6440646b654064",
    "040b010007003301ac7cf00001",
    "0425010007000801330180ffd27701ab60374201c0000000c671706a0194e9cd2901ac7cf00001",
    "0419018001000006800040000740643301" + "80ffd27701ab60374201",
    "0415018001000007" + "14ab6037420180ffd277013301" + "0801",
    "040408010801",
    "04020200",
    "04023302",
]
_AFTER = ["0708fffffffffffffffc", "070100", "0d0105", "030100", "210361626307" + "0104", "4041", "0000", "0100", "0400"]
_IDS = [
    *(0x01, 0x06, 0x07, 0x08, 0x33, 0xFFD277, 0x2B603742, 0x2B603743, 0xC671706A, 0x14E9CD29, 0x2C7CF000),
    *(0x2B61, 0x2B64, 0x2B65, 0x2B60, 0x21, 0x02),
]
_CODES = {
    int(code)
    for code in (
        *(ErrorCodes.H3_FRAME_ERROR, ErrorCodes.H3_SETTINGS_ERROR, ErrorCodes.H3_FRAME_UNEXPECTED),
        *(ErrorCodes.H3_ID_ERROR, ErrorCodes.H3_MISSING_SETTINGS, ErrorCodes.H3_EXCESSIVE_LOAD),
    )
}


def seeds() -> Iterator[bytes]:
    """Yield inputs made of the test vectors."""
    for is_client in (0, 1):
        for opening in _OPENINGS:
            yield bytes([0, is_client, 3, 9]) + bytes.fromhex(opening)
        for after in _AFTER:
            yield bytes([0, is_client, 3, 9]) + bytes.fromhex(_OPENINGS[2] + after + "070100")
    for opening in _OPENINGS:
        yield b"\x01\x00" + bytes.fromhex(opening)[2:]
    for index in range(2, 11):
        yield bytes([2, 0, 0]) + bytes([4, 1, 3, 1, index, 1, 11, 0xBF, 12, 0xBF, 13, 0xBF])


def fuzz(data: bytes) -> Trace:
    """Run one input."""
    source = ByteSource(data)
    trace: Trace = []
    (_read_stream, _read_settings, _choose)[source.below(3)](source, trace)
    return trace


def _read_stream(source: ByteSource, trace: Trace) -> None:
    is_client = source.flag()
    places = [source.byte(), source.byte()]
    data = source.rest()
    results = [
        _items(ControlReader(is_client=is_client), pieces, is_client=is_client) for pieces in every_way(data, places)
    ]
    for result in results[1:]:
        check(result == results[0], f"depends on how the stream is cut: {result} and {results[0]}")
    trace += results[0]


def _items(reader: ControlReader, pieces: list[bytes], *, is_client: bool) -> list[Any]:
    items: list[Any] = []
    last_goaway = 2**62
    try:
        for piece in pieces:
            for item in reader.feed(piece):
                check(isinstance(item, SettingsRead) == (not items), "SETTINGS is not the first item, or not the only")
                if isinstance(item, GoawayRead):
                    check(item.identifier <= last_goaway, "GOAWAY goes up")
                    check(not is_client or item.identifier % 4 == 0, "GOAWAY names no request")
                    check(goaway(item.identifier).startswith(b"\x07"), "our own GOAWAY is none")
                    last_goaway = item.identifier
                else:
                    _check_settings(item.settings)
                items.append(repr(item))
    except ConnectionViolation as violation:
        check(violation.error_code in _CODES, f"code {violation.error_code:#x}")
        items.append(("violation", violation.error_code, violation.reason))
    return items


def _check_settings(settings: dict[int, int]) -> None:
    check(not settings.keys() & {0x00, 0x02, 0x03, 0x04, 0x05}, "a setting of HTTP/2")
    check(all(settings.get(each, 0) <= 1 for each in (0x08, 0x33, 0xFFD277, 0x2B603742)), "a boolean above 1")


def _read_settings(source: ByteSource, trace: Trace) -> None:
    is_client = source.flag()
    data = source.rest()
    result = outcome(decode_settings, data, sender_is_client=is_client, documented=(ConnectionViolation,))
    trace.append(result)
    if result[0] == "returned":
        settings = result[2]
        again = encode_settings(settings)
        check(len(again) <= len(data), "settings grow")
        check(decode_settings(again, sender_is_client=is_client) == settings, "settings do not survive")
        opening = control_stream_opening(settings)[1:]
        items = _items(ControlReader(is_client=not is_client), [opening], is_client=not is_client)
        check(items == [repr(SettingsRead(MappingProxyType(dict(settings))))], f"our own opening is read as {items}")


def _choose(source: ByteSource, trace: Trace) -> None:
    own = {
        side: local_settings(
            is_client=side == "client",
            max_sessions=1 + source.below(4),
            initial_max_data=source.below(2) * 1000,
            initial_max_streams_uni=source.below(2) * 10,
            initial_max_streams_bidi=source.below(2) * 10,
            profile_b=source.flag(),
        )
        for side in ("client", "server")
    }
    facts = {
        "strict": source.flag(),
        "remote_has_datagrams": source.flag(),
        "remote_has_reset_stream_at": source.flag(),
    }
    remote: dict[int, int] = {}
    while source.has_more:
        remote[source.pick(_IDS)] = source.number()
    for is_client in (False, True):
        local = own["client" if is_client else "server"]
        profile = choose_profile(local=local, remote=remote, is_client=is_client, **facts)
        trace.append(repr(profile))
        check(profile is None or remote or not is_client, "a draft out of nothing")
        if not facts["remote_has_datagrams"]:
            check(profile is None, "a draft without datagrams")
    at_client = choose_profile(local=own["client"], remote=own["server"], is_client=True, **facts)
    at_server = choose_profile(local=own["server"], remote=own["client"], is_client=False, **facts)
    check(at_client == at_server, f"the client chose {at_client}, the server {at_server}")
    trace.append(repr(at_client))
