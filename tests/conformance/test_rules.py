"""The table of rules is complete: each has its tests, in every role that it binds."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from conformance_report import Ledger
from conformance_rules import RULES, SECTIONS, Rule

TESTS = Path(__file__).parent
TESTED = {
    rule_id
    for path in TESTS.glob("test_*.py")
    for rule_id in re.findall(r'^@rule\("([^"]+)"\)$', path.read_text(), re.M)
}
APPLICABLE = {rule_id for rule_id, rule in RULES.items() if rule.not_applicable is None}


def test_every_rule_has_a_test_and_every_test_a_rule() -> None:
    # That a test runs in all roles of its rule is how conftest.py makes its cases.
    assert TESTED == APPLICABLE


def test_names_of_tests_are_not_ambiguous() -> None:
    names = [(rule.section, rule.test_name) for rule in RULES.values()]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_a_rule_says_what_it_must(rule: Rule) -> None:
    assert rule.section in SECTIONS
    assert re.fullmatch(r"[0-9.]+(-[a-z0-9]+)+", rule.rule_id)
    assert rule.text
    assert rule.text == " ".join(rule.text.split())
    assert rule.source
    assert set(rule.roles) <= {"client", "server"}
    assert rule.roles
    assert rule.not_applicable is None or len(rule.not_applicable) > 20


def test_a_rule_that_was_not_shown_in_a_role_is_not_passed() -> None:
    rule = RULES["8.2-first-frame"]
    ledger = Ledger()
    assert ledger.outcome(rule) == "NOT TESTED"
    ledger.enter([rule.rule_id], "client", "test_first_frame[client]", passed=True)
    assert ledger.outcome(rule) == "NOT TESTED"
    ledger.enter([rule.rule_id], "server", "test_first_frame[server]", passed=True)
    assert ledger.outcome(rule) == "passed"
    ledger.enter([rule.rule_id], "server", "test_first_frame[server-2]", passed=False)
    assert ledger.outcome(rule) == "FAILED"
    assert "failed: test_first_frame[server-2]" in "\n".join(ledger.lines())
    assert "FAILED (2 of 3): `test_first_frame[server-2]`" in ledger.markdown("")
    assert "1 FAILED" in ledger.totals
