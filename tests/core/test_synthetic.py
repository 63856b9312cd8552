"""The made-up stores are what they claim to be."""

import numpy as np
import pytest

from lifemiles_forecasting.core import columns as c
from lifemiles_forecasting.core.synthetic import (
    KINDS,
    OPENED,
    RECENT_KINDS,
    WEEK,
    describe,
    generate_series,
    to_panel,
    with_values,
)


def test_the_same_seed_gives_the_same_stores_whatever_their_number():
    few, many = generate_series(n_stores=4, seed=3), generate_series(n_stores=17, seed=3)
    np.testing.assert_array_equal(few.series.y, many.series.y[:4])
    assert not np.array_equal(few.series.y, generate_series(n_stores=4, seed=4).series.y)


def test_expected_values_are_the_mean_of_the_process():
    made = [generate_series(n_stores=8, seed=s, noise=0.3) for s in range(40)]
    sold = sum(np.nansum(m.series.y, axis=1) for m in made)
    mean = sum(np.where(np.isfinite(m.series.y), m.expected[:, :200], 0).sum(1) for m in made)
    rare = np.array(KINDS) == "intermittent"
    np.testing.assert_allclose(sold[~rare], mean[~rare], rtol=0.02)
    np.testing.assert_allclose(sold[rare], mean[rare], rtol=0.1)
    assert WEEK.mean() == pytest.approx(1)


def test_every_kind_is_odd_in_its_way():
    made = generate_series(n_stores=8, n_days=200)
    y, weekday = made.series.y, made.series.weekday()
    assert (y[made.row("closed_sunday")][weekday == 6] == 0).all()
    assert (y[made.row("closure"), 100:121] == 0).all()
    assert np.isnan(y[made.row("late"), :120]).all()
    assert (y[made.row("dormant"), -70:] == 0).all()
    classes = made.series.stores[c.STORE_CLASS]
    assert classes[made.row("dormant")] == "dormant"
    assert classes[made.row("intermittent")] in ("intermittent", "short")
    assert classes[made.row("weekly")] == "regular"
    shifted = y[made.row("level_shift")]
    assert shifted[100:].mean() == pytest.approx(2 * shifted[:100].mean(), rel=0.1)


def test_recent_kinds_are_odd_at_their_end():
    made = generate_series(n_stores=10, n_days=200, of=RECENT_KINDS, noise=0)
    y, truth = made.series.y, made.expected
    for kind in ("short", "new"):
        assert np.isfinite(y[made.row(kind)]).sum() == OPENED[kind]
        assert made.series.stores[c.STORE_CLASS][made.row(kind)] == "short"
    assert OPENED["new"] == 7
    level = truth[made.row("new_level")]
    np.testing.assert_allclose(level[172:200], 2 * level[144:172])
    np.testing.assert_allclose(level[200:], level[172:200])
    closure = made.row("long_closure")
    assert (y[closure, 110:170] == 0).all()
    assert (np.delete(y[closure], np.arange(110, 170)) > 0).all()
    now = made.row("closed_now")
    assert (y[now, -30:] == 0).all()
    assert (truth[now, 200:] == 0).all()
    assert made.series.stores[c.STORE_CLASS][now] == "regular"
    assert made.series.stores[c.PARTNER_CODE].tolist() == ["P0"] * 5 + ["P1"] * 5


def test_store_table_counts_what_the_panel_holds():
    series = generate_series(n_stores=8).series
    sold = to_panel(series).query("y != 0").groupby(c.STORE_ID)[c.DATE].agg(["max", "size"])
    np.testing.assert_array_equal(series.stores[c.ACTIVE_DAYS], sold["size"])
    np.testing.assert_array_equal(series.stores[c.LAST_DATE], sold["max"])
    first = to_panel(series).groupby(c.STORE_ID)[c.DATE].min()
    np.testing.assert_array_equal(series.stores[c.FIRST_DATE], first)


def test_with_values_counts_anew_and_keeps_the_names():
    series = generate_series(n_stores=3).series
    silent = with_values(series, np.where(np.arange(200) < 100, series.y, 0.0))
    assert silent.stores[c.ACTIVE_DAYS].tolist() == [100, 100, 86]  # 14 Sundays
    assert (silent.stores[c.STORE_CLASS] == "dormant").all()
    assert (silent.store_ids == series.store_ids).all()
    assert describe(series.y, series.dates, series.stores).equals(series.stores)
