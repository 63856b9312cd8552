"""What the parent run says beyond its configuration: aggregate metrics and the training data."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mlflow.entities import Dataset, DatasetInput, InputTag
from mlflow.utils.validation import MAX_DATASET_DIGEST_SIZE, MAX_DATASET_NAME_SIZE

from lifemiles_forecasting.tracking.entities import metrics_of, params_of, tags_of
from lifemiles_forecasting.tracking.names import DATA_SOURCE

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

    from lifemiles_forecasting.core.results import RunRecord

# the first match decides; what is not listed is text to MLflow
_COLUMN_TYPES = {"int": "long", "uint": "long", "float": "double", "bool": "boolean"}


def write_record(client: MlflowClient, run_id: str, record: RunRecord) -> None:
    """Write the record to a run: one batch, and the training data as its dataset input.

    Args:
        client: of the tracking store.
        run_id: the parent run.
        record: what to write.
    """
    metrics, dropped = metrics_of(record.metrics)
    client.log_batch(run_id, metrics, params_of(record.params), tags_of({**record.tags, **dropped}))
    if record.dataset:
        context = [InputTag("mlflow.data.context", str(record.dataset.get("context", "training")))]
        # a node knows what a parameter says; whether that is a folder or a table the catalog knows
        source = client.get_run(run_id).data.tags.get(DATA_SOURCE, record.dataset["source"])
        data = training_data({**record.dataset, "source": source})
        client.log_inputs(run_id, [DatasetInput(data, context)])


def training_data(described: Mapping[str, Any]) -> Dataset:
    """The training data as MLflow knows it.

    Args:
        described: `name`, `digest`, `source` (address of a folder, or a table: `postgresql:sales`),
            `rows`, `columns` (name to dtype).
    """
    columns = [
        {"type": _column_type(str(dtype)), "name": name, "required": True}
        for name, dtype in described.get("columns", {}).items()
    ]
    source = str(described["source"])
    kind = source.partition(":")[0]
    return Dataset(
        name=str(described["name"])[:MAX_DATASET_NAME_SIZE],
        digest=str(described["digest"])[:MAX_DATASET_DIGEST_SIZE],
        source_type="local" if kind in {"file", source} else kind,
        source=json.dumps({"uri": source}),
        schema=json.dumps({"mlflow_colspec": columns}),
        profile=json.dumps({"num_rows": int(described["rows"])}),
    )


def _column_type(dtype: str) -> str:
    name = dtype.lower()
    if name.startswith(("datetime", "timestamp", "date")):
        return "datetime"
    return next((kind for start, kind in _COLUMN_TYPES.items() if name.startswith(start)), "string")
