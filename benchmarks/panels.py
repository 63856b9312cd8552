"""The panels that are compared on, by name."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

PROJECT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Panel:
    """What a comparison is made on.

    Attributes:
        panel: `store_id, date, y`, gap-free from each store's first day.
        stores: a row per store, with the columns of `columns.STORES`.
        min_active: active days that a store needs to count in the main table.
        about: one sentence for the reader, with the unit of y.
        without: peers that would take more than half an hour of both cores on this panel.
    """

    panel: pd.DataFrame
    stores: pd.DataFrame
    min_active: int
    about: str
    without: tuple[str, ...] = ()


def load(name: str, folder: Path) -> Panel:
    """Make the panel `sample` or `structured`; `folder` is for files on the way."""
    return {"sample": _sample, "structured": _structured}[name](folder)


def _sample(folder: Path) -> Panel:
    """The shipped transactions, target `local_amount`, as the pipeline makes them."""
    command = [sys.executable, "-m", "kedro", "run", "--pipelines=data_processing"]
    parameters = f"--params=target=local_amount,data_root={folder}/sample"
    subprocess.run([*command, parameters], cwd=PROJECT, check=True, stdout=subprocess.DEVNULL)
    primary = folder / "sample/03_primary"
    panel, stores = (pd.read_parquet(primary / f"{t}.parquet") for t in ("panel", "stores"))
    return Panel(panel, stores, 200, "RMSE in US dollars per store-day.")


def _structured(folder: Path) -> Panel:
    """Made-up stores whose patterns can be learned."""
    from lifemiles_forecasting.core.synthetic import to_panel
    from lifemiles_forecasting.core.synthetic_panel import generate_panel

    made = generate_panel(n_stores=1000, n_days=900, seed=0)
    about = (
        "Made-up stores with weekly, fortnightly, monthly and holiday structure, closures and "
        "level shifts; RMSE in units per store-day."
    )
    slow = ("local random forest", "AutoGluon", "AutoGluon RMSE")
    return Panel(to_panel(made.series), made.series.stores, 0, about, slow)
