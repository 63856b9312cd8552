"""Two runs side by side: which one is better, and in which stores."""

from __future__ import annotations

import math
import re
import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Row = dict[str, Any]

SAME = 0.0005  # what three decimals do not tell apart
BETTER, WORSE, UNCHANGED, UNMEASURED = "better", "worse", "same", "not measured"
ONLY_A, ONLY_B = "only in a", "only in b"

_LOWER = {"mae", "rmse", "smape", "wape", "wape_28d", "mase"}
_HIGHER = {
    "r2",
    "success_rate",
    "skill_vs_naive",
    "r2_target_achieved",
    "smape_target_achieved",
    "coverage_ok",
}
_STATISTIC = re.compile(r"^(avg|median|best|train|test)_")
_COVERAGE = re.compile(r"^coverage_(80|95)($|_open$|_week_|_class_)")
# first in a table, for these sum a run up; the others follow by name
_HEADLINES = ("wape", "bias", "avg_r2", "avg_smape", "mase", "rmse", "success_rate", "coverage_80")


@dataclass(frozen=True)
class StoreScore:
    """How a run did in one store.

    Attributes:
        wape: of the test window, percent; nothing for a store whose models failed.
        r2: of the test window.
        quality: tier.
    """

    wape: float | None
    r2: float | None
    quality: str | None


def loss(metric: str, value: float) -> float | None:
    """A number of which less is better; nothing for a metric without a better end.

    Args:
        metric: name of a run's or a store's metric.
        value: in the metric's own unit; coverage and bias in percent.

    >>> loss("avg_r2", 0.4), loss("bias", -3.0), loss("coverage_80", 77.5), loss("std_r2", 0.1)
    (-0.4, 3.0, 2.5, None)
    """
    name = _STATISTIC.sub("", metric)
    if name in _LOWER:
        return value
    if name in _HIGHER:
        return -value
    if name == "bias":
        return abs(value)
    coverage = _COVERAGE.match(name)
    return abs(value - float(coverage[1])) if coverage else None


def compare_metrics(a: Mapping[str, float], b: Mapping[str, float]) -> list[Row]:
    """Metrics of two runs.

    Returns:
        Rows of `metric, a, b, difference` (b - a) and `better`: `a`, `b`, `same`, or nothing
        where a run lacks the metric or neither end of it is better.

    >>> compare_metrics({"wape": 70.0}, {"wape": 68.0})
    [{'metric': 'wape', 'a': 70.0, 'b': 68.0, 'difference': -2.0, 'better': 'b'}]
    """
    names = sorted({*a, *b}, key=lambda name: (_rank(name), name))
    return [
        {
            "metric": name,
            "a": a.get(name),
            "b": b.get(name),
            "difference": _difference(a.get(name), b.get(name)),
            "better": _better(name, a.get(name), b.get(name)),
        }
        for name in names
    ]


def compare_parameters(a: Mapping[str, str], b: Mapping[str, str]) -> list[Row]:
    """Rows of `parameter, a, b` for the parameters that differ; one that is not there is nothing.

    kedro-mlflow logs the inputs of nodes a second time, as `parameters.<name>`. They are left out.

    >>> compare_parameters({"seed": "1", "horizon": "7"}, {"seed": "2", "horizon": "7"})
    [{'parameter': 'seed', 'a': '1', 'b': '2'}]
    """
    return [
        {"parameter": name, "a": a.get(name), "b": b.get(name)}
        for name in sorted({*a, *b})
        if a.get(name) != b.get(name)
    ]


def compare_stores(a: Mapping[str, StoreScore], b: Mapping[str, StoreScore]) -> list[Row]:
    """Every store of either run, by its WAPE in the test window.

    Returns:
        Rows of `store_id, change, test_wape_a, test_wape_b, difference` (b - a, percentage
        points; below 0 is better), `test_r2_a, test_r2_b, quality_a, quality_b`. What b changed
        most comes first, the other ones by id.
    """
    rows = [_store_row(store_id, a.get(store_id), b.get(store_id)) for store_id in {*a, *b}]
    return sorted(rows, key=lambda row: (-abs(row["difference"] or 0.0), row["store_id"]))


def count_changes(stores: list[Row]) -> Row:
    """How many stores changed in which way, and the median difference of those in both.

    Args:
        stores: all rows of `compare_stores`.

    Returns:
        `stores, better, worse, same, not_measured, only_in_a, only_in_b, median_difference`
        (percentage points of WAPE).
    """
    changes = (BETTER, WORSE, UNCHANGED, UNMEASURED, ONLY_A, ONLY_B)
    count = dict.fromkeys(changes, 0)
    for row in stores:
        count[row["change"]] += 1
    differences = [row["difference"] for row in stores if row["difference"] is not None]
    return {
        "stores": len(stores),
        **{change.replace(" ", "_"): number for change, number in count.items()},
        "median_difference": statistics.median(differences) if differences else None,
    }


def ends(stores: list[Row], top: int) -> list[Row]:
    """The first `top` stores of each kind of change but `same`: better ones first.

    Args:
        stores: all rows of `compare_stores`.
        top: rows per kind.
    """
    shown = (BETTER, WORSE, UNMEASURED, ONLY_A, ONLY_B)
    return [row for kind in shown for row in [row for row in stores if row["change"] == kind][:top]]


def _rank(metric: str) -> int:
    return _HEADLINES.index(metric) if metric in _HEADLINES else len(_HEADLINES)


def _difference(a: float | None, b: float | None) -> float | None:
    return None if a is None or b is None else b - a


def _better(metric: str, a: float | None, b: float | None) -> str | None:
    if a is None or b is None:
        return None
    of_a, of_b = loss(metric, a), loss(metric, b)
    if of_a is None or of_b is None:
        return None
    if math.isclose(of_a, of_b, rel_tol=0, abs_tol=SAME):
        return "same"
    return "a" if of_a < of_b else "b"


def _store_row(store_id: str, a: StoreScore | None, b: StoreScore | None) -> Row:
    difference = _difference(a.wape if a else None, b.wape if b else None)
    return {
        "store_id": store_id,
        "change": _change(a, b, difference),
        "test_wape_a": a.wape if a else None,
        "test_wape_b": b.wape if b else None,
        "difference": difference,
        "test_r2_a": a.r2 if a else None,
        "test_r2_b": b.r2 if b else None,
        "quality_a": a.quality if a else None,
        "quality_b": b.quality if b else None,
    }


def _change(a: StoreScore | None, b: StoreScore | None, difference: float | None) -> str:
    if a is None or b is None:
        return ONLY_B if a is None else ONLY_A
    if difference is None:
        return UNMEASURED
    if abs(difference) <= SAME:
        return UNCHANGED
    return BETTER if difference < 0 else WORSE
