"""What is computed in a process of its own: a pooled candidate's fit, or those of a few stores.

Each of these functions depends on its arguments alone, which is what `core.reuse` goes by.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lifemiles_forecasting.core import parallel
from lifemiles_forecasting.core.calendar import Calendar
from lifemiles_forecasting.core.candidates import recursive
from lifemiles_forecasting.core.candidates.learners import (
    Learner,
    Model,
    columns_of,
    residual_of,
    to_units,
    unit_of,
)
from lifemiles_forecasting.core.features import Features
from lifemiles_forecasting.core.rows import YEARLY_DAYS, Rows
from lifemiles_forecasting.core.series import Series

LOCAL_STAGE, POOLED_STAGE = "local models", "pooled models"  # of a failure
MIN_LOCAL_ROWS = 150  # fewer rows than this teach a model of one store nothing

Variant = tuple[str, str]  # candidate and size, such as ("direct", "small")


@dataclass(frozen=True)
class Fit:
    """One learner fitted at one cutoff.

    Attributes:
        forecast: (S, H) target units; nan for a store that it cannot forecast.
        fitted: (N,) residual predicted for the training rows, nan for others; empty unless asked,
            and for the recursive model, which has rows of its own.
        models: by store row for local learners, under -1 for a pooled one; empty unless asked.
    """

    forecast: np.ndarray
    fitted: np.ndarray
    models: Mapping[int, Model]


@dataclass(frozen=True)
class Job:
    """One learner to fit at one cutoff.

    Attributes:
        variant: candidate and size.
        cutoff: column of the last known day.
        method: the learner.
        columns: the features of the training rows that it may use; none for the recursive
            model, which makes its own.
        keep: whether its model and its fitted values are wanted too.
        given: a model of all stores that is used as it is instead of being fitted.
    """

    variant: Variant
    cutoff: int
    method: Learner
    columns: np.ndarray
    keep: bool
    given: Model | None = None

    @property
    def key(self) -> tuple[Variant, int]:
        """Where its Fit is found."""
        return self.variant, self.cutoff


def pooled_model(rows: Rows, job: Job, sample: tuple[int, int]) -> Model | None:
    """Fit on the rows known at the cutoff, at most `sample[1]` of them drawn with seed `sample[0]`.

    Returns:
        None where it is too early for any rows.
    """
    if job.given is not None:
        return job.given
    seed, most = sample
    known = np.flatnonzero((rows.due <= job.cutoff) & np.isfinite(rows.y))
    if len(known) > most:
        known = np.sort(np.random.default_rng(seed).choice(known, most, replace=False))
    if len(known) < MIN_LOCAL_ROWS:
        return None
    residual = residual_of(rows.y[known], rows.tail[known], rows.base[known])
    weight = rows.weight()[known]
    if job.cutoff < YEARLY_DAYS:
        residual = without_drift(residual, weight, rows.origin[known])
    unit = unit_of(rows.base[known])
    return job.method.fit(rows.X[np.ix_(known, job.columns)], residual / unit, weight * unit**2)


def without_drift(residual: np.ndarray, weight: np.ndarray, origin: np.ndarray) -> np.ndarray:
    """Take the common mean of each origin out of its residuals.

    Before a second year nothing can tell what moves all stores at once in a season from what
    will do so again; extrapolating the average drift of a few months only adds bias.
    """
    size = origin.max() + 1
    total = np.bincount(origin, weight * residual, minlength=size)
    mass = np.bincount(origin, weight, minlength=size)
    return residual - (total / np.maximum(mass, 1e-12))[origin]


def pooled_forecast(model: Model, at: Features) -> np.ndarray:
    """(S, H) by a model of all stores, target units; nan for a store without sales.

    A store younger than any that it was taught by keeps the base.
    """
    ahead = columns_of(at.X, at.names, model.features).reshape(-1, len(model.features))
    scale = np.where(at.scale > 0, at.scale, np.nan)[:, None]
    residual = model.predict(ahead).reshape(at.base.shape) * unit_of(at.base / scale)
    return to_units(np.where(at.old[:, None], residual, 0.0), at.base, scale)


def pooled_task(job: Job, rows: Rows, sample: tuple[int, int], at: Features) -> Fit:
    """Fit, forecast and (when asked) explain the training rows."""
    fitted = np.full(len(rows.y) if job.keep else 0, np.nan, np.float32)
    model = pooled_model(rows, job, sample)
    if model is None:  # this candidate has nothing to say yet
        return Fit(np.full(at.base.shape, np.nan), fitted, {})
    if job.keep:
        known = rows.due <= job.cutoff
        told = model.predict(columns_of(rows.X[known], rows.names, model.features))
        fitted[known] = told * unit_of(rows.base[known])
    return Fit(pooled_forecast(model, at), fitted, {-1: model} if job.keep else {})


def recursive_task(
    job: Job, history: Series, calendar: Calendar, sample: tuple[int, int], horizon: int
) -> Fit:
    """Fit the model of a single step and go `horizon` of them."""
    seed, most = sample
    yearly = None if job.given is None else True
    steps = recursive.Steps.of(history, calendar, horizon, yearly=yearly)
    model = job.given or recursive.fit(steps, job.method, most, seed, MIN_LOCAL_ROWS)
    nothing = np.zeros(0, np.float32)
    if model is None:
        forecast = np.full((len(history.y), horizon), np.nan)
        return Fit(forecast, nothing, {})
    forecast = recursive.forecast(steps, model, horizon)
    return Fit(forecast, nothing, {-1: model} if job.keep else {})


@dataclass(frozen=True)
class StoreTask:
    """One store's training rows and features at each cutoff."""

    store: int
    store_id: str
    X: np.ndarray
    y: np.ndarray
    tail: np.ndarray
    base: np.ndarray
    due: np.ndarray
    at: Mapping[int, tuple[np.ndarray, np.ndarray, float]]  # X (H, F), base (H,), scale

    def known(self, job: Job) -> np.ndarray:
        """The rows that a job may learn from; none where they are too few, or it is too early."""
        rows = np.flatnonzero((self.due <= job.cutoff) & np.isfinite(self.y))
        return rows if len(rows) >= MIN_LOCAL_ROWS and job.cutoff in self.at else rows[:0]


@dataclass(frozen=True)
class OwnFit:
    """One learner fitted for one store at one cutoff.

    Attributes:
        forecast: (H,) target units.
        known: rows of the store that it learned from.
        fitted: (known,) float32 residual predicted for them; None unless asked.
        model: None unless asked.
        seconds: of one core.
    """

    forecast: np.ndarray
    known: np.ndarray
    fitted: np.ndarray | None
    model: Model | None
    seconds: float


def fit_store(task: StoreTask, jobs: Sequence[Job]) -> dict[tuple[Variant, int], OwnFit]:
    """Fit each job that has enough rows."""
    results = {}
    for job in jobs:
        known = task.known(job)
        if not len(known):
            continue
        start = time.perf_counter()
        X = task.X[np.ix_(known, job.columns)]
        residual = residual_of(task.y[known], task.tail[known], task.base[known])
        model = job.method.fit(X, residual, None)
        ahead, base, scale = task.at[job.cutoff]
        forecast = to_units(model.predict(ahead[:, job.columns]), base, scale)
        if not np.isfinite(forecast).all():
            raise FloatingPointError(f"{job.variant[0]} gave a forecast that is not finite")
        kept = (model.predict(X).astype(np.float32), model) if job.keep else (None, None)
        results[job.key] = OwnFit(forecast, known, *kept, time.perf_counter() - start)
    return results


def fit_pooled(function: Callable[..., Any], job: Job, *args: Any) -> list[tuple]:
    """A pooled fit: key of its job, Fit (or Failure in the candidate's name) and seconds."""
    start = time.perf_counter()
    with parallel.deadline():
        made = parallel.attempt(job.variant[0], POOLED_STAGE, function, job, *args)
    return [(job.key, made, time.perf_counter() - start)]


def fit_chunk(tasks: Sequence[StoreTask], jobs: Sequence[Job]) -> list[tuple]:
    """Several stores after one another; a store that fails does not touch the others."""
    for job in jobs:
        job.method.load()
    done = []
    for task in tasks:
        start = time.perf_counter()
        with parallel.deadline():
            result = parallel.attempt(task.store_id, LOCAL_STAGE, fit_store, task, jobs)
        done.append((task.store, result, time.perf_counter() - start))
    return done
