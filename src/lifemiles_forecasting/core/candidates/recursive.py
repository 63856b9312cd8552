"""One model over all stores that forecasts the next day, and the days after from its own answers.

Where the direct model looks at a whole horizon from one origin, this one learns the step from one
day to the next: it sees yesterday, and errs in another way, which is what a blend wants. The
training rows and the steps of a forecast come from the same function, so they cannot differ.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lifemiles_forecasting.core.base import fit_profile
from lifemiles_forecasting.core.calendar import Calendar
from lifemiles_forecasting.core.candidates.learners import Learner, Model, columns_of, residual_of
from lifemiles_forecasting.core.features import (
    DEAD_SHARE,
    MIN_HISTORY,
    SPANS,
    date_features,
    mean_seen,
    old_enough,
    partner_mean,
    store_traits,
)
from lifemiles_forecasting.core.rows import YEARLY, YEARLY_DAYS
from lifemiles_forecasting.core.series import Series
from lifemiles_forecasting.core.tail import tail_factor

LAGS = (1, 2, 3, 7, 14, 21, 28, 35, 42, 56)
WEEKS = 13  # of the same weekday that a step looks back on
PARTNER_LAGS = (1, 7, 14, 21, 28)
REACH = 182  # days that the level looks back on
FORGETTING = 0.02  # of the level, per day
LEAST_LEVEL, LEAST_FACTOR, LARGEST_FACTOR = 0.2, 0.25, 3.0  # of what a residual is measured in


@dataclass(frozen=True)
class Steps:
    """What every step shares.

    Attributes:
        y: (S, D) scaled history, long closures missing; nan before a store's first day.
        target: (S, D) the same with closures as they were, what a step is taught.
        scale: (S,) mean level in target units; 0 for a store without sales.
        tail: (S,) factor of a target that is cut, see `core.tail`.
        partner: (S,) integer code.
        profile: (S, 7) of the base at the end of the history, Monday first.
        weekday: (D + H,) of every day and the days ahead.
        traits: (S,) features by name of what a store is like, as known at the end of the history;
            the same for all its rows.
        planned: the calendar of the same stores.
        dates: features by name of every day and the days ahead, each (D + H,).
    """

    y: np.ndarray
    target: np.ndarray
    scale: np.ndarray
    tail: np.ndarray
    partner: np.ndarray
    profile: np.ndarray
    weekday: np.ndarray
    traits: dict[str, np.ndarray]
    planned: Calendar
    dates: dict[str, np.ndarray]

    @classmethod
    def of(
        cls, history: Series, calendar: Calendar, horizon: int, *, yearly: bool | None = None
    ) -> Steps:
        """Scale the history; everything is known at its last day.

        Args:
            history: ends at the origin.
            calendar: of the same stores, over the horizon.
            horizon: days ahead.
            yearly: with the features that need a second year; by default where there is one.
        """
        masked = history.without_closures
        scale = np.nan_to_num(mean_seen(masked[:, -SPANS[-1] :], 1))
        unit = np.where(scale > 0, scale, 1.0)[:, None]
        days = np.arange(history.dates[0], history.origin + 1 + horizon)
        yearly = len(history.dates) > YEARLY_DAYS if yearly is None else yearly
        skipped = {"horizon"} | (set() if yearly else set(YEARLY))
        dates = {name: v for name, v in date_features(days).items() if name not in skipped}
        y = masked / unit
        profile, weekday = fit_profile(history), history.weekday(horizon)
        traits = store_traits(y, profile, weekday[: len(history.dates)], history.partner)
        target, partner = history.y / unit, history.partner
        tail = tail_factor(y, partner)
        return cls(y, target, scale, tail, partner, profile, weekday, traits, calendar, dates)

    def at(
        self, past: np.ndarray, day: int, rows: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """(N, F) features of column `day` and the (N,) level before it.

        Args:
            past: (S, at least REACH or all) scaled days up to the one before `day`.
            day: column, beyond the history for a day ahead.
            rows: (N,) the stores that are wanted; None for all. Partners' means are of all.
        """
        rows = np.arange(len(past)) if rows is None else rows
        own, shared = _own(past[rows]), _shared(past, self.partner)
        of_store = [*shared.values(), *self.traits.values()]
        columns = [*own.values(), *(values[rows] for values in of_store)]
        columns += [np.full(len(rows), values[day]) for values in self.dates.values()]
        planned = self.planned.ahead(day - 1, 1)[rows, 0]
        return np.column_stack([*columns, planned]).astype(np.float32), np.nan_to_num(own["level"])

    def base(
        self, level: np.ndarray, day: int, rows: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """(N,) what the level alone says of column `day`, and what its residual is measured in.

        `level` and `rows` are those of `at`.
        """
        profile = self.profile if rows is None else self.profile[rows]
        factor = profile[:, self.weekday[day]]
        unit = np.maximum(level, LEAST_LEVEL) * np.clip(factor, LEAST_FACTOR, LARGEST_FACTOR)
        return level * factor, unit

    def names(self) -> tuple[str, ...]:
        """F names in the order of `at`."""
        past = self.y[:, :1]
        return (
            *_own(past),
            *_shared(past, self.partner),
            *self.traits,
            *self.dates,
            *self.planned.names,
        )


def _lag(past: np.ndarray, days: int) -> np.ndarray:
    return past[:, -days] if past.shape[1] >= days else np.full(len(past), np.nan)


def _own(past: np.ndarray) -> dict[str, np.ndarray]:
    """(S,) features of each store's own past."""
    week, month = past[:, -7:], past[:, -28:]
    mean_28 = mean_seen(month, 1)
    same = [_lag(past, 7 * k) for k in range(1, WEEKS + 1)]
    long = past[:, -REACH:]
    weight = (1 - FORGETTING) ** np.arange(long.shape[1] - 1, -1, -1.0)
    seen = np.isfinite(long)
    mass = seen @ weight
    level = np.divide(
        np.where(seen, long, 0.0) @ weight, mass, out=np.full(len(past), np.nan), where=mass > 0
    )
    return {
        **{f"lag_{days}": _lag(past, days) for days in LAGS},
        "mean_7": mean_seen(week, 1),
        "mean_28": mean_28,
        "spread_28": np.sqrt(mean_seen((month - mean_28[:, None]) ** 2, 1)),
        "zero_share_28": mean_seen(np.where(np.isnan(month), np.nan, month == 0), 1),
        "level": level,
        **{f"weekday_mean_{n}": mean_seen(np.stack(same[:n]), 0) for n in (4, 8, WEEKS)},
        "fortnight_mean": mean_seen(np.stack(same[1:8:2]), 0),
        "other_fortnight_mean": mean_seen(np.stack(same[0:8:2]), 0),
    }


def _shared(past: np.ndarray, partner: np.ndarray) -> dict[str, np.ndarray]:
    """(S,) means over the stores of the partner: what a store does is in them with little noise."""
    values = {f"partner_lag_{days}": _lag(past, days) for days in PARTNER_LAGS}
    values |= {f"partner_mean_{days}": mean_seen(past[:, -days:], 1) for days in (7, 28)}
    means = partner_mean(np.column_stack(list(values.values())), partner)
    return dict(zip(values, means.T, strict=True))


def training_rows(steps: Steps, most: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """One row per store and day with enough history, at most about `most` of them.

    Args:
        steps: of the history; every day of it may be used.
        most: rows; beyond it a random share of every day is taken.
        seed: of that share.

    Returns:
        (N, F) features, (N,) residual on the base of the day in its units, and (N,) weights that
        let it count as in units of the scale.
    """
    y, age = steps.y, np.cumsum(np.isfinite(steps.target), axis=1)
    old = age > MIN_HISTORY
    wanted = np.isfinite(y) & old & (steps.scale > 0)[:, None]
    share = min(1.0, most / max(wanted.sum(), 1))
    rng = np.random.default_rng(seed)
    X, residual, weight = [], [], []
    for day in range(MIN_HISTORY, y.shape[1]):
        rows = np.flatnonzero(wanted[:, day] & (rng.random(len(y)) < share))
        if not len(rows):
            continue
        past = y[:, max(0, day - REACH) : day]
        features, level = steps.at(past, day, rows)
        # a store that has fallen silent teaches nothing
        alive = np.nan_to_num(mean_seen(past[rows, -28:], 1)) > DEAD_SHARE * level
        rows, level = rows[alive], level[alive]
        X.append(features[alive])
        base, unit = steps.base(level, day, rows)
        residual.append(residual_of(steps.target[rows, day], steps.tail[rows], base) / unit)
        weight.append(unit**2)
    if not X:
        return np.zeros((0, len(steps.names())), np.float32), np.zeros(0), np.zeros(0)
    return np.concatenate(X), np.concatenate(residual), np.concatenate(weight)


def forecast(steps: Steps, model: Model, horizon: int) -> np.ndarray:
    """(S, horizon) target units, never negative; nan for a store without sales.

    A store younger than any that the model was taught by gets level and week alone.
    """
    past, names, old = steps.y[:, -REACH:], steps.names(), old_enough(steps.target)
    first = steps.y.shape[1]
    ahead = np.empty((len(past), horizon))
    for step in range(horizon):
        features, level = steps.at(past, first + step)
        told = model.predict(columns_of(features, names, model.features))
        residual = np.where(old, told, 0.0)
        base, unit = steps.base(level, first + step)
        ahead[:, step] = np.maximum(base + residual * unit, 0.0)
        past = np.column_stack([past, ahead[:, step]])[:, -REACH:]
    return np.where(steps.scale[:, None] > 0, ahead * steps.scale[:, None], np.nan)


def fit(steps: Steps, learner: Learner, most: int, seed: int, least: int) -> Model | None:
    """Learn the step; None where there are fewer than `least` rows."""
    X, residual, weight = training_rows(steps, most, seed)
    return learner.fit(X, residual, weight) if len(residual) >= least else None
