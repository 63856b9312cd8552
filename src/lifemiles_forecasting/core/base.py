"""The closed-form base: an exponentially weighted level times a weekday profile.

Costs nothing, works from the first day on, and is what the learned models correct.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from lifemiles_forecasting.core.partners import membership
from lifemiles_forecasting.core.series import Series

if TYPE_CHECKING:
    from scipy.sparse import csc_array

SPAN = 364  # days that the level and the profile look back on
LEVEL_FORGETTING = 0.02  # per day
PROFILE_FORGETTING = 0.005  # a week's shape outlives a level by far
WEEK = 7
BLOCK = 28  # days; even and odd ones are two independent looks at a profile
PRIOR_WEEKS, PRIOR_NOISE_DAYS = 8.0, 14.0  # of what is known of noise, against the store's own
ENOUGH_DAYS = 56  # stores with fewer say nothing of how much the profiles of a partner differ
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
    members = membership(partner)

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


def fit_level(history: Series, forgetting: float = LEVEL_FORGETTING) -> np.ndarray:
    """(S,) mean of the last SPAN days weighted by (1 - forgetting)^age, target units per day.

    Args:
        history: what is known at the origin.
        forgetting: per day.
    """
    seen, y = _last_days(history)
    weight = _weights(y.shape[1], forgetting)
    mean = _ratio(y.sum(1), seen.sum(1).astype(float))
    return np.maximum(_ratio(y @ weight, seen @ weight), FLOOR * mean)


def fit_base(history: Series, horizon: int) -> Base:
    """Level and profile at the last day of `history`.

    Args:
        history: what is known at the origin.
        horizon: days ahead.
    """
    ahead = history.weekday(horizon)[len(history.dates) :]
    return Base(fit_level(history), fit_profile(history), ahead)


def fit_profile(history: Series) -> np.ndarray:
    """(S, 7) factor by weekday at the last day of `history`, Monday first; mean 1.

    The ratio estimator sum(w y) / sum(w level) by weekday, w = (1 - PROFILE_FORGETTING)^age, is
    drawn towards the same ratio of all stores of the partner as far as it is noise: by
    noise / (noise + spread), the variance of the store's own ratio against the variance of the
    partner's true ones (empirical Bayes; Efron and Morris, 1973, "Stein's Estimation Rule and Its
    Competitors"). A partner of small stores has nearly one profile, one of large stores has many.
    """
    seen, y = _last_days(history)
    weekday = history.weekday()[-SPAN:]
    members = membership(history.partner)
    weight = _weights(y.shape[1], PROFILE_FORGETTING)
    own, expected = _shape(y, seen, weekday, weight)
    mass = members.T @ expected
    partner = _ratio(members.T @ (own * expected), mass)
    partner[~partner.any(axis=1)] = 1.0
    partner[mass == 0] = 1.0  # a weekday that the partner has not had yet
    common = partner[history.partner]
    noise = _noise(y, seen, weekday, weight, own, members)
    known = (seen.sum(axis=1) >= ENOUGH_DAYS)[:, None] & (noise > 0)
    precision = np.divide(1.0, noise, out=np.zeros_like(noise), where=known)
    spread = _spread(y, seen, weekday, weight, precision, members)[history.partner, None]
    certain = np.where(expected > 0, 1.0, 0.0)  # without noise: all or nothing
    trust = np.divide(spread, spread + noise, out=certain, where=noise > 0)
    trust[seen.sum(axis=1) < WEEK] = 0.0  # ratios to a level of some weekdays say nothing
    profile = common + trust * (own - common)
    mean = profile.mean(axis=1, keepdims=True)
    return np.where(mean > 0, profile / np.where(mean > 0, mean, 1.0), 1.0)


def _last_days(history: Series) -> tuple[np.ndarray, np.ndarray]:
    """(S, up to SPAN) bool: started, and not closed for long; and what was sold then, else 0."""
    y = history.y[:, -SPAN:]
    started = np.isfinite(y)
    y = _without_opening_bonus(np.where(started, y, 0.0), started, history.partner)
    seen = np.isfinite(history.without_closures[:, -SPAN:])
    return seen, np.where(seen, y, 0.0)


def _weights(days: int, forgetting: float) -> np.ndarray:
    return (1 - forgetting) ** np.arange(days - 1, -1, -1.0)


def _shape(
    y: np.ndarray, seen: np.ndarray, weekday: np.ndarray, weight: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """(S, 7) ratio of sales to what the level alone would give, and that, by weekday."""
    by_weekday = np.eye(7)[weekday] * weight[:, None]
    total, mass = y @ by_weekday, seen @ by_weekday
    expected = mass * _ratio(total.sum(1), mass.sum(1))[:, None]
    return _ratio(total, expected), expected


def _noise(
    y: np.ndarray,
    seen: np.ndarray,
    weekday: np.ndarray,
    weight: np.ndarray,
    own: np.ndarray,
    members: csc_array,
) -> np.ndarray:
    """(S, 7) variance of each store's own ratio, from how its days scatter around it.

    What all stores of a partner do on a day is in all of their ratios alike, and is no noise.
    Few days say little of how they scatter: PRIOR_WEEKS weeks of the store's mean weekday, and
    for that PRIOR_NOISE_DAYS days of its partner's mean store (1 where none has ENOUGH_DAYS), go
    into it. A ratio was fitted to the days, so n / (n - 7) and n / (n - 1) make up for it.
    """
    level = _ratio(y @ weight, seen @ weight)
    counts = seen & (level > 0)[:, None]
    relative = y / np.where(level > 0, level, 1.0)[:, None] - own[:, weekday]
    mean = _ratio(members.T @ np.where(counts, relative, 0.0), members.T @ counts.astype(float))
    square = np.where(counts, relative - members @ mean, 0.0) ** 2
    days = counts.sum(axis=1)
    scatter = _ratio(square @ weight, counts @ weight) * days / np.maximum(days - 7, 1)
    telling = (days >= ENOUGH_DAYS).astype(float)
    stores = members.T @ telling
    prior = np.where(stores > 0, _ratio(members.T @ (telling * scatter), stores), 1.0)
    scatter = (days * scatter + PRIOR_NOISE_DAYS * (members @ prior)) / (days + PRIOR_NOISE_DAYS)
    by_weekday = np.eye(7)[weekday]
    weeks, mass = seen @ by_weekday, seen @ (by_weekday * weight[:, None])
    squared = by_weekday * (weight**2)[:, None]
    usual = scatter[:, None] * _ratio(seen @ squared, mass**2)
    each = _ratio(square @ squared, mass**2) * weeks / np.maximum(weeks - 1, 1)
    return (weeks * each + PRIOR_WEEKS * usual) / (weeks + PRIOR_WEEKS)


def _spread(
    y: np.ndarray,
    seen: np.ndarray,
    weekday: np.ndarray,
    weight: np.ndarray,
    precision: np.ndarray,
    members: csc_array,
) -> np.ndarray:
    """(partners,) variance of the true ratios of a partner's stores around their mean.

    The mean product of what even and odd blocks of days say, whose noise is independent. A block
    without sales, or a weekday on which the whole partner is closed, says nothing.
    """
    even = np.arange(y.shape[1] - 1, -1, -1) // BLOCK % 2 == 0
    deviations = []
    for half in (even, ~even):
        own, expected = _shape(y, seen, weekday, weight * half)
        mean = _ratio(members.T @ (own * expected), members.T @ expected)
        deviations.append(np.where(expected > 0, own - members @ mean, 0.0))
    product = deviations[0] * deviations[1] * precision
    both = precision * (deviations[0] != 0) * (deviations[1] != 0)
    found = _ratio((members.T @ product).sum(axis=1), (members.T @ both).sum(axis=1))
    return np.maximum(found, 0.0)
