"""Run a method over all windows in a process of its own, and keep what peers forecast.

A peer does not change while ours is worked on: its forecasts and its cost are kept in
`benchmarks/.cache/` under the content of its script, its environment's lock and the job.
"""

from __future__ import annotations

import hashlib
import json
import sys
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path

import pandas as pd
from process import measured
from registry import HERE, PROJECT, Peer

from lifemiles_forecasting.core import calendar as holidays
from lifemiles_forecasting.core.countries import country_code

CACHE = HERE / ".cache"
HORIZON, WINDOWS = 28, 3
THREADS = 2  # for everyone, ours too
SEED = 7
LIMITS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


@dataclass(frozen=True)
class Run:
    """What a method forecast and what it took.

    Attributes:
        forecasts: `method, store_id, origin, date, y_hat`.
        cpu: seconds over all windows.
        peak_mb: memory, MB.
        measured: the day of the run.
        kept: whether that was an earlier run.
        notes: what a method has to say about itself.
    """

    forecasts: pd.DataFrame
    cpu: float
    peak_mb: float
    measured: str
    kept: bool
    notes: dict


def write_job(folder: Path, panel: pd.DataFrame, stores: pd.DataFrame) -> Path:
    """Lay down what every method is given; see `peers/contract.py`."""
    folder.mkdir(parents=True, exist_ok=True)
    last = panel["date"].max()
    origins = [last - pd.Timedelta(days=HORIZON * k) for k in range(WINDOWS, 0, -1)]
    rules = {
        "origins": [f"{origin:%Y-%m-%d}" for origin in origins],
        "horizon": HORIZON,
        "threads": THREADS,
        "seed": SEED,
    }
    (folder / "job.json").write_text(json.dumps(rules))
    panel.to_parquet(folder / "panel.parquet")
    stores.to_parquet(folder / "stores.parquet")
    _calendar(stores, panel["date"].min(), last).to_parquet(folder / "calendar.parquet")
    return folder


def _calendar(stores: pd.DataFrame, first: pd.Timestamp, last: pd.Timestamp) -> pd.DataFrame:
    """`country, date` and holiday features: everybody gets those that ours gets."""
    ahead = pd.Timedelta(days=HORIZON)
    days = pd.date_range(first, last + ahead).to_numpy().astype("datetime64[D]")
    parts = []
    for country in stores["country"].unique():
        place = (country_code(country) or "", "")
        known = holidays.holiday_dates(place, days[0], days[-1])
        part = pd.DataFrame(holidays.holiday_features(known, days), columns=list(holidays.NAMES))
        parts.append(part.assign(country=country, date=days.astype("datetime64[ns]")))
    return pd.concat(parts, ignore_index=True)


def run_peer(name: str, peer: Peer, job: Path, fresh: bool = False) -> Run:
    """The peer's forecasts: those that are kept, or new ones where `fresh` or anything changed."""
    folder = CACHE / f"{name.replace(' ', '_')}-{_digest(name, peer, job)[:16]}"
    kept = (folder / "cost.json").exists() and not fresh
    if not kept:
        folder.mkdir(parents=True, exist_ok=True)
        script = HERE / "peers" / peer.script
        _run(str(peer.python), script, name, job, folder)
    return _read(name, folder, kept)


def run_ours(job: Path, folder: Path) -> Run:
    """Our forecasts; the blend and every candidate are methods of their own."""
    folder.mkdir(parents=True, exist_ok=True)
    _run(sys.executable, HERE / "ours.py", "ours", job, folder)
    return _read("ours", folder, kept=False)


def _run(python: str, script: Path, name: str, job: Path, folder: Path) -> None:
    out = folder / "forecasts.parquet"
    # a thread that waits must sleep: spinning would count as CPU seconds
    variables = dict.fromkeys(LIMITS, str(THREADS)) | {"OMP_WAIT_POLICY": "PASSIVE"}
    took = measured([python, str(script), name, str(job), str(out)], PROJECT, variables)
    cost = asdict(took) | {"measured": f"{date.today()}"}
    (folder / "log.txt").write_text(cost.pop("log"))
    (folder / "cost.json").write_text(json.dumps(cost))


def _read(name: str, folder: Path, kept: bool) -> Run:
    frame = pd.read_parquet(folder / "forecasts.parquet")
    if "method" not in frame:
        frame["method"] = name
    cost = json.loads((folder / "cost.json").read_text())
    notes = folder / "forecasts.json"
    said = json.loads(notes.read_text()) if notes.exists() else {}
    return Run(frame, cost["cpu"], cost["peak_mb"], cost["measured"], kept, said)


def _digest(name: str, peer: Peer, job: Path) -> str:
    """Of everything that the forecasts of a peer follow from."""
    seen = hashlib.sha256(name.encode())
    lock = HERE / f"requirements{peer.environment.removeprefix('.venv')}.lock"
    scripts = (HERE / "peers" / peer.script, HERE / "peers/contract.py", lock)
    for file in (*scripts, job / "job.json"):
        seen.update(file.read_bytes() if file.exists() else b"")
    columns = {"panel": ["store_id", "date", "y"], "stores": ["store_id", "partner_code"]}
    for table, chosen in columns.items():
        frame = pd.read_parquet(job / f"{table}.parquet", columns=chosen)
        seen.update(pd.util.hash_pandas_object(frame, index=False).to_numpy().tobytes())
    return seen.hexdigest()
