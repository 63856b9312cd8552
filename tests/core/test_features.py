"""Every feature against a slow form: one store, one day at a time, in plain Python and pandas."""

import holidays
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from lifemiles_forecasting.core import columns as c
from lifemiles_forecasting.core.base import fit_base, fit_level
from lifemiles_forecasting.core.calendar import FAR, Calendar
from lifemiles_forecasting.core.closures import (
    CLOSURE_ACTIVITY,
    CLOSURE_DAYS,
    mask_closures,
)
from lifemiles_forecasting.core.features import (
    DEAD_SHARE,
    MIN_HISTORY,
    build,
)
from lifemiles_forecasting.core.synthetic import generate_series, with_values


def slow_mask(row):
    """One store: closures to nan, by walking along its days."""
    out, day, closures = row.copy(), 0, []
    while day < len(row):
        end = day
        while end < len(row) and row[end] == 0:
            end += 1
        if end - day >= CLOSURE_DAYS and end < len(row):
            closures.append((day, end))
        day = max(end, day + 1)
    for start, end in closures:
        out[start:end] = np.nan
    open_days = out[~np.isnan(out)]
    active = (open_days != 0).sum() >= CLOSURE_ACTIVITY * max(len(open_days), 1)
    return out if active else row.copy()


def mean(values):
    known = [v for v in values if not np.isnan(v)]
    return sum(known) / len(known) if known else np.nan


def sd(values):
    centre = mean(values)
    return mean([(v - centre) ** 2 for v in values]) ** 0.5


def share_of_zeros(values):
    return mean([np.nan if np.isnan(v) else float(v == 0) for v in values])


class SlowStore:
    """What one store's features are made of; a day before the data is nan."""

    def __init__(self, row):
        self.masked = slow_mask(row)
        level = mean(self.masked[-364:])
        self.scale = 0.0 if np.isnan(level) else level
        self.y = self.masked / (self.scale or 1.0)

    def at(self, day):
        return self.y[day] if day >= 0 else np.nan

    def last(self, days):
        return list(self.y[-days:])

    def level(self):
        means = {f"mean_{n}": mean(self.last(n)) for n in (7, 14, 28, 91, 182, 364)}
        return {
            **means,
            "log_scale": np.log1p(self.scale),
            "variation": sd(self.last(364)),
            "zero_share": share_of_zeros(self.last(91)),
            "trend": means["mean_28"] - means["mean_91"],
        }

    def weekday(self, horizon):
        newest = len(self.y) - 1 + horizon - 7 * -(-horizon // 7)
        weeks = [self.at(newest - 7 * k) for k in range(26)]
        recent = pd.Series(weeks[:8])
        return {
            **{f"weekday_mean_{n}": mean(weeks[:n]) for n in (4, 8, 13, 26)},
            **{f"weekday_lag_{n}": weeks[n - 1] for n in (1, 2, 3, 4)},
            "weekday_median_8": recent.median(),
            "weekday_spread_8": recent.std(ddof=0),
            "weekday_zero_share_8": share_of_zeros(recent),
            "weekday_min_8": recent.min(),
            "weekday_max_8": recent.max(),
        }

    def lags(self, horizon, longest):
        due = len(self.y) - 1 + horizon
        phase = 14 * -(-horizon // 14)
        pair = self.at(due - phase), self.at(due - phase - 14)
        return {
            **{f"lag_{longest + k}": self.at(due - longest - k) for k in (0, 7, 14, 28)},
            "fortnight": pair[0],
            "fortnight_before": pair[1],
            "fortnight_mean": mean(pair),
        }


def slow_dates(day, horizon, known):
    around = [k for k in range(FAR + 1) if day + pd.Timedelta(days=k) in known]
    before = [k for k in range(FAR + 1) if day - pd.Timedelta(days=k) in known]
    monday = day - pd.Timedelta(days=day.weekday())
    return {
        "weekday": day.weekday(),
        "day_of_month": day.day,
        "month": day.month,
        "day_of_year": day.day_of_year,
        "days_to_month_end": day.days_in_month - day.day,
        "week_of_month": (day.day - 1) // 7,
        "horizon": horizon,
        "holiday": day in known,
        "days_to_holiday": min([*around, FAR]),
        "days_since_holiday": min([*before, FAR]),
        "holidays_in_week": sum(monday + pd.Timedelta(days=k) in known for k in range(7)),
    }


def slow_features(history, store, horizon, longest):
    """Every feature of one store and day by name."""
    stores = [SlowStore(row) for row in history.y]
    partners = history.stores[c.PARTNER_CODE].to_numpy()
    mates = [stores[k] for k in np.flatnonzero(partners == partners[store])]
    own = stores[store]
    base = fit_base(history, horizon)  # base and level have slow forms of their own, see test_base
    level = base.level[store]
    day = pd.Timestamp(history.origin) + pd.Timedelta(days=horizon)
    known = holidays.country_holidays("US", years=range(2021, 2026))
    speeds = {
        f"level_ratio_{speed:g}": fit_level(history, speed)[store] / (level or 1.0)
        for speed in (0.005, 0.06)
    }
    return {
        **own.level(),
        **own.weekday(horizon),
        **own.lags(horizon, longest),
        **slow_dates(day, horizon, known),
        **speeds,
        "base_level": level / (own.scale or 1.0),
        "base_profile": base.profile[store, day.weekday()],
        "partner_level": mean([mean(mate.last(28)) for mate in mates]),
        f"partner_lag_{longest}": mean(
            [mate.lags(horizon, longest)[f"lag_{longest}"] for mate in mates]
        ),
        "partner_fortnight": mean(
            [mate.lags(horizon, longest)["fortnight_mean"] for mate in mates]
        ),
    }


@pytest.mark.parametrize("horizon", [1, 5, 7, 14, 28, 30, 45])
@pytest.mark.parametrize("days", [60, 150, 220, 480])
def test_every_feature_equals_its_slow_form(days, horizon, slow_traits):
    made = generate_series(n_stores=10, n_days=max(days, 220), noise=0.3)
    history = made.series.until(days)
    at = build(history, Calendar.of(history, horizon), horizon)
    assert at.X.shape == (10, horizon, len(at.names))
    assert at.X.dtype == np.float32
    longest = 7 * -(-horizon // 7)
    scale = np.where(at.scale > 0, at.scale, 1.0)
    frame = pd.DataFrame((mask_closures(history.y) / scale[:, None]).T)
    traits = slow_traits(history, frame).to_dict("records")
    for store in range(10):
        for ahead in {1, (horizon + 1) // 2, horizon}:
            slow = slow_features(history, store, ahead, longest) | traits[store]
            assert set(slow) == set(at.names)
            expected = [slow[name] for name in at.names]
            np.testing.assert_allclose(
                at.X[store, ahead - 1], expected, rtol=2e-5, atol=2e-6, err_msg=f"{store} {ahead}"
            )


def test_scale_base_and_usable_stores(made):
    history = made.series
    at = build(history, Calendar.of(history, 14), 14)
    slow = [SlowStore(row) for row in history.y]
    np.testing.assert_allclose(at.scale, [store.scale for store in slow])
    np.testing.assert_array_equal(at.base, fit_base(history, 14).forecast())
    expected = [
        np.isfinite(row).sum() >= MIN_HISTORY
        and store.scale > 0
        and mean(store.last(28)) > DEAD_SHARE
        for row, store in zip(history.y, slow, strict=True)
    ]
    np.testing.assert_array_equal(at.usable, expected)
    assert not at.usable[made.row("dormant")]


def test_store_of_a_few_days_teaches_nothing(made):
    opening = 140
    history = made.series.until(opening + MIN_HISTORY - 1)
    calendar = Calendar.of(history, 7)
    assert not build(history, calendar, 7).usable[made.row("late")]
    history = made.series.until(opening + MIN_HISTORY)
    assert build(history, Calendar.of(history, 7), 7).usable[made.row("late")]


def test_features_do_not_know_the_size_of_a_store(made):
    """Levels are divided by the scale: only log_scale tells a large store from a small one."""
    large = with_values(made.series, made.series.y * 1024)
    calendar = Calendar.of(made.series, 14)
    before, after = build(made.series, calendar, 14), build(large, calendar, 14)
    same = [k for k, name in enumerate(before.names) if name != "log_scale"]
    np.testing.assert_allclose(after.X[:, :, same], before.X[:, :, same], rtol=1e-6)
    np.testing.assert_allclose(after.scale, 1024 * before.scale)


def test_other_partners_do_not_matter(made):
    y = made.series.y.copy()
    theirs = made.series.partner == 1
    y[theirs] = 77.0
    calendar = Calendar.of(made.series, 14)
    before = build(made.series, calendar, 14)
    after = build(with_values(made.series, y), calendar, 14)
    np.testing.assert_array_equal(after.X[~theirs], before.X[~theirs])
    np.testing.assert_array_equal(after.base[~theirs], before.base[~theirs])


def test_build_does_not_modify_its_input(made):
    before = made.series.y.copy()
    build(made.series, Calendar.of(made.series, 7), 7)
    np.testing.assert_array_equal(made.series.y, before)


# --- closures

ZEROS_AND_MORE = st.lists(
    st.tuples(st.sampled_from([0.0, 1.0, np.nan]), st.integers(1, 20)), min_size=1, max_size=8
).map(lambda runs: np.concatenate([np.full(length, value) for value, length in runs]))


@given(ZEROS_AND_MORE)
def test_mask_equals_its_slow_form(row):
    np.testing.assert_array_equal(mask_closures(row[None])[0], slow_mask(row))


@given(arrays(float, (3, 40), elements=st.sampled_from([0.0, 0.0, 0.0, 5.0])))
def test_mask_takes_stores_one_by_one(y):
    together = mask_closures(y)
    alone = np.concatenate([mask_closures(row[None]) for row in y])
    np.testing.assert_array_equal(together, alone)


def test_mask_knows_closure_silence_and_rare_sales():
    y = np.ones((4, 60))
    y[0, 20:33] = 0  # 13 days: demand
    y[1, 20:34] = 0  # 14 days that ended: a closure
    y[2, -30:] = 0  # has not ended: may be the end of the store
    y[3] = 0
    y[3, ::15] = 1  # sells once a fortnight: zeros are its demand
    masked = mask_closures(y)
    assert np.isfinite(masked[[0, 2, 3]]).all()
    np.testing.assert_array_equal(np.flatnonzero(np.isnan(masked[1])), np.arange(20, 34))
    assert np.isfinite(y).all(), "the input is as it was"
