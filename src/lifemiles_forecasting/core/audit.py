"""The leak audit of a run's own data: what was audited, and whether any of it saw the future.

Models are kept small: the path through the code is that of a run, and a leak shows in the first
boosting round as it does in the last.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

import numpy as np
import pandas as pd
from pydantic import BaseModel

from lifemiles_forecasting.core import columns as c
from lifemiles_forecasting.core import leakage, parallel
from lifemiles_forecasting.core.config import AuditSettings, ModelSettings
from lifemiles_forecasting.core.errors import LeakError
from lifemiles_forecasting.core.features import MIN_HISTORY
from lifemiles_forecasting.core.intervals import NAMES
from lifemiles_forecasting.core.series import Series
from lifemiles_forecasting.core.study import prepare
from lifemiles_forecasting.core.synthetic import with_values

FEATURE, CANDIDATE, CHOICE, INTERVAL = "feature", "candidate", "choice", "interval"
KINDS = (FEATURE, CANDIDATE, CHOICE, INTERVAL)
# what the builds of `core.leakage` give beside features and candidates
_CHOICES = ("scale", "tail", "usable", "weights", "sizes", "closed days", "dust floor")
# Kinds of stores, dealt out in turn: `late` ones open after the first origin, `crossing` ones have
# enough active days for models of their own only thanks to what comes after it.
_STORE_KINDS = ("regular", "intermittent", "crossing", "late", "short", "dormant")
_NAMED = 12  # leaks named in the error; the table has all of them


@dataclass(frozen=True)
class AuditPlan:
    """What is audited, and with which rules of the run.

    Attributes:
        settings: stores, origins and size of the models.
        modeling: of the run.
        horizon: days ahead.
        min_samples: active days that a store needs for models of its own.
        seed: of the sample and of every learner.
        events: planned events, the columns of `columns.EVENTS`; they are known ahead, and stay as
            they are in every other future.
    """

    settings: AuditSettings
    modeling: ModelSettings
    horizon: int
    min_samples: int
    seed: int
    events: pd.DataFrame | None = None

    def origins(self, series: Series) -> list[int]:
        """Columns of the last windows' origins, oldest first."""
        last = len(series.dates) - 1
        ahead = [last - self.horizon * k for k in range(self.settings.origins, 0, -1)]
        return [origin for origin in ahead if origin >= MIN_HISTORY - 1]

    def models(self) -> ModelSettings:
        """The run's own candidates with few boosting rounds, in one process."""
        small = lighter(self.modeling, self.settings.max_iterations)
        windows = max(2, self.settings.origins)
        here = {"workers": 1, "scheduler": None, "store_seconds": None}
        return small.model_copy(update={"n_windows": windows, **here})


def lighter(settings: Any, max_iterations: int) -> Any:
    """The same settings with no more than so many `iterations`, wherever they stand."""
    if isinstance(settings, BaseModel):
        names = type(settings).model_fields
        changed = {name: lighter(getattr(settings, name), max_iterations) for name in names}
        if "iterations" in changed:
            changed["iterations"] = min(changed["iterations"], max_iterations)
        return settings.model_copy(update=changed)
    if isinstance(settings, dict):
        return {key: lighter(value, max_iterations) for key, value in settings.items()}
    return settings


def sample_stores(series: Series, plan: AuditPlan) -> tuple[Series, str]:
    """Draw stores of every kind, as many of each as there is room for.

    Args:
        series: all stores.
        plan: how many, and by which rules; the same plan draws the same stores.

    Returns:
        The stores, and how many of each kind they are, in words.
    """
    kinds = _store_kinds(series, plan)
    rng = np.random.default_rng(plan.seed)
    queues = [rng.permutation(np.flatnonzero(kinds == kind)).tolist() for kind in _STORE_KINDS]
    dealt = [row for turn in zip_longest(*queues) for row in turn if row is not None]
    rows = np.sort(np.array(dealt[: plan.settings.stores], dtype=int))
    counts = {kind: int((kinds[rows] == kind).sum()) for kind in _STORE_KINDS}
    return series.take(rows), ", ".join(f"{n} {kind}" for kind, n in counts.items() if n)


def _store_kinds(series: Series, plan: AuditPlan) -> np.ndarray:
    """(S,) each store's kind, seen from the first origin."""
    origins = plan.origins(series)
    known = series.y[:, : origins[0] + 1] if origins else series.y
    active, enough = [
        (np.nan_to_num(y) != 0).sum(axis=1) >= plan.min_samples for y in (known, series.y)
    ]
    kinds = series.stores[c.STORE_CLASS].to_numpy(object).copy()
    kinds[enough & ~active] = "crossing"
    kinds[~np.isfinite(known).any(axis=1)] = "late"
    return kinds


def audit(series: Series, plan: AuditPlan) -> pd.DataFrame:
    """Compute everything with the real future and with others, and compare bit by bit.

    Args:
        series: the stores to audit.
        plan: origins and rules.

    Returns:
        A row for everything that was compared: `kind` (feature, candidate, choice, interval),
        `name`, `origin`, `values` (how many were there to compare), `futures` (how many others were
        tried), `changed` and `changed_by` (the futures that did it).

    Raises:
        InputError: the data are too few for a backtest.
    """
    # the store table as the other futures have it: counted from the values
    series = with_values(series, series.y)
    prepare(series, plan.horizon, plan.min_samples, None)
    origins = plan.origins(series)
    futures = {
        (origin, name): future
        for origin in origins
        for name, future in (("", series), *leakage.other_futures(series, origin))
    }
    tasks = [(plan, future, origin) for (origin, _), future in futures.items()]
    built = dict(
        zip(futures, parallel.run(_build, tasks, plan.modeling.workers, "futures"), strict=True)
    )
    return _compared(series, origins, built)


def _compared(
    series: Series, origins: list[int], built: dict[tuple[int, str], dict]
) -> pd.DataFrame:
    """What was built with the real future (of no name) against what was built with the others."""
    rows = []
    for origin in origins:
        seen = {name: made for (at, name), made in built.items() if at == origin and name}
        for (kind, name), by in leakage.changes(built[origin, ""], seen).items():
            values = _values(built[origin, ""].get((kind, name)))
            day = str(series.dates[origin])
            rows.append((kind, name, day, values, len(seen), bool(by), " ".join(by)))
    table = pd.DataFrame(rows, columns=list(c.LEAK_AUDIT))
    order = table["kind"].map(KINDS.index)
    return (
        table.assign(order=order)
        .sort_values(["order", c.ORIGIN], kind="stable")[list(c.LEAK_AUDIT)]
        .reset_index(drop=True)
    )


def _build(plan: AuditPlan, series: Series, origin: int) -> dict[tuple[str, str], np.ndarray]:
    """Everything that is computed for an origin, by kind and name."""
    settings, events = plan.models(), plan.events
    features = leakage.features(plan.horizon, events, settings.holidays)
    models = leakage.forecasts(plan.horizon, settings, plan.min_samples, plan.seed, events)
    named: dict[tuple[str, str], np.ndarray] = {}
    for usual, build in ((FEATURE, features), (CANDIDATE, models)):
        for name, values in build(series, origin).items():
            kind = CHOICE if name in _CHOICES else INTERVAL if name in NAMES else usual
            named.setdefault((CANDIDATE if name == "base" else kind, name), values)
    return named


def _values(known: np.ndarray | None) -> int:
    """How much an array holds; a candidate that had nothing to say has nothing but nan."""
    if known is None:
        return 0
    return int(np.isfinite(known).sum()) if known.dtype.kind == "f" else known.size


def empty(table: pd.DataFrame) -> list[str]:
    """Names that were there at some origin, but never with a value to compare."""
    most = table.groupby(["kind", "name"], sort=False)["values"].max()
    return [f"{kind} {name!r}" for kind, name in most[most == 0].index]


def summary(table: pd.DataFrame) -> str:
    """What an audit covered, in words: an empty list of leaks could also mean that it did nothing.

    Args:
        table: what `audit` gave, or the same read back.
    """
    counts = table[table["values"] > 0].groupby("kind")["name"].nunique().to_dict()
    parts = [f"{counts[k]} {k}{'s' if counts[k] > 1 else ''}" for k in KINDS if k in counts]
    origins = sorted(table[c.ORIGIN].astype(str).unique())
    return (
        f"{', '.join(parts)} at {len(origins)} origin{'s' if len(origins) > 1 else ''} "
        f"({', '.join(origins)}) "
        f"under {table['futures'].max()} futures"
    )


def refuse_leaks(table: pd.DataFrame, place: str) -> None:
    """Stop where anything changed.

    Args:
        table: what `audit` gave, or the same read back.
        place: the file that it is in.

    Raises:
        LeakError: names what leaks.
    """
    leaks = table[table["changed"].astype(bool)].drop_duplicates(["kind", "name"])
    if leaks.empty:
        return
    # a leaky feature spoils all that is made of it: what comes first is the cause
    names = [f"{row.kind} {row.name!r}" for row in leaks.head(_NAMED).itertuples(index=False)]
    more = f" and {len(leaks) - _NAMED} more" if len(leaks) > _NAMED else ""
    raise LeakError(
        f"{len(leaks)} of {len(table.drop_duplicates(['kind', 'name']))} audited things that "
        f"change with the days after their origin: {', '.join(names)}{more}",
        "none: nothing computed for an origin may read a row dated after it",
        f"Features come first, and spoil what is made of them; the whole list is in {place}",
    )
