"""The model of a single step: its features against pandas, and that it learns what it will see."""

import dataclasses

import holidays
import numpy as np
import pandas as pd
import pytest

from lifemiles_forecasting.core import columns as c
from lifemiles_forecasting.core.base import fit_profile
from lifemiles_forecasting.core.calendar import FAR, Calendar
from lifemiles_forecasting.core.candidates import recursive
from lifemiles_forecasting.core.candidates.learners import (
    CatBoostLearner,
    RidgeLearner,
    load_catboost,
)
from lifemiles_forecasting.core.candidates.recursive import (
    FORGETTING,
    LAGS,
    LARGEST_FACTOR,
    LEAST_FACTOR,
    LEAST_LEVEL,
    REACH,
    WEEKS,
    Steps,
)
from lifemiles_forecasting.core.closures import mask_closures
from lifemiles_forecasting.core.config import CatBoostSettings
from lifemiles_forecasting.core.features import DEAD_SHARE, MIN_HISTORY
from lifemiles_forecasting.core.rows import YEARLY, YEARLY_DAYS
from lifemiles_forecasting.core.series import Series
from lifemiles_forecasting.core.synthetic import generate_series, with_values
from lifemiles_forecasting.core.tail import CLIP

HORIZON = 28
ALL = 10**9  # rows: no cap
SIZE = CatBoostSettings(iterations=60, depth=4, learning_rate=0.2)
# neither a mean of past days nor in units of them
UNSCALED = {"zero_share_28", "weekday", "day_of_month", "days_to_month_end", "week_of_month"} | {
    "holiday",
    "days_to_holiday",
    "days_since_holiday",
    "holidays_in_week",
}


def steps_of(series, horizon=HORIZON):
    return Steps.of(series, Calendar.of(series, horizon), horizon)


def rows_of(steps, most=ALL, seed=0):
    return recursive.training_rows(steps, most, seed)


def series_like(made, y):
    return with_values(made.series, y)


def apart(made):
    """The same stores, each a partner of its own: nothing that one does reaches another."""
    stores = made.series.stores.assign(**{c.PARTNER_CODE: made.series.store_ids})
    return Series(made.series.y, made.series.dates, stores)


def rescaled(steps, like):
    """The steps in the units of others, and with what those know of the stores."""
    ratio = (steps.scale / np.where(like.scale > 0, like.scale, 1.0))[:, None]
    return dataclasses.replace(
        steps,
        y=steps.y * ratio,
        target=steps.target * ratio,
        scale=like.scale,
        tail=like.tail,
        profile=like.profile,
        traits=like.traits,
    )


class Recorder:
    """A model that says what it is told to, and remembers what it was shown."""

    def __init__(self, features, answer):
        self.features, self.answer, self.seen = features, answer, []

    def predict(self, X):
        self.seen.append(X)
        return self.answer(X.astype(float))


def columns_by_name(steps, X):
    return dict(zip(steps.names(), X.T.astype(float), strict=True))


def base_of(steps, X):
    """Base and unit of rows, by what their features say of level, week and weekday."""
    told = columns_by_name(steps, X)
    weekday = told["weekday"].astype(int)
    factor = np.array([told[f"profile_{day}"][row] for row, day in enumerate(weekday)])
    return slow_base(told["level"], factor)


# --- slow forms


def slow_base(level, factor):
    """What level and week say of rows, and what their residuals are measured in."""
    level = np.nan_to_num(level)
    held = [min(max(value, LEAST_FACTOR), LARGEST_FACTOR) for value in factor]
    return level * factor, np.array([max(value, LEAST_LEVEL) for value in level]) * held


def mean(values):
    known = [value for value in values if not np.isnan(value)]
    return sum(known) / len(known) if known else np.nan


def slow_own(past):
    """Features of one store from the pandas Series of its scaled days before the step."""
    day = past.index[-1] + pd.Timedelta(days=1)
    lag = lambda days: past.get(day - pd.Timedelta(days=days), np.nan)  # noqa: E731
    month = past.iloc[-28:]
    long = past.iloc[-REACH:].dropna()
    weight = pd.Series((1 - FORGETTING) ** (day - long.index).days.to_numpy(float), long.index)
    weeks = [lag(7 * k) for k in range(1, WEEKS + 1)]
    return {
        **{f"lag_{days}": lag(days) for days in LAGS},
        "mean_7": past.iloc[-7:].mean(),
        "mean_28": month.mean(),
        "spread_28": month.std(ddof=0),
        "zero_share_28": (month.dropna() == 0).mean() if month.notna().any() else np.nan,
        "level": (weight * long).sum() / weight.sum() if len(long) else np.nan,
        "weekday_mean_4": mean(weeks[:4]),
        "weekday_mean_8": mean(weeks[:8]),
        "weekday_mean_13": mean(weeks),
        "fortnight_mean": mean([lag(14), lag(28), lag(42), lag(56)]),
        "other_fortnight_mean": mean([lag(7), lag(21), lag(35), lag(49)]),
    }


def slow_date(day, yearly, known):
    around = [k for k in range(FAR + 1) if day + pd.Timedelta(days=k) in known]
    before = [k for k in range(FAR + 1) if day - pd.Timedelta(days=k) in known]
    monday = day - pd.Timedelta(days=day.weekday())
    values = {
        "weekday": day.weekday(),
        "day_of_month": day.day,
        "days_to_month_end": day.days_in_month - day.day,
        "week_of_month": (day.day - 1) // 7,
        "holiday": day in known,
        "days_to_holiday": min([*around, FAR]),
        "days_since_holiday": min([*before, FAR]),
        "holidays_in_week": sum(monday + pd.Timedelta(days=k) in known for k in range(7)),
    }
    return values | ({"month": day.month, "day_of_year": day.day_of_year} if yearly else {})


def slow_features(past, codes, yearly=False):
    """A row per store by name; `past` has days in rows and stores in columns."""
    own = [slow_own(past[store]) for store in past]
    shared = [f"lag_{days}" for days in (1, 7, 14, 21, 28)] + ["mean_7", "mean_28"]
    day = past.index[-1] + pd.Timedelta(days=1)
    known = holidays.country_holidays("US", years=range(2020, 2026))
    rows = []
    for store, values in enumerate(own):
        mates = [own[k] for k in np.flatnonzero(codes == codes[store])]
        partner = {f"partner_{name}": mean([mate[name] for mate in mates]) for name in shared}
        rows.append({**values, **partner, **slow_date(day, yearly, known)})
    return pd.DataFrame(rows)


def scaled_frame(series):
    """Days in rows: the history in units of each store's mean, closures missing."""
    days = pd.DatetimeIndex(series.dates.astype("datetime64[ns]"))
    masked = pd.DataFrame(mask_closures(series.y).T, days)  # has a slow form in test_features
    scale = masked.iloc[-364:].mean().fillna(0.0)
    return masked / scale.where(scale > 0, 1.0), scale.to_numpy()


def slow_wanted(series):
    """(store, day) of every training row in their order, by the rules as they are written down."""
    frame, scale = scaled_frame(series)
    found = []
    for day in range(MIN_HISTORY, len(frame)):
        for store in frame:
            past = frame[store].iloc[:day]
            if (
                scale[store] > 0
                and pd.notna(frame[store].iloc[day])
                and np.isfinite(series.y[store, :day]).sum() >= MIN_HISTORY
                and past.iloc[-28:].mean() > DEAD_SHARE * slow_own(past)["level"]
            ):
                found.append((store, day))
    return np.array(found)


# --- the features of a step


@pytest.mark.parametrize("days", [1, 13, 57, 90, 150, 222])
def test_features_of_a_step_equal_their_slow_form(days, slow_traits):
    """A history that ends before the calendar does, as in every window of a backtest."""
    made = generate_series(n_stores=10, n_days=230, noise=0.3)
    history, calendar = made.series.until(days), Calendar.of(made.series, HORIZON)
    steps = Steps.of(history, calendar, HORIZON)
    frame, scale = scaled_frame(history)
    np.testing.assert_allclose(steps.scale, scale)
    X, level = steps.at(steps.y, days)
    slow = slow_features(frame, history.stores[c.PARTNER_CODE].to_numpy())
    slow = slow.join(slow_traits(history, frame))
    assert set(steps.names()) == set(slow.columns)
    assert X.dtype == np.float32
    expected = slow[list(steps.names())].to_numpy(float)
    np.testing.assert_allclose(X, expected, rtol=2e-6, atol=1e-6)
    np.testing.assert_allclose(level, slow["level"].fillna(0.0))


def test_features_need_no_more_of_the_past_than_their_reach():
    steps = steps_of(generate_series(n_stores=8, n_days=260, noise=0.3).series)
    for day in (200, 259):
        all_of_it, level = steps.at(steps.y[:, :day], day)
        recent, same = steps.at(steps.y[:, day - REACH : day], day)
        np.testing.assert_array_equal(recent, all_of_it)
        np.testing.assert_array_equal(same, level)


def test_some_stores_are_seen_as_among_all():
    """Their partners' means are of all stores; only the rows are fewer."""
    steps = steps_of(generate_series(n_stores=8, n_days=260, noise=0.3).series)
    rows, past = np.array([1, 4, 7]), steps.y[:, :200]
    (X, level), (everything, levels) = steps.at(past, 200, rows), steps.at(past, 200)
    np.testing.assert_array_equal(X, everything[rows])
    np.testing.assert_allclose(level, levels[rows], rtol=1e-12)
    for some, whole in zip(
        steps.base(levels[rows], 200, rows), steps.base(levels, 200), strict=True
    ):
        np.testing.assert_array_equal(some, whole[rows])


def test_yearly_features_need_a_second_year():
    made = generate_series(n_stores=2, n_days=YEARLY_DAYS + 1, noise=0.3)
    longer, shorter = made.series, made.series.until(YEARLY_DAYS)
    assert set(YEARLY) <= set(steps_of(longer).names())
    assert not set(YEARLY) & set(steps_of(shorter).names())
    X, _ = steps_of(longer).at(steps_of(longer).y, YEARLY_DAYS + 1)
    slow = slow_features(scaled_frame(longer)[0], np.array(["A", "A"]), yearly=True)
    for name in YEARLY:
        column = steps_of(longer).names().index(name)
        np.testing.assert_array_equal(X[:, column], slow[name])


# --- training rows


@pytest.fixture(scope="module")
def noisy():
    """Ten stores; two closures, a store that is silent for a while, one that opens late."""
    made = generate_series(n_stores=10, n_days=190, noise=0.3)
    y = made.series.y.copy()
    y[0, 100:130] = 0.0
    y[9, 120:] *= 0.02  # nearly dead
    return dataclasses.replace(made, series=series_like(made, y))


@pytest.fixture(scope="module")
def steps(noisy):
    return steps_of(noisy.series)


@pytest.fixture(scope="module")
def wanted(noisy):
    return slow_wanted(noisy.series)


def test_a_row_for_every_living_store_and_open_day(noisy, steps, wanted):
    X, residual, weight = rows_of(steps)
    assert X.shape == (len(wanted), len(steps.names()))
    assert residual.shape == weight.shape == (len(wanted),)
    assert np.isfinite(residual).all()
    store, day = wanted.T
    np.testing.assert_array_equal(X[:, steps.names().index("weekday")], noisy.series.weekday()[day])
    level = X[:, steps.names().index("level")]
    sold = noisy.series.y[store, day] / steps.scale[store]
    profile = fit_profile(noisy.series)  # has a slow form of its own, see test_base
    base, unit = slow_base(level, profile[store, noisy.series.weekday()[day]])
    target = np.minimum(sold, CLIP) * steps.tail[store]
    np.testing.assert_allclose(residual * unit, target - base, atol=1e-5)
    # a squared error in these units, so weighted, is the squared error in units of the scale
    np.testing.assert_allclose(weight, unit**2, rtol=1e-5)
    assert not ((store == 0) & (day >= 100) & (day < 130)).any()
    # the day on which it opens again has no recent day to look at
    assert day[(store == 0) & (day >= 130)].min() == 131
    assert not ((store == 9) & (day > 150)).any()
    assert day[store == noisy.row("late")].min() == 110 + MIN_HISTORY
    assert day.min() == MIN_HISTORY


def test_clipped_target_is_in_units_of_the_scale(noisy):
    y = noisy.series.y.copy()
    y[1, 150] *= 1000
    steps = steps_of(series_like(noisy, y))
    X, residual, _ = rows_of(steps)
    base, unit = base_of(steps, X)
    assert (base + residual * unit).max() == pytest.approx(CLIP * steps.tail[1], rel=1e-6)
    assert steps.tail[1] > 1


def test_residual_is_measured_in_the_base_of_the_day_within_bounds(noisy):
    """A Sunday without sales, a weekday that has all of them, and a level of nearly nothing."""
    y = noisy.series.y.copy()
    y[0, noisy.series.weekday() != 5] = 0.0
    apart_ = apart(dataclasses.replace(noisy, series=series_like(noisy, y)))
    steps = steps_of(apart_)
    level = np.linspace(0.0, 3.0, 10)
    units = []
    for day in range(183, 190 + HORIZON):  # also the days ahead
        base, unit = steps.base(level, day)
        weekday = (apart_.dates[0] + day).astype(object).weekday()
        expected = slow_base(level, fit_profile(apart_)[:, weekday])
        np.testing.assert_allclose((base, unit), expected, rtol=1e-12)
        units.append(unit / np.maximum(level, LEAST_LEVEL))
    assert np.min(units) == pytest.approx(LEAST_FACTOR)
    assert np.max(units) == pytest.approx(LARGEST_FACTOR)


def test_a_row_is_the_step_of_a_history_that_ends_the_day_before(noisy, steps, wanted):
    """Training and serving cannot differ, but for what is known only at the cutoff.

    That is each store's scale and traits, and of a closure that was still going on that day, that
    it was one.
    """
    X, _, _ = rows_of(steps)
    store, day = wanted.T
    calendar = Calendar.of(noisy.series, HORIZON)
    for origin in (60, 90, 115, 150, 189):
        before = rescaled(Steps.of(noisy.series.until(origin), calendar, HORIZON), steps)
        served, _ = before.at(before.y, origin)
        here = day == origin
        assert here.sum() >= 5
        closing = np.isnan(steps.y[:, :origin]) & np.isfinite(before.y)
        assert closing.any() == (origin == 115)
        same = np.array([not closing[noisy.series.partner == p].any() for p in (0, 1)])
        kept = here & same[noisy.series.partner[store]]
        np.testing.assert_allclose(X[kept], served[store[kept]], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "change",
    [lambda y, rng: y * rng.lognormal(0, 1, y.shape) + 5, lambda y, rng: 0 * y + 3],
    ids=["noise", "flat"],
)
def test_no_row_reads_a_later_day(noisy, steps, wanted, change):
    """What comes after a row moves scales, tails and traits at the cutoff, and nothing else.

    (And would make a closure of the zeros before it: see above. The silent store stays silent.)
    """
    first = 160
    y = noisy.series.y.copy()
    awake = np.arange(10) != noisy.row("dormant")
    y[awake, first:] = change(y[awake, first:], np.random.default_rng(3))
    after = steps_of(series_like(noisy, y))
    early = int((wanted[:, 1] < first).sum())
    X, residual, weight = rows_of(steps)
    moved = rows_of(after)[0]
    names = np.array(steps.names())
    store = wanted[:early, 0]
    alive = after.scale[store] > 0
    ratio = (steps.scale[store] / after.scale[store])[alive, None]
    other = ("partner_", "profile_")
    own = np.array([n not in UNSCALED and not n.startswith(other) for n in names])
    flat = np.isin(names, list(UNSCALED))
    np.testing.assert_allclose(
        moved[:early][alive][:, own], X[:early][alive][:, own] * ratio, rtol=1e-5, atol=1e-6
    )
    np.testing.assert_array_equal(moved[:early][:, flat], X[:early][:, flat])
    # partners' means mix the scales of their stores; in the old units they too are the same
    same_units, same_taught, same_weight = rows_of(rescaled(after, steps))
    np.testing.assert_allclose(same_units[:early], X[:early], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(same_taught[:early], residual[:early], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(same_weight[:early], weight[:early], rtol=1e-5)
    assert not np.allclose(moved[early:][:50], X[early:][:50], equal_nan=True)


def test_no_row_reads_the_day_that_it_forecasts(noisy, steps, wanted):
    row = len(wanted) // 2
    store, day = wanted[row]
    y = noisy.series.y.copy()
    y[store, day] *= 3
    after = rescaled(steps_of(series_like(noisy, y)), steps)
    X, residual, weight = rows_of(steps)
    same, taught, same_weight = rows_of(after)
    np.testing.assert_allclose(same[: row + 1], X[: row + 1], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(same_weight[: row + 1], weight[: row + 1], rtol=1e-5)
    more = (taught[row] - residual[row]) * np.sqrt(weight[row])  # in units of the scale
    assert more == pytest.approx(2 * steps.target[store, day], rel=1e-4)
    unmoved = np.delete(np.arange(row + 10), row)
    later = wanted[: row + 10, 0] == store
    np.testing.assert_allclose(
        taught[unmoved][~later[unmoved]], residual[unmoved][~later[unmoved]], atol=1e-6
    )


@pytest.mark.parametrize("most", [100, 500])
def test_cap_takes_about_so_many_rows_of_every_day(steps, wanted, most):
    X, residual, weight = rows_of(steps, most)
    assert len(X) == len(residual) == len(weight)
    assert len(X) <= most + 4 * most**0.5
    assert len(X) >= 0.8 * most - 4 * most**0.5  # dead rows go after the draw
    everything = {row.tobytes() for row in rows_of(steps)[0]}
    assert {row.tobytes() for row in X} <= everything
    day_of_month = X[:, steps.names().index("day_of_month")]
    assert len(np.unique(day_of_month)) > 20


def test_cap_is_drawn_by_seed(steps):
    first, again, other = (rows_of(steps, 300, seed)[0] for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert first.shape != other.shape or not np.array_equal(first, other, equal_nan=True)


def test_cap_beyond_all_rows_takes_them_all(steps, wanted):
    assert len(rows_of(steps, len(wanted) * 3)[0]) == len(wanted)


def test_learner_is_given_the_rows_with_their_weights(steps):
    class Told:
        def fit(self, *given):
            return given

    given = recursive.fit(steps, Told(), 300, 5, 1)
    for one, row in zip(given, rows_of(steps, 300, 5), strict=True):
        np.testing.assert_array_equal(one, row)


def test_too_little_history_is_no_row_and_no_model():
    made = generate_series(n_stores=3, n_days=200)
    early = steps_of(made.series.until(MIN_HISTORY))
    X, residual, weight = rows_of(early)
    assert X.shape == (0, len(early.names()))
    assert residual.shape == weight.shape == (0,)
    assert recursive.fit(early, RidgeLearner(1.0, early.names()), ALL, 0, 1) is None
    enough = steps_of(made.series)
    count = len(rows_of(enough)[1])
    learner = RidgeLearner(1.0, enough.names())
    assert recursive.fit(enough, learner, ALL, 0, count) is not None
    assert recursive.fit(enough, learner, ALL, 0, count + 1) is None


# --- the forecast


def test_each_step_sees_the_answers_before_it(noisy, slow_traits):
    """Every step's features are the slow ones of a history that goes on with the forecast."""
    history = noisy.series.until(170)
    steps = Steps.of(history, Calendar.of(noisy.series, HORIZON), HORIZON)
    rng = np.random.default_rng(0)
    model = Recorder(steps.names(), lambda X: rng.normal(0, 0.5, len(X)))
    ahead = recursive.forecast(steps, model, 16)
    frame, scale = scaled_frame(history)
    codes = history.stores[c.PARTNER_CODE].to_numpy()
    traits = slow_traits(history, frame)
    assert len(model.seen) == 16
    for step, X in enumerate(model.seen):
        slow = slow_features(frame, codes).join(traits)[list(steps.names())]
        np.testing.assert_allclose(X, slow.to_numpy(float), rtol=2e-5, atol=1e-5)
        day = frame.index[-1] + pd.Timedelta(days=1)
        frame.loc[day] = ahead[:, step] / scale
    assert (ahead >= 0).all()
    assert (ahead == 0).any()


def test_model_that_repeats_last_week_gives_the_last_week(noisy, steps):
    def answer(X):
        base, unit = base_of(steps, X)
        return (columns_by_name(steps, X)["lag_7"] - base) / unit

    ahead = recursive.forecast(steps, Recorder(steps.names(), answer), HORIZON)
    week = np.tile(noisy.series.y[:, -7:], 4)
    np.testing.assert_allclose(ahead, week, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("learner", "error"),
    [
        (lambda names: RidgeLearner(1e-6, names), 1e-3),
        (lambda names: CatBoostLearner(SIZE, names, seed=3), 0.05),
    ],
    ids=["ridge", "catboost"],
)
def test_noise_free_week_is_forecast_for_four_weeks(learner, error):
    made = generate_series(n_stores=3, n_days=300, noise=0)
    series = made.series.take(np.array([0, 2]))  # weekly, closed_sunday
    steps = steps_of(series)
    model = recursive.fit(steps, learner(steps.names()), ALL, 0, 100)
    ahead = recursive.forecast(steps, model, HORIZON)
    truth = made.expected[[0, 2], 300:]
    assert np.abs(ahead - truth).max() < error * truth.max()


STRONG_WEEK = np.array([0.1, 0.2, 0.5, 1.0, 1.6, 2.8, 0.8])  # mean 1
OTHER_WEEK = np.roll(STRONG_WEEK, 3)


@pytest.fixture(scope="module")
def strong():
    """(steps, what is sold in the next four weeks) of two pairs of stores, weeks of their own."""
    series = generate_series(n_stores=4, n_days=300).series
    size = np.array([5.0, 40.0, 700.0, 3.0])[:, None]
    week = np.stack([STRONG_WEEK, OTHER_WEEK, STRONG_WEEK, OTHER_WEEK])
    days = size * week[:, series.weekday(HORIZON)]
    return steps_of(with_values(series, days[:, :300])), days[:, 300:]


def test_week_of_a_noise_free_series_needs_no_model(strong):
    """The base has it. (Its level rises and falls a little within the week.)"""
    steps, truth = strong
    ahead = recursive.forecast(steps, Recorder(steps.names(), lambda X: np.zeros(len(X))), HORIZON)
    np.testing.assert_allclose(ahead, truth, rtol=0.1)
    for one, day in zip(ahead, truth, strict=True):
        assert np.corrcoef(one, day)[0, 1] > 0.995


def test_lift_is_a_share_of_the_day_and_not_of_the_store(strong):
    """A model that always says a tenth lifts strong and weak days alike, within the bounds."""
    steps, _ = strong
    model = Recorder(steps.names(), lambda X: np.full(len(X), 0.1))
    ahead = recursive.forecast(steps, model, 7) / steps.scale[:, None]
    lifts, factors = [], steps.profile[:, steps.weekday[300:307]]
    for day, X in enumerate(model.seen):
        base, unit = base_of(steps, X)
        np.testing.assert_allclose(ahead[:, day], base + 0.1 * unit, rtol=1e-5)
        lifts.append(ahead[:, day] / base)
    lifts = np.stack(lifts, axis=1)
    within = (factors > LEAST_FACTOR) & (factors < LARGEST_FACTOR)
    np.testing.assert_allclose(lifts[within], 1.1, rtol=1e-5)
    assert (lifts[factors < LEAST_FACTOR] > 1.1).all()
    assert set(within.sum(axis=1)) == {5}  # two weekdays of each store are weaker than the bound


@pytest.mark.parametrize(
    ("learner", "error"),
    [
        (lambda names: RidgeLearner(1e-6, names), 0.01),
        (lambda names: CatBoostLearner(SIZE, names, seed=3), 0.05),
    ],
    ids=["ridge", "catboost"],
)
def test_strong_week_of_a_noise_free_series_is_followed(strong, learner, error):
    steps, truth = strong
    model = recursive.fit(steps, learner(steps.names()), ALL, 0, 100)
    ahead = recursive.forecast(steps, model, HORIZON)
    for one, day in zip(ahead, truth, strict=True):
        assert np.abs(one - day).max() < error * day.mean()


def test_store_without_sales_has_no_forecast_and_a_young_one_has(steps, noisy):
    y = noisy.series.y.copy()
    y[1], y[2] = 0.0, np.nan
    y[3, :-5] = np.nan
    some = steps_of(series_like(noisy, y))
    ahead = recursive.forecast(some, Recorder(some.names(), lambda X: np.zeros(len(X))), HORIZON)
    assert np.isnan(ahead[[1, 2]]).all()
    assert np.isfinite(np.delete(ahead, [1, 2], axis=0)).all()
    assert 0.3 * noisy.series.y[3, -5:].mean() < ahead[3].mean() < 3 * noisy.series.y[3, -5:].mean()


@pytest.mark.parametrize("days", [20, MIN_HISTORY - 1, MIN_HISTORY])
def test_store_younger_than_any_that_taught_has_level_and_week_alone(noisy, days):
    y = noisy.series.y.copy()
    y[3, :-days] = np.nan
    steps = steps_of(series_like(noisy, y))
    nothing, something = (
        recursive.forecast(steps, Recorder(steps.names(), lambda X: np.full(len(X), told)), HORIZON)  # noqa: B023
        for told in (0.0, 0.5)
    )
    others = np.arange(len(y)) != 3
    assert (something[others] > nothing[others]).any(axis=1).all()
    assert (something[3] == nothing[3]).all() == (days < MIN_HISTORY)


def test_reversals_never_make_a_forecast_negative(steps):
    ahead = recursive.forecast(
        steps, Recorder(steps.names(), lambda X: np.full(len(X), -5.0)), HORIZON
    )
    assert (ahead[steps.scale > 0] == 0).all()


def fitted_forecast(series, size=SIZE):
    steps = steps_of(series)
    learner = CatBoostLearner(size.model_copy(update={"iterations": 10}), steps.names(), 3)
    return recursive.forecast(steps, recursive.fit(steps, learner, ALL, 0, 100), HORIZON)


def test_units_do_not_matter(noisy):
    """A power of two, so that not even the last bit of a border moves."""
    larger = fitted_forecast(series_like(noisy, noisy.series.y * 1024))
    np.testing.assert_allclose(larger, 1024 * fitted_forecast(noisy.series), rtol=1e-12)


def test_is_deterministic_and_leaves_its_input_alone(noisy):
    before = noisy.series.y.copy()
    first = fitted_forecast(noisy.series)
    np.testing.assert_array_equal(fitted_forecast(noisy.series), first)
    np.testing.assert_array_equal(noisy.series.y, before)
    steps = steps_of(noisy.series)
    kept = steps.y.copy()
    rows_of(steps, 200)
    recursive.forecast(steps, Recorder(steps.names(), lambda X: np.ones(len(X))), HORIZON)
    np.testing.assert_array_equal(steps.y, kept)


def test_comes_back_from_its_file(steps):
    learner = CatBoostLearner(SIZE.model_copy(update={"iterations": 10}), steps.names(), 3)
    model = recursive.fit(steps, learner, 800, 0, 100)
    back = load_catboost(model.dump(), steps.names())
    assert back.features == model.features == steps.names()
    np.testing.assert_array_equal(
        recursive.forecast(steps, back, HORIZON), recursive.forecast(steps, model, HORIZON)
    )


def test_other_partners_do_not_matter_to_a_step(noisy, steps):
    y = noisy.series.y.copy()
    theirs = noisy.series.partner == 1
    y[theirs] = 7 + y[theirs][:, ::-1]
    other = steps_of(series_like(noisy, y))
    X, after = steps.at(steps.y, 190)[0], other.at(other.y, 190)[0]
    np.testing.assert_array_equal(after[~theirs], X[~theirs])
    assert not np.array_equal(after[theirs], X[theirs])


def test_planned_events_are_features_of_their_days(noisy):
    first = noisy.series.dates[-1] + 3
    events = pd.DataFrame(
        {
            "partner_code": ["P0"],
            "store_code": [""],
            "start_date": [pd.Timestamp(first)],
            "end_date": [pd.Timestamp(first + 1)],
            "name": ["campaign"],
            "value": [2.0],
        }
    )
    calendar = Calendar.of(noisy.series, HORIZON, events=events)
    steps = Steps.of(noisy.series, calendar, HORIZON)
    added = [k for k, name in enumerate(steps.names()) if name in calendar.names[4:]]
    assert added
    model = Recorder(steps.names(), lambda X: np.zeros(len(X)))
    recursive.forecast(steps, model, 6)
    seen = np.stack([np.abs(X[:, added]).sum(axis=1) > 0 for X in model.seen], axis=1)
    assert seen[0, 2:4].all()
    assert not seen[8:].any()
