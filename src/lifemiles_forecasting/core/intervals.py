"""Prediction intervals: conformal, from the errors of earlier windows.

Errors are measured in units of the store's own daily spread, grouped by how noisy the store is
and how far ahead the day lies. Split conformal prediction: Vovk, Gammerman and Shafer (2005),
"Algorithmic Learning in a Random World"; the finite-sample rank is ceil((n + 1) * level).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lifemiles_forecasting.core.series import Series

LEVELS = (80, 95)  # percent
NAMES = ("lower_80", "upper_80", "lower_95", "upper_95")
# Coefficients of variation that part the classes. Sparse stores need their own: put together with
# busier ones they took the coverage of both off target (73.7 % at 80 on the sample; apart 80.0 %).
NOISE_EDGES = (0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 5.0)
MIN_POINTS = 200  # fewer errors than this and a group takes those of its noise class, then all
YOUNG_DAYS, PRIOR_DAYS = 56, 14.0  # how far younger stores stray is partly told by older ones
SHARE_FLOOR = 0.05  # a day's expected share of the level never shrinks its spread below this
STEADIEST = 0.01  # of its level, which every store strays at least: no forecast is more exact
FAR = 0.1  # of a side's errors, which are too far to tell how large errors are there


@dataclass(frozen=True)
class Spread:
    """How far a store strays, known at the origin.

    Attributes:
        day: (S,) standard deviation over the last 364 days, target units; of a store of less than
            YOUNG_DAYS with PRIOR_DAYS days that stray as its partner's older stores do. At least
            STEADIEST of the level: of days that are all the same it is what rounding left.
        level: (S,) mean over the same days.
    """

    day: np.ndarray
    level: np.ndarray

    @classmethod
    def of(cls, history: Series) -> Spread:
        """Read it off the history."""
        y = history.y[:, -364:]
        seen = np.isfinite(y)
        count = np.maximum(seen.sum(1), 1)
        level = np.where(seen, y, 0.0).sum(1) / count
        squared = np.where(seen, (y - level[:, None]) ** 2, 0.0).sum(1) / count
        usual = (_usual_variation(squared, level, count, history.partner) * level) ** 2
        told = (count * squared + PRIOR_DAYS * usual) / (count + PRIOR_DAYS)
        day = np.sqrt(np.where(count < YOUNG_DAYS, told, squared))
        return cls(np.maximum(day, STEADIEST * level), level)

    def strayed(self) -> np.ndarray:
        """(S,) whether a store ever strayed; errors of one that did not tell nothing of others."""
        return self.day > STEADIEST * self.level

    def noise_class(self) -> np.ndarray:
        """(S,) 0 for the steadiest stores."""
        variation = self.day / np.where(self.level > 0, self.level, 1.0)
        return np.digitize(variation, NOISE_EDGES)

    def at(self, forecast: np.ndarray) -> np.ndarray:
        """(S, H) unit of error: busy days stray more than quiet ones, as the square root."""
        share = forecast / np.where(self.level > 0, self.level, 1.0)[:, None]
        return self.day[:, None] * np.sqrt(np.maximum(share, SHARE_FLOOR))


def _usual_variation(
    squared: np.ndarray, level: np.ndarray, days: np.ndarray, partner: np.ndarray
) -> np.ndarray:
    """(S,) mean coefficient of variation of the older stores of a store's partner.

    Of all older stores where the partner has none, and 1 where there are none at all.
    """
    older = (days >= YOUNG_DAYS) & (level > 0)
    variation = np.sqrt(squared) / np.where(older, level, 1.0)
    everyone = variation[older].mean() if older.any() else 1.0
    size = int(partner.max(initial=-1)) + 1
    total = np.bincount(partner[older], variation[older], size)
    count = np.bincount(partner[older], minlength=size)
    usual = np.divide(total, count, out=np.full(size, everyone), where=count > 0)
    return usual[partner]


@dataclass(frozen=True)
class Intervals:
    """Distances from the forecast to its bounds.

    Attributes:
        distance: (noise classes, weeks, 4) in units of `Spread.at`, in the order of NAMES;
            lower distances are negative.
    """

    distance: np.ndarray

    @classmethod
    def fit(cls, windows: list[tuple[np.ndarray, np.ndarray, Spread]]) -> Intervals:
        """Calibrate on earlier windows.

        Args:
            windows: for each its (S, H) values, (S, H) forecasts and the spread at its origin.
                Days without a value (nan), or of stores that never strayed, are left out, and days
                that are forecast to be 0, which have no interval: their errors of exactly 0 would
                make those of the others too narrow.
        """
        errors, noise, week = [], [], []
        for y, forecast, spread in windows:
            unit = spread.at(forecast)
            used = np.isfinite(y) & (forecast > 0) & spread.strayed()[:, None]
            errors.append((y - forecast)[used] / unit[used])
            noise.append(np.broadcast_to(spread.noise_class()[:, None], y.shape)[used])
            week.append(np.broadcast_to(np.arange(y.shape[1]) // 7, y.shape)[used])
        error, noise, week = (np.concatenate(part) for part in (errors, noise, week))
        weeks = -(-windows[0][0].shape[1] // 7)
        distance = np.zeros((len(NOISE_EDGES) + 1, weeks, 4))
        for n in range(len(distance)):
            for w in range(weeks):
                distance[n, w] = _distances(_enough(error, noise == n, week == w))
        return cls(distance)

    def offsets(self, forecast: np.ndarray, spread: Spread) -> np.ndarray:
        """(S, H, 4) what to add to the forecast for its bounds, target units."""
        week = np.arange(forecast.shape[1]) // 7
        return self.distance[spread.noise_class()][:, week] * spread.at(forecast)[:, :, None]


def bounds(forecast: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """(..., 4) bounds of (...) forecasts, never negative; a day that is known to be 0 has none."""
    return np.where(forecast[..., None] > 0, np.maximum(forecast[..., None] + offsets, 0.0), 0.0)


def _enough(error: np.ndarray, same_noise: np.ndarray, same_week: np.ndarray) -> np.ndarray:
    for group in (same_noise & same_week, same_noise, same_week):
        if group.sum() >= MIN_POINTS:
            return error[group]
    return error


def _distances(error: np.ndarray) -> np.ndarray:
    """(4,) distances of both levels for one group of errors.

    Both sides share one conformal rank, each measured against the usual error of its side: so
    that coverage holds although a bound below zero is cut at zero.
    """
    if not len(error):
        return np.zeros(4)
    below, above = -error[error < 0], error[error >= 0]
    side = [_usual(below), _usual(above)]
    score = np.sort(np.concatenate([below / side[0], above / side[1]]))
    ranks = [min(int(np.ceil((len(score) + 1) * level / 100)), len(score)) for level in LEVELS]
    reach = score[np.array(ranks) - 1]
    below, above = -side[0] * reach, side[1] * reach
    return np.array([below[0], above[0], below[1], above[1]])


def _usual(size: np.ndarray) -> float:
    """The mean without the FAR largest: a store that fell silent is no measure for others."""
    near = np.sort(size)[: len(size) - int(FAR * len(size))]
    return float(near.mean()) if len(near) and near.mean() > 0 else 1.0
