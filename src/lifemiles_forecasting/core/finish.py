"""From the candidates' answers to a forecast: blend, silent stores, zero rule."""

from __future__ import annotations

import numpy as np

from lifemiles_forecasting.core import zero_rule
from lifemiles_forecasting.core.combine import blend
from lifemiles_forecasting.core.intervals import Spread
from lifemiles_forecasting.core.series import Series
from lifemiles_forecasting.core.silence import Silence


def finish(
    history: Series, stacked: np.ndarray, weights: np.ndarray, holidays: np.ndarray
) -> np.ndarray:
    """(S, H) forecast of every store from what is known at the end of its history.

    Args:
        history: ends at the origin.
        stacked: (K, S, H) forecasts of the candidates, target units. One that has no forecast
            (nan) at this very origin hands its weight to the others.
        weights: (S, K).
        holidays: (S, D + H) bool or longer, public holidays of each store.

    Returns:
        Target units, never negative; nan for a store that had not started.
    """
    horizon = stacked.shape[2]
    present = np.isfinite(stacked).all(axis=2).T
    usable = np.where(present, weights, 0.0)
    mass = usable.sum(axis=1, keepdims=True)
    usable = np.divide(usable, mass, out=np.zeros_like(usable), where=mass > 0)
    blended = Silence.of(history, horizon).apply(blend(stacked, usable))
    forecast = zero_rule.apply(blended, *closed_and_floor(history, horizon, holidays))
    started = np.isfinite(history.y[:, -1])
    return np.where(started[:, None], forecast, np.nan)


def closed_and_floor(
    history: Series, horizon: int, holidays: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """What the zero rule knows at the end of a history: (S, H) closed days, (S,) dust floor."""
    level = Spread.of(history).level
    closed = zero_rule.closed_days(history, horizon, holidays)
    closed |= zero_rule.closed_holidays(history, horizon, holidays)
    return closed, zero_rule.dust_floor(history, level, holidays)
