"""What a run models: the series, the rules of the backtest and the training rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from lifemiles_forecasting.core import columns as c
from lifemiles_forecasting.core.calendar import Calendar
from lifemiles_forecasting.core.config import ModelSettings
from lifemiles_forecasting.core.errors import InputError
from lifemiles_forecasting.core.events import no_events
from lifemiles_forecasting.core.features import MIN_HISTORY
from lifemiles_forecasting.core.parallel import Failure
from lifemiles_forecasting.core.rows import Rows, collect
from lifemiles_forecasting.core.series import MOST_PER_DAY, Series

if TYPE_CHECKING:
    from lifemiles_forecasting.core.retraining import Kept
    from lifemiles_forecasting.core.reuse import FitStore


@dataclass(frozen=True)
class Study:
    """Everything that backtest, refit and forecast share.

    Attributes:
        series: the stores of this run; pooled models and partner means see every one of them.
        calendar: of the same stores, over the horizon.
        rows: training rows of every past origin.
        attempted: (S,) bool, stores that get models of their own.
        horizon: H, days ahead.
        settings: backtest, candidates and combination.
        seed: of every learner.
        min_samples: active days that a store needs for models of its own.
        kept: the model in charge, where only some stores are trained anew.
        fits: where fits are kept from run to run; nowhere by default.
        resume: whether fits that are kept there are taken as they are.
        set_aside: stores that the panel has nothing usable of.
    """

    series: Series
    calendar: Calendar
    rows: Rows
    attempted: np.ndarray
    horizon: int
    settings: ModelSettings
    seed: int
    min_samples: int = MIN_HISTORY
    kept: Kept | None = None
    fits: FitStore | None = None
    resume: bool = True
    set_aside: tuple[Failure, ...] = ()

    @property
    def last(self) -> int:
        """Column of the last known day: the origin of the forecasts."""
        return len(self.series.dates) - 1

    def attempted_at(self, origin: int) -> np.ndarray:
        """(S,) bool: those of the attempted stores that a run on that day would have attempted.

        What is shared by stores (sizes, pooled weights) is learned from these alone, and only
        they are blended: a store that earns its models in a window must not be seen before it.
        """
        if origin >= self.last:
            return self.attempted
        sold = np.nan_to_num(self.series.y[:, : origin + 1]) != 0
        return self.attempted & (sold.sum(axis=1) >= self.min_samples)

    @property
    def windows(self) -> tuple[int, ...]:
        """Origins of the backtest, oldest first; the last one is the test.

        One more than `n_windows` where history allows: it is not scored, but lets sizes and
        weights of the first scored window be chosen on something earlier too.
        """
        origins = [self.last - self.horizon * k for k in range(self.settings.n_windows + 1, 0, -1)]
        first = MIN_HISTORY - 1
        if self.kept is not None:  # no window is forecast by models that have seen it
            first = max(first, int(np.searchsorted(self.series.dates, self.kept.since)))
        return tuple(origin for origin in origins if origin >= first)

    @property
    def scored(self) -> tuple[int, ...]:
        """The origins whose errors are reported."""
        return self.windows[-min(self.settings.n_windows, len(self.windows) - 1) :]

    @property
    def test_window(self) -> str:
        """First and last day of the test, as an ISO 8601 interval."""
        origin = self.windows[-1]
        return f"{self.series.dates[origin + 1]}/{self.series.dates[origin + self.horizon]}"


def that_sold(series: Series) -> Series:
    """The stores that a run learns from: one that never sold would count in means over stores.

    As with `min_samples`, which stores these are depends on all of the data. What is computed for
    an origin out of their values does not.
    """
    return series if series.sold.all() else series.take(np.flatnonzero(series.sold))


def prepare(
    series: Series, horizon: int, min_samples: int, max_stores: int | None
) -> tuple[Series, np.ndarray]:
    """Choose the stores of this run and which of them are attempted.

    Args:
        series: all stores.
        horizon: days ahead.
        min_samples: active days that a store needs for a model of its own.
        max_stores: keep only the largest stores among those that would be attempted.

    Returns:
        The series of this run (only those stores where `max_stores` is set) and (S,) bool,
        attempted.

    Raises:
        InputError: no store has enough history, the data are too short for a backtest, or no such
            store was open before the test window.
    """
    active = series.stores[c.ACTIVE_DAYS].to_numpy()
    enough = active >= min_samples
    needed = MIN_HISTORY + 2 * horizon
    if not enough.any():
        if not len(active):
            raise InputError("no store that has ever sold anything", "at least one")
        raise InputError(
            f"no store with enough history: the longest of {len(active):,} stores has "
            f"{active.max()} active days",
            f"at least one with {min_samples} (min_samples)",
            "Add transactions, or lower it with --params=min_samples=N.",
        )
    if len(series.dates) < needed:
        raise InputError(
            f"{len(series.dates)} days of data, {series.dates[0]} to {series.dates[-1]}",
            f"at least {needed}: {MIN_HISTORY} to learn from and two windows of {horizon}",
            "Add older transactions, or lower --params=horizon=N.",
        )
    if max_stores is not None and max_stores < enough.sum():
        size = np.where(enough, np.nansum(series.y, axis=1), -np.inf)
        largest = np.sort(np.argsort(-size, kind="stable")[:max_stores])
        series, enough = series.take(largest), np.ones(len(largest), bool)
    _check_test_window(series, enough, horizon)
    return series, enough


def _check_test_window(series: Series, attempted: np.ndarray, horizon: int) -> None:
    """Refuse a run whose figures would be about nothing."""
    first = len(series.dates) - horizon
    if not np.isfinite(series.y[attempted, first - 1]).any():
        raise InputError(
            f"no store among the {attempted.sum():,} with enough history that was open before the "
            f"test window, {series.dates[first]} to {series.dates[-1]}",
            "at least one, for the forecasts to be measured on",
            "Add older transactions, or change horizon, min_samples or max_stores.",
        )


def unusable(series: Series) -> tuple[Failure, ...]:
    """The stores that the panel has no usable day of."""
    why = f"UnusablePanel: no day, or one of more than {MOST_PER_DAY:g}"
    lost = series.store_ids[~np.isfinite(series.y).any(axis=1)]
    return tuple(Failure.without_traceback(store, "panel", why) for store in lost)


def build_study(  # noqa: PLR0913 - what a run is about
    series: Series,
    attempted: np.ndarray,
    horizon: int,
    settings: ModelSettings,
    seed: int,
    min_samples: int = MIN_HISTORY,
    *,
    events: pd.DataFrame | None = None,
    kept: Kept | None = None,
    fits: FitStore | None = None,
    resume: bool = True,
    set_aside: tuple[Failure, ...] = (),
) -> Study:
    """Look holidays and planned events up and build the training rows.

    Beside models that are kept, an event has a feature of its own where they have learned it by
    name: in one model of all stores, it cannot be of that feature to some and of another to others.
    """
    learned = None
    if kept is not None:
        attempted = attempted & np.isin(series.store_ids, list(kept.stores))
        kept = kept.training(series.store_ids[attempted])  # the others keep their models
        kept = kept.informed(no_events() if events is None else events, settings.holidays)
        learned = kept.final.event_features
    calendar = Calendar.of(series, horizon, settings.holidays, events, learned)
    rows = collect(series, calendar, horizon, settings.origin_step)
    return Study(
        series,
        calendar,
        rows,
        attempted,
        horizon,
        settings,
        seed,
        min_samples,
        kept=kept,
        fits=fits,
        resume=resume,
        set_aside=set_aside,
    )
