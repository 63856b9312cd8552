"""Candidates without learning: they read the history and answer at once."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from lifemiles_forecasting.core.base import fit_base
from lifemiles_forecasting.core.series import Series


def seasonal_naive(history: Series, horizon: int) -> np.ndarray:
    """The last week, repeated. (S, horizon) target units; nan for a store without a full week."""
    week = history.y[:, -7:]
    return week[:, np.arange(horizon) % 7]


def window_average(history: Series, horizon: int, weeks: int = 8) -> np.ndarray:
    """Mean of the same weekday over the last weeks. (S, horizon) target units."""
    recent = history.y[:, -7 * weeks :]
    full = np.full((len(recent), 7 * weeks), np.nan)
    full[:, full.shape[1] - recent.shape[1] :] = recent
    seen = np.isfinite(full).reshape(-1, weeks, 7)
    total = np.where(seen, full.reshape(-1, weeks, 7), 0.0).sum(1)
    count = seen.sum(1)
    mean = np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)
    return mean[:, np.arange(horizon) % 7]


def base(history: Series, horizon: int) -> np.ndarray:
    """Level times weekday profile. (S, horizon) target units; nan before the first day."""
    known = np.isfinite(history.y).any(axis=1)
    return np.where(known[:, None], fit_base(history, horizon).forecast(), np.nan)


CLOSED: dict[str, Callable[[Series, int], np.ndarray]] = {
    "seasonal_naive": seasonal_naive,
    "window_average": window_average,
    "base": base,
}
NAIVE = ("seasonal_naive", "window_average")  # to measure against, never blended
