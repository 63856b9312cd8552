"""What the hook of kedro-mlflow, one for all runs of a process, is told before a run."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

WHOLE = "parameters."  # in front of what a node takes with all the others


def forget_run() -> None:
    """Let kedro-mlflow forget the run before, of the same process, in a notebook say.

    It would go on writing to that run when a pipeline follows that is not tracked.
    """
    from kedro_mlflow.framework.hooks.mlflow_hook import mlflow_hook

    mlflow_hook.run_id = None


def log_parameters_once(described: Collection[str]) -> None:
    """Let kedro-mlflow log no parameter that `lifecycle.describe` writes, all of them in one batch.

    It would log each again for every node that takes it, a request at a time, hundreds in a run,
    and all of them as `parameters.NAME` for a node that takes the whole. Others it names as
    `describe` does: it would leave a name as it is that MLflow takes for a path, or for too long.

    Args:
        described: names of the whole configuration, flat.
    """
    from kedro_mlflow.framework.hooks.mlflow_hook import mlflow_hook

    from lifemiles_forecasting.tracking.entities import clean_key

    known, log = {clean_key(name) for name in described}, type(mlflow_hook)._log_param

    def log_new(name: str, value: Any) -> None:
        if name.removeprefix(WHOLE) not in known:
            log(mlflow_hook, name, value)

    mlflow_hook.sanitize_param_name = clean_key
    mlflow_hook._log_param = log_new
