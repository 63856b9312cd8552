"""A guard against slow code: seconds of our stages as ratios to what the libraries below them need.

`python benchmarks/guard.py` prints the ratios, `--update` makes them the baseline that the tests
hold new code to (`guard.json`). Each ratio is of CPU seconds of this process, both sides in turns,
the fastest of three: how fast and how busy the machine is falls out of it, but for a fifth.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import numpy as np

PROJECT = Path(__file__).parents[1]
BASELINE = Path(__file__).with_name("guard.json")
SLOWER = 1.5  # times its baseline: a stage that is to be looked at
TURNS = 3
HORIZON = 28
TRACKED = 30  # nested runs

Work = Callable[[], object]


def reading(folder: Path) -> tuple[Work, Work]:
    """Raw files to store-days and quarantine; DuckDB scans and casts the same columns."""
    import scale
    from kedro.io import DataCatalog, MemoryDataset
    from kedro.runner import SequentialRunner
    from omegaconf import OmegaConf

    from lifemiles_forecasting.datasets.transactions import TransactionFiles
    from lifemiles_forecasting.pipelines.data_processing import create_pipeline

    raw = folder / "raw"
    pipeline = create_pipeline().filter(to_nodes=["data_processing.build_panel"])
    scale.write_rows(raw, rows=200_000, months=2)
    parameters = OmegaConf.load(PROJECT / "conf" / "base" / "parameters_data_processing.yml")
    given = {
        "raw_transactions": TransactionFiles(raw, "1200MB"),
        "params:target": "billings",
        "params:as_of": None,
        "params:min_samples": 56,
        "params:data_root": "data",
        "params:data_processing": OmegaConf.to_container(parameters.data_processing),
    }

    def ours() -> None:
        held = {name: MemoryDataset(value, copy_mode="assign") for name, value in given.items()}
        made = {name: MemoryDataset(copy_mode="assign") for name in pipeline.all_outputs()}
        SequentialRunner().run(pipeline, DataCatalog(held | made))

    return ours, lambda: scale.scan(raw)


def features(_: Path) -> tuple[Work, Work]:
    """Training rows of all origins; numpy sorts as many numbers.

    By the sort that no processor has instructions of its own for: with them the usual one is three
    times as fast on one machine as on another, and so was the ratio.
    """
    from lifemiles_forecasting.core.calendar import Calendar
    from lifemiles_forecasting.core.config import HolidaySettings
    from lifemiles_forecasting.core.rows import collect
    from lifemiles_forecasting.core.synthetic import generate_series

    series = generate_series(40, 300).series
    calendar = Calendar.of(series, HORIZON, HolidaySettings(), None)
    rows = collect(series, calendar, HORIZON, None)
    numbers = np.random.default_rng(0).random(rows.X.size)
    return lambda: collect(series, calendar, HORIZON, None), lambda: np.sort(numbers, kind="stable")


def training(_: Path) -> tuple[Work, Work]:
    """Backtest, combination and refit of all candidates; CatBoost fits two sizes three times."""
    from lifemiles_forecasting.core import backtest
    from lifemiles_forecasting.core.study import build_study, prepare
    from lifemiles_forecasting.core.synthetic import generate_series, small_settings

    made = generate_series(10, 250).series
    chosen, attempted = prepare(made, HORIZON, 56, None)
    study = build_study(chosen, attempted, HORIZON, small_settings(n_windows=2), 7, 56)
    known = np.isfinite(study.rows.y)
    X, y = study.rows.X[known], study.rows.y[known]

    def fit() -> None:
        from catboost import CatBoostRegressor, Pool

        pool = Pool(X, y)
        for iterations, depth in ((4, 2), (8, 3)) * 3:
            CatBoostRegressor(
                iterations=iterations,
                depth=depth,
                thread_count=1,
                verbose=False,
                allow_writing_files=False,
            ).fit(pool)

    return lambda: backtest.run(study), fit


def tracking(folder: Path) -> tuple[Work, Work]:
    """Nested runs with models and files; MLflow's client writes as many with metrics alone."""
    from mlflow.entities import Metric
    from mlflow.tracking import MlflowClient

    from lifemiles_forecasting.tracking.store import tune_sqlite
    from lifemiles_forecasting.tracking.store_runs import StoreRunWriter
    from lifemiles_forecasting.tracking.synthetic import synthetic_store_run

    tune_sqlite()
    client = MlflowClient(tracking_uri=f"sqlite:///{folder / 'mlflow.db'}")
    experiment = client.create_experiment("Training", (folder / "mlruns").as_uri())
    runs = [synthetic_store_run(number) for number in range(TRACKED)]

    def ours() -> None:
        StoreRunWriter(client, client.create_run(experiment)).write_all(runs)

    def plain() -> None:
        for run in runs:
            run_id = client.create_run(experiment).info.run_id
            metrics = [Metric(name, value, 0, 0) for name, value in run.metrics.items()]
            client.log_batch(run_id, metrics=metrics)
            client.set_terminated(run_id)

    return ours, plain


STAGES = {"reading": reading, "features": features, "training": training, "tracking": tracking}


def cpu_seconds(work: Work) -> float:
    """Of this process, all its threads together."""
    start = time.process_time()
    work()
    return time.process_time() - start


def ratio(stage: str) -> float:
    """CPU seconds of a stage to those of what it is held against."""
    with TemporaryDirectory() as folder:
        both = STAGES[stage](Path(folder))
        for work in both:  # imports, and what is made once
            work()
        turns = [[cpu_seconds(work) for work in both] for _ in range(TURNS)]
    ours, theirs = np.min(turns, axis=0)
    return float(ours / theirs)


def main() -> None:
    """Print the ratios; `--update` makes them the baseline."""
    update = "--update" in sys.argv[1:]
    looks = range(5 if update else 1)
    ratios = {stage: round(median(ratio(stage) for _ in looks), 2) for stage in STAGES}
    print(json.dumps(ratios, indent=2))
    if update:
        BASELINE.write_text(json.dumps(ratios, indent=2) + "\n")


if __name__ == "__main__":
    main()
