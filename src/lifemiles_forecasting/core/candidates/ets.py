"""Exponential smoothing with an additive week, ETS(A,N,A), for all stores at once.

Hyndman, Koehler, Ord and Snyder (2008), "Forecasting with Exponential Smoothing". Smoothing
parameters are chosen for every store from a grid by its one-step errors. A grid over matrices
costs a second for a thousand stores, where a numerical search per store costs half a minute.
"""

from __future__ import annotations

import numpy as np

from lifemiles_forecasting.core.series import Series

ALPHAS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.4)  # how fast the level follows, per day
GAMMAS = (0.001, 0.02, 0.05, 0.1)  # how fast a weekday follows, per week
SPAN = 728  # days that are smoothed; what lies further back has lost its weight
WARM_UP = 56  # days that set the first level and week, and are not scored
MIN_DAYS = 28


def ets(history: Series, horizon: int) -> np.ndarray:
    """Smooth every store's history and go on from its last state.

    Args:
        history: what is known at the origin. Long closures that have ended are passed over.
        horizon: days ahead.

    Returns:
        (S, horizon) target units, never negative; nan for a store of fewer than MIN_DAYS days.
    """
    y = history.without_closures[:, -SPAN:]
    weekday = history.weekday(horizon)
    known, ahead = weekday[: len(history.dates)][-SPAN:], weekday[len(history.dates) :]
    level, week = _initial(y, known)
    alpha, gamma = (grid.reshape(-1, 1) for grid in np.meshgrid(ALPHAS, GAMMAS))
    levels = np.repeat(level[None], len(alpha), axis=0)  # (G, S)
    weeks = np.repeat(week[None], len(alpha), axis=0)  # (G, S, 7)
    squared = np.zeros_like(levels)
    age = np.cumsum(np.isfinite(y), axis=1)
    for day, slot in enumerate(known):
        seen = np.isfinite(y[:, day])
        error = np.where(seen, y[:, day] - levels - weeks[:, :, slot], 0.0)
        squared += np.where(age[:, day] > WARM_UP, error**2, 0.0)
        levels += alpha * error
        weeks[:, :, slot] += gamma * error
    best = np.argmin(squared, axis=0)
    stores = np.arange(len(y))
    forecast = levels[best, stores][:, None] + weeks[best, stores][:, ahead]
    enough = np.isfinite(history.y).sum(axis=1) >= MIN_DAYS
    return np.where(enough[:, None], np.maximum(forecast, 0.0), np.nan)


def _initial(y: np.ndarray, weekday: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(S,) level and (S, 7) deviations by weekday of each store's first WARM_UP days."""
    seen = np.isfinite(y)
    first = seen & (np.cumsum(seen, axis=1) <= WARM_UP)
    by_weekday = np.eye(7)[weekday]
    count = first @ by_weekday
    total = np.where(first, y, 0.0) @ by_weekday
    level = total.sum(axis=1) / np.maximum(count.sum(axis=1), 1)
    mean = np.divide(total, count, out=np.repeat(level[:, None], 7, axis=1), where=count > 0)
    return level, mean - level[:, None]
