"""Made-up results of a training, in every shape that the tracking room must cope with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifemiles_forecasting.core.results import RunRecord, StoreRun

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

_QUALITIES = ("EXCELENTE", "BUENO", "REGULAR", "POBRE")


def synthetic_store_run(
    number: int = 0, failed: bool = False, model_bytes: int = 40_000
) -> StoreRun:
    """Make up one store's result, of the size that a real one has.

    Args:
        number: tells stores apart; a higher number has a lower R2.
        failed: a store whose models could not be fitted.
        model_bytes: size of the model's largest file.

    >>> synthetic_store_run(3).metrics["test_r2"]
    0.87
    """
    identity = {"partner_code": "CJGRO", "store_code": f"{number:04d}"}
    store_id = "_".join(identity.values())
    if failed:
        return StoreRun(
            store_id, **identity, status="failed", reason="ValueError: all days are zero"
        )
    r2 = round(0.9 - number / 100, 4)
    errors = {"mae": 12.5, "rmse": 20.25, "r2": r2, "smape": 10.0 + number, "wape": 14.0}
    return StoreRun(
        store_id,
        **identity,
        status="ok",
        params={"model_type": "blend", "n_features": 40, "depth": 6, "learning_rate": 0.05},
        metrics={
            **{f"train_{name}": value for name, value in errors.items()},
            **{f"test_{name}": value for name, value in errors.items()},
            "n_features": 40,
            "train_samples": 300,
            "test_samples": 28,
            "test_bias": -2.5,
            "coverage_80": 82.0,
        },
        tags={
            "model_quality": _QUALITIES[number % len(_QUALITIES)],
            "model_type": "blend",
            "champion": "direct",
            "training_date": "2017-12-31",
        },
        model={
            "state.json": f'{{"store_id": "{store_id}"}}'.encode(),
            "local.cbm": number.to_bytes(4, "big") * (model_bytes // 4),
        },
        scaler={"mean": 10.5 + number, "scale": 2.25},
        importance={"lag_7": 60.0, "weekday": 40.0},
    )


def synthetic_record(avg_r2: float = 0.61) -> RunRecord:
    """Make up what a parent run says.

    Args:
        avg_r2: mean R2 over stores.
    """
    return RunRecord(
        params={"dataset_file": "data_lm_2017*.csv.gz", "dataset_shape": "(289963, 19)"},
        metrics={
            "total_stores_attempted": 3,
            "successful_models": 2,
            "success_rate": 66.7,
            "avg_r2": avg_r2,
            "avg_smape": 22.5,
            "wape": 61.5,
            "bias": -2.4,
            "coverage_80": 79.1,
            "mase": float("nan"),
        },
        tags={"data_fingerprint": "5e1f" * 16, "test_window": "2017-12-04/2017-12-31"},
        dataset={
            "name": "transactions",
            "digest": "5e1f" * 16,
            "source": "data/01_raw/transactions",
            "rows": 289_963,
            "columns": {"store_id": "object", "date": "datetime64[ns]", "y": "float64"},
        },
    )


def synthetic_training(
    client: MlflowClient,
    experiment_id: str,
    stores: int = 2,
    started: int | None = None,
    status: str = "FINISHED",
) -> str:
    """Track a made-up training the way a real one is tracked.

    Args:
        client: of the tracking store.
        experiment_id: experiment that it is part of.
        stores: number of its nested runs.
        started: milliseconds since 1970; nothing: now.
        status: that it ends with; `RUNNING` for one that does not.

    Returns:
        Run id of the parent.
    """
    from lifemiles_forecasting.tracking.run_record import write_record
    from lifemiles_forecasting.tracking.store_runs import StoreRunWriter

    tags = {"run_level": "pipeline", "training_mode": "full"}
    parent = client.create_run(experiment_id, start_time=started, tags=tags, run_name="Training")
    runs = [synthetic_store_run(number) for number in range(stores)]
    StoreRunWriter(client, parent).write_all(runs)
    write_record(client, parent.info.run_id, synthetic_record())
    if status != "RUNNING":
        client.set_terminated(parent.info.run_id, status)
    return parent.info.run_id
