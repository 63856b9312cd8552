"""Stores that have just fallen silent: whether they come back is learned from those that did.

A store that sold on most days and has sold nothing for two weeks is closed, for a while or for
good. Its own past cannot tell which, and learners are not taught by silent stores. The past of all
stores can: what share of their usual sales those made that had been silent for as long. The more of
them there were, the more that share counts against the blend.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lifemiles_forecasting.core.base import fit_base
from lifemiles_forecasting.core.closures import CLOSURE_ACTIVITY, CLOSURE_DAYS
from lifemiles_forecasting.core.features import MIN_HISTORY, mean_seen
from lifemiles_forecasting.core.series import Series

USUAL_DAYS = 91  # days before the silence that say what was usual
STEP = 7  # days between the past origins that are learned from
LENGTHS = (CLOSURE_DAYS, 2 * CLOSURE_DAYS)  # days of silence from which a class begins
SHRINK_STORES = 5.0  # weight of the blend, in past silences
CAP = 2.0  # times the usual: one store that comes back louder says little of the others


def silence_class(y: np.ndarray) -> np.ndarray:
    """(S,) index into LENGTHS by how long a store of (S, D) has been silent; -1 for all others.

    Silent is a store without a sale in the last CLOSURE_DAYS days that sold on most days before.
    """
    kind = np.full(len(y), -1)
    for index, days in enumerate(LENGTHS):
        if y.shape[1] <= days + MIN_HISTORY:
            break
        before, since = y[:, :-days][:, -USUAL_DAYS:], y[:, -days:]
        seen = np.isfinite(before).sum(axis=1)
        active = (before > 0).sum(axis=1) >= CLOSURE_ACTIVITY * seen
        kind[(since == 0).all(axis=1) & active & (seen >= MIN_HISTORY)] = index
    return kind


def _usual(y: np.ndarray, kind: int) -> np.ndarray:
    """(S,) mean per day before the silence of a class, target units."""
    return mean_seen(y[:, : -LENGTHS[kind]][:, -USUAL_DAYS:], 1)


def returning_shares(y: np.ndarray, horizon: int) -> tuple[np.ndarray, np.ndarray]:
    """What silent stores sold afterwards, by class and day ahead.

    Args:
        y: (S, D) history; only windows that lie in it are learned from.
        horizon: days ahead.

    Returns:
        (classes, horizon) mean share of the usual sales, the same for all days of a week, and
        (classes,) past silences behind it; a store counts once for every origin.
    """
    total, count = np.zeros((len(LENGTHS), horizon)), np.zeros(len(LENGTHS))
    for origin in range(y.shape[1] - 1 - horizon, MIN_HISTORY, -STEP):
        past = y[:, max(0, origin + 1 - USUAL_DAYS - LENGTHS[-1]) : origin + 1]
        kinds = silence_class(past)
        for kind in range(len(LENGTHS)):
            rows = np.flatnonzero(kinds == kind)
            after = y[rows, origin + 1 : origin + 1 + horizon] / _usual(past[rows], kind)[:, None]
            total[kind] += np.minimum(after, CAP).sum(axis=0)
            count[kind] += len(rows)
    week = np.arange(horizon) // 7
    weekly = np.stack([np.bincount(week, row) / np.bincount(week) for row in total])
    return weekly[:, week] / np.maximum(count, 1)[:, None], count


@dataclass(frozen=True)
class Silence:
    """What is expected of silent stores.

    Attributes:
        values: (S, H) share of the usual sales, target units; 0 for stores that are not silent.
        trust: (S,) how much it counts against the blend, 0 for stores that are not silent.
    """

    values: np.ndarray
    trust: np.ndarray

    @classmethod
    def of(cls, history: Series, horizon: int) -> Silence:
        """Find the silent stores at the last day of `history` and learn from those before."""
        y, kinds = history.y, silence_class(history.y)
        values, trust = np.zeros((len(y), horizon)), np.zeros(len(y))
        if (kinds >= 0).any():
            base, (shares, count) = fit_base(history, horizon), returning_shares(y, horizon)
            for kind in range(len(LENGTHS)):
                rows = kinds == kind
                usual = _usual(y[rows], kind)[:, None] * base.profile[rows][:, base.ahead]
                values[rows] = np.maximum(shares[kind] * usual, 0.0)
                trust[rows] = count[kind] / (count[kind] + SHRINK_STORES)
        return cls(values, trust)

    def apply(self, forecast: np.ndarray) -> np.ndarray:
        """(S, H) forecast, drawn towards what silent stores are expected to sell."""
        return mixed(forecast, self.values, self.trust[:, None])


def mixed(forecast: np.ndarray, values: np.ndarray, trust: np.ndarray | float) -> np.ndarray:
    """Weighted mean of a forecast and what is expected in silence; the forecast at trust 0."""
    return np.where(trust > 0, (1 - trust) * forecast + trust * values, forecast)
