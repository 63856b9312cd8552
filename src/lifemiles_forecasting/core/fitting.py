"""Fit the learners at one or more cutoffs: pooled ones as tasks, local ones store by store."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lifemiles_forecasting.core import parallel
from lifemiles_forecasting.core.calendar import Calendar
from lifemiles_forecasting.core.candidates import recursive
from lifemiles_forecasting.core.candidates.learners import (
    CatBoostLearner,
    Learner,
    Model,
    RidgeLearner,
    columns_for,
    columns_of,
    residual_of,
    to_units,
)
from lifemiles_forecasting.core.features import Features
from lifemiles_forecasting.core.parallel import Failure
from lifemiles_forecasting.core.rows import YEARLY_DAYS, Rows, features_at
from lifemiles_forecasting.core.series import Series
from lifemiles_forecasting.core.study import Study

MIN_LOCAL_ROWS = 150  # fewer rows than this teach a model of one store nothing
CHUNK = 8  # stores per task
POOLED_BORDERS = (
    64  # histogram bins: no worse than 128 on both panels of benchmarks/, and a fifth faster
)
LOCAL_BORDERS = 32  # of a model of one store
POOLED = ("direct", "recursive")
LOCAL = ("local_catboost", "ridge")
LEARNED = (*POOLED, *LOCAL)

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


@dataclass
class Fits:
    """What a stage of fitting gave.

    Attributes:
        by: Fit by variant and cutoff.
        failures: stores whose own models could not be fitted.
        seconds: (S,) of one core spent on each store's own models, with an equal share of the
            pooled ones for every attempted store.
        spent: seconds of one core by candidate, over all stores.
    """

    seconds: np.ndarray
    spent: dict[str, float] = field(default_factory=dict)
    by: dict[tuple[Variant, int], Fit] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)

    def merge(self, other: Fits) -> Fits:
        """Both stages as one."""
        names = dict.fromkeys((*self.spent, *other.spent))
        return Fits(
            self.seconds + other.seconds,
            {name: self.spent.get(name, 0.0) + other.spent.get(name, 0.0) for name in names},
            self.by | other.by,
            self.failures + other.failures,
        )

    def spend(self, candidate: str, seconds: float) -> None:
        """Count seconds of one core towards a candidate."""
        self.spent[candidate] = self.spent.get(candidate, 0.0) + seconds


def variants(study: Study) -> dict[str, list[Variant]]:
    """Every size of every learner that is configured, by candidate."""
    chosen, kept = study.settings.candidates, study.kept
    sizes: dict[str, Any] = {
        "direct": study.settings.direct.sizes,
        "recursive": study.settings.recursive.sizes,
        "local_catboost": study.settings.local_catboost.sizes,
        "ridge": study.settings.ridge.alphas,
    }
    if kept is not None:
        sizes |= {name: [kept.final.recipe["sizes"][name]] for name in POOLED if name in chosen}
    return {name: [(name, size) for size in sizes[name]] for name in LEARNED if name in chosen}


def learner(study: Study, variant: Variant, names: tuple[str, ...]) -> Learner:
    """The learner of a variant for these features."""
    name, size = variant
    if name == "ridge":
        return RidgeLearner(study.settings.ridge.alphas[size], names)
    sizes = getattr(study.settings, name).sizes
    borders = POOLED_BORDERS if name in POOLED else LOCAL_BORDERS
    return CatBoostLearner(sizes[size], names, study.seed, borders)


def _columns(study: Study, name: str, cutoff: int) -> np.ndarray:
    """Feature columns of a candidate; the yearly ones only once there is a second year."""
    return columns_for(study.rows.names, own=name in LOCAL, yearly=cutoff >= YEARLY_DAYS)


def feature_names(study: Study, name: str, cutoff: int) -> tuple[str, ...]:
    """The features that a candidate sees in a fit at `cutoff`."""
    if name == "recursive":
        history = study.series.until(cutoff + 1)
        return recursive.Steps.of(history, study.calendar, study.horizon).names()
    return tuple(study.rows.names[k] for k in _columns(study, name, cutoff))


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


def _pooled_model(rows: Rows, job: Job, sample: tuple[int, int]) -> Model | None:
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
    residual, weight = residual_of(rows.y[known], rows.base[known]), rows.weight()[known]
    if job.cutoff < YEARLY_DAYS:
        residual = without_drift(residual, weight, rows.origin[known])
    return job.method.fit(rows.X[np.ix_(known, job.columns)], residual, weight)


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
    """(S, H) by a model of all stores, target units; nan for a store without sales."""
    ahead = columns_of(at.X, at.names, model.features).reshape(-1, len(model.features))
    residual = model.predict(ahead).reshape(at.base.shape)
    forecast = to_units(residual, at.base, at.scale[:, None])
    forecast[at.scale <= 0] = np.nan
    return forecast


def _pooled_task(rows: Rows, job: Job, sample: tuple[int, int], at: Features) -> tuple[Fit, float]:
    """Fit, forecast and (when asked) explain the training rows; the seconds that it took."""
    start = time.perf_counter()
    fitted = np.full(len(rows.y) if job.keep else 0, np.nan, np.float32)
    model = _pooled_model(rows, job, sample)
    if model is None:  # this candidate has nothing to say yet
        return Fit(np.full(at.base.shape, np.nan), fitted, {}), time.perf_counter() - start
    if job.keep:
        known = rows.due <= job.cutoff
        fitted[known] = model.predict(columns_of(rows.X[known], rows.names, model.features))
    fit_ = Fit(pooled_forecast(model, at), fitted, {-1: model} if job.keep else {})
    return fit_, time.perf_counter() - start


def _recursive_task(
    history: Series, calendar: Calendar, job: Job, sample: tuple[int, int], horizon: int
) -> tuple[Fit, float]:
    """Fit the model of a single step and go `horizon` of them; the seconds that it took."""
    start = time.perf_counter()
    seed, most = sample
    yearly = None if job.given is None else True
    steps = recursive.Steps.of(history, calendar, horizon, yearly=yearly)
    model = job.given or recursive.fit(steps, job.method, most, seed, MIN_LOCAL_ROWS)
    nothing = np.zeros(0, np.float32)
    if model is None:
        forecast = np.full((len(history.y), horizon), np.nan)
        return Fit(forecast, nothing, {}), time.perf_counter() - start
    forecast = recursive.forecast(steps, model, horizon)
    fit_ = Fit(forecast, nothing, {-1: model} if job.keep else {})
    return fit_, time.perf_counter() - start


@dataclass(frozen=True)
class StoreTask:
    """One store's training rows and features at each cutoff."""

    store: int
    store_id: str
    X: np.ndarray
    y: np.ndarray
    base: np.ndarray
    due: np.ndarray
    at: Mapping[int, tuple[np.ndarray, np.ndarray, float]]  # X (H, F), base (H,), scale


def _fit_store(task: StoreTask, jobs: Sequence[Job]) -> dict:
    """Fit each job: forecast, rows that it learned from, fit there, model and seconds."""
    results = {}
    for job in jobs:
        known = np.flatnonzero((task.due <= job.cutoff) & np.isfinite(task.y))
        if len(known) < MIN_LOCAL_ROWS or job.cutoff not in task.at:
            continue
        start = time.perf_counter()
        X = task.X[np.ix_(known, job.columns)]
        model = job.method.fit(X, residual_of(task.y[known], task.base[known]), None)
        ahead, base, scale = task.at[job.cutoff]
        forecast = to_units(model.predict(ahead[:, job.columns]), base, scale)
        if not np.isfinite(forecast).all():
            raise FloatingPointError(f"{job.variant[0]} gave a forecast that is not finite")
        kept = (known, model.predict(X), model) if job.keep else (None, None, None)
        results[job.key] = (forecast, *kept, time.perf_counter() - start)
    return results


def _chunk(tasks: Sequence[StoreTask], jobs: Sequence[Job]) -> list[tuple]:
    """Several stores after one another; a store that fails does not touch the others."""
    done = []
    for task in tasks:
        start = time.perf_counter()
        result = parallel.attempt(task.store_id, "local models", _fit_store, task, jobs)
        done.append((task.store, result, time.perf_counter() - start))
    return done


def _store_tasks(study: Study, at: Mapping[int, Features], stores: np.ndarray) -> list[StoreTask]:
    rows, tasks = study.rows, []
    for store in np.flatnonzero(stores):
        own = slice(rows.bounds[store], rows.bounds[store + 1])
        seen = {
            cutoff: (f.X[store], f.base[store], float(f.scale[store]))
            for cutoff, f in at.items()
            if f.scale[store] > 0
        }
        tasks.append(
            StoreTask(
                int(store),
                str(study.series.store_ids[store]),
                rows.X[own],
                rows.y[own],
                rows.base[own],
                rows.due[own],
                seen,
            )
        )
    return tasks


def fit(
    study: Study,
    wanted: Sequence[tuple[Variant, int]],
    keep: Sequence[int] = (),
    stores: np.ndarray | None = None,
) -> Fits:
    """Fit every wanted variant at its cutoff.

    Pooled fits and chunks of stores share the processes, the longest tasks first, so that no
    core waits for the last pooled fit.

    Args:
        study: what is modelled.
        wanted: variants and the column of the last day that each may see.
        keep: cutoffs whose models and fitted values are wanted too.
        stores: (S,) bool, those that get models of their own; None for all attempted ones.
    """
    fits = Fits(np.zeros(len(study.series.y)))
    at = {
        cutoff: features_at(study.series, study.calendar, cutoff, study.horizon)
        for cutoff in sorted({cutoff for _, cutoff in wanted})
    }
    jobs = [_job(study, variant, cutoff, cutoff in keep) for variant, cutoff in wanted]
    pooled = [job for job in jobs if job.variant[0] in POOLED]
    local = [job for job in jobs if job.variant[0] in LOCAL]
    tasks = [_pooled_call(study, job, at[job.cutoff]) for job in pooled]
    tasks += _chunks(study, local, at, study.attempted if stores is None else stores)
    done = parallel.run(_call, tasks, study.settings.workers, "models")
    for job, (result, seconds) in zip(pooled, done[: len(pooled)], strict=True):
        fits.by[job.key] = result
        fits.seconds[study.attempted] += seconds / max(study.attempted.sum(), 1)
        fits.spend(job.variant[0], seconds)
    _gather_local(study, local, [item for chunk in done[len(pooled) :] for item in chunk], fits)
    return fits


def _pooled_call(study: Study, job: Job, at: Features) -> tuple:
    """The task that fits a pooled candidate."""
    name = job.variant[0]
    sample = (study.seed, getattr(study.settings, name).max_rows)
    if name == "recursive":
        history = study.series.until(job.cutoff + 1)
        return _recursive_task, history, study.calendar, job, sample, study.horizon
    return _pooled_task, study.rows, job, sample, at


def _call(function: Callable[..., Any], *args: Any) -> Any:
    return function(*args)


def _job(study: Study, variant: Variant, cutoff: int, keep: bool) -> Job:
    recursive_ = variant[0] == "recursive"
    columns = np.zeros(0, int) if recursive_ else _columns(study, variant[0], cutoff)
    method = learner(study, variant, feature_names(study, variant[0], cutoff))
    given = None
    if study.kept is not None and variant[0] in POOLED:
        given = study.kept.pooled(variant[0], refit=cutoff == study.last)
    return Job(variant, cutoff, method, columns, keep, given)


def _chunks(
    study: Study, jobs: list[Job], at: Mapping[int, Features], stores: np.ndarray
) -> list[tuple]:
    """Tasks that fit the stores' own models, a few stores each."""
    tasks = _store_tasks(study, at, stores) if jobs else []
    return [(_chunk, tasks[k : k + CHUNK], jobs) for k in range(0, len(tasks), CHUNK)]


def _gather_local(study: Study, jobs: list[Job], done: list[tuple], fits: Fits) -> None:
    """Add what the stores' own models gave to `fits`."""
    shape = (len(study.series.y), study.horizon)
    for job in jobs:
        fitted = np.full(len(study.rows.y) if job.keep else 0, np.nan, np.float32)
        fits.by[job.key] = Fit(np.full(shape, np.nan), fitted, {})
    for store, result, seconds in done:
        fits.seconds[store] += seconds
        if isinstance(result, Failure):
            fits.failures.append(result)
            continue
        for key, (forecast, known, fitted, model, took) in result.items():
            fits.spend(key[0][0], took)
            fits.by[key].forecast[store] = forecast
            if model is not None:
                fits.by[key].fitted[study.rows.bounds[store] + known] = fitted
                fits.by[key].models[store] = model
