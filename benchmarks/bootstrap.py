"""Is a difference more than chance? A paired bootstrap over stores.

A figure is a ratio of two sums over stores, so a draw of stores is a vector of counts and all
draws together are one matrix product.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

DRAWS, SEED, LEVEL = 2000, 7, 95
METRICS = ("WAPE", "RMSE", "WAPE28")
BETTER, WORSE, EVEN = "better", "worse", "even"


@dataclass(frozen=True)
class Difference:
    """Ours minus the peer, so below 0 ours is better.

    Attributes:
        value: of all stores.
        low: lower bound of the 95 % interval.
        high: upper bound.
    """

    value: float
    low: float
    high: float

    @property
    def verdict(self) -> str:
        """Of ours: BETTER or WORSE where the interval leaves 0 out, otherwise EVEN."""
        if self.high < 0:
            return BETTER
        return WORSE if self.low > 0 else EVEN


def ratios(windows: pd.DataFrame, metric: str) -> tuple[np.ndarray, np.ndarray]:
    """Numerator and denominator of a metric by store, over all its windows together.

    Args:
        windows: errors of one method, see `scores.store_windows`.
        metric: of METRICS.

    Returns:
        Two (S,) arrays in the order of store_id; the metric is sum(first) / sum(second).
    """
    by_store = windows.groupby("store_id", sort=True)
    if metric == "RMSE":
        return by_store["rmse"].sum().to_numpy(), by_store.size().to_numpy(float)
    top, bottom = {
        "WAPE": ("absolute", "size"),
        "WAPE28": ("absolute_total", "size_total"),
    }[metric]
    return 100 * by_store[top].sum().to_numpy(), by_store[bottom].sum().to_numpy()


def draws(stores: int, n: int = DRAWS, seed: int = SEED) -> np.ndarray:
    """(n, stores) how often each store is in each draw of as many stores, with replacement."""
    shares = np.full(stores, 1 / stores)
    return np.random.default_rng(seed).multinomial(stores, shares, size=n).astype(float)


def difference(
    ours: np.ndarray, peer: np.ndarray, denominator: np.ndarray, counts: np.ndarray
) -> Difference:
    """Interval of the difference of two ratios that share their denominator.

    Args:
        ours: (S,) numerators.
        peer: (S,) numerators.
        denominator: (S,).
        counts: (n, S) of `draws`.

    >>> one = np.array([1.0, 2.0])
    >>> difference(one, one + 1, np.ones(2), draws(2)).verdict
    'better'
    """
    gap = ours - peer
    size = counts @ denominator
    sold = size > 0  # a draw of stores that all sold nothing has no figure
    tail = (100 - LEVEL) / 2
    low, high = np.percentile((counts @ gap)[sold] / size[sold], [tail, 100 - tail])
    return Difference(float(gap.sum() / denominator.sum()), float(low), float(high))


def compare(windows: pd.DataFrame, ours: str, n: int = DRAWS, seed: int = SEED) -> pd.DataFrame:
    """Every other method against ours.

    Args:
        windows: of `scores.store_windows`; every method has the same stores and origins.
        ours: the method to compare with.
        n: draws.
        seed: of the draws.

    Returns:
        A row per method and a column per metric, of `Difference`.
    """
    parts = dict(iter(windows.groupby("method", sort=False)))
    mine = parts.pop(ours)
    counts = draws(mine["store_id"].nunique(), n, seed)
    found = {}
    for metric in METRICS:
        top, bottom = ratios(mine, metric)
        found[metric] = {
            name: difference(top, ratios(part, metric)[0], bottom, counts)
            for name, part in parts.items()
        }
    return pd.DataFrame(found, index=list(parts), columns=list(METRICS))
