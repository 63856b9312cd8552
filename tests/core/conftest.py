"""One small run of the modeling core, made once and only read by the tests."""

import numpy as np
import pandas as pd
import pytest
from fits_in_memory import FitsInMemory

from lifemiles_forecasting.core import backtest
from lifemiles_forecasting.core.base import fit_base
from lifemiles_forecasting.core.features import SHRINK_DAYS
from lifemiles_forecasting.core.intervals import PRIOR_DAYS, YOUNG_DAYS
from lifemiles_forecasting.core.study import build_study, prepare
from lifemiles_forecasting.core.synthetic import generate_series, small_settings

SEED = 7


@pytest.fixture(scope="session")
def new_fits():
    return FitsInMemory


@pytest.fixture
def fits():
    return FitsInMemory()


@pytest.fixture(scope="session")
def make_study():
    """A function from series to Study with small settings."""

    def make(series, horizon=14, min_samples=56, max_stores=None, events=None, **changes):
        chosen, attempted = prepare(series, horizon, min_samples, max_stores)
        settings = small_settings(**changes)
        return build_study(chosen, attempted, horizon, settings, SEED, min_samples, events=events)

    return make


@pytest.fixture(scope="session")
def made():
    """Ten stores of two partners, every kind among them, 220 days."""
    return generate_series(n_stores=10, n_days=220)


@pytest.fixture(scope="session")
def study(made, make_study):
    return make_study(made.series, min_samples=60)


@pytest.fixture(scope="session")
def result(study):
    return backtest.run(study)


@pytest.fixture(scope="session")
def slow_spread():
    """A function from days (a column per store) and partners to `day` and `level` by store."""

    def spread(past, partner):
        recent, partner = past.iloc[-364:], pd.Series(partner, past.columns)
        days, level = recent.count(), recent.mean().fillna(0.0)
        deviation = recent.std(ddof=0).fillna(0.0)
        variation = (deviation / level)[(days >= YOUNG_DAYS) & (level > 0)]
        everyone = variation.mean() if len(variation) else 1.0
        by_partner = variation.groupby(partner.reindex(variation.index)).mean()
        usual = partner.map(by_partner).astype(float).fillna(everyone) * level
        mixed = (days * deviation**2 + PRIOR_DAYS * usual**2) / (days + PRIOR_DAYS)
        day = deviation.where(days >= YOUNG_DAYS, np.sqrt(mixed))
        return pd.DataFrame({"day": day, "level": level})

    return spread


def _slow_sensitivity(frame, store, partner):
    """The slope of one store's days on its partner's mean ones, day by day."""
    year = frame.iloc[-364:]
    away = year - year.groupby(year.index.dayofweek).transform("mean")
    mates = [other for other in frame if partner[other] == partner[store]]
    known = away[store].dropna().index
    common = away.loc[known, mates].mean(axis=1)
    power = (common**2).sum()
    prior = SHRINK_DAYS * power / max(len(known), 1) + 1e-9
    return ((away.loc[known, store] * common).sum() + prior) / (power + prior)


@pytest.fixture(scope="session")
def slow_traits():
    """A function from a series and its scaled days (a column per store) to traits by store."""

    def traits(series, frame):
        dated = frame.set_axis(pd.DatetimeIndex(series.dates.astype("datetime64[ns]")))
        profile = fit_base(series, 1).profile  # has a slow form of its own, see test_base
        named = pd.DataFrame(profile, columns=[f"profile_{day}" for day in range(7)])
        slopes = [_slow_sensitivity(dated, store, series.partner) for store in dated]
        return named.assign(partner_sensitivity=np.array(slopes))

    return traits
