"""Draws figures with matplotlib, as SVG files that are the same whenever the results are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

__all__ = ["MissingPlotterError", "bars", "growth"]

INK, OURS, OTHERS, GUIDE = "#444444", "#1f6fb2", "#b8b8b8", "#d08a2f"
WIDTH = 7.0
"""Inches; the pages scale it."""


class MissingPlotterError(Exception):
    """matplotlib is not installed."""


def growth(path: Path, series: Mapping[str, Any]) -> None:
    """Draw a cost over what grows, both logarithmic, beside what linear or flat growth would look like."""
    pyplot = _pyplot()
    figure, axes = pyplot.subplots(figsize=(WIDTH, 3.4))
    amounts = [amount for amount, _ in series["points"]]
    costs = [cost for _, cost in series["points"]]
    axes.plot(amounts, costs, marker="o", color=OURS, label="measured")
    if series["bar"] < 1:
        axes.axhline(costs[0], color=GUIDE, linestyle=":", label="flat")
    else:
        last, reached = amounts[-1], costs[-1]
        axes.plot(amounts, [reached * amount / last for amount in amounts], color=GUIDE, linestyle=":", label="linear")
    axes.set(xscale="log", yscale="log", xlabel=series["of"], ylabel=series["cost"])
    axes.set_ylim(min(costs) / 3, max(costs) * 3)
    axes.legend(frameon=False)
    _finish(figure, axes, path)


def bars(path: Path, ratios: Mapping[str, Sequence[tuple[str, float]]], *, label: str) -> None:
    """Draw bars of ratios, a group for each row and a bar for each name; 1 is where both are alike."""
    pyplot = _pyplot()
    rows = [(row, name, ratio) for row, entries in ratios.items() for name, ratio in entries]
    figure, axes = pyplot.subplots(figsize=(WIDTH, 0.8 + 0.24 * len(rows)))
    places = range(len(rows))
    axes.barh(places, [ratio for _, _, ratio in rows], color=[OURS if each[2] >= 1 else OTHERS for each in rows])
    axes.set_yticks(places, [f"{row} / {name}" for row, name, _ in rows])
    axes.invert_yaxis()
    axes.axvline(1, color=GUIDE, linestyle=":")
    axes.set(xscale="log", xlabel=label)
    _finish(figure, axes, path)


def _pyplot() -> Any:
    try:
        import matplotlib  # only who draws needs it
    except ImportError as missing:
        raise MissingPlotterError("matplotlib draws the figures: pip install matplotlib") from missing
    matplotlib.use("svg")
    matplotlib.rcParams.update(
        {
            "axes.edgecolor": INK,
            "axes.labelcolor": INK,
            "axes.spines.right": False,
            "axes.spines.top": False,
            "font.size": 9,
            "svg.fonttype": "none",  # text stays text
            "svg.hashsalt": "wtransport",  # the same results give the same bytes
        }
    )
    from matplotlib import pyplot

    return pyplot


def _finish(figure: Any, axes: Any, path: Path) -> None:
    axes.grid(visible=True, which="major", linewidth=0.3)
    axes.set_axisbelow(True)
    figure.tight_layout()
    figure.savefig(path, format="svg", metadata={"Date": None})
    _pyplot().close(figure)
    path.write_text("".join(f"{line.rstrip()}\n" for line in path.read_text().splitlines()))
