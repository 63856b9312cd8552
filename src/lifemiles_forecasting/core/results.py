"""What a run leaves behind, in a form that knows nothing of where it is kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import pandas as pd

    from lifemiles_forecasting.core.fleet import FleetModel
    from lifemiles_forecasting.core.gate import Verdict


@dataclass(frozen=True)
class StoreRun:
    """One store's model run: what becomes a nested run of the parent.

    Attributes:
        store_id: `partner_code + "_" + store_code`; any text, never used in a path or a filter.
        status: `ok`, or `failed` for a store whose models could not be fitted.
        reason: why it failed; empty otherwise.
        params: settings of the store's champion, and the sizes that the contract names.
        metrics: `train_*` and `test_*` in the target's own units; values may be non-finite.
        tags: `model_quality`, `model_type`, `training_date`, ...
        model: the files of the store's model by relative name (see `core.store_model`).
        scaler: the store's own scaling, as JSON.
        importance: importance by feature, descending, summing to 100.
    """

    store_id: str
    partner_code: str
    store_code: str
    status: str
    reason: str = ""
    params: Mapping[str, str | int | float] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    model: Mapping[str, bytes] = field(default_factory=dict)
    scaler: Mapping[str, Any] = field(default_factory=dict)
    importance: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class RunRecord:
    """What the parent run says beyond its own configuration.

    Attributes:
        params: `dataset_file`, `dataset_shape`, ...
        metrics: the aggregate metrics of the tracking contract; values may be non-finite.
        tags: `data_fingerprint`, ...
        dataset: the training data: `name`, `digest` (the fingerprint), `source` (the folder),
            `rows`, `columns` (name to dtype), `context` (`training` unless told).
    """

    params: Mapping[str, str | int | float] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    dataset: Mapping[str, Any] = field(default_factory=dict)


def panel_input(
    panel: pd.DataFrame, digest: str, source: str, context: str = "training"
) -> dict[str, Any]:
    """The panel as the `dataset` of a RunRecord.

    Args:
        panel: what the run looked at.
        digest: the fingerprint of its content.
        source: the folder or table of the raw transactions.
        context: what the run did with it.
    """
    return {
        "name": "panel",
        "digest": digest,
        "source": source,
        "rows": len(panel),
        "columns": {name: str(kind) for name, kind in panel.dtypes.items()},
        "context": context,
    }


@dataclass(frozen=True)
class Registration:
    """The model of all stores and what the gate says of it.

    Attributes:
        fleet: the models of the refit.
        before_test: the same as they were before the test window.
        verdict: of the gate.
    """

    fleet: FleetModel
    before_test: FleetModel
    verdict: Verdict


@dataclass(frozen=True)
class LoadedVersion:
    """A registered model and which version it is.

    Attributes:
        version: its number.
        run_id: the run that trained it.
        fleet: the model.
    """

    version: str
    run_id: str
    fleet: FleetModel


class FleetReader(Protocol):
    """Where registered models are read from."""

    def read(self, version: int | None, alias: str) -> LoadedVersion:
        """Read one: by its number, else by its alias."""

    def read_before_test(self, known: LoadedVersion) -> FleetModel:
        """Read a version as it was before its test window."""
