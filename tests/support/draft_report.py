"""Prints what must come of every kind of client with every kind of server; with --docs the table of the documentation.

Nothing is run here: tests/drafts compares these outcomes with what the engine does.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

from draft_kinds import CLIENTS, KINDS, OURS, OURS_STRICT, SERVERS, Kind
from draft_rules import Outcome, expected

ERRORS = {0x10E: "H3_MESSAGE_ERROR", 0x212C0D48: "WT_REQUIREMENTS_NOT_MET"}


def grid() -> Iterator[str]:
    """Return the lines of the whole matrix: clients down, servers across."""
    yield "The draft in force (16 goes with the token webtransport-h3, lower ones with webtransport), and marks:"
    yield "fc: session flow control is on; single: one session only; v: the version field of draft-02."
    yield "Failures: the client closes the connection, the server resets the CONNECT or answers with a status."
    yield ""
    for number, server in enumerate(SERVERS, 1):
        yield f"server {number:2}: {server}"
    width = max(len(str(expected(client, server))) for client in CLIENTS for server in SERVERS) + 1
    indent = max(len(client.name) for client in CLIENTS) + 1
    yield " " * indent + "".join(f"{number:<{width}}" for number in range(1, len(SERVERS) + 1))
    for client in CLIENTS:
        cells = (str(expected(client, server)) for server in SERVERS)
        yield f"{client.name:{indent}}" + "".join(f"{cell:{width}}" for cell in cells).rstrip()


def documented() -> Iterator[str]:
    """Return the lines of the table in docs/interop.md: ours with every other kind, in Markdown."""
    yield "| peer | its client, our server | with `strict` | its server, our client | with `strict` |"
    yield "| --- | --- | --- | --- | --- |"
    for kind in KINDS:
        if kind.is_ours or kind.name.endswith("strict"):
            continue
        cells = [kind.name]
        cells += [_cell(kind, us) if kind.client is not None else "-" for us in (OURS, OURS_STRICT)]
        cells += [_cell(us, kind) if kind.server is not None else "-" for us in (OURS, OURS_STRICT)]
        yield "| " + " | ".join(cells) + " |"


def _cell(client: Kind, server: Kind) -> str:
    outcome = expected(client, server)
    return _words(outcome) if outcome.opens else f"refused: {_refusal(outcome)}"


def _words(outcome: Outcome) -> str:
    draft = {16: "15/16", 14: "13/14"}.get(outcome.client or 0, f"{outcome.client:02}")
    return (
        draft + (", flow control" if outcome.flow_control else "") + (", one session" if outcome.sessions == 1 else "")
    )


def _refusal(outcome: Outcome) -> str:
    if outcome.status is not None:
        return str(outcome.status)
    code = outcome.closed_with or outcome.reset_with or 0
    return ERRORS[code]


if __name__ == "__main__":
    print("\n".join(documented() if "--docs" in sys.argv else grid()))
