"""What a nested run costs: ours with and without artifacts, against the plain way of MLflow."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pandas as pd

STORES, PLAIN_STORES = 1_115, 20
BUDGET = 0.06  # seconds per store


def ours(folder: Path, stores: int, artifacts: bool) -> float:
    """Seconds per nested run, written as training writes them."""
    import dataclasses

    from mlflow.tracking import MlflowClient

    from lifemiles_forecasting.tracking.store import tune_sqlite
    from lifemiles_forecasting.tracking.store_runs import StoreRunWriter
    from lifemiles_forecasting.tracking.synthetic import synthetic_store_run

    tune_sqlite()
    runs = [synthetic_store_run(number) for number in range(stores)]
    if not artifacts:
        runs = [dataclasses.replace(run, model={}, scaler={}, importance={}) for run in runs]
    client = MlflowClient(tracking_uri=f"sqlite:///{folder / 'mlflow.db'}")
    experiment = client.create_experiment("training", (folder / "mlruns").as_uri())
    parent = client.create_run(experiment)
    return StoreRunWriter(client, parent).write_all(runs) / stores


def plain(folder: Path, stores: int) -> float:
    """Seconds per nested run by the fluent API with the defaults of `log_model`."""
    import mlflow
    import numpy as np
    from catboost import CatBoostRegressor

    from lifemiles_forecasting.tracking.synthetic import synthetic_store_run

    rng = np.random.default_rng(0)
    X = rng.random((300, 40))
    model = CatBoostRegressor(iterations=40, depth=4, verbose=False, allow_writing_files=False)
    model.fit(X, X[:, 0])
    mlflow.set_tracking_uri(f"sqlite:///{folder / 'mlflow.db'}")
    mlflow.create_experiment("training", (folder / "mlruns").as_uri())
    mlflow.set_experiment("training")
    with mlflow.start_run():
        mlflow.log_param("warm", "up")
        start = time.perf_counter()
        for number in range(stores):
            run = synthetic_store_run(number)
            with mlflow.start_run(run_name=f"Store {run.store_id}", nested=True):
                mlflow.log_params(run.params)
                for name, value in run.metrics.items():
                    mlflow.log_metric(name, value)
                for name, value in run.tags.items():
                    mlflow.set_tag(name, value)
                mlflow.catboost.log_model(model, name="model")
                mlflow.log_dict(run.scaler, "scaler/scaler.json")
                mlflow.log_dict(run.importance, "feature_importance.json")
        return (time.perf_counter() - start) / stores


def measure(folder: Path, training_seconds: float | None) -> str:
    """The section of RESULTS.md.

    Args:
        folder: to write into.
        training_seconds: of one core per store, of the run that `scale` measures.
    """
    ways = {
        f"plain: fluent API, `log_model` with defaults ({PLAIN_STORES} stores)": "plain",
        f"ours, with model, scaler and importance ({STORES:,} stores)": "artifacts",
        f"ours, without artifacts ({STORES:,} stores)": "none",
    }
    # each way in a process of its own: connections and templates of one would serve the next
    seconds = {name: _apart(way, folder / way) for name, way in ways.items()}
    slowest = max(seconds.values())
    table = pd.DataFrame(
        {
            "way": list(seconds),
            "s per nested run": [round(value, 4) for value in seconds.values()],
            "times faster": [round(slowest / value, 1) for value in seconds.values()],
        }
    )
    with_model = list(seconds.values())[1]
    told = f"Budget {BUDGET} s and 10 % of training: {with_model:.4f} s"
    if training_seconds:
        told += f", {100 * with_model / training_seconds:.1f} % of {training_seconds:.2f} s"
    return f"{table.to_markdown(index=False)}\n\n{told}."


def _apart(way: str, folder: Path) -> float:
    folder.mkdir(parents=True)
    command = [sys.executable, __file__, way, str(folder)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return float(done.stdout.split()[-1])


if __name__ == "__main__":
    kind, where = sys.argv[1], Path(sys.argv[2])
    if kind == "plain":
        print(plain(where, PLAIN_STORES))
    else:
        print(ours(where, STORES, artifacts=kind == "artifacts"))
