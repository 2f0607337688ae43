"""Tables and figures as Markdown, for a page to include: made of results for record, written by nobody's hand."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from perf.plots import figures

__all__ = ["MAKERS", "without_results"]

_MADE = "<!-- made by python -m perf.plots: not to be edited -->"


def _taken(taken: Mapping[str, str]) -> str:
    return f"Measured on {taken['date']}: wtransport {taken['wtransport']}; {taken['python']}; {taken['machine']}."


def _table(head: list[str], rows: list[list[str]]) -> list[str]:
    return [f"| {' | '.join(line)} |" for line in (head, ["---"] * len(head), *rows)]


def _growth(results: Mapping[str, Any], directory: Path) -> list[str]:
    rows = [
        [
            name,
            f"{each['points'][0][0]:,} to {each['points'][-1][0]:,} {each['of']}",
            each["cost"],
            f"{each['points'][0][1]:,.4g} to {each['points'][-1][1]:,.4g}",
            f"{each['exponent']:+.2f}",
            f"{each['bar']}",
        ]
        for name, each in results.items()
    ]
    lines = _table(["series", "from, to", "cost", "was", "exponent", "at most"], rows)
    for name, each in results.items():
        file = f"growth-{name.replace(' ', '-')}.svg"
        figures.growth(directory / file, each)
        lines += ["", f"**{name.capitalize()}.** {each['claim']} Exponent {each['exponent']:+.2f}.", ""]
        lines += [f"![{each['cost']}, by {each['of']}](/figures/{file})"]
    return lines


def _cost(results: Mapping[str, Any], _directory: Path) -> list[str]:
    def shown(value: float | None, form: str) -> str:
        return "" if value is None else form.format(value)

    rows = [
        [
            name,
            shown(each["instructions"], "{:,.0f}"),
            shown(each["allocations"], "{:.1f}"),
            f"{each['seconds'] * 1e6:.2f}",
            f"{each['blocks']:.2f}",
        ]
        for name, each in results["operations"].items()
    ]
    counted = results["counted by"]
    lines = [] if counted is None else [f"Instructions and allocations by `{counted}`.", ""]
    return lines + _table(["for each", "instructions", "allocations", "processor time, µs", "blocks left"], rows)


def _peers(results: Mapping[str, Any], directory: Path) -> list[str]:
    names = list(results["versions"])
    rows, ratios = [], {}
    for scenario, row in results["scenarios"].items():
        found = row["figures"]
        cells = [scenario]
        for name in names:
            entry = found.get(name)
            if entry is None or entry["median"] is None:
                cells.append("" if entry is None else "failed")
            else:
                ratio = entry.get("ratio")
                cells.append(f"{entry['median']:,.4g}" + ("" if ratio is None else f" ({ratio:.2f}x)"))
        rows.append(cells)
        ratios[scenario] = [(name, found[name]["ratio"]) for name in names if found.get(name, {}).get("ratio")]
    figures.bars(directory / "peers.svg", ratios, label="ours against that peer: above 1 ours is ahead")
    versions = ", ".join(f"{name} {version}" for name, version in results["versions"].items() if name != "ours")
    lines = [f"{versions}; {results['rounds']} rounds, medians.", "", *_table(["", *names], rows), ""]
    return [*lines, "![ours against each peer](/figures/peers.svg)"]


def without_results(name: str) -> str:
    """Return what stands in the place of results that nobody has kept."""
    return f"{_MADE}\n\nNo results are kept; `python -m perf.{name} --record` takes them.\n"


def _page(make: Callable[[Any, Path], list[str]]) -> Callable[[Mapping[str, str], Any, Path], str]:
    def page(taken: Mapping[str, str], results: Any, directory: Path) -> str:
        return "\n".join([_MADE, "", _taken(taken), *make(results, directory), ""])

    return page


MAKERS = {"peers": _page(_peers), "cost": _page(_cost), "growth": _page(_growth)}
"""By the name of a record: takes its circumstances, its results and a directory for figures; returns Markdown."""
