"""Our own forecasts of the same job, run like a peer: `python ours.py NAME JOB OUT`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pandas as pd
import yaml

from lifemiles_forecasting.core import backtest, study
from lifemiles_forecasting.core.candidates.closed import NAIVE
from lifemiles_forecasting.core.config import ModelSettings, parse
from lifemiles_forecasting.core.series import Series

PROJECT = Path(__file__).parents[1]


def settings(workers: int) -> ModelSettings:
    """The modeling settings that are shipped, with the threads that everybody gets."""
    text = (PROJECT / "conf/base/parameters_modeling.yml").read_text()
    return parse(ModelSettings, yaml.safe_load(text)["modeling"] | {"workers": workers})


def main() -> None:
    """Backtest as a run does: sizes and weights of a window come from the windows before it."""
    job, out = Path(sys.argv[2]), Path(sys.argv[3])
    rules = json.loads((job / "job.json").read_text())
    panel, stores = (pd.read_parquet(job / f"{table}.parquet") for table in ("panel", "stores"))
    horizon, seed = rules["horizon"], rules["seed"]
    series, attempted = study.prepare(Series.from_frames(panel, stores), horizon, 56, None)
    built = study.build_study(series, attempted, horizon, settings(rules["threads"]), seed)
    result = backtest.run(built)
    frame = backtest.to_frame(built, result).rename(columns={"candidate": "method"})
    frame = frame[~frame["method"].isin(NAIVE)]  # peers have them
    found = sorted(f"{origin:%Y-%m-%d}" for origin in frame["origin"].unique())
    if found != rules["origins"]:
        raise SystemExit(f"found windows after {found}; expected {rules['origins']}")
    frame[["method", "store_id", "origin", "date", "y_hat"]].to_parquet(out)
    test = frame[(frame["method"] == backtest.BLEND) & (frame["origin"] == frame["origin"].max())]
    merged = test.merge(backtest.window_intervals(built, result), on=["store_id", "date"])
    covered = {
        level: 100 * merged["y"].between(merged[f"lower_{level}"], merged[f"upper_{level}"]).mean()
        for level in (80, 95)
    }
    notes = {"sizes": result.sizes, "covered": covered, "attempted": int(attempted.sum())}
    out.with_suffix(".json").write_text(json.dumps(notes))


if __name__ == "__main__":
    main()
