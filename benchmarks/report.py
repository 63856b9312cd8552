"""The HTML report: its size, how long it takes to write, and to open in a browser."""

from __future__ import annotations

import resource
import statistics
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

if TYPE_CHECKING:
    from lifemiles_forecasting.core.config import ReportSettings
    from lifemiles_forecasting.report.content import ReportContent

PROJECT = Path(__file__).parents[1]
RUN = Path(__file__).parent / ".cache" / "report"  # outputs of a `kedro run` on the sample
STORES = (1_200, 10_000)
DAYS = 400  # of history
OPENED = 5  # times
FRAMES = {
    "03_primary": ("panel", "stores"),
    "07_model_output": ("backtest", "forecasts", "weights", "attempted", "test_intervals"),
}
BUDGETS = "Budgets, for 1,200 stores: 15 MB, usable within 2 s."


def measure(fresh: bool) -> str:
    """The section of RESULTS.md.

    Args:
        fresh: run the sample again; else the outputs of the last measurement are taken.
    """
    if fresh or not (RUN / "data").exists():
        import shutil

        import cost

        shutil.rmtree(RUN, ignore_errors=True)
        cost.kedro_run(RUN)
    rows = [_measured("sample")]
    rows += [_measured(str(number)) for number in STORES]
    table = pd.DataFrame(rows).to_markdown(index=False)
    return (
        f"Opened {OPENED} times from a file in headless Chromium, the median; seconds from the "
        "start of the navigation. Usable: total, tables and filters are there. Drawn: every chart "
        f"is. The sample is a whole `kedro run`; the others are made up, with {DAYS} days of "
        f"history. {BUDGETS}\n\n{table}"
    )


def _measured(what: str) -> dict[str, float | str]:
    """One row, its report written in a process of its own."""
    import subprocess
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "report.html"
        command = [sys.executable, __file__, what, str(page)]
        told = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
        return {
            "report of": "sample" if what == "sample" else f"{int(what):,} synthetic stores",
            "stores": f"{int(told[0]):,}",
            "written in s": told[1],
            "peak MB": told[2],
            "MB": round(page.stat().st_size / 1e6, 1),
            **opening(page),
        }


def opening(page: Path) -> dict[str, float]:
    """Median seconds until a report is usable and until all of it is drawn."""
    import shutil

    from playwright.sync_api import sync_playwright

    usable, drawn = [], []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        for _ in range(OPENED):
            tab = browser.new_page(viewport={"width": 1440, "height": 900})
            tab.goto(page.as_uri())
            tab.wait_for_selector("html[data-ready=charts]", state="attached", timeout=120_000)
            marks = "performance.getEntriesByName('{}')[0].startTime / 1000"
            usable.append(tab.evaluate(marks.format("tables")))
            drawn.append(tab.evaluate(marks.format("charts")))
            tab.close()
        browser.close()
    return {
        "usable in s": round(statistics.median(usable), 2),
        "drawn in s": round(statistics.median(drawn), 2),
    }


def settings_of() -> tuple[dict, ReportSettings]:
    """The shipped configuration of the report."""
    import yaml

    from lifemiles_forecasting.core.config import ReportSettings

    text = (PROJECT / "conf/base/parameters_reporting.yml").read_text(encoding="utf-8")
    parameters = {"target": "billings", **yaml.safe_load(text)}
    return parameters, ReportSettings(**parameters["reporting"])


def content_of_sample() -> ReportContent:
    """What a run on the sample has left."""
    import json

    from lifemiles_forecasting.core.quality import RunFrames
    from lifemiles_forecasting.report.content import ReportContent

    data = RUN / "data"
    frames = RunFrames(
        **{
            name: pd.read_parquet(data / folder / f"{name}.parquet")
            for folder, names in FRAMES.items()
            for name in names
        }
    )
    ledgers = {
        name: pd.read_csv(data / f"08_reporting/{name}.csv", dtype=str, keep_default_na=False)
        for name in ("failures", "warnings")
    }
    balance = json.loads((data / "08_reporting/row_balance.json").read_text(encoding="utf-8"))
    importance = pd.read_csv(data / "08_reporting/importance.csv")
    parameters, settings = settings_of()
    return ReportContent(
        frames=frames,
        **_judged(frames, settings),
        row_balance=balance,
        configuration=parameters,
        importance=importance,
        **ledgers,
    )


def content_of_synthetic(stores: int) -> ReportContent:
    """A made-up run."""
    from lifemiles_forecasting.core import synthetic_run as made
    from lifemiles_forecasting.report.content import ReportContent

    parameters, settings = settings_of()
    frames = made.synthetic_run(stores, n_days=DAYS)
    return ReportContent(
        frames=frames,
        **_judged(frames, settings),
        failures=made.synthetic_failures(frames),
        row_balance=made.synthetic_balance(frames),
        configuration=parameters,
        importance=made.synthetic_importance(),
    )


def _judged(frames, settings: ReportSettings) -> dict:
    from lifemiles_forecasting.core.coverage import coverage_table
    from lifemiles_forecasting.core.quality import aggregate, store_metrics

    table = store_metrics(frames, settings)
    return {
        "table": table,
        "metrics": aggregate(table, frames, settings, 1.0),
        "coverage": coverage_table(frames, settings),
    }


def write(what: str, page: Path) -> None:
    """Write a report and print how many stores it is of, seconds, and peak memory."""
    from lifemiles_forecasting.report.html import render_report

    content = content_of_sample() if what == "sample" else content_of_synthetic(int(what))
    start = time.perf_counter()
    text = render_report(content, settings_of()[1])
    seconds = time.perf_counter() - start
    page.write_text(text, encoding="utf-8")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    print(len(content.frames.stores), round(seconds, 1), round(peak))


if __name__ == "__main__":
    write(sys.argv[1], Path(sys.argv[2]))
