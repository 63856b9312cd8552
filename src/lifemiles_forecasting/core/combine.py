"""Weights of the candidates, from their forecasts of earlier windows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lifemiles_forecasting.core.config import CombineSettings

BLEND = "blend"  # what the candidates are combined to
LEAST_SQUARES = 0.5  # share of the least-squares weights against those by each one's own error


def absolute_errors(y: np.ndarray, y_hat: np.ndarray) -> np.ndarray:
    """Sum of absolute errors by candidate and store.

    Args:
        y: (S, N) target units; nan before a store's first day.
        y_hat: (K, S, N) target units.

    Returns:
        (K, S); nan where a candidate lacks a forecast for a day that counts.
    """
    seen = np.isfinite(y)
    return np.where(seen, np.abs(y_hat - np.where(seen, y, 0.0)), 0.0).sum(axis=2)


def best_size(y: np.ndarray, y_hat: np.ndarray) -> int:
    """Index of the candidate with the smallest error over the stores that all can forecast."""
    errors = absolute_errors(y, y_hat)
    complete = np.isfinite(errors).all(axis=0)
    return int(np.argmin(errors[:, complete].sum(axis=1)))


def pooled_weights(y: np.ndarray, y_hat: np.ndarray, power: float) -> np.ndarray:
    """Weights over all stores and days together: half least squares, half by each one's error.

    Weights proportional to a candidate's absolute error to the power -`power` drop a bad
    candidate and are steady, but take those that err together for so many witnesses. Least
    squares knows who errs together, and is sure of itself on a few windows.

    Args:
        y: (S, N) target units.
        y_hat: (K, S, N) target units; stores that any candidate cannot forecast are left out.
        power: of the second half.

    Returns:
        (K,), sums to 1.
    """
    usable = np.isfinite(y) & np.isfinite(y_hat).all(axis=0)
    if not usable.any():
        return np.full(len(y_hat), 1.0 / len(y_hat))
    error = y_hat[:, usable] - y[usable]
    return LEAST_SQUARES * _least_squares(error) + (1 - LEAST_SQUARES) * _by_error(error, power)


def _by_error(error: np.ndarray, power: float) -> np.ndarray:
    """(K,) proportional to the (K, N) errors' mean size to the power -`power`."""
    size = np.abs(error).mean(axis=1)
    ratio = size.min() / np.where(size > 0, size, 1.0) if size.min() > 0 else size <= 0
    raw = np.asarray(ratio, dtype=float) ** power
    return raw / raw.sum()


def _least_squares(error: np.ndarray) -> np.ndarray:
    """(K,) the convex combination of (K, N) errors with the smallest square.

    Bates and Granger (1969), "The Combination of Forecasts", with weights bound to be positive.
    """
    from scipy.optimize import minimize

    count = len(error)
    equal = np.full(count, 1.0 / count)
    gram = error @ error.T
    gram /= max(gram.diagonal().mean(), 1e-300)
    # weights sum to 1, so that the blend's error is the blend of the errors
    result = minimize(
        lambda w: (w @ gram @ w, 2 * gram @ w),
        equal,
        jac=True,
        method="SLSQP",
        bounds=[(0.0, 1.0)] * count,
        constraints={"type": "eq", "fun": lambda w: w.sum() - 1, "jac": np.ones_like},
    )
    best = np.maximum(result.x, 0.0)
    return best / best.sum()


def only_base(names: Sequence[str]) -> np.ndarray:
    """(K,) weights of a store whose models nobody could judge."""
    return np.array([name == "base" for name in names], float)


def store_weights(
    y: np.ndarray,
    y_hat: np.ndarray,
    settings: CombineSettings,
    pool: np.ndarray,
    allowed: np.ndarray | None = None,
    judged: np.ndarray | None = None,
) -> np.ndarray:
    """Weights of K candidates for S stores: the pooled ones, tilted by the store's own errors.

    A store's weight is proportional to pooled * (r_own / r_pooled)^(-power * trust), where r is
    a candidate's absolute error against the weighted average of all candidates and
    trust = days / (days + shrink_days). A candidate without a complete validation gets none.

    Args:
        y: (S, N) target units of the validation windows, nan before a store's first day.
        y_hat: (K, S, N) target units.
        settings: power and shrinkage.
        pool: (S,) bool, the stores that the pooled weights and errors are taken from.
        allowed: (K,) bool, the candidates that may have a weight at all; None for all.
        judged: (S, N) bool, the days whose errors count; None for all. The others have to be
            forecast all the same.

    Returns:
        (S, K), each row sums to 1; nan for a store that no candidate can forecast.
    """
    allowed = np.ones(len(y_hat), bool) if allowed is None else allowed
    told = allowed & np.isfinite(y_hat[:, pool]).all(axis=2).any(axis=1)
    told = told if told.any() else allowed  # one that has forecast nobody was not judged
    complete = np.isfinite(absolute_errors(y, y_hat)) & allowed[:, None]
    y = y if judged is None else np.where(judged, y, np.nan)
    errors = np.where(complete, absolute_errors(y, y_hat), np.nan)
    pooled = np.zeros(len(y_hat))
    pooled[told] = pooled_weights(y[pool], y_hat[told][:, pool], settings.power)
    shared = complete[told].all(axis=0) & pool
    own = np.where(complete, errors, 0.0)
    total = errors[:, shared].sum(axis=1, keepdims=True)
    tilt = _relative(own, pooled, complete) / _relative(total, pooled, told[:, None])
    days = np.isfinite(y).sum(axis=1)
    trust = np.divide(days, days + settings.shrink_days, out=np.zeros(len(days)), where=days > 0)
    raw = np.where(complete, pooled[:, None] * tilt ** (-settings.power * trust), 0.0)
    # a store may be forecast by nobody but candidates that the others have no use for
    raw = np.where(raw.sum(axis=0) > 0, raw, complete.astype(float))
    mass = raw.sum(axis=0)
    return np.divide(raw, mass, out=np.full_like(raw, np.nan), where=mass > 0).T


def share_no_worse(y: np.ndarray, y_hat: np.ndarray, base: np.ndarray) -> float:
    """Share of the stores for which a candidate errs no more than the base.

    Args:
        y: (S, N) target units; nan before a store's first day.
        y_hat: (S, N) the candidate's forecasts, target units.
        base: (S, N) the base's.

    Returns:
        0 to 1; nan where no store has both.
    """
    errors = absolute_errors(y, np.stack([y_hat, base]))
    known = np.isfinite(errors).all(axis=0) & np.isfinite(y).any(axis=1)
    return float((errors[0] <= errors[1])[known].mean()) if known.any() else float("nan")


def _relative(errors: np.ndarray, pooled: np.ndarray, complete: np.ndarray) -> np.ndarray:
    """Errors against their weighted average; 1 where nothing is known, within [0.1, 10]."""
    weight = np.where(complete, pooled[:, None], 0.0)
    mass = weight.sum(axis=0)
    average = (weight * np.nan_to_num(errors)).sum(axis=0) / np.where(mass > 0, mass, 1.0)
    ratio = np.divide(
        np.where(complete, errors, 0.0), average, out=np.ones_like(errors), where=average > 0
    )
    return np.clip(np.where(complete, ratio, 1.0), 0.1, 10.0)


def blend(y_hat: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Weighted mean of (K, S, H) forecasts with (S, K) weights; a zero weight hides a nan."""
    used = np.where(weight.T[:, :, None] > 0, y_hat, 0.0)
    return np.einsum("ksh,sk->sh", used, weight)
