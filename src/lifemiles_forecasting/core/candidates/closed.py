"""Candidates without learning: they read the history and answer at once, never below zero."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from lifemiles_forecasting.core.base import fit_base
from lifemiles_forecasting.core.candidates.ets import ets
from lifemiles_forecasting.core.series import Series


def _weeks(history: Series, weeks: int) -> np.ndarray:
    """(S, weeks, 7) the last days, nan where the history is shorter; slot 0 follows the origin."""
    recent = history.y[:, -7 * weeks :]
    full = np.full((len(recent), 7 * weeks), np.nan)
    full[:, full.shape[1] - recent.shape[1] :] = recent
    return full.reshape(-1, weeks, 7)


def seasonal_naive(history: Series, horizon: int) -> np.ndarray:
    """The last week, repeated. (S, horizon) target units; nan for a day that it did not see."""
    week = _weeks(history, 1)[:, 0]
    return np.maximum(week[:, np.arange(horizon) % 7], 0.0)


def window_average(history: Series, horizon: int, weeks: int = 8) -> np.ndarray:
    """Mean of the same weekday over the last weeks. (S, horizon) target units."""
    recent = _weeks(history, weeks)
    seen = np.isfinite(recent)
    total, count = np.where(seen, recent, 0.0).sum(1), seen.sum(1)
    mean = np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)
    return np.maximum(mean[:, np.arange(horizon) % 7], 0.0)


def base(history: Series, horizon: int) -> np.ndarray:
    """Level times weekday profile. (S, horizon) target units; nan before the first day."""
    known = np.isfinite(history.y).any(axis=1)
    return np.where(known[:, None], fit_base(history, horizon).forecast(), np.nan)


CLOSED: dict[str, Callable[[Series, int], np.ndarray]] = {
    "seasonal_naive": seasonal_naive,
    "window_average": window_average,
    "base": base,
    "ets": ets,
}
NAIVE = ("seasonal_naive", "window_average")  # to measure against, never blended
