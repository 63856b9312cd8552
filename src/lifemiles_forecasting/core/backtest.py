"""Rolling-origin backtest: sizes and weights come from earlier windows, the last is the test."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import numpy as np
import pandas as pd

from lifemiles_forecasting.core import columns as c
from lifemiles_forecasting.core import fitting
from lifemiles_forecasting.core.candidates.closed import CLOSED, NAIVE
from lifemiles_forecasting.core.combine import (
    BLEND,
    best_size,
    only_base,
    share_no_worse,
    store_weights,
)
from lifemiles_forecasting.core.features import old_enough
from lifemiles_forecasting.core.finish import finish
from lifemiles_forecasting.core.fitting import Fits, Variant
from lifemiles_forecasting.core.intervals import NAMES, Intervals, Spread, bounds
from lifemiles_forecasting.core.notices import Notice
from lifemiles_forecasting.core.study import Study
from lifemiles_forecasting.core.training_ledger import Ledger

# codes of warnings
WORSE_THAN_BASE = "own_models_worse_than_base"
LEFT_OUT = "candidate_failed"
TOO_EARLY = "candidate_without_test"
MOST = 0.5  # a store's own kind of model is used if so many stores are served no worse than by base
SIZE_SAMPLE = 128  # stores whose own models choose the size for all: choosing costs no more


@dataclass(frozen=True)
class Backtest:
    """What the windows gave, and what the refit on everything needs.

    Attributes:
        y_hat: (S, H) forecasts by candidate (naive ones and `blend` too) and origin column; the
            last known day is among the origins for every candidate that is blended.
        weights: (S, K) in the order of the settings' candidates, chosen before the test window.
        sizes: the size of each learner, chosen before the test window.
        no_worse: for each kind of a store's own models, the share of stores for which it errs no
            more than the base before the test window; below MOST its weight is zero.
        intervals: calibrated on the windows before the test.
        fits: fitted models and values.
        training: which stores were trained and why, the columns of `columns.TRAINING`.
    """

    y_hat: dict[tuple[str, int], np.ndarray]
    weights: np.ndarray
    sizes: dict[str, str]
    no_worse: dict[str, float]
    intervals: Intervals
    fits: Fits
    training: pd.DataFrame


def actual(study: Study, origin: int) -> np.ndarray:
    """(S, H) what happened in the window; nan for a store that had not started at its origin."""
    y = study.series.y[:, origin + 1 : origin + 1 + study.horizon]
    started = np.isfinite(study.series.y[:, origin])
    return np.where(started[:, None], y, np.nan)


def _stack(y_hat: dict, names: Sequence[Any], origins: tuple[int, ...]) -> np.ndarray:
    """(K, S, N) forecasts of several windows, one after another."""
    return np.stack([np.concatenate([y_hat[name, o] for o in origins], axis=1) for name in names])


def _truth(study: Study, origins: tuple[int, ...]) -> np.ndarray:
    """(S, N) what happened in several windows, one after another."""
    return np.concatenate([actual(study, origin) for origin in origins], axis=1)


def _judged(study: Study, origins: tuple[int, ...]) -> np.ndarray:
    """(S, N) bool, the days of `_truth` that candidates are judged by.

    How models do on a store with less history than they are taught by says nothing of how they do
    on it later: windows before which it was that young do not count.
    """
    old = [old_enough(study.series.y[:, : origin + 1]) for origin in origins]
    return np.repeat(np.stack(old, axis=1), study.horizon, axis=1)


def _judged_truth(study: Study, origins: tuple[int, ...]) -> np.ndarray:
    """(S, N) `_truth`, nan on days that nobody is judged by."""
    return np.where(_judged(study, origins), _truth(study, origins), np.nan)


def _told(y_hat: dict, names: Sequence[Any], origins: tuple[int, ...]) -> tuple[int, ...]:
    """The latest of some windows, as far back as all these have forecast any store.

    Learners have nothing to learn from before the earliest windows of a short history, and who has
    no forecast of a window cannot be compared over it. One that has none of the last window either
    is not waited for.
    """

    def tells(name: Any, origin: int) -> bool:
        return bool(np.isfinite(y_hat[name, origin]).all(axis=1).any())

    ready = [name for name in names if tells(name, origins[-1])]
    silent = [k for k, o in enumerate(origins) if not all(tells(name, o) for name in ready)]
    return origins[silent[-1] + 1 :] if silent else origins


def _choose(study: Study, fits: Fits, sizes: list[Variant], k: int) -> Variant:
    """The size for window k: of smallest error on the windows before it; the first for window 0."""
    if len(sizes) == 1 or not k:
        return sizes[0]
    y_hat = {(size, o): fits.by[size, o].forecast for size in sizes for o in study.windows[:k]}
    origins = _told(y_hat, sizes, study.windows[:k])
    pool = study.attempted_at(study.windows[k]) & ~fits.failed(study.series.store_ids)
    truth = _judged_truth(study, origins)
    return sizes[best_size(truth[pool], _stack(y_hat, sizes, origins)[:, pool])]


def run(study: Study) -> Backtest:
    """Fit, choose, combine and refit.

    The size of a window is the one with the smallest error on the windows before it. Sizes
    compete on the first two windows only (the stores' own models on a sample of stores); what
    is chosen there stands for the test window and the refit on all data.
    """
    windows, sizes, ledger = study.windows, fitting.variants(study), Ledger.open(study)
    early = windows[: min(2, len(windows) - 1)]
    fits = _compete(study, sizes, early)
    chosen = {
        (name, k): _choose(study, fits, group, min(k, len(early)))
        for name, group in sizes.items()
        for k in range(len(windows) + 1)
    }
    origins = (*windows, study.last)
    # in the early windows the first size is there already for all stores, and what all stores share
    wanted = [
        (variant, origins[k])
        for (name, k), variant in chosen.items()
        if k >= len(early) or (variant != sizes[name][0] and name in fitting.LOCAL)
    ]
    # a store that failed is not tried again: one that hangs would hang again
    stores = study.attempted & ~fits.failed(study.series.store_ids)
    fits = fits.merge(fitting.fit(study, wanted, keep=origins[-2:], stores=stores))
    y_hat = _closed_forecasts(study)
    for (name, k), variant in chosen.items():
        y_hat[name, origins[k]] = fits.by[variant, origins[k]].forecast
    weights = _combine(study, fits, y_hat)
    if study.kept is not None:
        weights = _keep_others(study, y_hat, weights)
    final = {name: chosen[name, len(windows)][1] for name in sizes}
    return Backtest(
        y_hat,
        weights,
        final,
        _no_worse(study, fits, y_hat, windows[:-1]),
        calibrate(study, y_hat, windows[:-1]),
        fits,
        ledger.close(study, fits, final),
    )


def _compete(study: Study, sizes: dict[str, list[Variant]], early: tuple[int, ...]) -> Fits:
    """Fit the first size of each learner on all stores, the others on a sample of them."""
    first = [(group[0], origin) for group in sizes.values() for origin in early]
    others = [(v, origin) for group in sizes.values() for v in group[1:] for origin in early]
    fits = fitting.fit(study, first)
    if not others:
        return fits
    known = study.attempted_at(early[-1])  # the first choice is made that day
    sample = _size_sample(study.series.store_ids, known, study.seed)
    sample &= ~fits.failed(study.series.store_ids)
    return fits.merge(fitting.fit(study, others, stores=sample))


def _size_sample(store_ids: np.ndarray, known: np.ndarray, seed: int) -> np.ndarray:
    """(S,) bool: at most SIZE_SAMPLE of the known stores.

    Each by a hash of its own: a store that is new takes the place of one at most, where a draw by
    position would change most of them, and with them perhaps the sizes of every store.
    """
    drawn = {k: sha256(f"{seed} {store_ids[k]}".encode()).digest() for k in np.flatnonzero(known)}
    sample = np.zeros(len(store_ids), bool)
    sample[sorted(drawn, key=drawn.__getitem__)[:SIZE_SAMPLE]] = True
    return sample


def _closed_forecasts(study: Study) -> dict[tuple[str, int], np.ndarray]:
    """Naive ones and the base at every origin; a store without every day has none at all."""
    y_hat = {}
    for origin in (*study.windows, study.last):
        history = study.series.until(origin + 1)
        for name, forecast in CLOSED.items():
            if name not in (*NAIVE, *study.settings.candidates):
                continue
            values = forecast(history, study.horizon)
            values[~np.isfinite(values).all(axis=1)] = np.nan
            y_hat[name, origin] = values
    return y_hat


def _combine(study: Study, fits: Fits, y_hat: dict) -> np.ndarray:
    """Add the blend of every window to `y_hat`; the weights come from the windows before it.

    Returns:
        (S, K) weights chosen before the test window, which the forecasts use as well.
    """
    names = study.settings.candidates
    broken = fits.failed(study.series.store_ids)
    weights = np.tile(only_base(names), (len(broken), 1))
    for k, origin in enumerate((*study.windows, study.last)):
        earlier = study.windows[: min(k, len(study.windows) - 1)]
        if earlier and _judges(study, fits, earlier).any():
            weights = _weights(study, fits, y_hat, earlier)
            alone = broken | ~study.attempted_at(origin)
            weights[alone | ~np.isfinite(weights).all(axis=1)] = only_base(names)
        y_hat[BLEND, origin] = _finished(study, y_hat, weights, origin)
    return weights


def _keep_others(study: Study, y_hat: dict, weights: np.ndarray) -> np.ndarray:
    """Let the stores that are not trained anew be forecast by the model in charge.

    Returns:
        (S, K) with the weights of that model for them.
    """
    kept, others = study.kept, ~study.attempted
    for origin in (*study.windows, study.last):
        history = study.series.until(origin + 1)
        theirs = kept.blend(history, refit=origin == study.last)
        known = others & np.isfinite(theirs).all(axis=1)
        y_hat[BLEND, origin][known] = theirs[known]
    before = kept.weights(study.series.store_ids, refit=True)
    known = others & np.isfinite(before).all(axis=1)
    return np.where(known[:, None], before, weights)


def _judges(study: Study, fits: Fits, earlier: tuple[int, ...]) -> np.ndarray:
    """(S,) bool: the stores that decide for all what is used after these windows.

    Those that had earned models of their own by then, without any whose models failed: it is to
    the others as if it had never asked for models, however and whenever it failed.
    """
    told = study.attempted_at(study.windows[len(earlier)])
    return told & ~fits.failed(study.series.store_ids)


def _no_worse(study: Study, fits: Fits, y_hat: dict, earlier: tuple[int, ...]) -> dict[str, float]:
    """See `Backtest`; what counts are the stores of `_judges`."""
    pool = _judges(study, fits, earlier)
    own = [name for name in study.settings.candidates if name in fitting.LOCAL]
    earlier = _told(y_hat, study.settings.candidates, earlier)
    y_hats = _stack(y_hat, (*own, "base"), earlier)[:, pool]
    truth = _judged_truth(study, earlier)[pool]
    return {name: share_no_worse(truth, y_hats[k], y_hats[-1]) for k, name in enumerate(own)}


def dropped(no_worse: dict[str, float]) -> list[str]:
    """Kinds of a store's own models that serve most stores worse than the base."""
    return [name for name, share in no_worse.items() if share < MOST]


def notices(study: Study, result: Backtest) -> list[Notice]:
    """Warnings of kinds of models that are not used: worse than the base, or not to be fitted.

    Or not to be tested, where the last window before the test is too early for them.
    """
    stores = int(study.attempted.sum())
    failed = dict.fromkeys((failure.store_id, failure.stage) for failure in result.fits.left_out)
    left_out = {name for name, _ in failed}
    before = {name: result.y_hat[name, study.windows[-2]] for name in study.settings.candidates}
    early = [name for name, y_hat in before.items() if not np.isfinite(y_hat).all(axis=1).any()]
    if not _judges(study, result.fits, study.windows[:-1]).any():
        early = [name for name in before if name != "base"]
    return [
        *(Notice(name, "weights", TOO_EARLY, stores) for name in early if name not in left_out),
        *(Notice(name, "weights", WORSE_THAN_BASE, stores) for name in dropped(result.no_worse)),
        *(Notice(name, stage, LEFT_OUT, stores) for name, stage in failed),
    ]


def _weights(study: Study, fits: Fits, y_hat: dict, earlier: tuple[int, ...]) -> np.ndarray:
    attempted, names = study.attempted, study.settings.candidates
    unused = dropped(_no_worse(study, fits, y_hat, earlier))
    unused += [failure.store_id for failure in fits.left_out]
    pool = _judges(study, fits, earlier)
    earlier = _told(y_hat, names, earlier)
    weights = np.full((len(attempted), len(names)), np.nan)
    weights[attempted] = store_weights(
        _truth(study, earlier)[attempted],
        _stack(y_hat, names, earlier)[:, attempted],
        study.settings.combine,
        pool[attempted],
        np.array([name not in unused for name in names]),
        _judged(study, earlier)[attempted],
    )
    return weights


def _finished(study: Study, y_hat: dict, weights: np.ndarray, origin: int) -> np.ndarray:
    """(S, H) the forecast of an origin."""
    stacked = _stack(y_hat, study.settings.candidates, (origin,))
    return finish(study.series.until(origin + 1), stacked, weights, study.calendar.holidays())


def calibrate(study: Study, y_hat: dict, origins: tuple[int, ...]) -> Intervals:
    """Intervals from the blend's errors of these windows.

    Before the first window nothing was combined, so its blend is the base; it counts where there
    is no other.
    """
    origins = tuple(origin for origin in origins if origin > study.windows[0]) or origins
    return Intervals.fit(
        [
            (
                actual(study, origin),
                y_hat[BLEND, origin],
                Spread.of(study.series.until(origin + 1)),
            )
            for origin in origins
        ]
    )


def to_frame(study: Study, result: Backtest) -> pd.DataFrame:
    """The scored windows of the attempted stores, long, with the columns of `columns.BACKTEST`."""
    parts = []
    names = (*NAIVE, *study.settings.candidates, BLEND)
    for origin in study.scored:
        y = actual(study, origin)
        rows = np.flatnonzero(study.attempted & np.isfinite(y).all(axis=1))
        for name in names:
            y_hat = result.y_hat[name, origin]
            complete = rows[np.isfinite(y_hat[rows]).all(axis=1)]
            part = _days(study, complete, origin)
            part[c.ORIGIN] = study.series.dates[origin].astype("datetime64[ns]")
            part[c.HORIZON] = np.tile(np.arange(1, study.horizon + 1), len(complete))
            part[c.CANDIDATE] = name
            part[c.Y], part[c.Y_HAT] = y[complete].ravel(), y_hat[complete].ravel()
            parts.append(part)
    frame = pd.concat(parts, ignore_index=True)
    return frame[list(c.BACKTEST)]


def _days(study: Study, rows: np.ndarray, origin: int) -> pd.DataFrame:
    """`store_id, date`: every day of a window for these stores."""
    dates = study.series.dates[origin + 1 : origin + 1 + study.horizon].astype("datetime64[ns]")
    return pd.DataFrame(
        {
            c.STORE_ID: np.repeat(study.series.store_ids[rows], len(dates)),
            c.DATE: np.tile(dates, len(rows)),
        }
    )


def window_intervals(study: Study, result: Backtest) -> pd.DataFrame:
    """Bounds of the test window from intervals that were calibrated before it.

    Returns:
        `store_id, date, lower_80, upper_80, lower_95, upper_95` of the attempted stores.
    """
    origin = study.windows[-1]
    rows = np.flatnonzero(study.attempted & np.isfinite(actual(study, origin)).all(axis=1))
    frame = _days(study, rows, origin)
    frame[list(NAMES)] = window_bounds(study, result)[rows].reshape(-1, 4)
    return frame


def window_bounds(study: Study, result: Backtest) -> np.ndarray:
    """(S, H, 4) the same bounds of every store, in the order of `intervals.NAMES`."""
    origin = study.windows[-1]
    forecast = result.y_hat[BLEND, origin]
    spread = Spread.of(study.series.until(origin + 1))
    return bounds(forecast, result.intervals.offsets(np.nan_to_num(forecast), spread))
