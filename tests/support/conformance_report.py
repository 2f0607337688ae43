"""What a run of the conformance suite found out, rule by rule, as text and as Markdown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from conformance_rules import RULES, SECTIONS, Rule

__all__ = ["NOT_APPLICABLE", "Ledger"]

PASSED, FAILED, UNTESTED, NOT_APPLICABLE = "passed", "FAILED", "NOT TESTED", "not applicable"


@dataclass
class _Cases:
    """The cases of one rule: how many passed, which did not, and in which roles."""

    passed: int = 0
    failed: list[str] = field(default_factory=list)
    roles: set[str] = field(default_factory=set)


class Ledger:
    """The outcomes of one run, by rule."""

    def __init__(self) -> None:
        self._cases: dict[str, _Cases] = {}

    def enter(self, rule_ids: Iterable[str], role: str | None, name: str, *, passed: bool) -> None:
        """Take the outcome of one case."""
        for rule_id in rule_ids:
            cases = self._cases.setdefault(rule_id, _Cases())
            cases.roles |= {role} if role else set(RULES[rule_id].roles)
            if passed:
                cases.passed += 1
            else:
                cases.failed.append(name)

    def outcome(self, rule: Rule) -> str:
        """Return what stands in the report for a rule."""
        if rule.not_applicable is not None:
            return NOT_APPLICABLE
        cases = self._cases.get(rule.rule_id)
        if cases is None or cases.roles != set(rule.roles):
            return FAILED if cases is not None and cases.failed else UNTESTED
        return FAILED if cases.failed else PASSED

    @property
    def totals(self) -> str:
        """Return the totals, in a sentence."""
        counts = Counter(map(self.outcome, RULES.values()))
        cases = sum(cases.passed + len(cases.failed) for cases in self._cases.values())
        order = (PASSED, FAILED, UNTESTED, NOT_APPLICABLE)
        parts = [f"{counts[outcome]} {outcome}" for outcome in order if counts[outcome] or outcome in (PASSED, FAILED)]
        return f"{len(RULES)} rules: {', '.join(parts)}; {cases} cases."

    def lines(self) -> Iterator[str]:
        """Return the report as text."""
        for section, title in SECTIONS.items():
            yield f"{section} {title}"
            for rule in _rules_of(section):
                outcome = self.outcome(rule)
                cases = self._cases.get(rule.rule_id, _Cases())
                count = "" if outcome == NOT_APPLICABLE else f"{cases.passed}/{cases.passed + len(cases.failed)}"
                yield f"  {outcome:<14} {count:>9}  {rule.rule_id}: {rule.text} [{rule.source}]"
                if rule.not_applicable is not None:
                    yield f"{'':27}because {rule.not_applicable}"
                for name in cases.failed:
                    yield f"{'':27}failed: {name}"
        yield ""
        yield self.totals

    def markdown(self, heading: str) -> str:
        """Return the report as a page; `heading` says what was tested."""
        lines = ["# Conformance report", "", heading, "", self.totals]
        for section, title in SECTIONS.items():
            lines += ["", f"## {section} {title}", "", "| rule | input and reaction | source | roles | result |"]
            lines.append("| --- | --- | --- | --- | --- |")
            lines += [self._row(rule) for rule in _rules_of(section)]
        return "\n".join(lines) + "\n"

    def _row(self, rule: Rule) -> str:
        outcome = self.outcome(rule)
        cases = self._cases.get(rule.rule_id, _Cases())
        result = f"{outcome} ({cases.passed} of {cases.passed + len(cases.failed)})"
        if rule.not_applicable is not None:
            result = f"{outcome}: {rule.not_applicable}"
        elif cases.failed:
            result += ": " + ", ".join(f"`{name}`" for name in cases.failed)
        cells = (f"`{rule.rule_id}`", rule.text, rule.source, ", ".join(rule.roles), result)
        return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _rules_of(section: str) -> list[Rule]:
    return [rule for rule in RULES.values() if rule.section == section]
