"""Nested configuration as the flat names that a run's parameters have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested groups as dotted names, the way kedro-mlflow writes them.

    >>> flatten({"modeling": {"n_windows": 3}, "seed": 7})
    {'modeling.n_windows': 3, 'seed': 7}
    """
    flat: dict[str, Any] = {}
    for key, value in values.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            flat.update(flatten(value, f"{name}."))
        else:
            flat[name] = value
    return flat
