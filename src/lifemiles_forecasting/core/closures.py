"""Long closures: days without sales that say nothing of what an open store sells."""

from __future__ import annotations

import numpy as np

CLOSURE_DAYS = 14  # a run of zeros so long that has ended is a closure, not demand
CLOSURE_ACTIVITY = 0.5  # ... in a store that otherwise sells on at least this share of days


def mask_closures(y: np.ndarray) -> np.ndarray:
    """Copy of `y` with long runs of zeros that ended before the last day set to nan.

    Args:
        y: (S, D) target; nan before a store's first day.
    """
    zero = y == 0
    position = np.arange(y.shape[1])
    last_sale = np.maximum.accumulate(np.where(zero, -1, position), axis=1)
    next_sale = np.minimum.accumulate(np.where(zero, y.shape[1], position)[:, ::-1], axis=1)[
        :, ::-1
    ]
    run = zero & (next_sale - last_sale - 1 >= CLOSURE_DAYS) & (next_sale < y.shape[1])
    open_days = np.isfinite(y) & ~run
    active = (open_days & ~zero).sum(1) >= CLOSURE_ACTIVITY * np.maximum(open_days.sum(1), 1)
    return np.where(run & active[:, None], np.nan, y)
