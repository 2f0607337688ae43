"""Make the documentation's figures and tables of the results for record: ``python -m perf.plots``.

The results are what `perf.peers`, `perf.cost` and `perf.growth` keep with ``--record`` (`perf/records`); figures (SVG)
and tables (Markdown) go to `docs/figures`, where the page on performance includes them.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from perf import records
from perf.plots.figures import MissingPlotterError
from perf.plots.pages import MAKERS, without_results

FIGURES = Path(__file__).resolve().parents[2] / "docs" / "figures"


def main() -> int:
    """Make them; 1 when there is nothing to draw with."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=Path, default=records.DIRECTORY, help="the directory of the results")
    parser.add_argument("--output", type=Path, default=FIGURES, help="the directory of figures and tables")
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    for name, make in MAKERS.items():
        record = records.load(name, directory=arguments.records)
        try:
            page = without_results(name) if record is None else make(*record, arguments.output)
        except MissingPlotterError as missing:
            print(missing, file=sys.stderr)
            return 1
        path = arguments.output / f"{name}.md"
        path.write_text(page)
        print(f"{name}: {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
