"""Seconds of `kedro explore` on two training runs of 3,000 stores each."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from statistics import median

import numpy as np
import pandas as pd

PROJECT = Path(__file__).parents[1]
STORES, TURNS = 3_000, 5
RUNS = ("Training_Pipeline_a", "Training_Pipeline_b")
START = "--help"
QUESTIONS = (
    START,
    "",
    "--best-models",
    "--store CJGRO_0384",
    "--store nobody",
    f"--compare {RUNS[0]} {RUNS[1]}",
)


def build(folder: Path) -> str:
    """Track made-up training runs; the tracking URI."""
    from mlflow.tracking import MlflowClient

    from lifemiles_forecasting.tracking.run_record import write_record
    from lifemiles_forecasting.tracking.store import tune_sqlite
    from lifemiles_forecasting.tracking.store_runs import StoreRunWriter
    from lifemiles_forecasting.tracking.synthetic import synthetic_record, synthetic_store_run

    tune_sqlite()
    uri = f"sqlite:///{folder}/mlflow.db"
    client = MlflowClient(tracking_uri=uri)
    experiment = client.create_experiment("Training", (folder / "mlruns").as_uri())
    rng = np.random.default_rng(7)
    for name in RUNS:
        run = client.create_run(experiment, tags={"run_level": "pipeline"}, run_name=name)
        stores = [synthetic_store_run(number, model_bytes=400) for number in range(STORES)]
        wapes = rng.gamma(9, 7, STORES)
        StoreRunWriter(client, run).write_all(
            [
                replace(store, metrics={**store.metrics, "test_wape": float(wape)})
                for store, wape in zip(stores, wapes, strict=True)
            ]
        )
        write_record(client, run.info.run_id, synthetic_record())
        client.set_terminated(run.info.run_id)
    return uri


def seconds(question: str, uri: str) -> tuple[float, float]:
    """Wall and CPU seconds of one command."""
    command = [sys.executable, "-m", "kedro", "explore", *question.split()]
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(
        command,
        cwd=PROJECT,
        env=os.environ | {"MLFLOW_TRACKING_URI": uri},
        capture_output=True,
        check=True,
    )
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def measure(folder: Path) -> str:
    """The section of RESULTS.md."""
    folder.mkdir(parents=True)
    uri, nothing = build(folder), f"sqlite:///{folder}/nothing.db"
    asked = {f"`kedro explore {question}`".replace(" `", "`"): question for question in QUESTIONS}
    commands = {name: (question, uri) for name, question in asked.items()}
    commands["`kedro explore`, nothing tracked yet"] = ("", nothing)
    taken = {name: [] for name in commands}
    for _ in range(TURNS):  # in turns: what else the machine does meets all of them
        for name, command in commands.items():
            taken[name].append(seconds(*command))
    wall, cpu = (
        {name: median(turn[k] for turn in turns) for name, turns in taken.items()} for k in (0, 1)
    )
    start_wall, start_cpu = (spent[f"`kedro explore {START}`"] for spent in (wall, cpu))
    table = pd.DataFrame(
        {
            "command": name,
            "wall s": round(wall[name], 2),
            "CPU s": round(cpu[name], 2),
            "wall s on top of start-up": round(wall[name] - start_wall, 2),
            "CPU s on top of start-up": round(cpu[name] - start_cpu, 2),
        }
        for name in commands
    )
    return (
        f"Two training runs of {STORES:,} nested runs each in one SQLite file; medians of {TURNS} "
        f"turns. `{START}` is the start-up of Kedro and its plugins, which every command pays. The "
        f"budget of `--best-models` is 3 s on top of it.\n\n{table.to_markdown(index=False)}"
    )
