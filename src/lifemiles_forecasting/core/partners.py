"""Sums over the stores of each partner, as products with a sparse matrix.

A dense one has a cell for every store and partner: with a partner of its own for each of 10,000
stores that is 0.8 GB.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from scipy.sparse import csc_array


def membership(partner: np.ndarray) -> csc_array:
    """(S, partners) 1 where a store belongs to a partner, else 0.

    Args:
        partner: (S,) integer code from 0 on.
    """
    return _membership(partner.astype(np.int64).tobytes())


@lru_cache(maxsize=8)  # features ask for the same one for every day of the history
def _membership(codes: bytes) -> csc_array:
    from scipy.sparse import csr_array

    partner = np.frombuffer(codes, np.int64)
    stores = np.arange(len(partner))
    shape = (int(partner.max(initial=-1)) + 1, len(partner))
    return csr_array((np.ones(len(partner)), (partner, stores)), shape=shape).T  # fast transposed
