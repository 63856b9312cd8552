"""Past forecasts beside what happened, against plain pandas merges."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lifemiles_forecasting.core import columns as c
from lifemiles_forecasting.core import monitoring
from lifemiles_forecasting.core.errors import InputError
from lifemiles_forecasting.core.monitoring import Actuals, accuracy_table, join_actuals, run_metrics

LAST = pd.Timestamp("2024-07-31")
H = 28
STORES = ("A_01", "A_02", "B_NA", "B_04")
BANDS = ["lower_80", "upper_80", "lower_95", "upper_95"]


def make_panel(stores=STORES, days=120, seed=0):
    rng = np.random.default_rng(seed)
    dates = pd.date_range(end=LAST, periods=days)
    index = pd.MultiIndex.from_product([stores, dates], names=[c.STORE_ID, c.DATE])
    y = rng.lognormal(3, 0.5, len(index)) * (rng.random(len(index)) > 0.2)
    return pd.DataFrame({c.Y: y}, index=index).reset_index()


def make_run(days_before_end, stores=STORES, run_id=None, status="ok", trains=False, seed=0):
    """A run's forecasts from so many days before the last day."""
    rng = np.random.default_rng([days_before_end, seed])
    origin = LAST - pd.Timedelta(days=days_before_end)
    frame = pd.DataFrame(
        {c.STORE_ID: np.repeat(stores, H), c.HORIZON: np.tile(range(1, H + 1), len(stores))}
    )
    frame[c.PARTNER_CODE] = frame[c.STORE_ID].str.partition("_")[0]
    frame[c.DATE] = origin + pd.to_timedelta(frame[c.HORIZON], unit="D")
    frame[c.FORECAST] = rng.lognormal(3, 0.3, len(frame))
    for name, times in zip(BANDS, (0.5, 1.5, 0.2, 2.5), strict=True):
        frame[name] = frame[c.FORECAST] * times
    names = {"run_id": run_id or f"run {days_before_end}", c.ORIGIN: origin}
    return frame.assign(**names, **{c.STATUS: status, "trains": trains})


def join_runs(runs, panel=None, days=28):
    panel = make_panel() if panel is None else panel
    return join_actuals(pd.concat(runs, ignore_index=True), Actuals.of(panel, days))


def naive_of(row, panel):
    """The last value of that weekday that was known at the origin, day by day."""
    day = row[c.DATE]
    while day > row[c.ORIGIN]:
        day -= pd.Timedelta(days=7)
    known = panel[(panel[c.STORE_ID] == row[c.STORE_ID]) & (panel[c.DATE] == day)][c.Y]
    return known.iloc[0]


def test_join_equals_a_merge():
    panel, runs = make_panel(), [make_run(k) for k in (0, 3, 17, 28, 40)]
    tested = join_runs(runs, panel)
    merged = pd.concat(runs).merge(panel, on=[c.STORE_ID, c.DATE])
    merged = merged[merged[c.DATE] > LAST - pd.Timedelta(days=28)]
    merged = merged.sort_values([c.STORE_ID, c.DATE, c.ORIGIN], ignore_index=True)
    columns = [c.STORE_ID, c.DATE, c.ORIGIN, c.HORIZON, c.FORECAST, *BANDS, c.Y]
    pd.testing.assert_frame_equal(tested.every[columns], merged[columns])
    total = len(STORES) * H * len(runs)
    outdated = len(STORES) * 12  # of the oldest run, before the period
    assert tested.untested == total - len(merged) - outdated
    sample = tested.every.sample(40, random_state=1)
    assert sample[monitoring.NAIVE].tolist() == [
        naive_of(row, panel) for _, row in sample.iterrows()
    ]


def test_join_takes_names_that_are_categories():
    runs = pd.concat([make_run(28), make_run(5)], ignore_index=True)
    actuals = Actuals.of(make_panel(), 28)
    plain = join_actuals(runs, actuals)
    coded = join_actuals(
        runs.astype(dict.fromkeys([c.STORE_ID, c.PARTNER_CODE], "category")), actuals
    )
    pd.testing.assert_frame_equal(accuracy_table(plain), accuracy_table(coded))


@settings(max_examples=30)
@given(st.sets(st.integers(0, 60), max_size=12), st.randoms(use_true_random=False))
def test_what_counts_does_not_depend_on_how_often_was_forecast(others, random):
    """One forecast from the day before the period, whatever else was forecast, in any order."""
    runs = [make_run(k) for k in {28, *others}]
    random.shuffle(runs)
    daily = join_runs(runs).daily
    alone = join_runs([make_run(28)]).daily
    pd.testing.assert_frame_equal(daily, alone)
    assert (
        daily.groupby(c.STORE_ID)[c.HORIZON].agg(list).apply(tuple) == tuple(range(1, 29))
    ).all()


def test_days_that_the_nearest_origin_does_not_reach_take_the_next():
    daily = join_runs([make_run(k) for k in (31, 50, 20, 9, 2)]).daily
    one = daily[daily[c.STORE_ID] == "A_01"].set_index(c.DATE)
    origins = (LAST - one[c.ORIGIN]).dt.days
    assert origins.tolist() == [31] * 25 + [20] * 3
    assert one.index.is_unique
    assert len(one) == 28


def test_store_that_is_not_in_the_panel_sold_nothing():
    panel = make_panel()
    panel = panel[panel[c.STORE_ID] != "B_04"]
    tested = join_runs([make_run(28)], panel)
    gone = tested.daily[tested.daily[c.STORE_ID] == "B_04"]
    assert len(gone) == 28
    assert (gone[[c.Y, monitoring.NAIVE]] == 0).all(axis=None)


def test_days_before_the_panel_prove_nothing():
    panel = make_panel(days=10)
    tested = join_runs([make_run(28)], panel)
    assert tested.daily[c.DATE].min() == LAST - pd.Timedelta(days=9)
    assert len(tested.daily) == 10 * len(STORES)
    assert tested.daily[monitoring.NAIVE].isna().all()  # the week before the origin is not there
    assert np.isnan(run_metrics(tested)["skill_vs_naive"])


def test_newer_run_of_the_same_origin_counts_unless_it_fell_back():
    newer = make_run(28, ["A_01"], run_id="newer", seed=1)
    older = make_run(28, ["A_01", "A_02"], run_id="older", seed=2)
    tested = join_runs([newer, older])
    expected = [*newer[c.FORECAST], *older[c.FORECAST][H:]]
    assert tested.every[c.FORECAST].tolist() == expected
    newer[c.STATUS] = "fallback"
    assert join_runs([newer, older]).every[c.FORECAST].tolist() == older[c.FORECAST].tolist()


def test_store_that_was_not_known_has_no_forecast():
    run = make_run(28)
    run.loc[run[c.STORE_ID] == "A_02", [c.FORECAST, *BANDS]] = np.nan
    assert set(join_runs([run]).daily[c.STORE_ID]) == {"A_01", "B_NA", "B_04"}


def test_join_InputError_when_a_run_forecasts_a_store_day_twice():
    run = make_run(28)
    twice = pd.concat([run, run.iloc[[5]]])
    with pytest.raises(
        InputError, match="two forecasts of store 'A_01' for 2024-07-09 in run run 28"
    ):
        join_runs([twice])


def test_join_InputError_when_no_day_has_come():
    with pytest.raises(InputError, match="no forecast of a day from 2024-07-04 to 2024-07-31"):
        join_runs([make_run(0)])


def test_join_does_not_modify_its_input():
    run, panel = make_run(28), make_panel()
    copies = run.copy(), panel.copy()
    join_actuals(run, Actuals.of(panel, 28))
    pd.testing.assert_frame_equal(run, copies[0])
    pd.testing.assert_frame_equal(panel, copies[1])


def by_hand(rows):
    """The metrics of some rows, in plain pandas."""
    away = rows[c.FORECAST] - rows[c.Y]
    held = {
        f"coverage_{level}": 100
        * rows[c.Y].between(rows[f"lower_{level}"], rows[f"upper_{level}"]).mean()
        for level in (80, 95)
    }
    total = rows[c.Y].sum()
    return {
        "points": len(rows),
        "wape": 100 * away.abs().sum() / total if total else np.nan,
        "bias": 100 * away.sum() / total if total else np.nan,
        **held,
    }


def test_accuracy_of_every_group_equals_plain_pandas():
    panel = make_panel()
    panel.loc[panel[c.STORE_ID] == "B_04", c.Y] = 0.0
    tested = join_runs([make_run(k) for k in (28, 20, 7)], panel)
    table = accuracy_table(tested)
    assert list(table.columns) == list(c.ACCURACY)
    expected = [("overall", "all", by_hand(tested.daily))]
    week = (tested.every[c.HORIZON] - 1) // 7 + 1
    expected += [("horizon_week", str(k), by_hand(tested.every[week == k])) for k in range(1, 5)]
    for group, key in (("partner", c.PARTNER_CODE), ("store", c.STORE_ID)):
        expected += [(group, name, by_hand(rows)) for name, rows in tested.daily.groupby(key)]
    found = table.set_index([c.GROUP, c.VALUE])
    assert len(found) == len(expected)
    for group, value, metrics in expected:
        for name, number in metrics.items():
            assert found.loc[(group, value), name] == pytest.approx(number, nan_ok=True), (
                group,
                value,
            )
    assert table[table[c.GROUP] == "store"][c.VALUE].iloc[-1] == "B_04"  # the smallest comes last


def test_metrics_of_the_run():
    panel = make_panel()
    tested = join_runs([make_run(28), make_run(3)], panel)
    metrics, daily = run_metrics(tested), tested.daily
    for name, number in by_hand(daily).items():
        assert metrics[name] == pytest.approx(number)
    naive = [naive_of(row, panel) for _, row in daily.iterrows()]
    naive_wape = 100 * (daily[c.Y] - naive).abs().sum() / daily[c.Y].sum()
    assert metrics["naive_wape"] == pytest.approx(naive_wape)
    assert metrics["skill_vs_naive"] == pytest.approx(1 - metrics["wape"] / naive_wape)
    assert metrics["stores_measured"] == 4
    assert (metrics["forecasts_tested"], metrics["forecasts_untested"]) == (4 * 31, 4 * 25)


def test_bands_of_the_total_are_those_of_independent_errors():
    tested = join_runs([make_run(28)])
    totals = monitoring.daily_totals(tested).set_index(c.DATE)
    for date, rows in tested.daily.groupby(c.DATE):
        day = totals.loc[date]
        assert day[c.Y] == pytest.approx(rows[c.Y].sum())
        reach = np.sqrt(((rows["upper_80"] - rows[c.FORECAST]) ** 2).sum())
        assert day["upper_80"] - day[c.FORECAST] == pytest.approx(reach)
        reach = np.sqrt(((rows[c.FORECAST] - rows["lower_95"]) ** 2).sum())
        assert day[c.FORECAST] - day["lower_95"] == pytest.approx(reach)
    assert totals["stores"].tolist() == [4] * 28
