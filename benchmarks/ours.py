"""Our own forecasts of the same job, run like a peer: `python ours.py NAME JOB OUT`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from lifemiles_forecasting.core import backtest, study
from lifemiles_forecasting.core.candidates.closed import NAIVE
from lifemiles_forecasting.core.config import ModelSettings, parse
from lifemiles_forecasting.core.series import Series

PROJECT = Path(__file__).parents[1]
LOW = "blend, lowered for WAPE"  # what a low WAPE costs: not what is delivered
FACTORS = np.arange(0.5, 1.2, 0.05)


def settings(workers: int) -> ModelSettings:
    """The modeling settings that are shipped, with the threads that everybody gets."""
    text = (PROJECT / "conf/base/parameters_modeling.yml").read_text()
    return parse(ModelSettings, yaml.safe_load(text)["modeling"] | {"workers": workers})


def lowered(built: study.Study, result: backtest.Backtest) -> pd.DataFrame:
    """The blend times the factor with the smallest absolute error on the windows before.

    Skewed sales have their median below their mean, so that a forecast that is too low has the
    smaller absolute error. This row shows how much of a WAPE is bought that way.
    """
    parts = []
    for origin in built.scored:
        before = [window for window in built.windows if window < origin]
        y = np.concatenate([backtest.actual(built, window) for window in before], axis=1)
        blend = np.concatenate([result.y_hat[backtest.BLEND, window] for window in before], axis=1)
        known = np.isfinite(y) & np.isfinite(blend) & built.attempted[:, None]
        errors = [np.abs(y[known] - factor * blend[known]).sum() for factor in FACTORS]
        best = FACTORS[int(np.argmin(errors))]
        parts.append((built.series.dates[origin].astype("datetime64[ns]"), best))
    return pd.DataFrame(parts, columns=["origin", "factor"])


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
    low = frame[frame["method"] == backtest.BLEND].merge(lowered(built, result), on="origin")
    low = low.assign(method=LOW, y_hat=low["y_hat"] * low.pop("factor"))
    frame = pd.concat([frame, low], ignore_index=True)
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
