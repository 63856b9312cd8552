"""One small run of the modeling core, made once and only read by the tests."""

import pytest

from lifemiles_forecasting.core import backtest
from lifemiles_forecasting.core.study import build_study, prepare
from lifemiles_forecasting.core.synthetic import generate_series, small_settings

SEED = 7


@pytest.fixture(scope="session")
def make_study():
    """A function from series to Study with small settings."""

    def make(series, horizon=14, min_samples=56, max_stores=None, **changes):
        chosen, attempted = prepare(series, horizon, min_samples, max_stores)
        settings = small_settings(**changes)
        return build_study(chosen, attempted, horizon, settings, SEED, min_samples)

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
