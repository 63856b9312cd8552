"""Accuracy of forecasts: one function per metric, all with the same signature.

A metric reduces the last axis: the days of one store's window give a float, a (stores x days)
matrix gives one value per store. A new metric is one function here with `@metric`, plus its name
under `reporting.metrics` in the configuration. Errors are `y_hat - y`, in the target's own units.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable
from functools import wraps
from typing import Any

import numpy as np
import pandas as pd

from lifemiles_forecasting.core.errors import ConfigError

Metric = Callable[..., Any]
METRICS: dict[str, Metric] = {}
SEASON = 7  # days: the seasonal-naive scale of MASE repeats the week


def metric(function: Metric) -> Metric:
    """Register a metric under its own name, and check what it is given."""

    @wraps(function)
    def checked(
        y: np.ndarray, y_hat: np.ndarray, *, history: np.ndarray | None = None
    ) -> float | np.ndarray:
        y, y_hat = _checked(y, y_hat)
        past = None if history is None else np.asarray(history, dtype=float)
        value = np.asarray(function(y, y_hat, history=past), dtype=float)
        if value.shape != y.shape[:-1]:
            raise ValueError(
                f"metric {function.__name__!r} gave shape {value.shape} for windows of shape "
                f"{y.shape}; expected {y.shape[:-1]}: a metric reduces the last axis"
            )
        return value if value.ndim else float(value)

    METRICS[function.__name__] = checked
    return checked


@metric
def mae(y: np.ndarray, y_hat: np.ndarray, *, history: np.ndarray | None = None) -> Any:
    """Mean absolute error, target units per day.

    >>> mae([1.0, 3.0], [2.0, 5.0])
    1.5
    """
    return np.abs(y_hat - y).mean(axis=-1)


@metric
def rmse(y: np.ndarray, y_hat: np.ndarray, *, history: np.ndarray | None = None) -> Any:
    """Root mean squared error, target units per day.

    >>> rmse([0.0, 0.0], [3.0, 3.0])
    3.0
    """
    return np.sqrt(np.square(y_hat - y).mean(axis=-1))


@metric
def r2(y: np.ndarray, y_hat: np.ndarray, *, history: np.ndarray | None = None) -> Any:
    """Share of the window's variance that the forecast explains, as in scikit-learn.

    A constant window gives 1 when it is met exactly and 0 otherwise; one single day gives nan.

    >>> r2([1.0, 2.0, 3.0], [2.0, 2.0, 2.0])
    0.0
    """
    if y.shape[-1] < 2:
        return np.full(y.shape[:-1], np.nan)
    residual = np.square(y_hat - y).sum(axis=-1)
    spread = np.square(y - y.mean(axis=-1, keepdims=True)).sum(axis=-1)
    varies = np.ptp(y, axis=-1) > 0  # the mean of equal days may differ from them in its last bit
    explained = 1 - _ratio(residual, np.where(varies, spread, 0.0))
    return np.where(varies, explained, np.where(residual > 0, 0.0, 1.0))


@metric
def smape(y: np.ndarray, y_hat: np.ndarray, *, history: np.ndarray | None = None) -> Any:
    """Symmetric mean absolute percentage error, percent from 0 to 200; 0/0 counts 0.

    >>> smape([0.0, 0.0, 1.0, 1.0], [0.0, 2.0, 1.0, 3.0])
    75.0
    """
    size = (np.abs(y) + np.abs(y_hat)) / 2
    return 100 * np.nan_to_num(_ratio(np.abs(y_hat - y), size)).mean(axis=-1)


@metric
def wape(y: np.ndarray, y_hat: np.ndarray, *, history: np.ndarray | None = None) -> Any:
    """Sum of absolute errors in percent of the sum of |y|; nan for a window without sales.

    >>> wape([1.0, 3.0], [2.0, 2.0])
    50.0
    """
    return 100 * _ratio(np.abs(y_hat - y).sum(axis=-1), np.abs(y).sum(axis=-1))


@metric
def mase(y: np.ndarray, y_hat: np.ndarray, *, history: np.ndarray | None = None) -> Any:
    """MAE relative to the error of repeating last week's day over the history (m = 7).

    `history` is what came before the window, `(D,)` or `(stores, D)`; leading nan are days before
    the store's first. A history that is missing, too short or repeats itself exactly gives nan.

    >>> mase([2.0], [4.0], history=[1.0] * 7 + [2.0] * 7)
    2.0
    """
    if history is None or history.shape[-1] <= SEASON:
        return np.full(y.shape[:-1], np.nan)
    steps = np.abs(history[..., SEASON:] - history[..., :-SEASON])
    scale = _ratio(np.nansum(steps, axis=-1), np.isfinite(steps).sum(axis=-1))
    return _ratio(np.abs(y_hat - y).mean(axis=-1), scale)


@metric
def bias(y: np.ndarray, y_hat: np.ndarray, *, history: np.ndarray | None = None) -> Any:
    """Sum of errors in percent of the sum of y: above 0 the forecast is too high.

    >>> bias([4.0, 6.0], [5.0, 6.0])
    10.0
    """
    total = y.sum(axis=-1)
    return 100 * _ratio((y_hat - y).sum(axis=-1), np.abs(total)) * np.sign(total)


def pooled_wape(y: np.ndarray, y_hat: np.ndarray) -> float:
    """WAPE over every store-day of the arrays together, percent."""
    y, y_hat = _checked(y, y_hat)
    return wape(y.ravel(), y_hat.ravel()) if y.size else float("nan")


def pooled_bias(y: np.ndarray, y_hat: np.ndarray) -> float:
    """Bias over every store-day of the arrays together, percent."""
    y, y_hat = _checked(y, y_hat)
    return bias(y.ravel(), y_hat.ravel()) if y.size else float("nan")


def wape_total(y: np.ndarray, y_hat: np.ndarray) -> float:
    """WAPE of each store's window total, percent: the sums count, not the days.

    Args:
        y: actual values, (stores, days).
        y_hat: forecasts, (stores, days).

    >>> wape_total(np.array([[1.0, 3.0]]), np.array([[3.0, 1.0]]))
    0.0
    """
    y, y_hat = _checked(y, y_hat)
    return pooled_wape(y.sum(axis=-1), y_hat.sum(axis=-1))


def coverage(
    y: np.ndarray, lower: np.ndarray, upper: np.ndarray, *, axis: int | None = None
) -> float | np.ndarray:
    """Days whose actual value lies in the interval, bounds included, percent.

    Args:
        y: actual values, any shape.
        lower: lower bounds, same shape.
        upper: upper bounds, same shape.
        axis: the axis to reduce; None for all store-days together.

    Raises:
        ValueError: for shapes that differ or a bound that is nan.

    >>> coverage(np.array([1.0, 5.0]), np.array([0.0, 0.0]), np.array([2.0, 2.0]))
    50.0
    """
    y, lower = _checked(y, lower)
    y, upper = _checked(y, upper)
    if not y.size:
        return float("nan")
    share = 100 * ((lower <= y) & (y <= upper)).mean(axis=axis)
    return float(share) if np.ndim(share) == 0 else share


def evaluate(
    y: np.ndarray,
    y_hat: np.ndarray,
    metrics: tuple[str, ...],
    history: np.ndarray | None = None,
) -> pd.DataFrame:
    """Every named metric for every store.

    Args:
        y: actual values of the window, (stores, days).
        y_hat: forecasts of the window, (stores, days).
        metrics: names in `METRICS`.
        history: values before the window, (stores, history days); nan before a store's first day.

    Returns:
        One row per store, 0 to stores - 1, and one column per metric.

    Raises:
        ConfigError: for an unknown metric.
        ValueError: for shapes that differ or a value that is nan.

    >>> evaluate([[1.0, 3.0]], [[2.0, 2.0]], ("mae", "wape")).to_dict("records")
    [{'mae': 1.0, 'wape': 50.0}]
    """
    functions = {name: get_metric(name) for name in metrics}
    y, y_hat = _checked(y, y_hat)
    if y.ndim != 2:
        raise ValueError(f"found windows of shape {y.shape}; expected (stores, days)")
    if history is not None and (np.ndim(history) != 2 or len(history) != len(y)):
        raise ValueError(f"found history of shape {np.shape(history)}; expected ({len(y)}, days)")
    values = {name: function(y, y_hat, history=history) for name, function in functions.items()}
    return pd.DataFrame(values, index=pd.RangeIndex(len(y)))


def get_metric(name: str) -> Metric:
    """Look a metric up by its name.

    Raises:
        ConfigError: for an unknown one, with the nearest known one.
    """
    if name in METRICS:
        return METRICS[name]
    near = difflib.get_close_matches(str(name).lower(), METRICS, n=1)
    raise ConfigError(
        f"an unknown metric {name!r} in reporting.metrics",
        f"some of {', '.join(METRICS)}",
        f"Did you mean {near[0]!r}?" if near else "",
    )


def _checked(y: np.ndarray, y_hat: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both as floats; a nan that slipped through would look like a store without sales."""
    y, y_hat = np.asarray(y, dtype=float), np.asarray(y_hat, dtype=float)
    if y.shape != y_hat.shape or y.ndim == 0:
        raise ValueError(f"found y of shape {y.shape} and y_hat of shape {y_hat.shape}")
    for name, values in (("y", y), ("y_hat", y_hat)):
        if not np.isfinite(values).all():
            n = int((~np.isfinite(values)).sum())
            raise ValueError(f"found {n} values of {name} that are not finite; expected none")
    return y, y_hat


def _ratio(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """Division that gives nan, quietly, where the denominator is 0."""
    numerator, denominator = np.broadcast_arrays(numerator, np.asarray(denominator, dtype=float))
    out = np.full(numerator.shape, np.nan)
    return np.divide(numerator, denominator, out=out, where=denominator > 0)
