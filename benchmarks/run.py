"""Measure again what RESULTS.md says: `make bench`, or `python benchmarks/run.py [SECTION ...]`.

Sections: sample and structured (ours beside every peer), cost, tracking, explore, serving, report,
reading, rows, scale, slope, stores. All but the first three are run only when named: they make
6,000 nested runs, ask the champion that `make run` has left, write reports of 10,000 stores, make
50 million rows (7.6 GB), and train up to 10,000 stores, which takes half an hour.
Forecasts of peers are kept in benchmarks/.cache; --fresh makes everything anew in one run.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import tempfile
from datetime import date
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

import plot

RESULTS = Path(__file__).parent / "RESULTS.md"
TITLES = {
    "sample": "Side by side on the sample (`local_amount`)",
    "structured": "Side by side on 1,000 stores x 900 days with structure (synthetic)",
    "cost": "Cost on the sample (`billings`)",
    "reading": "Reading 8.9 million rows",
    "rows": "Up to 50 million rows",
    "scale": "1,115 stores x 942 days (synthetic)",
    "slope": "From 250 to 4,000 stores x 900 days (synthetic)",
    "stores": "10,000 stores x 900 days (synthetic)",
    "tracking": "Tracking a nested run",
    "explore": "`kedro explore` on 6,000 nested runs (synthetic)",
    "serving": "Serving the champion of the sample",
    "report": "The HTML report",
}
SCALE = {  # sections that are functions of one module
    "reading": "reading",
    "rows": "many_rows",
    "scale": "training",
    "slope": "slope",
    "stores": "most_stores",
}
PACKAGES = ("catboost", "duckdb", "kedro", "mlflow", "numpy", "pandas", "scikit-learn")


def _section(name: str, folder: Path, fresh: bool, kept: dict[str, str]) -> str:
    if name in ("sample", "structured"):
        import comparison
        import panels

        body = comparison.section(panels.load(name, folder), folder / name, fresh)
        return f"{body}\n\n![Accuracy against CPU seconds](images/{name}.svg)"
    if name in SCALE:
        import scale

        return getattr(scale, SCALE[name])(folder)
    measure = import_module(name).measure  # the others are modules of their own
    if name == "report":
        return measure(fresh)
    if name == "tracking":
        return measure(folder / name, _training_seconds(kept))
    return measure(folder / name)


def _training_seconds(kept: dict[str, str]) -> float | None:
    """Per store, as `scale` has measured them last."""
    found = re.search(r"Per store: training ([\d.]+) s", kept.get(TITLES["scale"], ""))
    return float(found[1]) if found else None


def _machine() -> str:
    versions = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    return (
        f"{date.today()}, {os.cpu_count()} cores ({platform.machine()}), "
        f"Python {platform.python_version()}, {versions}"
    )


def main() -> None:
    """Measure the named sections and replace them in RESULTS.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sections", nargs="*", default=[], choices=[*TITLES, []])
    parser.add_argument("--fresh", action="store_true", help="run every peer again")
    asked = parser.parse_args()
    names = asked.sections or ["sample", "structured", "cost"]
    parts = RESULTS.read_text().split("\n## ") if RESULTS.exists() else ["# Results\n"]
    kept = {part.partition("\n")[0]: part.partition("\n")[2].strip() for part in parts[1:]}
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            command = f"`python benchmarks/run.py {name}`"
            body = _section(name, Path(folder), asked.fresh, kept)
            kept[TITLES[name]] = f"{command}; {_machine()}.\n\n{body}"
            print(f"## {TITLES[name]}\n\n{body}\n")
    ordered = [title for title in TITLES.values() if title in kept]
    ordered += [title for title in kept if title not in ordered]
    text = parts[0].strip() + "\n"
    text += "".join(f"\n## {title}\n\n{kept[title]}\n" for title in ordered)
    RESULTS.write_text(text)
    plot.main()


if __name__ == "__main__":
    main()
