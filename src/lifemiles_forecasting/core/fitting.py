"""Fit the learners at one or more cutoffs: pooled ones as tasks, local ones store by store."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lifemiles_forecasting.core import parallel
from lifemiles_forecasting.core.candidates import recursive
from lifemiles_forecasting.core.candidates.learners import (
    CatBoostLearner,
    Learner,
    RidgeLearner,
    columns_for,
)
from lifemiles_forecasting.core.features import Features
from lifemiles_forecasting.core.parallel import Failure
from lifemiles_forecasting.core.reuse import (
    Reuse,
    Work,
    pack_own,
    pack_pooled,
    unpack_own,
    unpack_pooled,
)
from lifemiles_forecasting.core.rows import YEARLY_DAYS, features_at
from lifemiles_forecasting.core.study import Study
from lifemiles_forecasting.core.tasks import (
    LOCAL_STAGE,
    POOLED_STAGE,
    Fit,
    Job,
    StoreTask,
    Variant,
    fit_chunk,
    fit_pooled,
    pooled_task,
    recursive_task,
)

CHUNK = 8  # stores per task
POOLED_BORDERS = (
    64  # histogram bins: no worse than 128 on both panels of benchmarks/, and a fifth faster
)
LOCAL_BORDERS = 32  # of a model of one store
POOLED = ("direct", "recursive")
LOCAL = ("local_catboost", "ridge")
LEARNED = (*POOLED, *LOCAL)


@dataclass
class Fits:
    """What a stage of fitting gave.

    Attributes:
        by: Fit by variant and cutoff.
        failures: stores whose own models could not be fitted.
        left_out: fits over all stores that failed, in the name of their candidate.
        seconds: (S,) of one core spent on each store's own models, with an equal share of the
            pooled ones for every attempted store.
        spent: seconds of one core by candidate, over all stores.
        work: what was fitted, and what was found as an earlier run had left it, which took no time.
    """

    seconds: np.ndarray
    spent: dict[str, float] = field(default_factory=dict)
    by: dict[tuple[Variant, int], Fit] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)
    left_out: list[Failure] = field(default_factory=list)
    work: Work = field(default_factory=Work)

    def merge(self, other: Fits) -> Fits:
        """Both stages as one."""
        names = dict.fromkeys((*self.spent, *other.spent))
        return Fits(
            self.seconds + other.seconds,
            {name: self.spent.get(name, 0.0) + other.spent.get(name, 0.0) for name in names},
            self.by | other.by,
            self.failures + other.failures,
            self.left_out + other.left_out,
            self.work.merge(other.work),
        )

    def failed(self, store_ids: np.ndarray) -> np.ndarray:
        """(S,) bool, stores whose own models failed at any cutoff."""
        failed = {failure.store_id for failure in self.failures}
        return np.array([store in failed for store in store_ids], bool)

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
                rows.tail[own],
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
    at = {
        cutoff: features_at(study.series, study.calendar, cutoff, study.horizon)
        for cutoff in sorted({cutoff for _, cutoff in wanted})
    }
    jobs = [_job(study, variant, cutoff, cutoff in keep) for variant, cutoff in wanted]
    pooled = [job for job in jobs if job.variant[0] in POOLED]
    local = [job for job in jobs if job.variant[0] in LOCAL]
    own = _store_tasks(study, at, study.attempted if stores is None else stores) if local else []
    reuse = Reuse(study, at, pooled, local)
    fits = Fits(np.zeros(len(study.series.y)), work=reuse.work)
    calls = {job.key: _pooled_call(study, job, at[job.cutoff]) for job in pooled}
    by_job, by_store = _fit_missing(study, reuse, calls, (pooled, local, own))
    for job in pooled:
        made, seconds = by_job[job.key]
        if isinstance(made, Failure):
            fits.left_out.append(made)
            made = _no_fit(study, job)
        fits.by[job.key] = made
        fits.seconds[study.attempted] += seconds / max(study.attempted.sum(), 1)
        fits.spend(job.variant[0], seconds)
    _gather_local(study, local, by_store, fits)
    return fits


def _fit_missing(
    study: Study,
    reuse: Reuse,
    calls: Mapping[tuple[Variant, int], tuple],
    wanted: tuple[Sequence[Job], Sequence[Job], Sequence[StoreTask]],
) -> tuple[dict[tuple[Variant, int], tuple[Any, float]], dict[int, tuple[Any, float]]]:
    """Take what earlier runs left, fit the rest, and keep each fit as soon as it is there.

    Args:
        study: what is modelled.
        reuse: what earlier runs left.
        calls: the task of each pooled job.
        wanted: pooled jobs, local jobs, and the stores that get models of their own.

    Returns:
        Fit (or Failure) and seconds by job, and a store's own fits (or Failure) and seconds by
        store, in order.
    """
    pooled, local, own = wanted
    keys = {job.key: reuse.pooled_key(job, _sample(study, job)) for job in pooled}
    own_keys = {task.store: reuse.own_key(task) for task in own}
    by_job = {job.key: (reuse.find(keys[job.key], unpack_pooled, job), 0.0) for job in pooled}
    by_store = {
        task.store: (reuse.find(own_keys[task.store], unpack_own, task, local), 0.0) for task in own
    }
    jobs = [job for job in pooled if by_job[job.key][0] is None]
    stores = [task for task in own if by_store[task.store][0] is None]
    reuse.work.pooled.update(keys.values())
    reuse.work.fitted.update(keys[job.key] for job in jobs)
    reuse.work.stores.update(task.store for task in stores)
    tasks = [(fit_pooled, *calls[job.key]) for job in jobs]
    tasks += [(fit_chunk, stores[k : k + CHUNK], local) for k in range(0, len(stores), CHUNK)]

    def take(number: int, result: Any) -> None:
        for key, made, seconds in result:
            if number < len(jobs):
                by_job[key] = made, seconds
                kept = keys[key], pack_pooled, made
            else:
                by_store[key] = made, seconds
                kept = own_keys[key], pack_own, made, local
            if not isinstance(made, Failure):
                reuse.keep(*kept)

    settings = study.settings
    isolation = parallel.Isolation(
        settings.store_seconds, _store_by_store, _lost, settings.pooled_seconds
    )
    parallel.run(_call, tasks, settings.workers, "models", take, isolation, settings.scheduler)
    return by_job, by_store


def _store_by_store(task: tuple) -> list[tuple]:
    """A task of some stores as one for each; none for a fit over all of them."""
    function, *args = task
    if function is not fit_chunk:
        return []
    stores, local = args
    return [(fit_chunk, [store], local) for store in stores]


def _lost(task: tuple, why: str, seconds: float) -> list[tuple]:
    """What stands for the result of a task that ended its process."""
    function, *args = task
    if function is fit_chunk:
        (store,), _ = args
        return [(store.store, _ended(store.store_id, LOCAL_STAGE, why), seconds)]
    job = args[1]
    return [(job.key, _ended(job.variant[0], POOLED_STAGE, why), seconds)]


def _ended(name: str, stage: str, why: str) -> Failure:
    kind, _, what = why.partition(": ")
    return Failure.without_traceback(name, stage, f"{kind}: {stage} {what}")


def _no_fit(study: Study, job: Job) -> Fit:
    """The Fit of a candidate that forecasts no store."""
    fitted = np.full(len(study.rows.y) if job.keep else 0, np.nan, np.float32)
    return Fit(np.full((len(study.series.y), study.horizon), np.nan), fitted, {})


def _sample(study: Study, job: Job) -> tuple[int, int]:
    """Seed and size of the sample of rows that a pooled candidate learns from."""
    return study.seed, getattr(study.settings, job.variant[0]).max_rows


def _pooled_call(study: Study, job: Job, at: Features) -> tuple:
    """The task that fits a pooled candidate."""
    sample = _sample(study, job)
    if job.variant[0] == "recursive":
        history = study.series.until(job.cutoff + 1)
        return recursive_task, job, history, study.calendar, sample, study.horizon
    return pooled_task, job, study.rows, sample, at


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


def _gather_local(
    study: Study, jobs: Sequence[Job], made: Mapping[int, tuple[Any, float]], fits: Fits
) -> None:
    """Add what the stores' own models gave to `fits`."""
    for job in jobs:
        fits.by[job.key] = _no_fit(study, job)
    for store, (result, seconds) in made.items():
        fits.seconds[store] += seconds
        if isinstance(result, Failure):
            fits.failures.append(result)
            continue
        for key, own in result.items():
            fits.spend(key[0][0], own.seconds)
            fits.by[key].forecast[store] = own.forecast
            if own.model is not None:
                fits.by[key].fitted[study.rows.bounds[store] + own.known] = own.fitted
                fits.by[key].models[store] = own.model
