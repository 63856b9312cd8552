"""Raw files to store-days and quarantine as one would write it with pandas.

`python with_pandas.py RAW OUT` reads the months in RAW, writes `panel.parquet`, `stores.parquet`
and `quarantine.parquet` to OUT, and prints the seconds that took and the peak memory in GB.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd
from job import COLUMNS, DORMANT_DAYS, FLOOR, KEY, LABELS, MIN_SAMPLES, MOST, check_balance, timed


def read(raw: Path) -> pd.DataFrame:
    """All rows as text, with `file` and `line`."""
    months = []
    for file in sorted(raw.glob("*.csv")):
        month = pd.read_csv(file, dtype=str, keep_default_na=False, usecols=COLUMNS)
        months.append(month.assign(file=file.name, line=np.arange(2, len(month) + 2)))
    return pd.concat(months, ignore_index=True)


def typed(texts: pd.DataFrame) -> pd.DataFrame:
    """The columns that are computed with, and the first reason against each row."""
    rows = texts[["file", "line"]].copy()
    rows["partner"] = texts["Partner Code"].str.strip()
    rows["store"] = texts["Store Code"].str.strip()
    rows["activity"] = texts["Activity Number"].str.strip()
    rows["date"] = pd.to_datetime(texts["Process Date"].str.strip(), "coerce", format="%Y-%m-%d")
    amount = texts["Facturación"].str.strip()
    rows["amount"] = pd.to_numeric(amount, "coerce")
    today = pd.Timestamp.today().normalize()
    checks = {
        "missing code": (rows["partner"] == "") | (rows["store"] == ""),
        "bad date": rows["date"].isna(),
        "date in the future": rows["date"] > today,
        "date before the floor": rows["date"] < pd.Timestamp(FLOOR),
        "missing amount": amount == "",
        "not a number": rows["amount"].isna(),
        "not a plausible amount": rows["amount"].abs() >= MOST,
    }
    rows["reason"] = np.select([*checks.values()], [*checks], default="")
    return rows


def reject_beside_others(rows: pd.DataFrame) -> None:
    """Mark repeated activity numbers, and reversals that their day cannot bear."""
    usable = rows[(rows["reason"] == "") & (rows["activity"] != "")]
    repeated = usable.index[usable.duplicated("activity")]
    rows.loc[repeated, "reason"] = "duplicate activity number"
    usable = rows[rows["reason"] == ""]
    back = usable[usable["amount"] < 0].sort_values("amount", ascending=False, kind="stable")
    if back.empty:
        return
    sold = usable[usable["amount"] > 0].groupby([*KEY, "date"])["amount"].sum().rename("sold")
    back = back.join(sold, on=[*KEY, "date"])
    net = back["sold"].fillna(0.0) + back.groupby([*KEY, "date"])["amount"].cumsum()
    rows.loc[back.index[net < 0], "reason"] = "negative beyond a reversal"


def quarantine(texts: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    """`file, line, reason, raw` of the rows that are not used."""
    bad = rows[rows["reason"] != ""]
    raw = [row.to_json(force_ascii=False) for _, row in texts.loc[bad.index, COLUMNS].iterrows()]
    return bad[["file", "line", "reason"]].assign(raw=raw)


def panel(days: pd.DataFrame) -> pd.DataFrame:
    """Every store's days without gaps, from its first to the last of all."""
    last = days["date"].max()
    opened = days.groupby("store_id")["date"].min()
    length = (last - opened).dt.days.to_numpy() + 1
    step = np.arange(length.sum()) - np.repeat(np.cumsum(length) - length, length)
    grid = pd.DataFrame(
        {
            "store_id": np.repeat(opened.index.to_numpy(), length),
            "date": np.repeat(opened.to_numpy(), length) + step * np.timedelta64(1, "D"),
        }
    )
    full = grid.merge(days[["store_id", "date", "y", "transactions"]], "left")
    return full.fillna({"y": 0.0, "transactions": 0})


def stores(texts: pd.DataFrame, used: pd.DataFrame, days: pd.DataFrame) -> pd.DataFrame:
    """Codes, names of the latest row, span and class of every store."""
    latest = used.sort_values("date", kind="stable").drop_duplicates("store_id", keep="last")
    names = texts.loc[latest.index, list(LABELS)].set_axis(latest["store_id"], axis=0)
    by_store = days.groupby("store_id")
    table = by_store.agg(first=("date", "min"), last=("date", "max"), active=("date", "count"))
    end = days["date"].max()
    sold = days["y"].gt(0).groupby(days["store_id"]).sum()
    zero_share = 1 - sold / ((end - table["first"]).dt.days + 1)
    classes = {
        "dormant": (end - table["last"]).dt.days >= DORMANT_DAYS,
        "short": table["active"] < MIN_SAMPLES,
        "intermittent": zero_share >= 0.5,
    }
    table["class"] = np.select([*classes.values()], [*classes], default="regular")
    return table.join(names).reset_index()


def job(raw: Path, out: Path) -> None:
    """All of it."""
    texts = read(raw)
    rows = typed(texts)
    reject_beside_others(rows)
    quarantine(texts, rows).to_parquet(out / "quarantine.parquet")
    used = rows[rows["reason"] == ""].assign(store_id=lambda r: r["partner"] + "_" + r["store"])
    grouped = used.groupby(["store_id", "date"])["amount"]
    days = grouped.agg(y="sum", transactions="count").reset_index()
    check_balance(len(rows), days["transactions"].sum(), (rows["reason"] != "").sum())
    panel(days).to_parquet(out / "panel.parquet")
    stores(texts, used, days).to_parquet(out / "stores.parquet")


if __name__ == "__main__":
    timed(job, *sys.argv[1:])
