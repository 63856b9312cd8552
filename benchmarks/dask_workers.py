"""Two workers of a Dask cluster against two local processes: the same backtest, in turn.

python benchmarks/dask_workers.py [STORES DAYS ROUNDS]
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from statistics import median

import psutil
import yaml
from distributed import Client

from lifemiles_forecasting.core import backtest
from lifemiles_forecasting.core.config import ModelSettings, parse
from lifemiles_forecasting.core.study import Study, build_study, prepare
from lifemiles_forecasting.core.synthetic_panel import generate_panel

PROJECT = Path(__file__).parents[1]
WORKERS = 2
LOOPBACK = ("--host", "127.0.0.1")


@contextmanager
def cluster(folder: Path) -> Iterator[str]:
    """Address of a scheduler with its workers on this machine."""
    file = folder / "scheduler.json"
    scheduler = ("dask_scheduler", "--port", "0", "--scheduler-file", file, *LOOPBACK)
    workers = ("dask_worker", "--scheduler-file", file, "--nworkers", WORKERS, *LOOPBACK)
    commands = (scheduler, (*workers, "--nthreads", 1, "--local-directory", folder))
    started = [
        subprocess.Popen(
            [sys.executable, "-m", f"distributed.cli.{name}", "--no-dashboard", *map(str, options)],
            stderr=subprocess.DEVNULL,
        )
        for name, *options in commands
    ]
    while not file.exists() or not file.read_text():
        time.sleep(0.1)
    address = json.loads(file.read_text())["address"]
    with Client(address, set_as_default=False) as client:
        client.wait_for_workers(WORKERS)
    try:
        yield address
    finally:
        for process in reversed(started):
            process.terminate()
            process.wait()


def study(stores: int, days: int) -> Study:
    """A made-up chain with the settings of a run."""
    file = PROJECT / "conf" / "base" / "parameters_modeling.yml"
    settings = parse(ModelSettings, yaml.safe_load(file.read_text("utf-8"))["modeling"])
    chosen, attempted = prepare(generate_panel(stores, days).series, 28, 56, None)
    return build_study(chosen, attempted, 28, settings, 7, 56)


def cpu_seconds() -> dict[int, float]:
    """Of this process and of each that it has started and that still runs, by its number."""
    family = [psutil.Process(), *psutil.Process().children(recursive=True)]
    return {member.pid: sum(member.cpu_times()[:2]) for member in family}


def measured(given: Study, scheduler: str | None) -> tuple[float, float, float, bytes]:
    """Seconds, seconds of a core, MB over loopback and the forecasts of a backtest."""
    changed = {"workers": WORKERS, "scheduler": scheduler}
    given = replace(given, settings=given.settings.model_copy(update=changed))
    before, sent = cpu_seconds(), psutil.net_io_counters(pernic=True)["lo"].bytes_sent
    start = time.perf_counter()
    made = backtest.run(given)
    seconds = time.perf_counter() - start
    sent = psutil.net_io_counters(pernic=True)["lo"].bytes_sent - sent
    # idle processes of an earlier way may have ended meanwhile
    cpu = sum(now - before.get(pid, 0.0) for pid, now in cpu_seconds().items())
    forecasts = b"".join(made.y_hat[key].tobytes() for key in sorted(made.y_hat))
    return seconds, cpu, sent / 1e6, forecasts


def main(stores: int = 250, days: int = 600, rounds: int = 2) -> None:
    """Print what each way took, and the ratio of the medians."""
    given, taken, forecasts = study(stores, days), {"local": [], "dask": []}, set()
    given_bytes = sum(a.nbytes for a in vars(given.rows).values() if hasattr(a, "nbytes"))
    print(f"{stores} stores x {days} days, training rows {given_bytes / 1e6:.0f} MB", flush=True)
    with tempfile.TemporaryDirectory() as folder, cluster(Path(folder)) as address:
        for _ in range(rounds):
            for name, scheduler in (("local", None), ("dask", address)):
                *numbers, made = measured(given, scheduler)
                taken[name].append(numbers)
                forecasts.add(made)
                shown = "{:.1f} s, {:.1f} s of a core, {:.0f} MB over loopback".format(*numbers)
                print(f"{name}: {shown}", flush=True)
    for place, what in enumerate(("seconds", "seconds of a core")):
        local, dask = (median(row[place] for row in taken[name]) for name in taken)
        print(f"efficiency, {what}: {local / dask:.2f}")
    print(f"forecasts equal to the bit: {len(forecasts) == 1}")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
