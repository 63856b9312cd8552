"""Fits of earlier runs that need not be made again, found by a hash of all that they depend on.

A key covers the very arguments that a task of `core.tasks` is given, and the software. So a fit
that is found is the one that would be made, to the bit; whatever else may have changed is no
concern of it.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np
from pydantic import BaseModel

from lifemiles_forecasting.core.candidates.learners import Model, load_catboost, load_ridge
from lifemiles_forecasting.core.tasks import Fit, Job, OwnFit, StoreTask

if TYPE_CHECKING:
    from lifemiles_forecasting.core.features import Features
    from lifemiles_forecasting.core.study import Study

T = TypeVar("T")


class FitStore(Protocol):
    """Where fits are kept from run to run.

    Attributes:
        software: what a fit depends on beside its input: versions and our own code.
    """

    software: str

    def get(self, key: str) -> bytes | None:
        """What was put under a key; None where there is nothing, or nothing sound."""

    def put(self, key: str, blob: bytes) -> None:
        """Keep something, in place of what was there."""

    def keep_only(self, keys: Collection[str]) -> None:
        """Forget what is under any other key."""


def digest(*values: Any) -> str:
    """The same text for the same values: arrays, numbers, texts, and what is made of them."""
    hashed = hashlib.sha256()
    for value in values:
        _feed(hashed, value)
    return hashed.hexdigest()


def _feed(hashed: Any, value: Any) -> None:
    """Add a value, with its type and its length, so that no two values read alike."""
    hashed.update(f"<{type(value).__name__}>".encode())
    if isinstance(value, np.ndarray) and value.dtype != object:
        hashed.update(f"{value.dtype.str}{value.shape}".encode())
        hashed.update(np.ascontiguousarray(value).reshape(-1).view(np.uint8))
    elif hasattr(value, "dump"):  # a fitted model
        _feed(hashed, value.dump())
    elif isinstance(value, BaseModel):
        _feed(hashed, value.model_dump())
    elif is_dataclass(value):
        _feed(hashed, {item.name: getattr(value, item.name) for item in fields(value)})
    elif isinstance(value, Mapping):
        _feed(hashed, sorted(value.items(), key=lambda item: repr(item[0])))
    elif isinstance(value, list | tuple | np.ndarray):
        hashed.update(f"{len(value)}".encode())
        for item in value:
            _feed(hashed, item)
    elif value is None or isinstance(value, str | bytes | bool | int | float | np.generic):
        text = repr(value).encode()
        hashed.update(f"{len(text)}:".encode() + text)
    else:
        raise TypeError(f"no digest of a {type(value).__name__}")


@dataclass(frozen=True)
class Work:
    """How much of some fitting was done, and how much was found done.

    Attributes:
        keys: of every fit that was wanted.
        pooled: of those of the pooled candidates.
        fitted: of the pooled ones that had to be made.
        stores: rows of the stores for which models of their own had to be made.
    """

    keys: set[str] = field(default_factory=set)
    pooled: set[str] = field(default_factory=set)
    fitted: set[str] = field(default_factory=set)
    stores: set[int] = field(default_factory=set)

    def merge(self, other: Work) -> Work:
        """Both together."""
        names = (item.name for item in fields(self))
        return Work(**{name: getattr(self, name) | getattr(other, name) for name in names})

    @property
    def reused(self) -> set[str]:
        """Keys of the pooled fits that an earlier run had left."""
        return self.pooled - self.fitted


class Reuse:
    """The store of fits as one stage of fitting sees it; without one, nothing is found or kept.

    Args:
        study: what is modelled.
        at: the features of every cutoff.
        pooled, local: what is to be fitted over all stores, and for each of them.
    """

    def __init__(
        self,
        study: Study,
        at: Mapping[int, Features],
        pooled: Sequence[Job],
        local: Sequence[Job],
    ) -> None:
        self._study, self._store, self._resume = study, study.fits, study.resume
        self._local = local
        self.work = Work()
        if self._store is None:
            return
        kinds = {job.variant[0] for job in pooled}
        self._software = self._store.software
        self._own = digest(self._software, local)
        if "direct" in kinds:
            self._rows = digest(study.rows)
            self._at = {cutoff: digest(features) for cutoff, features in at.items()}
        if "recursive" in kinds:
            self._calendar = digest(study.calendar)

    def pooled_key(self, job: Job, sample: tuple[int, int]) -> str:
        """Of the fit of a pooled candidate; without a store, its name."""
        if self._store is None:
            return repr(job.key)
        study = self._study
        given = (self._software, job, sample, study.horizon)
        if job.variant[0] == "recursive":
            history = study.series.until(job.cutoff + 1)
            return digest(*given, history.y, history.dates, history.partner, self._calendar)
        return digest(*given, self._rows, self._at[job.cutoff])

    def own_key(self, task: StoreTask) -> str:
        """Of a store's own models; empty without a store.

        Features that look at other stores are not among what these models see.
        """
        if self._store is None:
            return ""
        seen = [job for job in self._local if len(task.known(job))]
        used = sorted({column for job in seen for column in job.columns.tolist()})
        ahead = {
            cutoff: (X[:, used], base, scale)
            for cutoff, (X, base, scale) in task.at.items()
            if cutoff in {job.cutoff for job in seen}
        }
        return digest(self._own, task.X[:, used], task.y, task.tail, task.base, task.due, ahead)

    def find(self, key: str, unpack: Callable[..., T], *args: Any) -> T | None:
        """What was kept under a key, unless everything is to be trained anew."""
        self.work.keys.add(key)
        if self._store is None:
            return None
        blob = self._store.get(key) if self._resume else None
        return None if blob is None else unpack(blob, *args)

    def keep(self, key: str, pack: Callable[..., bytes], *args: Any) -> None:
        """Keep what has just been fitted."""
        if self._store is not None:
            self._store.put(key, pack(*args))


def _packed(arrays: Mapping[str, np.ndarray]) -> bytes:
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def _unpacked(blob: bytes) -> dict[str, np.ndarray]:
    with np.load(io.BytesIO(blob), allow_pickle=False) as saved:
        return dict(saved)


def _model_bytes(model: Model) -> np.ndarray:
    """(bytes,) uint8 of the model's own format."""
    return np.frombuffer(model.dump(), np.uint8)


def _model(blob: np.ndarray, job: Job) -> Model:
    if job.variant[0] == "ridge":
        return load_ridge(blob.tobytes())
    return load_catboost(blob.tobytes(), job.method.features)


def pack_pooled(fit: Fit) -> bytes:
    """The fit of a pooled candidate as npz, its model in its own format."""
    arrays = {"forecast": fit.forecast, "fitted": fit.fitted}
    if fit.models:
        arrays["model"] = _model_bytes(fit.models[-1])
    return _packed(arrays)


def unpack_pooled(blob: bytes, job: Job) -> Fit:
    """Read `pack_pooled` back."""
    arrays = _unpacked(blob)
    models = {}
    if "model" in arrays:
        models[-1] = job.given or _model(arrays["model"], job)
    return Fit(arrays["forecast"], arrays["fitted"], models)


def pack_own(fits: Mapping[Any, OwnFit], jobs: Sequence[Job]) -> bytes:
    """A store's own fits as npz, their models in their own formats."""
    arrays = {}
    for number, job in enumerate(jobs):
        if job.key not in fits:
            continue
        made = fits[job.key]
        arrays[f"forecast_{number}"] = made.forecast
        if made.model is not None:
            arrays[f"fitted_{number}"] = made.fitted
            arrays[f"model_{number}"] = _model_bytes(made.model)
    return _packed(arrays)


def unpack_own(blob: bytes, task: StoreTask, jobs: Sequence[Job]) -> dict[Any, OwnFit]:
    """Read `pack_own` back; it took no time."""
    arrays, fits = _unpacked(blob), {}
    for number, job in enumerate(jobs):
        if f"forecast_{number}" not in arrays:
            continue
        forecast, fitted, model = arrays[f"forecast_{number}"], None, None
        if job.keep:
            fitted = arrays[f"fitted_{number}"]
            model = _model(arrays[f"model_{number}"], job)
        fits[job.key] = OwnFit(forecast, task.known(job), fitted, model, 0.0)
    return fits
