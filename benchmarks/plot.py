"""Accuracy against CPU seconds, drawn from RESULTS.md: `python benchmarks/plot.py`."""

from __future__ import annotations

import re
from io import StringIO
from pathlib import Path
from typing import Any

import pandas as pd

HERE = Path(__file__).parent
IMAGES = HERE / "images"
SECTIONS = {
    "sample": "Side by side on the sample",
    "structured": "Side by side on 1,000 stores",
}
MEASURES = {
    "WAPE": "WAPE of store-days, %",
    "WAPE28": "WAPE of 28-day totals, %",
}
OURS = "blend"
COLORS = {
    "**ours**": "#b3261e",
    "AutoML": "#1f5fa8",
    "statistical": "#3b7d3b",
    "global boosting": "#8a5a00",
    "per store": "#6a3d9a",
    "naive": "#777777",
}


def methods(results: str, title: str) -> pd.DataFrame:
    """`kind, WAPE, WAPE28, CPU s` of the methods of a section that have seconds of their own.

    Args:
        results: the text of RESULTS.md.
        title: how the section's title begins.
    """
    section = results.partition(f"## {title}")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    end = next(i for i, line in enumerate(lines[2:], 2) if re.match(r"\|\s+\|", line))
    cells = [re.sub(r"\s*\|\s*", "|", line).strip("|") for line in [lines[0], *lines[2:end]]]
    table = pd.read_csv(StringIO("\n".join(cells)), sep="|", index_col="method")
    return table[table["CPU s"].notna()]


def draw(table: pd.DataFrame, path: Path) -> None:
    """Write the figure of a section as SVG, the same bytes for the same table."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    mpl.rcParams.update({"svg.hashsalt": path.stem, "svg.fonttype": "none"})
    table = table.sort_values("WAPE")
    figure = Figure(figsize=(12, 5.5), layout="constrained")
    *panels, legend = figure.subplots(1, 3, width_ratios=(5, 5, 2))
    for axes, (measure, label) in zip(panels, MEASURES.items(), strict=True):
        axes.set_xscale("log")
        axes.set_xlabel("CPU seconds, all windows together")
        axes.set_ylabel(label)
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
        axes.margins(0.1)
        _mark(axes, table, measure)
    legend.axis("off")
    for number, (name, row) in enumerate(table.iterrows(), 1):
        text, y = f"{number}  {'ours' if name == OURS else name}", 1 - number / (len(table) + 1)
        legend.text(0, y, text, color=COLORS[row["kind"]], weight=_weight(name))
    path.parent.mkdir(exist_ok=True)
    figure.savefig(path, metadata={"Date": None})


def _mark(axes: Any, table: pd.DataFrame, measure: str) -> None:
    """A point and a number for each method; those far above the others stand at the edge."""
    low, upper = table[measure].min(), table[measure].quantile(0.75)
    top = upper + (upper - low)
    for number, (name, row) in enumerate(table.iterrows(), 1):
        far = row[measure] > top
        place, color = (row["CPU s"], min(row[measure], top)), COLORS[row["kind"]]
        axes.scatter(*place, s=45, color=color, marker="^" if far else "o", zorder=3)
        text = f"{number} ({row[measure]:.1f})" if far else str(number)
        where = {"xytext": (5, 4), "textcoords": "offset points"}
        axes.annotate(text, place, color=color, weight=_weight(name), **where)


def _weight(name: str) -> str:
    return "bold" if name == OURS else "normal"


def main() -> None:
    """Draw every section again."""
    results = (HERE / "RESULTS.md").read_text("utf-8")
    for name, title in SECTIONS.items():
        draw(methods(results, title), IMAGES / f"{name}.svg")


if __name__ == "__main__":
    main()
