"""The next days of every store: blend, zero rule, intervals, status."""

from __future__ import annotations

import numpy as np
import pandas as pd

from lifemiles_forecasting.core import columns as c
from lifemiles_forecasting.core import zero_rule
from lifemiles_forecasting.core.backtest import Backtest, calibrate
from lifemiles_forecasting.core.base import fit_base
from lifemiles_forecasting.core.calendar import Calendar
from lifemiles_forecasting.core.combine import BLEND
from lifemiles_forecasting.core.finish import closed_and_floor
from lifemiles_forecasting.core.intervals import NAMES, Intervals, Spread, bounds
from lifemiles_forecasting.core.series import Series
from lifemiles_forecasting.core.silence import Silence
from lifemiles_forecasting.core.study import Study

OK, SHORT, DORMANT, FALLBACK, FAILED = "ok", "short_history", "dormant", "fallback", "failed"


def final_intervals(study: Study, result: Backtest) -> Intervals:
    """Calibrated on the test window too: there is nothing left to test."""
    return calibrate(study, result.y_hat, study.windows)


def statuses(modelled: set[str], everyone: Series) -> np.ndarray:
    """(S,) status of every store.

    `ok` and `fallback` (base only: its own models failed, or the run was limited to others),
    `short_history` for stores below `min_samples`, `dormant` for stores without recent sales.

    Args:
        modelled: ids of the stores whose own models stand.
        everyone: all stores, with their class.
    """
    kinds = everyone.stores[c.STORE_CLASS].to_numpy(object)
    status = [
        DORMANT
        if kind == "dormant"
        else OK
        if store in modelled
        else SHORT
        if kind == "short"
        else FALLBACK
        for store, kind in zip(everyone.store_ids, kinds, strict=True)
    ]
    return np.array(status, dtype=object)


def modelled_stores(study: Study, result: Backtest) -> set[str]:
    """Ids of the stores that were attempted and did not fail, or whose models are kept."""
    failed = {failure.store_id for failure in result.fits.failures}
    kept = study.kept.modelled() if study.kept else set()
    return (set(study.series.store_ids[study.attempted]) - failed) | kept


def forecast_all(
    study: Study, result: Backtest, intervals: Intervals, everyone: Series
) -> pd.DataFrame:
    """Forecasts of every store for every day of the horizon.

    Args:
        study: the stores of this run.
        result: of the backtest, with the refit.
        intervals: from `final_intervals`.
        everyone: all stores of the data; those outside the run get the base.

    Returns:
        The columns of `columns.FORECASTS`, sorted by store and day.
    """
    blended = np.full((len(everyone.y), study.horizon), np.nan)
    row = pd.Index(everyone.store_ids).get_indexer(study.series.store_ids)
    blended[row] = result.y_hat[BLEND, study.last]
    status = statuses(modelled_stores(study, result), everyone)
    holidays = Calendar.of(everyone, study.horizon, study.settings.holidays).holidays()
    return forecast_table(everyone, blended, status, intervals, holidays)


def with_base(everyone: Series, blended: np.ndarray, holidays: np.ndarray) -> np.ndarray:
    """(S, H) the forecast where there is one, the base (after the same rules) elsewhere.

    The base of a store that never sold is 0, and the others' is made without it. `holidays` as in
    `finish`.
    """
    horizon, sold = blended.shape[1], np.flatnonzero(everyone.sold)
    if not len(sold):
        return np.nan_to_num(blended)
    known, base = everyone.take(sold), np.zeros(blended.shape)
    closed_form = Silence.of(known, horizon).apply(fit_base(known, horizon).forecast())
    base[sold] = zero_rule.apply(closed_form, *closed_and_floor(known, horizon, holidays[sold]))
    return np.where(np.isfinite(blended), blended, base)


def forecast_table(
    everyone: Series,
    blended: np.ndarray,
    status: np.ndarray,
    intervals: Intervals,
    holidays: np.ndarray,
) -> pd.DataFrame:
    """Put the forecasts of an origin together.

    Args:
        everyone: all stores, up to the origin.
        blended: (S, H) target units; stores without (nan) get the base.
        status: (S,); dormant stores are forecast to sell nothing.
        intervals: around the forecasts.
        holidays: (S, D + H) bool, public holidays of each store.

    Returns:
        The columns of `columns.FORECASTS`, sorted by store and day.
    """
    horizon, spread = blended.shape[1], Spread.of(everyone)
    forecast = with_base(everyone, blended, holidays)
    forecast[status == DORMANT] = 0.0
    limits = bounds(forecast, intervals.offsets(forecast, spread))
    count = len(everyone.y)
    dates = (everyone.origin + 1 + np.arange(horizon)).astype("datetime64[ns]")
    frame = pd.DataFrame(
        {
            name: np.repeat(everyone.stores[name].to_numpy(object), horizon)
            for name in (c.STORE_ID, c.PARTNER_CODE, c.STORE_CODE)
        }
    )
    frame[c.DATE] = np.tile(dates, count)
    frame[c.HORIZON] = np.tile(np.arange(1, horizon + 1), count)
    frame[c.FORECAST] = forecast.ravel()
    frame[list(NAMES)] = limits.reshape(-1, 4)
    frame[c.STATUS] = np.repeat(status, horizon)
    return frame[list(c.FORECASTS)]
