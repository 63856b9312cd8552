"""The closed-form base: an exponentially weighted level times a weekday profile.

Costs nothing, works from the first day on, and is what the learned models correct.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lifemiles_forecasting.core.series import Series

SPAN = 364  # days that the level and the profile look back on
SHRINK_WEEKS = 8.0  # weight of the partner's profile against the store's own weeks
FLOOR = 0.05  # of the store's mean: a level never falls below it
PRIOR_DAYS = 7.0  # of the partner's whole history, in how often its young stores sell
YOUNG_DAYS = 56  # up to here a store's first day, which is a sale by definition, weighs too much


@dataclass(frozen=True)
class Base:
    """Level and weekday profile of each store at an origin.

    Attributes:
        level: (S,) target units per day.
        profile: (S, 7) factor by weekday, Monday first; mean 1.
        ahead: (H,) weekday of each day of the horizon.
    """

    level: np.ndarray
    profile: np.ndarray
    ahead: np.ndarray

    def forecast(self) -> np.ndarray:
        """(S, H) target units, never negative (a store may net more reversals than sales)."""
        return np.maximum(self.level[:, None] * self.profile[:, self.ahead], 0.0)


def _ratio(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """Quotient, 0 where the denominator is 0."""
    return np.divide(
        numerator, denominator, out=np.zeros_like(numerator), where=np.abs(denominator) > 1e-12
    )


def _early_rate(y: np.ndarray, seen: np.ndarray, partner: np.ndarray) -> np.ndarray:
    """(partners,) how often a young store sells on a day that is not its first.

    Told by the first YOUNG_DAYS of the partner's stores that were seen to open, since most of
    those that open sell less often than those that lasted; PRIOR_DAYS of all its stores' days go
    into it, which are all there is where none was seen to open. 1 without any day.
    """
    age = np.cumsum(seen, axis=1)
    later = seen & (age > 1)
    opened = seen.argmax(axis=1) > 0
    early = later & (age <= YOUNG_DAYS) & opened[:, None]
    members = np.eye(partner.max() + 1)[partner]  # (S, partners)

    def count(days: np.ndarray) -> np.ndarray:
        return members.T @ days.sum(axis=1).astype(float)

    sold, days = count((y > 0) & later), count(later)
    everyone = np.divide(sold, days, out=np.ones(len(days)), where=days > 0)
    return (count((y > 0) & early) + PRIOR_DAYS * everyone) / (count(early) + PRIOR_DAYS)


def _without_opening_bonus(y: np.ndarray, seen: np.ndarray, partner: np.ndarray) -> np.ndarray:
    """Copy of `y` with the first day of young stores discounted to an average day's chance.

    A store's series begins with its first sale, so its first day says what a sale is worth and
    nothing of how often there is one: that, the partner's other young stores tell. Without this a
    store that opened yesterday is forecast to sell every day.
    """
    days = seen.sum(axis=1)
    first = seen.argmax(axis=1)
    stores = np.arange(len(y))
    young = (days > 0) & (days < YOUNG_DAYS)
    discounted = y.copy()
    discounted[stores[young], first[young]] *= _early_rate(y, seen, partner)[partner[young]]
    return discounted


def fit_base(history: Series, horizon: int, alpha: float = 0.02) -> Base:
    """Level and profile at the last day of `history`.

    The level is the mean of the last SPAN days weighted by (1 - alpha)^age. The profile is the
    ratio estimator sum(w y) / sum(w level) by weekday, shrunk by SHRINK_WEEKS towards the same
    ratio of all stores of the partner.

    Args:
        history: what is known at the origin.
        horizon: days ahead.
        alpha: how fast the level forgets, per day.
    """
    y = history.y[:, -SPAN:]
    weekday = history.weekday(horizon)
    known = weekday[: len(history.dates)][-SPAN:]
    weight = (1 - alpha) ** np.arange(y.shape[1] - 1, -1, -1.0)
    by_weekday = np.zeros((y.shape[1], 7))
    by_weekday[np.arange(y.shape[1]), known] = 1.0
    seen = np.isfinite(y)
    filled = _without_opening_bonus(np.where(seen, y, 0.0), seen, history.partner)
    total = filled @ (by_weekday * weight[:, None])  # (S, 7)
    mass = seen @ (by_weekday * weight[:, None])
    weeks = seen @ by_weekday
    level = _ratio(total.sum(1), mass.sum(1))
    expected = mass * level[:, None]
    members = np.eye(history.partner.max() + 1)[history.partner]  # (S, partners)
    partner = _ratio(members.T @ total, members.T @ expected)
    partner[~partner.any(axis=1)] = 1.0
    own = _ratio(total, expected)
    profile = (weeks * own + SHRINK_WEEKS * partner[history.partner]) / (weeks + SHRINK_WEEKS)
    mean = profile.mean(axis=1, keepdims=True)
    profile = np.where(mean > 0, profile / np.where(mean > 0, mean, 1.0), 1.0)
    store_mean = _ratio(filled.sum(1), seen.sum(1).astype(float))
    return Base(
        level=np.maximum(level, FLOOR * store_mean),
        profile=profile,
        ahead=weekday[len(history.dates) :],
    )
