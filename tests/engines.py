"""What all engines are given, to compare what they make of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Any

import damage
import ibis
import pandas as pd
from damaged_folders import defaults, processed
from kedro.config import OmegaConfigLoader
from odd_rows import odd_rows

from lifemiles_forecasting.core import transactions as t
from lifemiles_forecasting.core.config import DataSettings, parse
from lifemiles_forecasting.settings import CONFIG_LOADER_ARGS

CONF = Path(__file__).parents[1] / "conf"
TODAY = date(2020, 1, 1)
# changes of `data_processing`, target and `as_of`
FORMS: list[tuple[dict[str, Any], str, date | None]] = [
    ({}, "billings", None),
    ({"date_order": "dmy", "decimal": ",", "thousands": "."}, "miles", None),
    ({"date_order": "mdy", "thousands": "'"}, "miles", None),
    ({"transaction_types": ["Accrual"], "thousands": " "}, "billings", date(2017, 3, 5)),
]

SHOWN = ["form", "record", "date", t.c.PARTNER_CODE, t.c.STORE_CODE, "amount"]
SHOWN += [t.ACTIVITY, t.TEXTS, "flaw"]


def verdicts(texts: Any, forms: Any = FORMS, step: Any = lambda table: table) -> pd.DataFrame:
    """What an engine makes of `odd_rows`, in some forms; days and amounts as text."""
    found = []
    for number, (changes, target, as_of) in enumerate(forms):
        settings = parse(DataSettings, defaults() | changes)
        rows = t.classify(texts, settings, target, as_of, TODAY, step)
        shown = {name: rows[name].cast("string") for name in ("date", "amount", "flaw")}
        found.append(rows.mutate(form=ibis.literal(number), **shown))
    rows = ibis.union(*found) if len(found) > 1 else found[0]
    frame = rows.to_pandas().sort_values(["form", "record"], ignore_index=True)
    # the engines write the years before Christ in different ways
    before = r"^0000-(.*)|^0001-(.*) \(?BC\)?"
    frame["date"] = frame["date"].str.replace(before, r"BC \1\2", regex=True)
    return frame[SHOWN].astype(object).where(frame[SHOWN].notna(), None)


@lru_cache
def odd_verdicts(number: int, seed: int, forms: int) -> pd.DataFrame:
    """The same of DuckDB."""
    connection = ibis.duckdb.connect()
    rows = connection.create_table("odd", ibis.memtable(odd_rows(number, seed)))
    return verdicts(rows, FORMS[:forms])


def mixed(kinds: Sequence[str]) -> damage.Damaged:
    """Files of several kinds of damage in one folder; their activity numbers repeat each other."""
    made = [damage.damaged(kind, 300 + i) for i, kind in enumerate(kinds)]
    files = {
        f"{i:03d}_{name}": content
        for i, folder in enumerate(made)
        for name, content in folder.files.items()
    }
    return replace(made[0], files=files, settings={"max_quarantined_share": 1.0}, as_of=None)


def outputs(made: damage.Damaged, folder: Path, source: Any = None) -> dict[str, Any]:
    """What the whole pipeline makes of files, with DuckDB or from another source."""
    raw, root = folder / "raw", folder / ("out" if source is None else "other")
    raw.mkdir(parents=True, exist_ok=True)
    root.mkdir()
    for name, content in made.files.items():
        (raw / name).write_bytes(content)
    return processed(raw, root, made, whole=True, source=source)


def configuration(env: str, **runtime: Any) -> OmegaConfigLoader:
    """What an environment of the project says."""
    return OmegaConfigLoader(
        conf_source=str(CONF), env=env, runtime_params=runtime, **CONFIG_LOADER_ARGS
    )
