"""Plain mappings as MLflow's entities, within MLflow's limits."""

from __future__ import annotations

import hashlib
import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from mlflow.entities import Metric, Param, RunTag
from mlflow.utils.time import get_current_time_millis
from mlflow.utils.validation import (
    MAX_ENTITY_KEY_LENGTH,
    MAX_PARAM_VAL_LENGTH,
    MAX_TAG_VAL_LENGTH,
    path_not_unique,
)

from lifemiles_forecasting.core.errors import ConfigError

NONFINITE_TAG = "nonfinite_metrics"
_NOT_IN_KEYS = re.compile(r"[^/\w.\- :]")
_DIGEST = 8  # hex digits by which keys that begin alike still differ


def params_of(values: Mapping[str, Any]) -> list[Param]:
    """Parameters with values as text, cut at MLflow's limit.

    Raises:
        ConfigError: two of them have the same key to MLflow, which refuses to hold two values.
    """
    named: dict[str, str] = {}
    for name in values:
        if (other := named.setdefault(clean_key(name), name)) != name:
            raise ConfigError(
                f"the names {other!r} and {name!r}, which are one to MLflow",
                "names that differ by letters or digits",
                "Rename one of them",
            )
    return [Param(key, str(values[name])[:MAX_PARAM_VAL_LENGTH]) for key, name in named.items()]


def tags_of(values: Mapping[str, Any]) -> list[RunTag]:
    """Tags with values as text, cut at MLflow's limit."""
    keys = keys_of(values)
    return [RunTag(keys[name], str(v)[:MAX_TAG_VAL_LENGTH]) for name, v in values.items()]


def metrics_of(values: Mapping[str, float | None]) -> tuple[list[Metric], dict[str, str]]:
    """Metrics that can be stored, and a tag that names those that cannot.

    MLflow stores infinity as 1.8e308 and refuses a missing value, so neither is a number to show.

    Returns:
        The finite metrics, and `{"nonfinite_metrics": "a, b"}` or nothing.
    """
    now = get_current_time_millis()
    keys, finite, dropped = keys_of(values), [], []
    for name, value in values.items():
        if value is not None and math.isfinite(value):
            finite.append(Metric(keys[name], float(value), now, 0))
        else:
            dropped.append(name)
    return finite, ({NONFINITE_TAG: ", ".join(dropped)} if dropped else {})


def keys_of(names: Iterable[str]) -> dict[str, str]:
    """A key for every name; those that would have the same get a digest of their names.

    >>> keys_of(["a", "b (+)", "b (*)"])
    {'a': 'a', 'b (+)': 'b ____0581798a', 'b (*)': 'b ____1107b89a'}
    """
    keys = {name: clean_key(name) for name in names}
    shared = Counter(keys.values())
    return {name: _with_digest(key, name) if shared[key] > 1 else key for name, key in keys.items()}


def clean_key(name: str) -> str:
    """A key that MLflow accepts: names of countries, tiers and the like can be any text.

    Other symbols become underscores, and so do slashes where the key is no plain path. What is too
    long is cut, with a digest of the whole at its end.

    >>> clean_key("countries.EE.UU./"), clean_key("MUY BUENO (+)"), clean_key("../a")
    ('countries.EE.UU._', 'MUY BUENO ___', '_.._a')
    """
    key = _NOT_IN_KEYS.sub("_", name)
    if path_not_unique(key):
        key = key.replace("/", "_")
    if path_not_unique(key):  # empty, or it begins as a way out of a folder does
        key = f"_{key}"
    return key if len(key) <= MAX_ENTITY_KEY_LENGTH else _with_digest(key, name)


def _with_digest(key: str, name: str) -> str:
    digest = hashlib.sha256(name.encode()).hexdigest()[:_DIGEST]
    return f"{key[: MAX_ENTITY_KEY_LENGTH - _DIGEST - 1]}_{digest}"
