"""Store-days, the gap-free panel and the store table against plain pandas."""

from __future__ import annotations

import ibis
import numpy as np
import pandas as pd
import pytest

from lifemiles_forecasting.core import columns as c
from lifemiles_forecasting.core import panel as p
from lifemiles_forecasting.core.errors import InputError
from lifemiles_forecasting.core.transactions import LABEL_BREAK


def typed_rows(n: int = 600, seed: int = 3) -> pd.DataFrame:
    """Rows as `classify` returns them, with amounts that floats cannot hold exactly."""
    rng = np.random.default_rng(seed)
    store = rng.integers(0, 12, n)
    return pd.DataFrame(
        {
            "record": np.arange(n),
            "partner_code": [f"P{i % 3}" for i in store],
            "store_code": [f"{i:03d}" for i in store],
            "date": pd.Timestamp("2017-01-01") + pd.to_timedelta(rng.integers(0, 150, n), "D"),
            "amount": rng.integers(0, 300, n) / 100,
            "labels": [
                LABEL_BREAK.join([f"Partner {i % 3}", f" Store {r}", "", "Bogotá"])
                for r, i in enumerate(store)
            ],
            "flaw": np.where(rng.random(n) < 0.1, 3, 0),
        }
    )


def expressions(rows: pd.DataFrame, rejected: list[int]) -> tuple:
    engine = ibis.duckdb.connect()
    table = ibis.memtable(rows).cast({"amount": "decimal(18, 6)", "date": "date"})
    gone = ibis.memtable(pd.DataFrame({"record": np.array(rejected, dtype="int64")}))
    rows_table = engine.create_table("rows", table)
    days = p.store_days(rows_table, engine.create_table("gone", gone))
    return rows_table, engine.create_table("days", days)


def oracle(rows: pd.DataFrame, rejected: list[int]) -> pd.DataFrame:
    """The panel, in plain pandas."""
    used = rows[(rows["flaw"] == 0) & ~rows["record"].isin(rejected)]
    used = used.assign(store_id=used["partner_code"] + "_" + used["store_code"])
    parts = []
    for store, own in used.groupby("store_id"):
        days = pd.date_range(own["date"].min(), used["date"].max())
        daily = own.groupby("date")["amount"].agg(["sum", "count"]).reindex(days, fill_value=0)
        parts.append(
            pd.DataFrame(
                {
                    c.STORE_ID: store,
                    c.DATE: days,
                    c.Y: daily["sum"].to_numpy().round(6),
                    c.TRANSACTIONS: daily["count"].to_numpy(),
                }
            )
        )
    return pd.concat(parts, ignore_index=True)


def test_the_panel_is_that_of_plain_pandas():
    rows, rejected = typed_rows(), [1, 5, 77]
    _, days = expressions(rows, rejected)
    found = p.daily_panel(days).to_pandas()
    assert tuple(found.columns) == c.PANEL
    expected = oracle(rows, rejected)
    pd.testing.assert_frame_equal(found, expected, check_dtype=False, check_exact=True)


def test_the_order_of_the_rows_changes_no_bit():
    rows = typed_rows(2000)
    shuffled = rows.sample(frac=1, random_state=1)
    first, second = (
        p.daily_panel(expressions(frame, [])[1]).to_pandas() for frame in (rows, shuffled)
    )
    assert p.fingerprint(first) == p.fingerprint(second)
    changed = second.assign(y=second["y"] + np.eye(1, len(second), 5)[0] * 1e-6)
    assert p.fingerprint(first) != p.fingerprint(changed)


def test_the_store_table_is_that_of_plain_pandas():
    rows = typed_rows()
    table, days = expressions(rows, [])
    found = p.store_table(days, table, 30, 28, 0.7).to_pandas()
    assert tuple(found.columns) == c.STORES
    panel = oracle(rows, [])
    assert found["store_id"].tolist() == sorted(panel["store_id"].unique())
    used = rows[rows["flaw"] == 0]
    used = used.assign(store_id=used["partner_code"] + "_" + used["store_code"])
    for store in found.itertuples():
        own, grid = (
            used[used["store_id"] == store.store_id],
            panel[panel["store_id"] == store.store_id],
        )
        latest = own.sort_values(["date", "record"]).iloc[-1]
        assert store.store_name == latest["labels"].split(LABEL_BREAK)[1].strip()
        assert (store.partner_name, store.city) == (f"Partner {store.partner_code[1]}", "Bogotá")
        assert pd.isna(store.country)
        assert (store.first_date, store.last_date) == (own["date"].min(), own["date"].max())
        assert store.active_days == own["date"].nunique()
        assert store.zero_share == pytest.approx((grid["y"] == 0).mean())


def daily(dates: list[str], amount: float = 1.0, store: str = "1") -> pd.DataFrame:
    return pd.DataFrame(
        {
            "partner_code": "P",
            "store_code": store,
            "date": pd.to_datetime(dates),
            "amount": amount,
            "labels": LABEL_BREAK * 3,
            "flaw": 0,
        }
    )


def test_the_first_class_that_applies():
    every_day = pd.date_range("2017-01-01", "2017-04-10").astype(str).tolist()  # 100 days
    rows = pd.concat(
        [
            daily(every_day, store="regular"),
            daily(every_day[::2], store="intermittent"),
            daily(every_day[-20:], store="short"),
            daily(every_day[:72], store="dormant"),
            daily(every_day[:73], store="awake"),
            daily(every_day, amount=0.0, store="nothing"),
        ],
        ignore_index=True,
    )
    rows["record"] = range(len(rows))
    table, days = expressions(rows, [])
    found = p.store_table(days, table, 30, 28, 0.5).to_pandas().set_index("store_code")
    assert found["store_class"].to_dict() == {
        "regular": p.REGULAR,
        "intermittent": p.INTERMITTENT,
        "short": p.SHORT,
        "dormant": p.DORMANT,
        "awake": p.REGULAR,
        "nothing": p.INTERMITTENT,
    }


def test_input_error_when_two_stores_have_one_id():
    rows = daily(["2017-01-01"] * 2).assign(
        record=[0, 1], partner_code=["A_B", "A"], store_code=["C", "B_C"]
    )
    _, days = expressions(rows, [])
    with pytest.raises(InputError, match="both give 'A_B_C'"):
        p.check_store_ids(days)
