"""The rules of the conformance suite, read from tests/conformance/rules.toml."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

__all__ = ["RULES", "SECTIONS", "Rule"]

_TABLE = Path(__file__).resolve().parents[1] / "conformance" / "rules.toml"

SECTIONS = {
    "2.1": "Requirements",
    "3.1": "Stream headers",
    "3.2": "Early arrivals",
    "3.3": "Resets of data streams",
    "5": "Capsules",
    "5.2": "Validation of capsules",
    "6": "Session flow control",
    "7.1": "The CONNECT request",
    "7.2": "Responses",
    "7.3": "Subprotocols",
    "7.4": "Draining",
    "7.5": "Termination",
    "7.6": "0-RTT",
    "7.7": "Keying material exporters",
    "8.1": "HTTP/3 streams",
    "8.2": "The control stream",
    "8.3": "Request streams",
    "8.4": "QPACK",
    "9": "Datagrams",
    "13": "Test vectors",
}
"""Titles of the sections, in the order of the report."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule.

    Attributes:
        rule_id: the section and a name.
        text: the input and the required reaction.
        source: document and section.
        roles: "client", "server" or both: which of our ends the rule binds.
        not_applicable: why no test can show it, or None.
    """

    rule_id: str
    text: str
    source: str
    roles: tuple[str, ...]
    not_applicable: str | None = None

    @property
    def section(self) -> str:
        """Return the section, e.g. ``8.2``."""
        return self.rule_id.partition("-")[0]

    @property
    def test_name(self) -> str:
        """Return what the names of the rule's tests begin with."""
        return "test_" + self.rule_id.partition("-")[2].replace("-", "_")


def _read() -> dict[str, Rule]:
    table = tomllib.loads(_TABLE.read_text(encoding="utf-8"))
    return {
        rule_id: Rule(
            rule_id, entry["text"], entry["source"], tuple(entry["roles"]), not_applicable=entry.get("not_applicable")
        )
        for rule_id, entry in table.items()
    }


RULES = _read()
