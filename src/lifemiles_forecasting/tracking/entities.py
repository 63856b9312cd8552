"""Plain mappings as MLflow's entities, within MLflow's limits."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from mlflow.entities import Metric, Param, RunTag
from mlflow.utils.time import get_current_time_millis
from mlflow.utils.validation import MAX_PARAM_VAL_LENGTH, MAX_TAG_VAL_LENGTH

NONFINITE_TAG = "nonfinite_metrics"
_NOT_IN_KEYS = re.compile(r"[^/\w.\- :]")


def params_of(values: Mapping[str, Any]) -> list[Param]:
    """Parameters with values as text, cut at MLflow's limit."""
    return [Param(clean_key(k), str(v)[:MAX_PARAM_VAL_LENGTH]) for k, v in values.items()]


def tags_of(values: Mapping[str, Any]) -> list[RunTag]:
    """Tags with values as text, cut at MLflow's limit."""
    return [RunTag(clean_key(k), str(v)[:MAX_TAG_VAL_LENGTH]) for k, v in values.items()]


def metrics_of(values: Mapping[str, float | None]) -> tuple[list[Metric], dict[str, str]]:
    """Metrics that can be stored, and a tag that names those that cannot.

    MLflow stores infinity as 1.8e308 and refuses a missing value, so neither is a number to show.

    Returns:
        The finite metrics, and `{"nonfinite_metrics": "a, b"}` or nothing.
    """
    now = get_current_time_millis()
    finite, dropped = [], []
    for name, value in values.items():
        if value is not None and math.isfinite(value):
            finite.append(Metric(clean_key(name), float(value), now, 0))
        else:
            dropped.append(name)
    return finite, ({NONFINITE_TAG: ", ".join(dropped)} if dropped else {})


def clean_key(name: str) -> str:
    """A key that MLflow accepts; every other symbol becomes an underscore, as kedro-mlflow does."""
    return _NOT_IN_KEYS.sub("_", name)
