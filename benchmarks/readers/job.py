"""What the readers of this folder have in common: columns, bounds, and how they are timed."""

from __future__ import annotations

import json
import resource
import time
from collections.abc import Callable
from pathlib import Path

LABELS = ("Partner Name", "Store Name", "Country", "City")
COLUMNS = [
    "Partner Code",
    "Store Code",
    "Process Date",
    "Activity Number",
    "Facturación",
    *LABELS,
]
KEY = ["partner", "store"]
FLOOR, MOST = "2000-01-01", 1e12  # these and what follows as in conf/base
MIN_SAMPLES, DORMANT_DAYS = 56, 56


def check_balance(rows: int, used: int, quarantined: int) -> None:
    """Every row is in exactly one place."""
    if rows != used + quarantined:
        raise SystemExit(f"{rows} rows, but {used} used and {quarantined} in the quarantine")


def timed(job: Callable[[Path, Path], None], raw: str, out: str) -> None:
    """Do a job and print its seconds and the peak memory of this process in GB."""
    Path(out).mkdir(parents=True)
    start = time.perf_counter()
    job(Path(raw), Path(out))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(json.dumps([time.perf_counter() - start, peak]))
