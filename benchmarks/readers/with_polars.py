"""Raw files to store-days and quarantine as one would write it with polars.

`python with_polars.py RAW OUT` does what `with_pandas.py` does, on all cores.
"""

from __future__ import annotations

import sys
from datetime import date
from pathlib import Path

import polars as pl
from job import COLUMNS, DORMANT_DAYS, FLOOR, KEY, LABELS, MIN_SAMPLES, MOST, check_balance, timed


def read(raw: Path) -> pl.DataFrame:
    """All rows as text, with `file` and `line`."""
    months = [
        pl.scan_csv(file, infer_schema=False, empty_string_is_null=False)
        .select(COLUMNS)
        .with_row_index("line", offset=2)
        .with_columns(file=pl.lit(file.name))
        for file in sorted(raw.glob("*.csv"))
    ]
    return pl.concat(months).collect()


def typed(texts: pl.DataFrame) -> pl.DataFrame:
    """The columns that are computed with, and the first reason against each row."""
    stripped = {name: pl.col(name).str.strip_chars() for name in COLUMNS}
    rows = texts.lazy().select(
        "file",
        "line",
        partner=stripped["Partner Code"],
        store=stripped["Store Code"],
        activity=stripped["Activity Number"],
        date=stripped["Process Date"].str.to_date("%Y-%m-%d", strict=False),
        text=stripped["Facturación"],
        amount=stripped["Facturación"].cast(pl.Float64, strict=False),
    )
    checks = {
        "missing code": (pl.col("partner") == "") | (pl.col("store") == ""),
        "bad date": pl.col("date").is_null(),
        "date in the future": pl.col("date") > date.today(),
        "date before the floor": pl.col("date") < date.fromisoformat(FLOOR),
        "missing amount": pl.col("text") == "",
        "not a number": pl.col("amount").is_null() | pl.col("amount").is_nan(),
        "not a plausible amount": pl.col("amount").abs() >= MOST,
    }
    first = pl.coalesce(pl.when(check).then(pl.lit(reason)) for reason, check in checks.items())
    return rows.with_columns(reason=first).drop("text").collect()


def reject_beside_others(rows: pl.DataFrame) -> pl.DataFrame:
    """Mark repeated activity numbers, and reversals that their day cannot bear."""
    known = pl.col("reason").is_null() & (pl.col("activity") != "")
    number = pl.when(known).then("activity")
    repeated = number.is_not_null() & ~number.is_first_distinct()
    rows = rows.with_columns(
        reason=pl.when(repeated).then(pl.lit("duplicate activity number")).otherwise("reason")
    ).with_row_index("row")
    usable = rows.lazy().filter(pl.col("reason").is_null())
    sold = usable.filter(pl.col("amount") > 0).group_by([*KEY, "date"]).agg(sold=pl.sum("amount"))
    back = (
        usable.filter(pl.col("amount") < 0)
        .sort("amount", descending=True, maintain_order=True)
        .with_columns(returned=pl.col("amount").cum_sum().over([*KEY, "date"]))
        .join(sold, [*KEY, "date"], "left")
        .filter(pl.col("sold").fill_null(0.0) + pl.col("returned") < 0)
        .select("row", excess=pl.lit("negative beyond a reversal"))
    )
    full = rows.lazy().join(back, "row", "left", maintain_order="left")
    return full.with_columns(reason=pl.coalesce("reason", "excess")).drop("row", "excess").collect()


def quarantine(texts: pl.DataFrame, rows: pl.DataFrame) -> pl.DataFrame:
    """`file, line, reason, raw` of the rows that are not used."""
    bad = rows["reason"].is_not_null()
    raw = texts.filter(bad).select(raw=pl.struct(COLUMNS).struct.json_encode())
    return rows.filter(bad).select("file", "line", "reason").hstack(raw)


def panel(days: pl.DataFrame) -> pl.DataFrame:
    """Every store's days without gaps, from its first to the last of all."""
    opened = days.lazy().group_by("store_id").agg(pl.min("date"))
    grid = opened.select("store_id", date=pl.date_ranges("date", days["date"].max())).explode(
        "date"
    )
    sold = days.lazy().select("store_id", "date", "y", "transactions")
    full = grid.join(sold, ["store_id", "date"], "left").fill_null(0)
    return full.sort("store_id", "date").collect()


def stores(texts: pl.DataFrame, used: pl.DataFrame, days: pl.DataFrame) -> pl.DataFrame:
    """Codes, names of the latest row, span and class of every store."""
    named = used.lazy().sort("date", maintain_order=True).group_by("store_id").agg(pl.last("row"))
    names = texts.lazy().select(LABELS).with_row_index("row")
    end = days["date"].max()
    spans = (
        days.lazy()
        .group_by("store_id")
        .agg(
            first=pl.min("date"),
            last=pl.max("date"),
            active=pl.len(),
            sold=(pl.col("y") > 0).sum(),
        )
    )
    length = (pl.lit(end) - pl.col("first")).dt.total_days() + 1
    kind = (
        pl.when((pl.lit(end) - pl.col("last")).dt.total_days() >= DORMANT_DAYS)
        .then(pl.lit("dormant"))
        .when(pl.col("active") < MIN_SAMPLES)
        .then(pl.lit("short"))
        .when(1 - pl.col("sold") / length >= 0.5)
        .then(pl.lit("intermittent"))
        .otherwise(pl.lit("regular"))
    )
    table = spans.with_columns(kind.alias("class")).join(named, "store_id").join(names, "row")
    return table.drop("row").sort("store_id").collect()


def job(raw: Path, out: Path) -> None:
    """All of it."""
    texts = read(raw)
    rows = reject_beside_others(typed(texts))
    quarantine(texts, rows).write_parquet(out / "quarantine.parquet")
    used = (
        rows.with_row_index("row")
        .filter(pl.col("reason").is_null())
        .with_columns(store_id=pl.col("partner") + "_" + pl.col("store"))
    )
    grouped = used.lazy().group_by("store_id", "date")
    days = grouped.agg(y=pl.sum("amount"), transactions=pl.len()).collect()
    check_balance(len(rows), days["transactions"].sum(), rows["reason"].count())
    panel(days).write_parquet(out / "panel.parquet")
    stores(texts, used, days).write_parquet(out / "stores.parquet")


if __name__ == "__main__":
    timed(job, *sys.argv[1:])
