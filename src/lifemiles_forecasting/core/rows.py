"""Training rows: the features of many past origins beside what happened after them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lifemiles_forecasting.core.calendar import Calendar
from lifemiles_forecasting.core.features import MIN_HISTORY, Features, build
from lifemiles_forecasting.core.series import Series
from lifemiles_forecasting.core.tail import noise_weight

LONG_HISTORY = 400  # days; below it origins lie closer together
WEEK = 7
MOST_ROWS = 4_000_000  # 0.8 GB of features; 10,000 stores over 900 days would make 17 million
YEARLY = ("month", "day_of_year")  # nothing to learn from them before a second year
YEARLY_DAYS = 2 * 365


@dataclass(frozen=True)
class Rows:
    """A row per origin, store and day of the horizon, sorted by store.

    Attributes:
        X: (N, F) float32 features at the origin.
        y: (N,) float32 target / scale; nan where the day lies beyond the data.
        base: (N,) float32 base forecast / scale.
        scale: (N,) float32 the store's scale at the origin, target units.
        tail: (N,) float32 factor of the target when it is cut, as known at the origin.
        store: (N,) int32 row of the series.
        origin: (N,) int32 column of the last day that the features saw.
        due: (N,) int32 column of the day that is forecast: a fit at cutoff c may use due <= c.
        bounds: (S + 1,) store s owns the rows bounds[s]:bounds[s + 1].
        names: F names.
    """

    X: np.ndarray
    y: np.ndarray
    base: np.ndarray
    scale: np.ndarray
    tail: np.ndarray
    store: np.ndarray
    origin: np.ndarray
    due: np.ndarray
    bounds: np.ndarray
    names: tuple[str, ...]

    def weight(self) -> np.ndarray:
        """(N,) noisier stores count less."""
        variation = np.nan_to_num(self.X[:, self.names.index("variation")], nan=3.0)
        return noise_weight(variation)


def training_origins(days: int, step: int | None, horizon: int = WEEK) -> list[int]:
    """Columns that serve as training origins, aligned so that the last day would be one.

    With whole weeks between them a horizon below a week would be taught the same weekdays alone.
    There the horizon takes the week's place: as many rows as a week ahead has, of every weekday.

    Args:
        days: D, columns of the series.
        step: days between origins; None takes a week, or a shorter horizon, on a history of up to
            400 days, else twice that.
        horizon: H, days ahead.
    """
    step = step or min(horizon, WEEK) * (1 if days <= LONG_HISTORY else 2)
    return list(range(days - 1 - step, MIN_HISTORY - 1, -step))[::-1]


def features_at(series: Series, calendar: Calendar, origin: int, horizon: int) -> Features:
    """Features as they were known at column `origin`."""
    return build(series.until(origin + 1), calendar, horizon)


def _known(series: Series, origin: int, horizon: int) -> np.ndarray:
    """(S, H) what happened after the origin; nan beyond the data."""
    y = np.full((len(series.y), horizon), np.nan)
    actual = series.y[:, origin + 1 : origin + 1 + horizon]
    y[:, : actual.shape[1]] = actual
    return y


def _kept(stores: np.ndarray, turn: int, horizon: int, every: int) -> np.ndarray:
    """(stores, horizon) bool: one day of the horizon in `every`, in turn over origins and stores.

    Every store keeps every origin, and over the origins every day of the horizon, as long as
    `every` is not above the horizon.
    """
    return (np.arange(horizon) + stores[:, None] + turn) % every == 0


def collect(
    series: Series,
    calendar: Calendar,
    horizon: int,
    step: int | None = None,
    most: int = MOST_ROWS,
) -> Rows:
    """Build the training rows of every origin once; every window then takes its share.

    A row depends on its own origin alone, so that the same row serves all later cutoffs.

    Args:
        series: the stores.
        calendar: of the same stores, over the horizon.
        horizon: H, days ahead.
        step: days between origins, see `training_origins`.
        most: rows; where there would be more, only one day of the horizon in so many is kept.
    """
    parts, names = [], ()
    origins = training_origins(len(series.dates), step, horizon)
    every = max(1, -(-len(series.y) * horizon * len(origins) // most))
    for turn, origin in enumerate(origins):
        at = features_at(series, calendar, origin, horizon)
        names, usable = at.names, np.flatnonzero(at.usable)
        kept = _kept(usable, turn, horizon, every)
        scale = at.scale[usable, None]
        due = np.broadcast_to(origin + 1 + np.arange(horizon), kept.shape)
        parts.append(
            (
                at.X[usable][kept],
                (_known(series, origin, horizon)[usable] / scale)[kept],
                (at.base[usable] / scale)[kept],
                np.broadcast_to(scale, kept.shape)[kept],
                np.broadcast_to(at.tail[usable, None], kept.shape)[kept],
                np.broadcast_to(usable[:, None], kept.shape)[kept],
                np.full(kept.sum(), origin),
                due[kept],
            )
        )
    if not parts:
        return _empty(series, calendar, horizon)
    X, y, base, scale, tail, store, made, due = (
        np.concatenate(column) for column in zip(*parts, strict=True)
    )
    order = np.argsort(store, kind="stable")
    return Rows(
        X=X[order],
        y=y[order].astype(np.float32),
        base=base[order].astype(np.float32),
        scale=scale[order].astype(np.float32),
        tail=tail[order].astype(np.float32),
        store=store[order].astype(np.int32),
        origin=made[order].astype(np.int32),
        due=due[order].astype(np.int32),
        bounds=np.searchsorted(store[order], np.arange(len(series.y) + 1)),
        names=names,
    )


def _empty(series: Series, calendar: Calendar, horizon: int) -> Rows:
    names = build(series, calendar, horizon).names
    none = np.zeros(0, np.float32)
    index = np.zeros(0, np.int32)
    bounds = np.zeros(len(series.y) + 1, int)
    X = np.zeros((0, len(names)), np.float32)
    return Rows(X, none, none, none, none, index, index, index, bounds, names)
