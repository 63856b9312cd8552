"""The closed-form base against a slow form that follows its description line by line."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from lifemiles_forecasting.core import columns as c
from lifemiles_forecasting.core.base import (
    BLOCK,
    ENOUGH_DAYS,
    FLOOR,
    LEVEL_FORGETTING,
    PRIOR_DAYS,
    PRIOR_NOISE_DAYS,
    PRIOR_WEEKS,
    PROFILE_FORGETTING,
    SPAN,
    YOUNG_DAYS,
    fit_base,
    fit_level,
    fit_profile,
)
from lifemiles_forecasting.core.closures import mask_closures
from lifemiles_forecasting.core.series import Series
from lifemiles_forecasting.core.synthetic import (
    KINDS,
    RECENT_KINDS,
    WEEK,
    describe,
    generate_series,
    with_values,
)


def slow_days(history):
    """Of each store a list of (age, weekday, sales) within SPAN, its opening bonus taken off.

    Without the days of long closures, which have a slow form in test_features.
    """
    shut = np.isnan(mask_closures(history.y))
    days = pd.DatetimeIndex(history.dates.astype("datetime64[ns]"))
    known = [pd.Series(row, days).iloc[-SPAN:].dropna() for row in history.y]
    codes = history.stores[c.PARTNER_CODE].to_numpy()
    stores = []
    for store, sold in enumerate(known):
        recent = sold
        if 0 < len(recent) < YOUNG_DAYS:  # how often the partner's stores sell after day one
            mates = [known[k] for k in np.flatnonzero(codes == codes[store])]
            later = pd.concat([mate.iloc[1:] for mate in mates])
            chance = (later > 0).mean() if len(later) else 1.0
            start = days[-SPAN:][0]
            opened = [m.iloc[1:YOUNG_DAYS] for m in mates if len(m) and m.index[0] > start]
            sales = sum((mate > 0).sum() for mate in opened) + PRIOR_DAYS * chance
            chance = sales / (sum(map(len, opened)) + PRIOR_DAYS)
            recent = sold * np.where(np.arange(len(sold)) == 0, chance, 1.0)
        recent = recent[~recent.index.isin(days[shut[store]])]
        ages = (days[-1] - recent.index).days
        stores.append(list(zip(ages, recent.index.day_of_week, recent, strict=True)))
    return stores


def slow_level(days, forgetting):
    """One store's level, never below its floor."""
    if not days:
        return 0.0
    weight = [(1 - forgetting) ** age for age, _, _ in days]
    sold = [sales for _, _, sales in days]
    level = sum(w * sales for w, sales in zip(weight, sold, strict=True)) / sum(weight)
    return max(level, FLOOR * sum(sold) / len(sold))


def kept(age):
    """What a day still counts in a profile."""
    return (1 - PROFILE_FORGETTING) ** age


def slow_week(days, half=None):
    """(level, ratios by weekday, what the level alone would give by weekday) of one store.

    Of all its days, or (half 0 or 1) of those in even or odd blocks.
    """
    total, mass = np.zeros(7), np.zeros(7)
    for age, weekday, sales in days:
        if half is None or age // BLOCK % 2 == half:
            total[weekday] += kept(age) * sales
            mass[weekday] += kept(age)
    level = total.sum() / mass.sum() if mass.any() else 0.0
    return level, divide(total, mass * level), mass * level


def slow_common(weeks):
    """The same ratio of all stores of a partner together."""
    total = sum(own * expected for _, own, expected in weeks)
    return divide(total, sum(expected for _, _, expected in weeks))


def slow_squares(mates):
    """Per store of a partner: by age, the squared distance of a day from the store's own ratio.

    Without what all stores of the partner have in common on that day.
    """
    away = []
    for days in mates:
        level, own, _ = slow_week(days)
        away.append({age: sales / level - own[w] for age, w, sales in days} if level > 0 else {})
    common = {age: np.mean([one[age] for one in away if age in one]) for age in set().union(*away)}
    return [{age: (value - common[age]) ** 2 for age, value in one.items()} for one in away]


def slow_scatter(squares):
    """Variance of one store's days around its seven ratios."""
    weight = sum(kept(age) for age in squares)
    mean = sum(kept(age) * square for age, square in squares.items()) / weight if squares else 0.0
    return mean * len(squares) / max(len(squares) - 7, 1)


def slow_prior(mates):
    """The variance of a partner's mean store; 1 where none has days enough to say."""
    told = [slow_scatter(squares) for squares in mates if len(squares) >= ENOUGH_DAYS]
    return np.mean(told) if told else 1.0


def slow_noise(days, squares, prior):
    """Variance of each of one store's seven ratios; 0 for a weekday that it has not seen."""
    count = len(squares)
    scatter = count * slow_scatter(squares) + PRIOR_NOISE_DAYS * prior
    scatter /= count + PRIOR_NOISE_DAYS
    noise = np.zeros(7)
    for weekday in range(7):
        ages = [age for age, day, _ in days if day == weekday]
        if ages:
            weeks, mass = len(ages), sum(kept(age) for age in ages)
            usual = scatter * sum(kept(age) ** 2 for age in ages) / mass**2
            each = sum((kept(age) / mass) ** 2 * squares.get(age, 0.0) for age in ages)
            each *= weeks / max(weeks - 1, 1)
            noise[weekday] = (weeks * each + PRIOR_WEEKS * usual) / (weeks + PRIOR_WEEKS)
    return noise


def slow_spread(mates, noise):
    """Mean product of what even and odd blocks say of a partner's stores, by 1 / noise."""
    halves = [[slow_week(days, half) for days in mates] for half in (0, 1)]
    commons = [slow_common(weeks) for weeks in halves]
    total, mass = 0.0, 0.0
    for store, days in enumerate(mates):
        for weekday in range(7):
            even, odd = (
                weeks[store][1][weekday] - common[weekday] if weeks[store][2][weekday] > 0 else 0.0
                for weeks, common in zip(halves, commons, strict=True)
            )
            # 0: the store sold nothing in that half, or no store does so on that weekday
            if len(days) >= ENOUGH_DAYS and noise[store][weekday] > 0 and even != 0 and odd != 0:
                total += even * odd / noise[store][weekday]
                mass += 1 / noise[store][weekday]
    return max(total / mass, 0.0) if mass else 0.0


def slow_trust(expected, noise, spread):
    """By weekday, how far one store's own ratio is believed."""
    return np.array(
        [
            spread / (spread + var) if var > 0 else float(given > 0)
            for given, var in zip(expected, noise, strict=True)
        ]
    )


def slow_partner(mates):
    """(trust, profile) of each store of one partner."""
    weeks, squares = [slow_week(days) for days in mates], slow_squares(mates)
    common = slow_common(weeks)
    common = common if common.any() else np.ones(7)
    seen = {weekday for days in mates for _, weekday, _ in days}
    common = [ratio if day in seen else 1.0 for day, ratio in enumerate(common)]
    prior = slow_prior(squares)
    noise = [slow_noise(days, one, prior) for days, one in zip(mates, squares, strict=True)]
    spread = slow_spread(mates, noise)
    found = []
    for days, (_, own, expected), var in zip(mates, weeks, noise, strict=True):
        # ratios to a level of some weekdays say nothing
        trust = slow_trust(expected, var, spread) if len(days) >= 7 else np.zeros(7)
        profile = (1 - trust) * common + trust * own
        found.append((trust, profile / profile.mean() if profile.mean() > 0 else np.ones(7)))
    return found


def slow_profile(history):
    """(S, 7) trust in each store's own ratios, and (S, 7) profile, partner by partner."""
    days = slow_days(history)
    codes = history.stores[c.PARTNER_CODE].to_numpy()
    trust, profile = np.empty((2, len(days), 7))
    for code in sorted(set(codes)):
        rows = np.flatnonzero(codes == code)
        found = slow_partner([days[k] for k in rows])
        trust[rows], profile[rows] = zip(*found, strict=True)
    return trust, profile


def slow_base(history, horizon):
    """(level, profile, forecast), store by store and day by day."""
    last = pd.Timestamp(history.dates[-1])
    ahead = pd.date_range(last + pd.Timedelta(days=1), periods=horizon)
    level = np.array([slow_level(days, LEVEL_FORGETTING) for days in slow_days(history)])
    profile = slow_profile(history)[1]
    return level, profile, np.maximum(level[:, None] * profile[:, ahead.day_of_week], 0.0)


def divide(a, b):
    return np.array([x / y if y else 0.0 for x, y in zip(a, b, strict=True)])


def partner_of(weeks, days, noise, seed):
    """A partner's stores of different size, each with a week of its own, and independent noise."""
    rng = np.random.default_rng(seed)
    dates = np.datetime64("2023-01-04") + np.arange(days)
    spread = np.sqrt(np.log1p(noise**2))
    y = rng.lognormal(3, 0.7, (len(weeks), 1)) * weeks[:, (dates.astype(int) + 3) % 7]
    y = y * rng.lognormal(-(spread**2) / 2, spread, y.shape)
    codes = [f"{k:03d}" for k in range(len(weeks))]
    names = pd.DataFrame({c.PARTNER_CODE: "A", c.STORE_CODE: codes})
    return Series(y, dates, describe(y, dates, names))


def own_ratios(series):
    """(S, 7) what each store says of its week, without its partner."""
    ratios = np.array([slow_week(days)[1] for days in slow_days(series)])
    return ratios / ratios.mean(axis=1, keepdims=True)


def distance(profile, truth):
    """Root of the mean square."""
    return np.sqrt(np.mean((profile - truth) ** 2))


def assert_base_is_slow(series, horizon=17):
    fitted = fit_base(series, horizon)
    level, profile, forecast = slow_base(series, horizon)
    np.testing.assert_allclose(fitted.level, level, rtol=1e-10)
    np.testing.assert_allclose(fitted.profile, profile, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(fitted.forecast(), forecast, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("days", [1, 13, 60, 143, 220, 500])
def test_base_equals_its_slow_form(days):
    made = generate_series(n_stores=10, n_days=max(days, 120), noise=0.3)
    assert_base_is_slow(made.series.until(days))


@pytest.mark.parametrize("forgetting", [0.005, 0.02, 0.06])
@pytest.mark.parametrize("days", [60, 143, 220, 500])
def test_level_equals_its_slow_form_at_every_speed(days, forgetting):
    made = generate_series(n_stores=10, n_days=max(days, 120), noise=0.3).series.until(days)
    slow = [slow_level(store, forgetting) for store in slow_days(made)]
    np.testing.assert_allclose(fit_level(made, forgetting), slow, rtol=1e-10)


def test_base_equals_its_slow_form_among_young_stores():
    made = generate_series(n_stores=26, n_days=200, noise=0.3, of=(*KINDS, *RECENT_KINDS))
    y = made.series.y.copy()
    young = np.flatnonzero(np.isin(made.kinds, ["late", "short", "new"]))
    y[young, 1::3] *= 0.0  # a young store that sells seldom
    y[8, 200 - 30] = 40.0
    assert_base_is_slow(with_values(made.series, y))


def test_base_equals_its_slow_form_where_everyone_is_closed_or_almost_silent():
    """Sundays closed everywhere; no sale in even blocks; no sale at all; a reversal or two."""
    made = generate_series(n_stores=12, n_days=300, noise=0.3, of=("weekly", "payday", "late"))
    y = made.series.y.copy()
    y[:, made.series.weekday() == 6] *= 0.0
    age = np.arange(299, -1, -1)
    y[0, age // BLOCK % 2 == 0] = 0.0
    y[3] = 0.0
    y[4, [70, 140]] *= -2
    y[11] = np.nan
    assert_base_is_slow(with_values(made.series, y))


def test_partner_of_young_stores_has_one_profile():
    """Fifty-five days say nothing of how much its stores differ; one day more, and they do."""
    weeks = np.random.default_rng(2).dirichlet(np.full(7, 3.0), 6) * 7
    series = partner_of(weeks, ENOUGH_DAYS, 0.1, seed=0)
    y = series.y.copy()
    y[:, 0] = np.nan
    young = with_values(series, y)
    profile = fit_profile(young)
    np.testing.assert_allclose(profile, np.tile(profile[0], (6, 1)), rtol=1e-12)
    common = slow_common([slow_week(days) for days in slow_days(young)])
    np.testing.assert_allclose(profile[0], common / common.mean(), rtol=1e-9)
    assert_base_is_slow(young)
    assert_base_is_slow(series)
    assert distance(fit_profile(series), weeks) < 0.2 * distance(profile, weeks)


def test_store_that_opened_yesterday_sells_as_often_as_those_that_opened_before_it():
    """The old ones sell daily; of those that were seen to open, one day in ten has a sale."""
    made = generate_series(n_stores=5, n_days=200).series
    y = np.full_like(made.y, 10.0)
    y[2:4, :100], y[2:4, 100:] = np.nan, 0.0
    y[2:4, 100::10] = 10.0
    y[4] = np.nan
    y[4, -1] = 100.0
    early = np.mean([[day % 10 == 0 for day in range(1, YOUNG_DAYS)]] * 2)
    later = (2 * 199 + 2 * 9) / (2 * 199 + 2 * 99)
    days = 2 * (YOUNG_DAYS - 1)
    chance = (days * early + PRIOR_DAYS * later) / (days + PRIOR_DAYS)
    level = fit_base(with_values(made, y), 7).level
    assert level[4] == pytest.approx(100 * chance)
    assert chance < 0.15


def test_store_that_opened_yesterday_is_not_forecast_to_sell_every_day():
    """Its only day is a sale by definition; its partner's stores sell on every fourth day."""
    made = generate_series(n_stores=8, n_days=200).series
    y = np.zeros_like(made.y)
    y[:, ::4] = 10.0
    y[0], y[1] = np.nan, 10.0
    y[0, -1] = 100.0
    made.stores[c.PARTNER_CODE] = ["A", "B", *["A"] * 6]
    made.stores.loc[1, c.PARTNER_CODE] = "B"
    level = fit_base(with_values(made, y), 7).level
    later = (y[2:, -200:][:, 1:] > 0).mean()
    assert level[0] == pytest.approx(100 * later)
    assert level[1] == pytest.approx(10)
    alone = fit_base(with_values(made, y).take(np.array([0])), 7).level
    assert alone[0] == pytest.approx(100)  # nobody to learn the chance from


def test_profile_has_mean_one(made):
    profile = fit_base(made.series, 7).profile
    np.testing.assert_allclose(profile.mean(axis=1), 1.0)


def test_noise_free_store_gets_its_own_week_back():
    made = generate_series(n_stores=1, n_days=400, noise=0)
    base = fit_base(made.series, 28)
    np.testing.assert_allclose(base.profile[0], WEEK / WEEK.mean(), rtol=0.02)
    np.testing.assert_allclose(base.forecast()[0], made.expected[0, 400:], rtol=0.04)


@given(st.integers(0, 10**6), st.floats(0.8, 2.0))
@settings(max_examples=15)
def test_noisy_stores_with_one_week_are_nearer_to_it_than_their_own_ratios(seed, noise):
    series = partner_of(np.tile(WEEK, (40, 1)), 200, noise, seed)
    mine, own = fit_profile(series), own_ratios(series)
    assert distance(mine, WEEK) < 0.7 * distance(own, WEEK)
    nearer = ((mine - WEEK) ** 2).sum(axis=1) < ((own - WEEK) ** 2).sum(axis=1)
    assert nearer.mean() > 0.7


@pytest.mark.parametrize("seed", range(3))
def test_stores_with_clearly_different_weeks_keep_their_own(seed):
    weeks = np.random.default_rng(seed).dirichlet(np.full(7, 3.0), 20) * 7
    steady = partner_of(weeks, 200, 0.0, seed)
    np.testing.assert_allclose(fit_profile(steady), weeks, rtol=1e-9)
    nearly = partner_of(weeks, 200, 0.05, seed)
    trust, _ = slow_profile(nearly)
    assert trust.min() > 0.95
    own = own_ratios(nearly)
    kept_apart = distance(fit_profile(nearly), own)
    assert kept_apart < 0.05 * distance(own.mean(axis=0), own)


def test_noise_decides_how_much_of_its_own_week_a_store_keeps():
    """The same different weeks in more and more noise: less and less of each store's own."""
    weeks = np.random.default_rng(5).dirichlet(np.full(7, 10.0), 20) * 7
    kept_apart = []
    for noise in (0.1, 0.5, 1.0, 2.0):
        series = partner_of(weeks, 200, noise, seed=1)
        profile, own = fit_profile(series), own_ratios(series)
        kept_apart.append(np.std(profile, axis=0).mean() / np.std(own, axis=0).mean())
        assert distance(profile, weeks) < 1.02 * distance(own, weeks)
    assert (np.diff(kept_apart) < 0).all()
    assert kept_apart[0] > 0.9
    assert kept_apart[-1] < 0.6


@pytest.mark.parametrize("factor", [1e-6, 0.01, 1000.0, 1e9])
def test_profile_does_not_depend_on_the_unit_of_money(made, factor):
    larger = fit_profile(with_values(made.series, made.series.y * factor))
    np.testing.assert_allclose(larger, fit_profile(made.series), rtol=1e-9, atol=1e-12)


def test_size_of_a_store_alone_does_not_change_its_profile(made):
    """It has no partner to be drawn to, or no noise to be drawn for."""
    alone = made.series.take(np.array([0]))
    larger = fit_profile(with_values(alone, 1000 * alone.y))
    np.testing.assert_allclose(larger, fit_profile(alone), rtol=1e-9)
    weeks = np.random.default_rng(0).dirichlet(np.full(7, 3.0), 8) * 7
    steady = partner_of(weeks, 200, 0.0, seed=0)
    sizes = np.array([1, 1000, 0.01, 1, 7, 1e4, 1, 2])[:, None]
    resized = fit_profile(with_values(steady, steady.y * sizes))
    np.testing.assert_allclose(resized, fit_profile(steady), rtol=1e-9)


def test_what_all_stores_do_on_a_day_is_no_noise():
    """Campaigns of the partner scatter every store's days alike, and no store's week less."""
    weeks = np.random.default_rng(4).dirichlet(np.full(7, 20.0), 20) * 7
    calm = partner_of(weeks, 364, 0.1, seed=1)
    campaign = np.where(np.random.default_rng(0).random(364) < 0.1, 3.0, 1.0)
    busy = with_values(calm, calm.y * campaign)
    apart = busy.stores.assign(**{c.PARTNER_CODE: busy.store_ids})
    assert slow_profile(calm)[0].mean() > 0.9
    assert slow_profile(busy)[0].mean() > 0.7
    differences = fit_profile(busy) - fit_profile(busy).mean(axis=0)
    own = fit_profile(Series(busy.y, busy.dates, apart))  # each its own partner: its own ratios
    np.testing.assert_allclose(own, own_ratios(busy), rtol=1e-9)
    assert np.std(differences) > 0.7 * np.std(own - own.mean(axis=0))


def test_level_follows_a_shift_but_never_falls_below_its_floor(made):
    shifted = made.series.y[made.row("level_shift")]
    level = fit_base(made.series, 7).level
    assert level[made.row("level_shift")] > 1.2 * shifted[:110].mean()
    year = generate_series(n_stores=1, n_days=400).series
    silent = year.y.copy()
    silent[0, 60:] = 0
    floored = fit_base(with_values(year, silent), 7).level[0]
    assert floored == pytest.approx(FLOOR * silent[0, -SPAN:].mean())


def test_short_store_takes_the_profile_of_its_partner(made):
    """Three days say nothing of a week; the other stores of the partner do."""
    young = made.series.y.copy()
    young[0, :-3] = np.nan
    base = fit_base(with_values(made.series, young), 7)
    mates = base.profile[1:7].mean(axis=0)
    assert np.corrcoef(base.profile[0], mates)[0, 1] > 0.9


def test_other_partners_do_not_matter(made):
    y = made.series.y.copy()
    theirs = made.series.partner == 1
    y[theirs] = 5000 - y[theirs]
    before, after = fit_base(made.series, 14), fit_base(with_values(made.series, y), 14)
    np.testing.assert_array_equal(before.forecast()[~theirs], after.forecast()[~theirs])
    assert not np.array_equal(before.forecast()[theirs], after.forecast()[theirs])


def test_noise_of_other_partners_does_not_matter():
    """A partner whose stores are as regular as clockwork, and one that is anything but."""
    weeks = np.random.default_rng(0).dirichlet(np.full(7, 3.0), 8) * 7
    steady, wild = partner_of(weeks[:4], 100, 0.0, 0), partner_of(weeks[4:], 100, 3.0, 0)
    both = partner_of(weeks, 100, 0.0, 0)
    both.stores[c.PARTNER_CODE] = ["A"] * 4 + ["B"] * 4
    both = with_values(both, np.concatenate([steady.y, wild.y]))
    np.testing.assert_allclose(fit_profile(both)[:4], weeks[:4], rtol=1e-9)
    np.testing.assert_allclose(fit_profile(both)[4:], fit_profile(wild), rtol=1e-9)
    assert_base_is_slow(both)


def test_does_not_modify_its_input(made):
    before = made.series.y.copy()
    fit_base(made.series, 14)
    np.testing.assert_array_equal(made.series.y, before)


VALUES = st.one_of(st.just(0.0), st.just(np.nan), st.floats(-1e6, 1e6).map(lambda v: round(v, 2)))


# days enough for the stores to say how much they scatter and differ, of weeks drawn by hypothesis
LONG = arrays(float, st.tuples(st.integers(1, 4), st.integers(57, 90)), elements=VALUES)
SHORT = arrays(float, st.tuples(st.integers(1, 4), st.integers(1, 40)), elements=VALUES)


@given(SHORT | LONG)
@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
def test_forecast_is_finite_and_never_negative(y):
    dates = np.datetime64("2023-01-04") + np.arange(y.shape[1])
    names = pd.DataFrame({c.PARTNER_CODE: ["A"] * len(y), c.STORE_CODE: list("wxyz")[: len(y)]})
    forecast = fit_base(Series(y, dates, describe(y, dates, names)), 9).forecast()
    assert np.isfinite(forecast).all()
    assert (forecast >= 0).all()


@pytest.mark.parametrize("days", [1, 6])
def test_store_that_has_not_seen_a_week_has_its_partners(days):
    """However different the weeks of the others are: its ratios are to a level of few weekdays."""
    made = generate_series(n_stores=9, n_days=300, noise=0.05).series
    rng = np.random.default_rng(3)
    y = made.y * rng.lognormal(0, 0.5, (9, 7))[:, made.weekday()]
    y[0, :-days] = np.nan
    made.stores[c.PARTNER_CODE] = "P0"
    found = fit_profile(with_values(made, y))
    trust, _ = slow_profile(with_values(made, y))
    assert trust[1:].mean() > 0.9
    assert trust[0].max() == 0
    assert (found[1:].min(axis=0) <= found[0]).all()
    assert (found[0] <= found[1:].max(axis=0)).all()


def test_a_long_closure_moves_neither_level_nor_week_once_it_has_ended():
    """The zeros of a store that was shut and has opened again say nothing of how much it sells."""
    series = generate_series(n_stores=1, n_days=300, of=("weekly",), noise=0).series
    y = series.y.copy()
    y[0, 180:270] = 0.0
    reopened = with_values(series, y)
    before, after = (fit_base(history, 28).forecast() for history in (series, reopened))
    np.testing.assert_allclose(after, before, rtol=0.03)
    shut = fit_base(reopened.until(270), 28).forecast()
    assert shut.mean() < 0.3 * before.mean()


def test_partner_of_one_day_has_no_week_yet():
    """Weekdays that nobody has seen are like the others, not closed: 100 once is 100 a day."""
    made = generate_series(n_stores=4, n_days=220).series
    y = np.full(made.y.shape, 100.0)
    y[0, :-1] = np.nan
    stores = made.stores.assign(**{c.PARTNER_CODE: ["new", "old", "old", "old"]})
    base = fit_base(Series(y, made.dates, stores), 28)
    np.testing.assert_allclose(base.profile[0], 1.0)
    np.testing.assert_allclose(base.forecast()[0], 100.0)
