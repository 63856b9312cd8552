"""A history that goes on: put together from two parts, it is the one read in one go."""

import ibis
import numpy as np
import pandas as pd
import pytest

from lifemiles_forecasting.core import columns as c
from lifemiles_forecasting.core import panel as p
from lifemiles_forecasting.core.continuation import continued, left_as_known
from lifemiles_forecasting.core.errors import InputError
from lifemiles_forecasting.core.series import Series
from lifemiles_forecasting.core.synthetic import describe
from lifemiles_forecasting.core.transactions import LABEL_BREAK

RULES = {"min_samples": 25, "dormant_days": 30, "intermittent_zero_share": 0.8}
FIRST, DAYS = pd.Timestamp("2017-01-01"), 150


@pytest.fixture(scope="module")
def rows():
    """Transactions of 24 stores: steady, rare, closed down, opened late."""
    rng = np.random.default_rng(5)
    parts = []
    for store in range(24):
        opened, closed = (0, DAYS) if store % 4 < 2 else (70, DAYS) if store % 4 == 2 else (0, 100)
        days = np.arange(opened, closed)
        days = days[rng.random(len(days)) < (0.9 if store % 2 else 0.12)]
        parts.append(pd.DataFrame({"store": store, "day": days}))
    table = pd.concat(parts, ignore_index=True)
    return pd.DataFrame(
        {
            "record": np.arange(len(table)),
            "partner_code": [f"P{i % 3}" for i in table["store"]],
            "store_code": [f"{i:03d}" for i in table["store"]],
            "date": FIRST + pd.to_timedelta(table["day"], "D"),
            "amount": rng.integers(1, 300, len(table)) / 100,
            "labels": [LABEL_BREAK.join(["Partner", f"Store {i}", "", ""]) for i in table["store"]],
            "flaw": 0,
        }
    )


def read(rows):
    """The series of these rows, by the expressions that read real files."""
    engine = ibis.duckdb.connect()
    table = ibis.memtable(rows).cast({"amount": "decimal(18, 6)", "date": "date"})
    gone = engine.create_table("gone", schema={"record": "int64"})
    rows_table = engine.create_table("rows", table)
    days = engine.create_table("days", p.store_days(rows_table, gone))
    stores = p.store_table(days, rows_table, *RULES.values())
    return Series.from_frames(p.daily_panel(days).to_pandas(), stores.to_pandas())


def between(rows, first, last=DAYS):
    day = (rows["date"] - FIRST).dt.days
    return rows[(day >= first) & (day < last)]


@pytest.mark.parametrize(
    ("until", "since"), [(120, 120), (120, 90), (149, 149), (60, 60), (120, 0), (90, 30)]
)
def test_two_parts_are_the_whole(rows, until, since):
    whole = read(rows)
    found = continued(read(between(rows, 0, until)), read(between(rows, since)), RULES)
    np.testing.assert_array_equal(found.y, whole.y)
    np.testing.assert_array_equal(found.dates, whole.dates)
    pd.testing.assert_frame_equal(found.stores, whole.stores, check_dtype=False, check_exact=True)
    assert len(set(whole.stores[c.STORE_CLASS])) == 4


def test_an_earlier_end_is_what_was_known_then(rows):
    found = continued(read(rows), read(between(rows, 0, 100)), RULES)
    then = read(between(rows, 0, 100))
    np.testing.assert_array_equal(found.y, then.y)
    pd.testing.assert_frame_equal(found.stores, then.stores, check_dtype=False, check_exact=True)


def test_newer_rows_replace_and_a_store_without_any_sells_nothing(rows):
    known, later = read(rows), between(rows, 100)
    gone = later["store_code"] == "001"
    other = later.assign(amount=later["amount"] * 2)[~gone]
    found = continued(known, read(other), RULES)
    row = list(found.store_ids).index("P1_001")
    assert (found.y[row, 100:] == 0).all()
    np.testing.assert_array_equal(found.y[:, :100], known.y[:, :100])
    rest = np.arange(len(found.y)) != row
    np.testing.assert_allclose(found.y[rest, 100:], 2 * known.y[rest, 100:])
    assert found.stores[c.STORE_CLASS][row] == "dormant"
    assert found.stores[c.LAST_DATE][row] == known.dates[:100][known.y[row, :100] > 0][-1]


def test_stores_of_the_model_that_are_in_no_file_stay(rows):
    """The files begin before the model's history and know nothing of one of its stores."""
    without = rows[rows["store_code"] != "003"]
    found = continued(read(rows), read(without), RULES)
    row = list(found.store_ids).index("P0_003")
    assert np.nansum(found.y[row]) == 0
    assert found.stores[c.STORE_CLASS][row] == "dormant"


@pytest.mark.parametrize(("since", "early"), [(120, 20), (120, 100), (105, 98), (121, 0)])
def test_late_row_of_one_store_does_not_empty_the_days_of_the_others(rows, since, early):
    """The newest files, and among them one row that is days older than the rest."""
    until = 121
    known = read(between(rows, 0, until))
    one = rows[(rows["store_code"] == "003") & ((rows["date"] - FIRST).dt.days >= early)].head(1)
    found = continued(known, read(pd.concat([between(rows, since), one])), RULES)
    whole = read(rows)
    np.testing.assert_array_equal(found.y, whole.y)
    pd.testing.assert_frame_equal(found.stores, whole.stores, check_dtype=False, check_exact=True)


@pytest.mark.parametrize("until", [110, 119])
def test_days_between_a_corrected_week_and_the_newest_file_stay_as_known(rows, until):
    """The week may say something else; the days that no file has are no days without sales."""
    week = between(rows, 90, 97)
    corrected = week.assign(amount=week["amount"] * 3)
    known = read(between(rows, 0, until))
    newer = read(pd.concat([corrected, between(rows, until)]))
    found = continued(known, newer, RULES)
    others = rows[~rows.index.isin(week.index)]
    whole = read(pd.concat([others, corrected]).sort_values("date", kind="stable"))
    np.testing.assert_array_equal(found.y, whole.y)
    pd.testing.assert_frame_equal(found.stores, whole.stores, check_dtype=False, check_exact=True)
    left = left_as_known(known, newer)
    assert (left[0], left[-1], len(left)) == (newer.dates[7], known.dates[-1], until - 97)


def test_a_day_of_two_stores_may_be_taken_back(rows):
    """Of so few stores a file may well say that nobody has sold anything."""
    two = rows[rows["store_code"].isin(["001", "005"])]
    known, day = read(between(two, 0, 121)), FIRST + pd.Timedelta(days=110)
    newer = read(between(two[two["date"] != day], 100))
    found = continued(known, newer, RULES)
    assert (found.y[:, 110] == 0).all()
    assert known.y[:, 110].sum() > 0
    assert len(left_as_known(known, newer)) == 0


def test_late_row_of_a_store_that_is_new_begins_its_history(rows):
    known = read(between(rows[rows["store_code"] != "003"], 0, 121))
    one = rows[rows["store_code"] == "003"].iloc[[30]]
    newer = read(pd.concat([between(rows, 120), one]))
    found = continued(known, newer, RULES)
    row, told = (list(series.store_ids).index("P0_003") for series in (found, newer))
    began = list(found.dates).index(newer.dates[0])
    assert np.isnan(found.y[row, :began]).all()
    np.testing.assert_array_equal(found.y[row, began:], newer.y[told])
    assert found.stores[c.ACTIVE_DAYS][row] == newer.stores[c.ACTIVE_DAYS][told]


def test_late_row_does_not_hide_that_days_between_are_missing(rows):
    one = rows[rows["store_code"] == "003"].iloc[[20]]
    newer = read(pd.concat([between(rows, 125), one]))
    with pytest.raises(InputError, match=r"^found transactions from 2017-05-06 on, and a model"):
        continued(read(between(rows, 0, 121)), newer, RULES)


def test_days_between_that_are_missing_are_refused():
    def part(first, days):
        dates = np.datetime64(first) + np.arange(days)
        names = pd.DataFrame({c.STORE_ID: ["A_1"], c.PARTNER_CODE: ["A"], c.STORE_CODE: ["1"]})
        y = np.ones((1, days))
        return Series(y, dates, describe(y, dates, names))

    message = (
        "found transactions from 2017-03-03 on, and a model that knows days up to 2017-03-01; "
        "expected transactions from 2017-03-02 on, or from earlier. "
        "Add the files of the days between; if nobody sold on them, that of the last known day "
        "instead. Or train anew."
    )
    with pytest.raises(InputError, match=message):
        continued(part("2017-01-01", 60), part("2017-03-03", 5), RULES)
    assert len(continued(part("2017-01-01", 60), part("2017-03-02", 5), RULES).dates) == 65


def test_what_newer_files_do_not_say_of_a_store_is_known(rows):
    """Without the country a store would lose its holidays."""
    told = rows.assign(
        labels=[LABEL_BREAK.join(["Partner", f"Store {i}", "Colombia", "Cali"]) for i in rows.index]
    )
    newer = between(rows, 100).assign(labels=LABEL_BREAK.join(["New name", "", "", ""]))
    found = continued(read(between(told, 0, 120)), read(newer), RULES).stores
    assert set(found[c.COUNTRY]) == {"Colombia"}
    assert set(found[c.CITY]) == {"Cali"}
    assert found[c.STORE_NAME].str.startswith("Store ").all()
    recent = set(read(newer).stores[c.STORE_ID])
    assert set(found[c.PARTNER_NAME][found[c.STORE_ID].isin(recent)]) == {"New name"}
    assert set(found[c.PARTNER_NAME][~found[c.STORE_ID].isin(recent)]) == {"Partner"}
