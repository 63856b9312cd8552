"""Which stores a run trained, which it took as an earlier run had left them, and why."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from lifemiles_forecasting.core import columns as c
from lifemiles_forecasting.core.fitting import LOCAL, Fits
from lifemiles_forecasting.core.reuse import digest
from lifemiles_forecasting.core.study import Study

RECORD = digest("what the last run knew of each store")  # where the store of fits has it
TRAINED, REUSED = "trained", "reused"
UNCHANGED = "nothing changed"
ASKED = "asked"  # by resume=false
NEW = "new store"
UNFINISHED = "not finished before"
OTHER_SIZE = "another size was chosen"  # by the backtest, which all stores share
LOST = "no longer kept"  # another run removed it, or its file is damaged
# what a store's models depend on, and what a change of it is called; the first that applies decides
CHANGES = {
    "inputs": "inputs changed",
    "others": "other stores changed",
    "settings": "settings changed",
    "software": "software changed",
}
# settings that no fit depends on
NOT_OF_A_FIT = {
    "workers",
    "scheduler",
    "store_seconds",
    "pooled_seconds",
    "max_failed_share",
    "combine",
}
SIZES = "sizes"  # that were chosen when the store was finished; empty until then


@dataclass(frozen=True)
class Ledger:
    """What was known of each store before this run, and what is now.

    Attributes:
        before: by store id: a digest for each of CHANGES, and SIZES.
        now: the same.
    """

    before: Mapping[str, Mapping[str, str]]
    now: Mapping[str, Mapping[str, str]]

    @classmethod
    def open(cls, study: Study) -> Ledger:
        """Read what the last run knew, and put down what this one starts from.

        So a run that is killed leaves behind which stores it had not finished.
        """
        blob = study.fits.get(RECORD) if study.fits is not None else None
        before = {} if blob is None else json.loads(blob)
        now = {
            store: known | {SIZES: before[store][SIZES] if _same(before.get(store), known) else ""}
            for store, known in _known(study).items()
        }
        ledger = cls(before, now)
        ledger._put(study, now)
        return ledger

    def close(self, study: Study, fits: Fits, sizes: Mapping[str, str]) -> pd.DataFrame:
        """Put down what is finished, and forget fits that this run had no use for.

        Args:
            study: what was modelled.
            fits: of all stages.
            sizes: the chosen size of each learner.

        Returns:
            The columns of `columns.TRAINING`, a row for every attempted store.
        """
        chosen = json.dumps({name: size for name, size in sizes.items() if name in LOCAL})
        failed = {failure.store_id for failure in fits.failures}
        finished = {
            store: {**known, SIZES: "" if store in failed else chosen}
            for store, known in self.now.items()
        }
        self._put(study, finished)
        if study.fits is not None:
            study.fits.keep_only(fits.work.keys | {RECORD})
        trained = fits.work.stores
        if not _own_models(study):  # a store is then as new as the models of all stores
            trained = set(np.flatnonzero(study.attempted)) if fits.work.fitted else set()
        rows = [
            (id_, TRAINED, self._why(study, id_, chosen))
            if row in trained
            else (id_, REUSED, UNCHANGED)
            for row, id_ in enumerate(study.series.store_ids)
            if study.attempted[row]
        ]
        return pd.DataFrame(rows, columns=list(c.TRAINING))

    def _why(self, study: Study, store: str, chosen: str) -> str:
        """Why a store was trained."""
        before, now = self.before.get(store), self.now[store]
        if not study.resume:
            return ASKED
        if before is None:
            return NEW
        for name, reason in CHANGES.items():
            if before[name] != now[name]:
                return reason
        if not before[SIZES]:
            return UNFINISHED
        return OTHER_SIZE if before[SIZES] != chosen else LOST

    def _put(self, study: Study, known: Mapping[str, Mapping[str, str]]) -> None:
        """Keep what is known of these stores, beside what was of others."""
        if study.fits is not None:
            study.fits.put(RECORD, json.dumps({**self.before, **known}).encode())


def _same(before: Mapping[str, str] | None, now: Mapping[str, str]) -> bool:
    return before is not None and all(before[name] == now[name] for name in CHANGES)


def _own_models(study: Study) -> bool:
    return bool(set(LOCAL) & set(study.settings.candidates))


def _known(study: Study) -> dict[str, dict[str, str]]:
    """A digest for each of CHANGES, by attempted store."""
    series, calendar, rows = study.series, study.calendar, study.rows
    # `base` borrows from the partner's stores
    group = series.partner if _own_models(study) else np.zeros(len(series.y), int)
    others = {one: digest(series.y[group == one]) for one in set(group[study.attempted])}
    settings = study.settings.model_dump(exclude=NOT_OF_A_FIT)
    asked = digest(settings, study.seed, study.horizon, study.kept is not None)
    days = digest(series.dates)
    holidays = [digest(place) for place in calendar.features]
    planned = calendar.events
    events = [] if planned is None else [digest(values, planned.names) for values in planned.values]
    known = {}
    for store in np.flatnonzero(study.attempted):
        due = rows.due[rows.bounds[store] : rows.bounds[store + 1]]
        ahead = [holidays[calendar.place[store]]]
        ahead += [events[planned.group[store]]] if planned is not None else []
        known[series.store_ids[store]] = {
            "inputs": digest(series.y[store], days, due, ahead),
            "others": others[group[store]],
            "settings": asked,
            "software": "" if study.fits is None else study.fits.software,
        }
    return known


def summary(training: pd.DataFrame, fits: Fits) -> str:
    """The ledger in words."""
    trained = training[training["outcome"] == TRAINED]
    reasons = Counter(trained["why"]).most_common()
    why = f" ({', '.join(f'{reason}: {count:,}' for reason, count in reasons)})" if reasons else ""
    work = fits.work
    return (
        f"Stores: {len(trained):,} trained{why}, {len(training) - len(trained):,} as they were. "
        f"Fits over all stores: {len(work.fitted)} made, {len(work.reused)} as they were"
    )


def counts(training: pd.DataFrame) -> dict[str, float]:
    """The ledger as metrics of the run: `stores_trained`, `stores_reused`."""
    return {
        f"stores_{outcome}": float((training["outcome"] == outcome).sum())
        for outcome in (TRAINED, REUSED)
    }
