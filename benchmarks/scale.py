"""Larger than the sample: up to 50 million rows to read, and 10,000 stores to model."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pandas as pd

PROJECT = Path(__file__).parents[1]
READERS = Path(__file__).parent / "readers"
ROWS, MONTHS, TURNS = 8_900_000, 12, 3
MANY = ((5_000_000, 6), (20_000_000, 24), (50_000_000, 60))  # rows and files
STORES, DAYS = 1_115, 942
SLOPE, MOST_STORES, SLOPE_DAYS = (250, 4_000), 10_000, 900

COLUMNS_OF_ROW = """
    printf('%08d', (random() * 100000)::int) AS "Membership Number",
    'P' || printf('%03d', store % 20) AS "Partner Code",
    'Partner ' || (store % 20) AS "Partner Name",
    strftime(day + to_seconds((random() * 80000)::int), '%Y-%m-%d %H:%M:%S') AS "Transaction Date",
    strftime(day, '%Y-%m-%d') AS "Process Date",
    '' AS "Bonus Name", 'Accrual' AS "Transaction Type",
    round(random() * 100, 2) AS "Local Amount", (random() * 100)::int AS "Miles",
    '1' AS "Exchange Rate", 'USD' AS "Currency", 0.015 AS "Mile Price",
    printf('%05d', store // 20) AS "Store Code", 'Store number ' || store AS "Store Name",
    'Colombia' AS "Country", 'Bogota' AS "City",
    'A' || number AS "Activity Number", number AS "Activity Reference Number",
    round(random() * 2, 3) AS "Facturación"
"""
SCANNED = """
    try_cast("Process Date" AS date) AS day, "Partner Code" || '_' || "Store Code" AS store,
    try_cast("Facturación" AS double) AS billings, try_cast("Miles" AS double) AS miles,
    try_cast("Mile Price" AS double) AS price, "Activity Number", "Transaction Type",
    "Partner Name", "Store Name", "Country", "City"
"""


def write_rows(folder: Path, rows: int = ROWS, months: int = MONTHS) -> float:
    """Write the months as plain CSV; their size in GB."""
    import duckdb

    folder.mkdir(parents=True)
    connection = duckdb.connect()
    connection.sql("SELECT setseed(0.5)")
    each = rows // months
    for month in range(months):
        connection.sql(
            f"COPY (SELECT {COLUMNS_OF_ROW} FROM (SELECT range + {month * each} AS number, "
            f"(random() * {STORES - 1})::int AS store, date '2020-01-01' + "
            f"({month * DAYS // months} + (random() * {DAYS // months})::int) AS day "
            f"FROM range({each}))) TO '{folder}/data_lm_{month:02d}.csv' (HEADER)"
        )
    return sum(file.stat().st_size for file in folder.iterdir()) / 1e9


def scan(folder: Path) -> float:
    """Seconds that DuckDB takes to scan and cast the columns that are needed."""
    import duckdb

    files = sorted(folder.glob("*.csv"))
    with files[0].open() as stream:
        header = next(csv.reader(stream))
    types = ", ".join(f"'{name}': 'VARCHAR'" for name in header)
    parts = " UNION ALL ".join(
        f"SELECT {SCANNED} FROM read_csv('{file}', header=true, auto_detect=false, "
        f"delim=',', quote='\"', escape='\"', columns={{{types}}})"
        for file in files
    )
    start = time.perf_counter()
    duckdb.connect().sql(
        f"SELECT count(day), max(store), sum(billings), sum(miles), sum(price), "
        f'max("Activity Number"), max("Transaction Type"), max("Partner Name"), '
        f'max("Store Name"), max("Country"), max("City") FROM ({parts})'
    ).fetchall()
    return time.perf_counter() - start


PROCESS = """
import json, sys, time, resource
from pathlib import Path
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project
from kedro.runner import SequentialRunner
project, raw, out = sys.argv[1:]
bootstrap_project(Path(project))
params = {"raw_transactions": raw, "data_root": out}
with KedroSession.create(project, runtime_params=params) as session:
    context = session.load_context()
    from kedro.framework.project import pipelines
    pipeline, catalog = pipelines["data_processing"], context.catalog
    start = time.perf_counter()
    SequentialRunner().run(pipeline, catalog)
    print(json.dumps([time.perf_counter() - start,
                      resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6]))
"""


def ours(raw: Path, out: Path) -> list[float]:
    """Seconds and peak GB of the data-processing pipeline."""
    return _measured([sys.executable, "-c", PROCESS, str(PROJECT), str(raw), str(out)])


def reader(name: str, raw: Path, out: Path) -> list[float]:
    """Seconds and peak GB of a script of readers/; polars is in the environment of the peers."""
    python = sys.executable if name == "pandas" else str(PROJECT / ".venv-peers" / "bin" / "python")
    return _measured([python, str(READERS / f"with_{name}.py"), str(raw), str(out)])


def _measured(command: list[str]) -> list[float]:
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    return json.loads(done.stdout.strip().splitlines()[-1])


def same_panel(one: Path, other: Path) -> bool:
    """Whether two panels have the same store-days, with the same sums to a millionth."""
    first, second = (
        pd.read_parquet(path, columns=["store_id", "date", "y", "transactions"])
        .astype({"store_id": "str", "date": "datetime64[us]", "transactions": "int64"})
        .sort_values(["store_id", "date"], ignore_index=True)
        for path in (one, other)
    )
    try:
        pd.testing.assert_frame_equal(first, second, rtol=1e-6)
    except AssertionError:
        return False
    return True


def reading(folder: Path) -> str:
    """Raw files to panel with ours, pandas and polars, against DuckDB's scan of the columns."""
    raw = folder / "raw"
    size = write_rows(raw)
    rows, panel = [], folder / "ours0" / "03_primary" / "panel.parquet"
    for turn in range(TURNS):
        scanned = scan(raw)
        for name in ("ours", "polars", "pandas"):
            out = folder / f"{name}{turn}"
            seconds, peak = ours(raw, out) if name == "ours" else reader(name, raw, out)
            same = name == "ours" or same_panel(panel, out / "panel.parquet")
            rows.append((name, seconds, seconds / scanned, peak, same))
    columns = ["raw to panel with", "seconds", "times the scan", "peak GB", "the same panel"]
    table = pd.DataFrame(rows, columns=columns).groupby(columns[0]).median().sort_values("seconds")
    table["the same panel"] = table["the same panel"].map({1.0: "yes"}).fillna("no")
    return (
        f"{ROWS:,} rows, {size:.2f} GB of CSV in {MONTHS} files, {STORES} stores; medians of "
        f"{TURNS} turns. Ours is the whole data-processing pipeline: validation, duplicates, "
        "quarantine, panel, store table and the four files that it writes. pandas and polars do "
        "the same job by scripts of `benchmarks/readers/` that know one form of dates and numbers "
        "and sum floats. The scan is DuckDB's, of the same columns with casts. The budget is a "
        f"ratio of 1.5.\n\n{table.round(2).to_markdown()}"
    )


def many_rows(folder: Path) -> str:
    """Does memory stay flat? Raw to panel with more rows than memory would hold as text."""
    rows = []
    for count, months in MANY:
        raw = folder / f"raw{count}"
        size = write_rows(raw, count, months)
        seconds, peak = ours(raw, folder / f"out{count}")
        rows.append((f"{count:,}", months, size, seconds, 1e6 * seconds / count, peak))
        shutil.rmtree(raw)
    columns = ["rows", "files", "GB of CSV", "seconds", "seconds per million", "peak GB"]
    table = pd.DataFrame(rows, columns=columns).round(2).to_markdown(index=False)
    return f"Raw to panel, as above, with `memory_limit` of 1200MB as it is.\n\n{table}"


def write_stores(folder: Path, stores: int, days: int) -> None:
    """Transactions of made-up stores, one a day and store with sales."""
    from lifemiles_forecasting.core.synthetic import generate_series, to_panel

    made = generate_series(stores, days, seed=1)
    panel = to_panel(made.series)
    codes = made.series.stores[["store_id", "partner_code", "store_code"]]
    sold = panel[panel["y"] > 0].merge(codes, on="store_id")
    folder.mkdir()
    pd.DataFrame(
        {
            "Partner Code": sold["partner_code"],
            "Store Code": sold["store_code"],
            "Process Date": pd.to_datetime(sold["date"]).dt.strftime("%Y-%m-%d"),
            "Facturación": sold["y"].map("{:.6f}".format),
            "Country": "Colombia",
        }
    ).to_csv(folder / "data_lm_synthetic.csv", index=False)


def full_run(folder: Path, stores: int, days: int) -> dict[str, Any]:
    """What a full `kedro run` took, all windows and tracking on; see `cost`."""
    import cost

    raw, out = folder / f"raw{stores}", folder / f"run{stores}"
    write_stores(raw, stores, days)
    run = cost.kedro_run(out, params=(f"raw_transactions={raw}",))
    found = {
        "wall": run["wall"],
        "cpu": run["cpu"],
        "peak_mb": run["peak_mb"],
        "per_store": cost.per_store(run["tracking"]),
        "stages": cost.stage_seconds(run["log"]),
        "candidates": cost.candidate_seconds(run["log"]),
    }
    shutil.rmtree(out)
    return found


def training(folder: Path) -> str:
    """A full run over 1,115 stores, stage by stage."""
    run = full_run(folder, STORES, DAYS)
    store = run["per_store"]
    stages = ", ".join(f"{stage} {seconds} s" for stage, seconds in run["stages"].items())
    return (
        f"`kedro run`, three windows, every store tracked: {run['wall'] / 60:.1f} minutes wall, "
        f"{run['cpu'] / 60:.1f} CPU minutes, {run['peak_mb'] / 1000:.2f} GB peak (all processes "
        f"together); {int(store['stores'])} stores with models of their own.\n\n"
        f"By stage (wall): {stages}.\n\nSeconds of one core by candidate, all sizes and windows: "
        f"{run['candidates']}.\n\nPer store: training {store['train']:.2f} s of one core, "
        f"tracking {store['tracking']:.4f} s ({100 * store['tracking'] / store['train']:.1f} %)."
    )


def slope(folder: Path) -> str:
    """Full runs over few and over many stores."""
    return slope_table({stores: full_run(folder, stores, SLOPE_DAYS) for stores in SLOPE})


def most_stores(folder: Path) -> str:
    """A full run over as many stores as one machine is meant for."""
    return slope_table({MOST_STORES: full_run(folder, MOST_STORES, SLOPE_DAYS)})


def slope_table(runs: dict[int, dict[str, Any]]) -> str:
    """The section of RESULTS.md; runs as `full_run` tells them, by stores."""
    rows = [
        {
            "stores": f"{stores:,}",
            "with models": int(run["per_store"]["stores"]),
            "wall minutes": run["wall"] / 60,
            "CPU minutes": run["cpu"] / 60,
            "peak GB": run["peak_mb"] / 1000,
            "CPU s per store": run["cpu"] / stores,
            "tracking s per store": run["per_store"]["tracking"],
            "candidates (s of one core)": run["candidates"],
        }
        for stores, run in runs.items()
    ]
    table = pd.DataFrame(rows).round({"wall minutes": 1, "CPU minutes": 1})
    return (
        f"`kedro run`, three windows, every store tracked, {SLOPE_DAYS} days of history. Models of "
        "all stores learn from 400,000 rows at most, so only the stores' own models and the "
        f"tracking grow with them.\n\n{table.round(3).to_markdown(index=False)}"
    )
