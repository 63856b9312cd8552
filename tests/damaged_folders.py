"""What the data-processing pipeline makes of a damaged folder, against the truth about it."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd
import yaml
from damage import Damaged, damaged
from kedro.io import DataCatalog, MemoryDataset
from kedro.runner import SequentialRunner
from kedro_datasets.json import JSONDataset
from kedro_datasets.pandas import ParquetDataset

from lifemiles_forecasting.core.errors import InputError
from lifemiles_forecasting.datasets.events import EventFileDataset
from lifemiles_forecasting.datasets.transactions import TransactionFilesDataset
from lifemiles_forecasting.pipelines.data_processing import create_pipeline

CONF = Path(__file__).parents[1] / "conf/base/parameters_data_processing.yml"
BEFORE = b"what an earlier run has written"
TABLES = ("quarantine", "panel", "stores")
KEPT = ("panel.parquet", "stores.parquet", "row_balance.json")


@cache
def defaults() -> dict[str, Any]:
    """`data_processing` as the project configures it."""
    return yaml.safe_load(CONF.read_text("utf-8"))["data_processing"]


def shown(name: str) -> str:
    """A file's name as tables have it; bytes outside of UTF-8 are escaped."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def differences(made: Damaged, folder: Path, whole: bool) -> list[str]:
    """Everything that does not come out as it must; empty when all is right.

    `whole` is with panel, store table and row balance; without, the store-days that they are made
    of are looked at, which takes two thirds of the time.
    """
    raw, root = folder / "raw", folder / "out"
    raw.mkdir(parents=True)
    root.mkdir()
    for name, content in made.files.items():
        (raw / name).write_bytes(content)
    for name in KEPT:
        (root / name).write_bytes(BEFORE)
    try:
        found = processed(raw, root, made, whole)
    except InputError as error:
        return _refused(str(error), root, made)
    if made.error:
        return [f"no error, expected {made.error}"]
    wrong = [*_quarantine(found["quarantine"], made), *_rows(found["row_counts"], made)]
    if not whole:
        return wrong + _days(found["store_days"], made)
    days = _codes_and_days(found["panel"], found["stores"])
    wrong += _totals(found["row_balance"], made) + _names(found["stores"], made)
    return wrong + _days(days, made)


def processed(
    raw: Path, root: Path, made: Damaged, whole: bool, source: Any = None
) -> dict[str, Any]:
    """The real pipeline on these files, or on another source, with its outputs on disk."""
    kept = {name: ParquetDataset(filepath=str(root / f"{name}.parquet")) for name in TABLES}
    kept |= {
        name: JSONDataset(filepath=str(root / f"{name}.json"))
        for name in ("row_balance", "row_counts")
    }
    parameters = {
        "data_processing": defaults() | made.settings,
        "target": "billings",
        "as_of": made.as_of and made.as_of.isoformat(),
        "min_samples": 56,
        "data_root": str(root),
    }
    shared = ("transactions", "rejected_rows", "store_days")
    catalog = DataCatalog(
        kept
        | {name: MemoryDataset(copy_mode="assign") for name in shared}
        | {f"params:{name}": MemoryDataset(value) for name, value in parameters.items()}
        | {
            "raw_transactions": source
            or TransactionFilesDataset(filepath=str(raw), memory_limit="500MB"),
            "events": EventFileDataset(filepath=None),
        }
    )
    pipeline = create_pipeline() if whole else create_pipeline().to_outputs("store_days")
    with _quiet():
        free = SequentialRunner().run(pipeline, catalog)
        if whole:
            return {name: table.load() for name, table in kept.items()}
        early = {name: kept[name].load() for name in ("quarantine", "row_counts")}
        return early | {"store_days": free["store_days"].load().to_pandas()}


@contextmanager
def _quiet() -> Iterator[None]:
    """Kedro tells every step, and every error that it passes on."""
    before = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        yield
    finally:
        logging.disable(before)


def _refused(message: str, root: Path, made: Damaged) -> list[str]:
    if not made.error:
        return [f"refused: {message}"]
    wrong = [f"{part!r} is not in: {message}" for part in made.error if part not in message]
    if not message.startswith("found ") or "; expected " not in message:
        wrong.append(f"no found and expected in: {message}")
    harmed = [name for name in KEPT if (root / name).read_bytes() != BEFORE]
    return wrong + [f"{name} of an earlier run was written over" for name in harmed]


def _quarantine(found: pd.DataFrame, made: Damaged) -> list[str]:
    rows = set(found[["file", "line", "reason"]].itertuples(index=False, name=None))
    expected = {(shown(file), line, reason) for file, line, reason in made.quarantine}
    wrong = [f"quarantined: {row}" for row in sorted(rows - expected)]
    wrong += [f"not quarantined: {row}" for row in sorted(expected - rows)]
    if len(found) != len(made.quarantine):
        wrong.append(f"{len(found)} rows quarantined, expected {len(made.quarantine)}")
    return wrong


def _rows(found: list[dict[str, Any]], made: Damaged) -> list[str]:
    rows_in = {counts["file"]: counts["rows_in"] for counts in found}
    expected = {shown(file): rows for file, rows in made.rows_in.items()}
    after = sum(counts["rows_after_as_of"] for counts in found)
    wrong = [] if rows_in == expected else [f"rows in {rows_in}, expected {expected}"]
    if after != made.after_as_of:
        wrong.append(f"{after} rows after as_of, expected {made.after_as_of}")
    return wrong


def _totals(found: dict[str, Any], made: Damaged) -> list[str]:
    totals = {
        "rows_in": sum(made.rows_in.values()),
        "rows_used": sum(rows for _, rows in made.days.values()),
        "rows_quarantined": len(made.quarantine),
        "rows_after_as_of": made.after_as_of,
    }
    return [
        f"{name} = {found[name]}, expected {rows}"
        for name, rows in totals.items()
        if found[name] != rows
    ]


def _names(found: pd.DataFrame, made: Damaged) -> list[str]:
    """A store is called what one of its rows of the last day says, without outer white space."""
    rows = found[["partner_code", "store_code", "store_name"]].itertuples(index=False, name=None)
    names = {(partner, store): name for partner, store, name in rows}
    expected = {store: {name.strip(" \t\n") for name in last} for store, last in made.names.items()}
    wrong = {s for s in names | expected if names.get(s) not in expected.get(s, ())}
    return [f"{s} is {names.get(s)!r}, expected one of {expected.get(s)}" for s in sorted(wrong)]


def _codes_and_days(panel: pd.DataFrame, stores: pd.DataFrame) -> pd.DataFrame:
    codes = stores[["store_id", "partner_code", "store_code"]]
    return panel[panel["transactions"] > 0].merge(codes, on="store_id", validate="many_to_one")


def _days(found: pd.DataFrame, made: Damaged) -> list[str]:
    dates = pd.to_datetime(found["date"]).dt.date
    keys = zip(found["partner_code"], found["store_code"], dates, strict=True)
    days = dict(zip(keys, zip(found["y"], found["transactions"], strict=True), strict=True))
    expected = {key: (float(total), rows) for key, (total, rows) in made.days.items()}
    wrong = {key for key in days | expected if days.get(key) != expected.get(key)}
    return [f"{key}: {days.get(key)}, expected {expected.get(key)}" for key in sorted(wrong)]


def wrong(kind: str, seed: int) -> list[str]:
    """The same for one kind of damage, in a folder of its own."""
    with TemporaryDirectory() as folder:
        return differences(damaged(kind, seed), Path(folder), whole=seed == 0)
