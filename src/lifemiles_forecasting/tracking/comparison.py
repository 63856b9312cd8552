"""Two training runs beside each other, with the stores of both."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lifemiles_forecasting.core.comparison import (
    StoreScore,
    compare_metrics,
    compare_parameters,
    compare_stores,
    count_changes,
    ends,
)
from lifemiles_forecasting.tracking.pages import read_all
from lifemiles_forecasting.tracking.queries import training_row
from lifemiles_forecasting.tracking.store_runs import children_filter

if TYPE_CHECKING:
    from mlflow.entities import Run
    from mlflow.tracking import MlflowClient

Row = dict[str, Any]

# what two runs must have in common for their figures to mean the same
_PARAMETERS, _TAGS = ("target", "horizon"), ("data_fingerprint", "test_window")


def compare(
    client: MlflowClient, a: Run, b: Run, top: int
) -> tuple[dict[str, list[Row]], list[str]]:
    """Put two training runs side by side.

    Args:
        client: of the tracking store.
        a: the run that is there.
        b: the run that is held against it.
        top: stores shown per kind of change.

    Returns:
        Rows by name of the table: `runs`, `store_changes`, `metrics`, `differing_parameters` and
        `stores` (see `core.comparison`); and remarks on what makes the runs hard to compare.
    """
    scores = {name: _scores(client, run) for name, run in {"a": a, "b": b}.items()}
    stores = compare_stores(scores["a"], scores["b"])
    tables = {
        "runs": [_run_row("a", a), _run_row("b", b)],
        "store_changes": [count_changes(stores)],
        "metrics": compare_metrics(a.data.metrics, b.data.metrics),
        "differing_parameters": compare_parameters(a.data.params, b.data.params),
        "stores": ends(stores, top),
    }
    return tables, [*_unlike(a, b), *_unlike_stores(scores)]


def _scores(client: MlflowClient, parent: Run) -> dict[str, StoreScore]:
    """A training run's stores by id."""
    experiments, condition = [parent.info.experiment_id], children_filter(parent.info.run_id)
    return dict(read_all(client, experiments, condition, keep=_score))


def _score(run: Run) -> tuple[str, StoreScore]:
    metrics, tags = run.data.metrics, run.data.tags
    score = StoreScore(metrics.get("test_wape"), metrics.get("test_r2"), tags.get("model_quality"))
    return tags.get("store_id", run.info.run_name), score


def _run_row(name: str, run: Run) -> Row:
    return {"run": name, **training_row(run), **_conditions(run)}


def _conditions(run: Run) -> dict[str, str | None]:
    params, tags = run.data.params, run.data.tags
    return {name: params.get(name) for name in _PARAMETERS} | {
        name: tags.get(name) for name in _TAGS
    }


def _unlike(a: Run, b: Run) -> list[str]:
    remarks = [
        f"Run {name} is {run.info.status}: its figures may be incomplete"
        for name, run in {"a": a, "b": b}.items()
        if run.info.status != "FINISHED"
    ]
    of_a, of_b = _conditions(a), _conditions(b)
    differing = [
        f"{name.replace('_', ' ')} ({of_a[name]:.24} and {of_b[name]:.24})"  # not all of a hash
        for name in of_a
        # a run of an earlier version lacks some, which tells nothing
        if of_a[name] is not None and of_b[name] is not None and of_a[name] != of_b[name]
    ]
    if differing:
        remarks.append(f"The runs are not comparable: they differ in {', '.join(differing)}")
    return remarks


def _unlike_stores(scores: Mapping[str, Mapping[str, StoreScore]]) -> list[str]:
    remarks = [f"Run {name} has no stores" for name, stores in scores.items() if not stores]
    if not remarks and scores["a"].keys() != scores["b"].keys():
        both = len(scores["a"].keys() & scores["b"].keys())
        counts = " and ".join(f"{len(stores):,}" for stores in scores.values())
        remarks.append(
            f"The runs are over different stores ({counts}, {both:,} in both): their metrics are "
            "averages over different stores"
        )
    return remarks
