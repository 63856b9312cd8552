"""Days far beyond a store's usual ones: cut before anybody learns from them, and given back.

A learner that saw them as they are would follow single baskets; one that sees them cut alone is
too low by all that was cut. So targets are cut at CLIP (winsorised) and multiplied by what that
took from the store's volume: little noise, and the same mean.
"""

from __future__ import annotations

import numpy as np

from lifemiles_forecasting.core.partners import membership

CLIP = 6.0  # times the store's scale; a target beyond it would drag every store of the pool
SPAN = 364  # days that tell how much is beyond it
PRIOR_DAYS = 5.0  # cut days that what is known of more stores counts for
LEAST_NOISE = 0.1  # squared variation; below it stores count alike


def noise_weight(variation: np.ndarray) -> np.ndarray:
    """Weight of stores by their coefficient of variation: noisier ones count less."""
    return 1.0 / (LEAST_NOISE + variation**2)


def taught(y: np.ndarray, factor: np.ndarray) -> np.ndarray:
    """Target that learners see, in units of the scale: cut at CLIP, and what was cut given back.

    >>> taught(np.array([0.5, 50.0]), np.array(1.1))
    array([0.55, 6.6 ])
    """
    return np.minimum(y, CLIP) * factor


def tail_factor(y: np.ndarray, partner: np.ndarray) -> np.ndarray:
    """(S,) volume of each store's last SPAN days over what is left of it when days are cut at CLIP.

    How many days are cut is the store's own count. By how much is mostly luck where there are few:
    it is drawn to the mean of the partner's cut days, and that to all stores', by PRIOR_DAYS of
    them (stores weighted by `noise_weight`, as their rows are). 1 where no day is cut.

    Args:
        y: (S, D) sales in units of the store's scale; nan where nothing was seen.
        partner: (S,) integer code.
    """
    year = y[:, -SPAN:]
    seen, sold = np.isfinite(year), np.nan_to_num(year)
    days = seen.sum(axis=1)
    mean = _ratio(sold.sum(axis=1), days)
    variance = _ratio(np.where(seen, (sold - mean[:, None]) ** 2, 0.0).sum(axis=1), days)
    weight = noise_weight(np.sqrt(variance))
    left = np.minimum(sold, CLIP)
    count, beyond = (sold > CLIP).sum(axis=1), (sold - left).sum(axis=1)
    members = membership(partner)
    everyone = _ratio((weight * beyond).sum(), (weight * count).sum())
    theirs = _ratio(members.T @ (weight * beyond), members.T @ (weight * count))
    theirs = _drawn(theirs, members.T @ count, everyone)
    own = _drawn(_ratio(beyond, count), count, theirs[partner])
    return 1.0 + _ratio(count * own, left.sum(axis=1))


def _drawn(mean: np.ndarray, count: np.ndarray, prior: np.ndarray) -> np.ndarray:
    return (count * mean + PRIOR_DAYS * prior) / (count + PRIOR_DAYS)


def _ratio(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Quotient; 0 where nothing is divided by."""
    a, b = np.asarray(a, float), np.asarray(b, float)
    return np.divide(a, b, out=np.zeros_like(a), where=b > 0)
