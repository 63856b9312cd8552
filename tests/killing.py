"""Real `kedro run` processes that are killed at a chosen moment, and what must hold afterwards."""

from __future__ import annotations

import json
import signal
import subprocess
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import psutil
import pytest

FITS = "data/06_models/fits"
# where a run is when files appear there
PHASES = {
    "reading": "data/03_primary",
    "training": FITS,
    "logging": "mlruns",
    "writing": "data/07_model_output",
    "reporting": "data/08_reporting",
}
PATIENCE = 120  # seconds; a run that takes longer hangs
# with which code a run ends; click turns Ctrl-C into 1
ENDS = {signal.SIGKILL: -signal.SIGKILL, signal.SIGTERM: 128 + signal.SIGTERM, signal.SIGINT: 1}
READERS = {
    ".parquet": pd.read_parquet,
    ".csv": pd.read_csv,
    ".json": lambda path: json.loads(path.read_text("utf-8")),
    ".html": lambda path: path.read_text("utf-8").index("</html>"),
}


@dataclass(frozen=True)
class Kill:
    """A moment of a run: when so many files have been seen in the folder of a phase."""

    phase: str
    files: int
    number: signal.Signals = signal.SIGKILL


def seen_files(folder: Path) -> set[tuple[Path, int]]:
    """Files below a folder, a new one of an old name too; those written aside are not there yet."""
    found = set()
    for path in folder.rglob("[!.]*"):
        with suppress(FileNotFoundError):  # it has just been replaced
            if path.is_file():
                found.add((path, path.stat().st_mtime_ns))
    return found


def count_files(project: Any) -> dict[str, int]:
    """How many files of each phase a finished run has left."""
    return {phase: len(seen_files(project.folder / name)) for phase, name in PHASES.items()}


def kill_run(project: Any, arguments: tuple[str, ...], kill: Kill) -> None:
    """Start a run, and end it at this moment; its worker processes end with it."""
    folder = project.folder / PHASES[kill.phase]
    before, seen = seen_files(folder), set()
    with project.start("run", *arguments, errors=subprocess.DEVNULL) as process:
        while len(seen) < kill.files:
            seen |= seen_files(folder) - before
            with suppress(subprocess.TimeoutExpired):  # a pause, in which the run has the machine
                code = process.wait(0.01)
                pytest.fail(f"the run ended with {code} before {kill}")
        process.send_signal(signal.SIGSTOP)  # the moment does not pass meanwhile
        workers = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(kill.number)
        process.send_signal(signal.SIGCONT)
        code = process.wait(PATIENCE)
    _, left = psutil.wait_procs(workers, PATIENCE)
    assert not left, "worker processes have outlived their run"
    assert code == ENDS[kill.number]


def check_outputs(project: Any) -> None:
    """Every output that is in its place is whole."""
    for file, _ in sorted(seen_files(project.folder / "data")):
        if "01_raw" not in file.parts:
            READERS.get(file.suffix, Path.read_bytes)(file)


def kept_fits(project: Any) -> dict[str, int]:
    """Name and inode of each fit: another inode means that it was made once more."""
    folder = project.folder / FITS
    return {path.name: path.stat().st_ino for path in folder.glob("*.fit")}


def runs(project: Any) -> list[Any]:
    """Every run of the tracking store."""
    from mlflow.tracking import MlflowClient

    client = MlflowClient(tracking_uri=project.tracking_uri)
    return client.search_runs(["1"], max_results=5_000)


def check_resumed(project: Any, undisturbed: Any, kills: int, record: str) -> pd.DataFrame:
    """What must hold when a run has ended that follows killed ones.

    Args:
        project: where it ran.
        undisturbed: the same run in a project where nothing was killed.
        kills: how many runs were killed.
        record: name of the fit that every run writes anew.

    Returns:
        The ledger of training.
    """
    check_outputs(project)
    assert not list((project.folder / "data").rglob("*.part"))
    for name in ("forecasts.parquet", "forecasts.csv", "backtest.parquet"):
        ours, theirs = (one.output(f"07_model_output/{name}") for one in (project, undisturbed))
        assert ours.read_bytes() == theirs.read_bytes(), name
    assert kept_fits(project).keys() == kept_fits(undisturbed).keys()
    every = runs(project)
    parents = [run for run in every if "mlflow.parentRunId" not in run.data.tags]
    assert Counter(run.info.status for run in parents) == {"KILLED": kills, "FINISHED": 1}
    assert "RUNNING" not in {run.info.status for run in every}
    (finished,) = (run for run in parents if run.info.status == "FINISHED")
    children = [
        run for run in every if run.data.tags.get("mlflow.parentRunId") == finished.info.run_id
    ]
    stores = [run.data.tags["store_id"] for run in children]
    ledger = pd.read_csv(project.output("08_reporting/training.csv"), dtype=str)
    assert sorted(stores) == sorted(ledger["store_id"])
    assert {run.info.status for run in children} == {"FINISHED"}
    counts = ledger["outcome"].value_counts().to_dict()
    for outcome in ("trained", "reused"):
        assert finished.data.metrics[f"stores_{outcome}"] == counts.get(outcome, 0)
    assert record in kept_fits(project)
    return ledger


def resume(project: Any, arguments: tuple[str, ...], record: str) -> set[str]:
    """Run to the end; what an earlier run has left is not made again.

    Returns:
        Names of the fits that were made.
    """
    before = kept_fits(project)
    result = project.kedro("run", *arguments)
    assert result.returncode == 0, result.stderr
    after = kept_fits(project)
    again = {name for name in before.keys() & after.keys() if before[name] != after[name]}
    assert again <= {record}
    return after.keys() - before.keys()
