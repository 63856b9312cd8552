"""Coverage by group against a slow form, and the verdict on a run's intervals."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from lifemiles_forecasting.core import columns as c
from lifemiles_forecasting.core import coverage
from lifemiles_forecasting.core.config import QualityTier, ReportSettings
from lifemiles_forecasting.core.quality import aggregate, store_metrics
from lifemiles_forecasting.core.synthetic_run import synthetic_run

SETTINGS = ReportSettings(
    tiers={"BUENO": QualityTier(min_r2=0.6, max_smape=20)},
    metrics=("mae",),
    coverage_min_points=50,
)
CLOSED = 7  # every seventh day of a store's window has no interval


@pytest.fixture(scope="module")
def frames():
    """A run in which the stores of one partner are closed on one day of the week."""
    run = synthetic_run(12)
    names = ["lower_80", "upper_80", "lower_95", "upper_95"]
    partner = run.stores.set_index(c.STORE_ID)[c.PARTNER_CODE]
    intervals = run.test_intervals.copy()
    first = intervals[c.DATE].min()
    closed = ((intervals[c.DATE] - first).dt.days % CLOSED == 0) & (
        intervals[c.STORE_ID].map(partner) == "CJGRO"
    )
    intervals.loc[closed, names] = 0.0
    return replace(run, test_intervals=intervals)


@pytest.fixture(scope="module")
def table(frames):
    return coverage.coverage_table(frames, SETTINGS)


def judged(share, points=1_000):
    return coverage.judge(share, points, SETTINGS)


def row_of(table, group, value="all"):
    (row,) = table[(table["group"] == group) & (table["value"] == value)].to_dict("records")
    return row


def test_table_has_a_row_for_the_run_each_week_class_and_partner(table):
    assert tuple(table.columns) == c.COVERAGE
    assert table["group"].drop_duplicates().tolist() == [
        "overall",
        "horizon_week",
        "store_class",
        "partner",
    ]
    weeks = table.loc[table["group"] == "horizon_week", "value"].tolist()
    assert weeks == ["1", "2", "3", "4"]
    assert set(table.loc[table["group"] == "partner", "value"]) == {
        *("CJGRO", "CJFRE", "CJDRU", "CJFUE")
    }
    by_group = table.groupby("group")["points"].sum()
    assert (by_group == row_of(table, "overall")["points"]).all()


def test_coverage_equals_a_slow_form(frames, table):
    test = frames.backtest.query("candidate == 'blend' and origin == origin.max()")
    rows = test.merge(frames.test_intervals, on=["store_id", "date"]).merge(frames.stores)
    counts = {}
    for row in rows.itertuples():
        week = str((row.horizon - 1) // 7 + 1)
        has_interval = row.lower_95 != row.upper_95
        for key in (("overall", "all"), ("horizon_week", week), ("partner", row.partner_code)):
            seen = counts.setdefault(key, [0, 0, 0, 0, 0])
            held = row.lower_80 <= row.y <= row.upper_80
            seen[0] += 1
            seen[1] += held
            seen[2] += row.lower_95 <= row.y <= row.upper_95
            seen[3] += has_interval
            seen[4] += held and has_interval
    for (group, value), (n, held_80, held_95, open_days, held_open) in counts.items():
        row = row_of(table, group, value)
        assert (row["points"], row["open_points"]) == (n, open_days)
        assert row["coverage_80"] == pytest.approx(100 * held_80 / n)
        assert row["coverage_95"] == pytest.approx(100 * held_95 / n)
        assert row["coverage_80_open"] == pytest.approx(100 * held_open / open_days)


def test_overall_coverage_is_that_of_the_run(frames, table):
    measured = store_metrics(frames, SETTINGS)
    run = aggregate(measured, frames, SETTINGS, 0.0)
    row = row_of(table, "overall")
    assert row["coverage_80"] == pytest.approx(run["coverage_80"])
    assert row["coverage_95"] == pytest.approx(run["coverage_95"])


def test_days_without_an_interval_do_not_count_in_the_verdict(frames):
    """Closed days that are right would hide intervals that hold too little."""
    run = synthetic_run(12)
    narrow = run.test_intervals.copy()
    middle = (narrow["lower_80"] + narrow["upper_80"]) / 2
    narrow["upper_80"] = middle + 0.2 * (narrow["upper_80"] - middle)
    narrow["lower_80"] = middle - (narrow["upper_80"] - middle)
    closed = narrow[c.DATE] < narrow[c.DATE].min() + pd.Timedelta(days=21)
    narrow.loc[closed, ["lower_80", "upper_80", "lower_95", "upper_95"]] = 0.0
    backtest = run.backtest.copy()
    test = backtest[c.ORIGIN] == backtest[c.ORIGIN].max()
    backtest.loc[test & backtest[c.DATE].isin(narrow.loc[closed, c.DATE]), c.Y] = 0.0
    table = coverage.coverage_table(
        replace(run, backtest=backtest, test_intervals=narrow), SETTINGS
    )
    row = row_of(table, "overall")
    assert row["coverage_80"] > 75 > row["coverage_80_open"]
    assert coverage.flag(table) == "too_low"


def test_judge_includes_the_bounds_of_the_band():
    assert [judged(share) for share in (74.9, 75, 80, 85, 85.1)] == [
        *("too_low", "ok", "ok", "ok", "too_high")
    ]
    assert judged(10, points=49) == "too_few_points"
    assert judged(10, points=50) == "too_low"
    assert judged(np.nan, points=0) == "too_few_points"


def test_band_comes_from_the_settings(frames):
    strict = SETTINGS.model_copy(update={"coverage_band": (99.0, 100.0)})
    lax = SETTINGS.model_copy(update={"coverage_band": (0.0, 1.0)})
    assert coverage.flag(coverage.coverage_table(frames, strict)) == "too_low"
    assert coverage.flag(coverage.coverage_table(frames, lax)) == "too_high"


def test_metrics_have_no_name_from_the_data(table):
    out = coverage.metrics(table)
    assert set(out) == {
        *("coverage_80_open", "coverage_95_open", "coverage_points", "coverage_ok"),
        *(f"coverage_80_week_{week}" for week in (1, 2, 3, 4)),
        *("coverage_80_class_regular",),
    }
    assert all(type(value) is float for value in out.values())
    assert out["coverage_80_week_2"] == row_of(table, "horizon_week", "2")["coverage_80"]


@pytest.mark.parametrize(
    ("verdict", "ok"), [("ok", 1), ("too_low", 0), ("too_high", 0), ("too_few_points", np.nan)]
)
def test_coverage_ok_is_a_flag_or_unknown(table, verdict, ok):
    changed = table.assign(verdict=verdict)
    np.testing.assert_equal(coverage.metrics(changed)["coverage_ok"], float(ok))
    assert coverage.flag(changed) == verdict


def test_gate_reasons_say_what_was_found_and_expected(table):
    low = table.assign(verdict="too_low", coverage_80_open=61.25, open_points=1_234)
    assert coverage.gate_reasons(low, SETTINGS) == [
        "the 80 % intervals are too narrow: they hold 61.2 % of 1,234 store-days of the test "
        "window, expected 75 to 85 %"
    ]
    (high,) = coverage.gate_reasons(table.assign(verdict="too_high"), SETTINGS)
    assert high.startswith("the 80 % intervals are too wide")


@pytest.mark.parametrize("verdict", ["ok", "too_few_points"])
def test_gate_reasons_are_none_without_evidence(table, verdict):
    assert coverage.gate_reasons(table.assign(verdict=verdict), SETTINGS) == []


def test_a_run_without_attempted_stores_has_too_few_points(frames):
    none = replace(frames, attempted=frames.attempted.iloc[:0])
    table = coverage.coverage_table(none, SETTINGS)
    assert table["verdict"].tolist() == ["too_few_points"]
    assert coverage.metrics(table)["coverage_points"] == 0
    assert coverage.gate_reasons(table, SETTINGS) == []


def test_table_survives_a_file(table, tmp_path):
    table.to_csv(tmp_path / "coverage.csv", index=False)
    read = pd.read_csv(tmp_path / "coverage.csv", dtype={"value": str})
    pd.testing.assert_frame_equal(read, table, check_dtype=False)
    assert coverage.metrics(read) == pytest.approx(coverage.metrics(table))


def test_inputs_are_not_modified(frames):
    copies = {name: getattr(frames, name).copy() for name in frames.names()}
    coverage.coverage_table(frames, SETTINGS)
    for name, copy in copies.items():
        pd.testing.assert_frame_equal(getattr(frames, name), copy)


def test_matrices_of_a_window_are_judged_as_its_table_is(frames, table):
    window = frames.backtest[frames.backtest[c.ORIGIN] == frames.backtest[c.ORIGIN].max()]
    days = window[window[c.CANDIDATE] == "blend"].merge(frames.test_intervals)
    names = ["lower_80", "upper_80", "lower_95", "upper_95"]
    y = days.pivot(index=c.STORE_ID, columns=c.DATE, values=c.Y).to_numpy()
    limits = np.stack(
        [days.pivot(index=c.STORE_ID, columns=c.DATE, values=name) for name in names], axis=-1
    )
    found = coverage.of_window(y, limits, SETTINGS)
    pd.testing.assert_frame_equal(
        found, table.loc[[0], list(found)], check_dtype=False, check_index_type=False
    )
