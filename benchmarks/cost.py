"""Cost of `kedro run`: wall and CPU seconds, peak memory, seconds by stage and by store."""

from __future__ import annotations

import re
import sys
from datetime import datetime
from pathlib import Path

import pandas as pd
import process

PROJECT = Path(__file__).parents[1]
STAGES = {
    "data processing": ("read_transactions", "balance_rows"),
    "features and rows": ("build_study", "build_study"),
    "backtest, choice and refit": ("run_backtest", "run_backtest"),
    "forecasts and metrics": ("describe_fits", "evaluate_stores"),
    "figures": ("draw_figures", "draw_figures"),
    "gate": ("judge_model", "judge_model"),
    "report": ("build_report", "build_report"),
    "tracking": ("package_store_runs", "package_store_runs"),
    "registration": ("register_model", "register_model"),
}


def kedro_run(folder: Path, *arguments: str, params: tuple[str, ...] = ()) -> dict:
    """Run kedro with its outputs and tracking in `folder` and measure it from outside."""
    folder.mkdir(parents=True)
    tracking = f"sqlite:///{folder}/mlflow.db"
    parameters = f"--params=data_root={folder}/data" + "".join(f",{more}" for more in params)
    command = [sys.executable, "-m", "kedro", "run", parameters, *arguments]
    took = process.measured(command, PROJECT, {"MLFLOW_TRACKING_URI": tracking})
    return vars(took) | {"tracking": tracking}


def stage_seconds(log: str) -> dict[str, int]:
    """Wall seconds by stage, read off the log's clock (to the second)."""
    clock = {}
    for when, what, node in re.findall(
        r"(\d\d:\d\d:\d\d) INFO +(Running|Completed) node: (?:\w+\.)*(\w+)", log
    ):
        clock[what, node] = datetime.strptime(when, "%H:%M:%S")
    return {
        stage: int((clock["Completed", last] - clock["Running", first]).total_seconds())
        for stage, (first, last) in STAGES.items()
    }


def candidate_seconds(log: str) -> str:
    """What the log says of the seconds of every candidate."""
    found = re.search(r"Seconds of one core by candidate, all sizes and windows: (.+?)\.", log)
    return found[1] if found else "not told"


def per_store(tracking_uri: str) -> dict[str, float]:
    """Training and tracking seconds per store of the last training run."""
    import mlflow

    client = mlflow.MlflowClient(tracking_uri)
    experiment = client.get_experiment_by_name("LifeMiles_Forecasting_Training")
    parent = client.search_runs([experiment.experiment_id], "tags.run_level = 'pipeline'")[0]
    figures = parent.data.metrics
    stores = figures["total_stores_attempted"]
    return {
        "stores": stores,
        "train": figures["train_seconds"] / stores,
        "tracking": figures["tracking_seconds"] / stores,
    }


def measure(folder: Path) -> str:
    """The section of RESULTS.md."""
    lines, rows = [], []
    for name, arguments in {"kedro run": (), "kedro run --env=quick": ("--env=quick",)}.items():
        run = kedro_run(folder / name.replace(" ", "_"), *arguments)
        store = per_store(run["tracking"])
        rows.append(
            {
                "command": f"`{name}`",
                "wall s": round(run["wall"], 1),
                "CPU s": round(run["cpu"], 1),
                "peak MB": round(run["peak_mb"]),
                "stores tracked": int(store["stores"]),
                "training s per store": round(store["train"], 3),
                "tracking s per store": round(store["tracking"], 4),
                "tracking / training": f"{100 * store['tracking'] / store['train']:.1f} %",
            }
        )
        stages = ", ".join(f"{stage} {s} s" for stage, s in stage_seconds(run["log"]).items())
        lines.append(f"`{name}` by stage (wall): {stages}; the rest is start-up.")
        told = candidate_seconds(run["log"])
        lines.append(f"Seconds of one core by candidate, all sizes and windows: {told}.")
    return "\n\n".join([pd.DataFrame(rows).to_markdown(index=False), *lines])
