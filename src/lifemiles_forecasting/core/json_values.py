"""Values as JSON knows them: it has no word for a number that is none."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any


def without_nan(value: Any) -> Any:
    """The same with None for nan, in mappings and lists of any depth.

    >>> without_nan({"wape": float("nan"), "by": [1.5, "x"]})
    {'wape': None, 'by': [1.5, 'x']}
    """
    if isinstance(value, Mapping):
        return {key: without_nan(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [without_nan(item) for item in value]
    return None if isinstance(value, float) and math.isnan(value) else value
