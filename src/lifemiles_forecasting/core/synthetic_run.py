"""A made-up run: the frames that modelling would leave behind, for tests and benchmarks.

The values are noise around a weekly pattern. What matters is their shape, and that the odd cases
are there: a store that failed, one too short to be attempted, one dormant, one with a hostile name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from lifemiles_forecasting.core import columns as c
from lifemiles_forecasting.core.combine import BLEND
from lifemiles_forecasting.core.notices import Notice, to_frame
from lifemiles_forecasting.core.quality import NAIVE, RunFrames

HOSTILE = "<img src=x onerror=alert(1)>"
HORIZON = 28
_WINDOWS = 3
_STEP = 7
_LAST = pd.Timestamp("2017-12-31")
# relative error of each candidate: enough to give them an order
_NOISE = {NAIVE: 0.5, "base": 0.32, "ridge": 0.35, "local_catboost": 0.34, "direct": 0.31}
_PARTNERS = ("CJGRO", "CJFRE", "CJDRU", "CJFUE")


def synthetic_run(n_stores: int = 12, n_days: int = 150, seed: int = 7) -> RunFrames:
    """Make the frames of a run up.

    Args:
        n_stores: at least 5. The first is attempted and failed, the second short, the third
            dormant, the fourth has a hostile name; the others are ordinary.
        n_days: days of the panel, at least 100.
        seed: of the noise.

    >>> frames = synthetic_run(6)
    >>> len(frames.forecasts)
    168
    """
    rng = np.random.default_rng(seed)
    days = pd.date_range(end=_LAST, periods=n_days, name=c.DATE)
    stores = _stores(n_stores, days)
    level = rng.lognormal(3, 1, (n_stores, 1))
    horizon = pd.date_range(_LAST + pd.Timedelta(days=1), periods=HORIZON, name=c.DATE)
    truth = level * _week(days.append(horizon))
    noise = rng.lognormal(-0.03, 0.25, (n_stores, n_days))
    y = np.round(truth[:, :n_days] * noise * (rng.random((n_stores, n_days)) > 0.1), 2)
    y[2, -60:] = 0
    ids = stores[c.STORE_ID]
    panel = _long(ids, days, {c.Y: y, c.TRANSACTIONS: np.ceil(y / 9).astype(int)})
    # the second store opened three weeks ago
    panel = panel[(panel[c.STORE_ID] != ids[1]) | (panel[c.DATE] > days[-21])]
    tried = stores.drop(index=[1, 2])
    backtest = _backtest(tried.index, ids, y, truth, rng)
    return RunFrames(
        panel=panel.reset_index(drop=True),
        stores=stores,
        backtest=backtest,
        forecasts=_forecasts(stores, horizon, truth[:, n_days:]),
        weights=_weights(tried[c.STORE_ID], rng),
        attempted=_attempted(tried[c.STORE_ID], rng),
        test_intervals=_intervals(backtest),
    )


def synthetic_balance(frames: RunFrames) -> dict[str, Any]:
    """Make up the row balance that belongs to such a run."""
    used = int(frames.panel[c.TRANSACTIONS].sum())
    reasons = {"duplicate_activity": 31, "bad_date": 7, "not_a_number": 4}
    return {
        "rows_in": used + 42,
        "rows_used": used,
        "rows_quarantined": 42,
        "rows_after_as_of": 0,
        "quarantined_by_reason": reasons,
        "first_date": str(frames.panel[c.DATE].min().date()),
        "last_date": str(_LAST.date()),
        "stores": len(frames.stores),
        "store_days": len(frames.panel),
        "data_fingerprint": "5e1f" * 8,
    }


def synthetic_failures(frames: RunFrames) -> pd.DataFrame:
    """Make up the ledger of failures that belongs to such a run."""
    row = (frames.stores[c.STORE_ID][0], "local_catboost", "ValueError: all values equal", "a1b2c3")
    return pd.DataFrame([row], columns=list(c.FAILURES))


def synthetic_warnings() -> pd.DataFrame:
    """Make up a ledger of warnings; a name of it is hostile."""
    return to_frame(
        [
            Notice("Atlantis", "holidays", "unknown_country", 3),
            Notice(HOSTILE, "events", "unknown_partner", 0),
        ]
    )


def synthetic_importance() -> pd.DataFrame:
    """Make up what the learners looked at; the name of a feature is hostile."""
    shares = {"level": (40.0, 10.0), "weekday_mean_8": (35.0, 30.0), HOSTILE: (25.0, 60.0)}
    rows = [
        (name, feature, pair[k])
        for k, name in enumerate(("direct", "local_catboost"))
        for feature, pair in shares.items()
    ]
    return pd.DataFrame(rows, columns=list(c.IMPORTANCE))


def synthetic_verdict(metrics: Mapping[str, float]) -> dict[str, Any]:
    """Make up what the gate said of such a run.

    Args:
        metrics: its aggregate metrics.
    """
    return {
        "status": "failed",
        "reasons": ["bias -12.3 %, expected within 10 % of 0"],
        "findings": [{"code": "bias", "figures": {"found": -12.3, "limit": 10.0}}],
        "judged_wape": metrics["wape"],
        "champion": "3",
    }


def _week(days: pd.DatetimeIndex) -> np.ndarray:
    growth = 1 + np.arange(len(days)) / 1000
    return np.array([1.0, 0.9, 0.95, 1.1, 1.3, 1.6, 1.4])[days.day_of_week] * growth


def _stores(n: int, days: pd.DatetimeIndex) -> pd.DataFrame:
    number = np.arange(n)
    partner = pd.Series(_PARTNERS).take(number % len(_PARTNERS)).reset_index(drop=True)
    code = pd.Series([f"{i:04d}" for i in number])
    name = "Tienda " + code
    name[3] = HOSTILE
    code[3] = HOSTILE
    classes = pd.Series("regular", index=number).mask(number == 1, "short")
    return pd.DataFrame(
        {
            c.STORE_ID: partner + "_" + code,
            c.PARTNER_CODE: partner,
            c.STORE_CODE: code,
            c.PARTNER_NAME: "Aliado " + partner,
            c.STORE_NAME: name,
            c.COUNTRY: np.where(number % 3 == 2, "Colombia", "Estados Unidos"),
            c.CITY: "Centro",
            c.FIRST_DATE: days[0],
            c.LAST_DATE: days[-1],
            c.ACTIVE_DAYS: len(days),
            c.ZERO_SHARE: 0.1,
            c.STORE_CLASS: classes.mask(number == 2, "dormant"),
        }
    )


def _long(ids: pd.Series, days: pd.DatetimeIndex, values: dict[str, np.ndarray]) -> pd.DataFrame:
    frame = {c.STORE_ID: np.repeat(ids.to_numpy(), len(days)), c.DATE: np.tile(days, len(ids))}
    return pd.DataFrame(frame | {name: matrix.ravel() for name, matrix in values.items()})


def _backtest(
    rows: pd.Index, ids: pd.Series, y: np.ndarray, truth: np.ndarray, rng: np.random.Generator
) -> pd.DataFrame:
    parts = []
    n_days = y.shape[1]
    for back in range(_WINDOWS):
        end = n_days - back * _STEP
        days = pd.date_range(
            end=_LAST - pd.Timedelta(days=back * _STEP), periods=HORIZON, name=c.DATE
        )
        window = slice(end - HORIZON, end)
        shape = len(rows), HORIZON
        guesses = {
            name: truth[rows, window] * rng.lognormal(-(noise**2) / 2, noise, shape)
            for name, noise in _NOISE.items()
        }
        guesses[BLEND] = (guesses["direct"] + guesses["base"]) / 2
        for name, y_hat in guesses.items():
            part = _long(ids[rows], days, {c.Y: y[rows, window], c.Y_HAT: y_hat})
            origin = days[0] - pd.Timedelta(days=1)
            horizon = np.tile(np.arange(1, HORIZON + 1), len(rows))
            parts.append(part.assign(**{c.ORIGIN: origin, c.HORIZON: horizon, c.CANDIDATE: name}))
    return pd.concat(parts, ignore_index=True)[list(c.BACKTEST)]


def _bands(frame: pd.DataFrame, center: str) -> pd.DataFrame:
    for level, width in ((80, 0.6), (95, 0.95)):
        frame[f"lower_{level}"] = (frame[center] * (1 - width)).clip(lower=0)
        frame[f"upper_{level}"] = frame[center] * (1 + width)
    return frame


def _forecasts(stores: pd.DataFrame, days: pd.DatetimeIndex, truth: np.ndarray) -> pd.DataFrame:
    frame = _long(stores[c.STORE_ID], days, {c.FORECAST: truth})
    frame[c.HORIZON] = np.tile(np.arange(1, HORIZON + 1), len(stores))
    status = pd.Series("ok", index=stores.index)
    status[:3] = ["fallback", "short_history", "dormant"]
    frame[c.STATUS] = np.repeat(status.to_numpy(), HORIZON)
    frame.loc[frame[c.STATUS] == "dormant", c.FORECAST] = 0.0
    frame = frame.merge(stores[[c.STORE_ID, c.PARTNER_CODE, c.STORE_CODE]], on=c.STORE_ID)
    return _bands(frame, c.FORECAST)[list(c.FORECASTS)]


def _weights(ids: pd.Series, rng: np.random.Generator) -> pd.DataFrame:
    names = [name for name in _NOISE if name != NAIVE]
    shares = rng.dirichlet(np.ones(len(names)) * 4, len(ids))
    index = pd.MultiIndex.from_product([ids, names], names=[c.STORE_ID, c.CANDIDATE])
    return pd.DataFrame({"weight": shares.ravel()}, index=index).reset_index()


def _attempted(ids: pd.Series, rng: np.random.Generator) -> pd.DataFrame:
    n = len(ids)
    frame = pd.DataFrame({c.STORE_ID: ids.to_numpy(), c.STATUS: "ok", c.REASON: ""})
    frame["champion"] = np.array(["direct", "local_catboost"])[rng.integers(0, 2, n)]
    frame["train_seconds"] = 0.5
    for name in ("mae", "rmse", "r2", "smape"):
        frame[f"train_{name}"] = rng.random(n)
    frame["train_samples"], frame["n_features"] = 120, 31
    frame.loc[0, [c.STATUS, c.REASON, "champion"]] = ["failed", "ValueError: all values equal", ""]
    return frame


def _intervals(backtest: pd.DataFrame) -> pd.DataFrame:
    test = backtest[c.ORIGIN] == backtest[c.ORIGIN].max()
    rows = backtest[test & (backtest[c.CANDIDATE] == BLEND)].copy()
    names = [c.STORE_ID, c.DATE, *(f"{s}_{n}" for n in (80, 95) for s in ("lower", "upper"))]
    return _bands(rows, c.Y_HAT)[names].reset_index(drop=True)
