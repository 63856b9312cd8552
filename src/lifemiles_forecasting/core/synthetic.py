"""Made-up daily series whose truth is known, for tests, audits and benchmarks.

Every kind of store is an odd case of real data: closed weekdays, a closure of three weeks, a jump
of the level, rare sales, a late opening, a store that fell silent. The same seed gives the same
series, and a store does not depend on how many others there are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from lifemiles_forecasting.core import columns as c
from lifemiles_forecasting.core.config import (
    CatBoostSettings,
    CombineSettings,
    LocalSettings,
    ModelSettings,
    PooledSettings,
    RidgeSettings,
)
from lifemiles_forecasting.core.events import TYPES
from lifemiles_forecasting.core.series import Series

KINDS = (
    "weekly",
    "payday",
    "closed_sunday",
    "closure",
    "level_shift",
    "intermittent",
    "late",
    "dormant",
)
# harder at the last day: all of them happened within the last months
RECENT_KINDS = ("short", "new", "new_level", "long_closure", "closed_now")
OPENED = {"late": 80, "short": 30, "new": 7}  # days before the end
WEEK = np.array([0.8, 0.7, 0.8, 0.9, 1.2, 1.5, 1.1])  # Monday first, mean 1
PARTNERS = ("P0", "P1")
SILENCE = 70  # days since the last sale of a dormant store
SHORT_OR_SILENT = 56  # fewer active days are short, no sale in as many days is dormant


@dataclass(frozen=True)
class Synthetic:
    """Made-up stores.

    Attributes:
        series: S stores over D days.
        expected: (S, D + ahead) mean of the process, target units; 0 on closed days.
        kinds: (S,) entries of KINDS or RECENT_KINDS.
    """

    series: Series
    expected: np.ndarray
    kinds: tuple[str, ...]

    def row(self, kind: str) -> int:
        """The first store of this kind."""
        return self.kinds.index(kind)


def generate_series(
    n_stores: int = 8,
    n_days: int = 200,
    seed: int = 0,
    noise: float = 0.1,
    ahead: int = 28,
    of: tuple[str, ...] = KINDS,
) -> Synthetic:
    """Make stores up, of each kind in turn.

    Args:
        n_stores: S; partners alternate every len(of) stores, so that each has every kind.
        n_days: D, at least 120, the last one is 2023-12-31.
        seed: of levels and noise.
        noise: coefficient of variation of a day; 0 gives the expected values themselves.
        ahead: days after the last one for which the expected values are wanted too.
        of: kinds, from KINDS and RECENT_KINDS.

    >>> made = generate_series(n_stores=2, noise=0)
    >>> bool((made.series.y == made.expected[:, :200]).all())
    True
    """
    last = np.datetime64("2023-12-31")
    dates = np.arange(last - n_days + 1, last + 1)
    days = np.arange(dates[0], last + 1 + ahead)
    kinds = tuple(of[k % len(of)] for k in range(n_stores))
    y, expected = np.empty((n_stores, n_days)), np.empty((n_stores, len(days)))
    for k, kind in enumerate(kinds):
        rng = np.random.default_rng((seed, k))
        expected[k] = _expected(kind, days, n_days, 10 * rng.lognormal(1, 0.7))
        spread = np.sqrt(np.log1p(noise**2))
        y[k] = expected[k, :n_days] * rng.lognormal(-(spread**2) / 2, spread, n_days)
        if kind == "intermittent":
            y[k] *= (rng.random(n_days) < 0.3) / 0.3
        if kind in OPENED:
            y[k, : n_days - OPENED[kind]] = np.nan
    partners = [PARTNERS[(k // len(of)) % 2] for k in range(n_stores)]
    codes = [f"{k:04d}" for k in range(n_stores)]
    names = pd.DataFrame({c.PARTNER_CODE: partners, c.STORE_CODE: codes})
    return Synthetic(Series(y, dates, describe(y, dates, names)), expected, kinds)


def _expected(kind: str, days: np.ndarray, n_days: int, level: float) -> np.ndarray:
    """(days,) mean of one store."""
    weekday = (days.astype(int) + 3) % 7
    mean = level * WEEK[weekday]
    if kind == "payday":
        month = days.astype("datetime64[M]")
        month_end = ((month + 1).astype("datetime64[D]") - days).astype(int) == 1
        mean = mean * np.where(month_end | ((days - month).astype(int) == 14), 2.0, 1.0)
    elif kind == "closed_sunday":
        mean = np.where(weekday == 6, 0.0, mean)
    elif kind == "closure":
        mean[n_days // 2 : n_days // 2 + 21] = 0.0
    elif kind == "level_shift":
        mean[n_days // 2 :] *= 2.0
    elif kind == "new_level":
        mean[n_days - 28 :] *= 2.0
    elif kind == "long_closure":
        mean[n_days - 90 : n_days - 30] = 0.0
    elif kind == "closed_now":
        mean[n_days - 30 :] = 0.0
    elif kind == "dormant":
        mean[n_days - SILENCE :] = 0.0
    return mean


def describe(y: np.ndarray, dates: np.ndarray, names: pd.DataFrame) -> pd.DataFrame:
    """The store table that belongs to these values.

    Args:
        y: (S, D) target; nan before a store's first day.
        dates: (D,) datetime64[D].
        names: S rows with `partner_code, store_code`, and any other column of
            `columns.STORES` that should stay as it is.
    """
    sold, seen = np.nan_to_num(y) != 0, np.isfinite(y)
    end = len(dates) - 1
    last = np.where(sold.any(1), end - sold[:, ::-1].argmax(1), end)
    active = sold.sum(1)
    zero_share = 1 - active / np.maximum(seen.sum(1), 1)
    kind = np.where(zero_share >= 0.5, "intermittent", "regular").astype(object)
    kind[active < SHORT_OR_SILENT] = "short"
    kind[end - last >= SHORT_OR_SILENT] = "dormant"
    ids = (names[c.PARTNER_CODE] + "_" + names[c.STORE_CODE]).to_numpy(object)
    fixed = {
        c.STORE_ID: ids,
        c.PARTNER_NAME: "Aliado",
        c.STORE_NAME: "Tienda",
        c.COUNTRY: "Estados Unidos",
        c.CITY: "Centro",
    }
    counted = {
        c.FIRST_DATE: dates[seen.argmax(1)].astype("datetime64[ns]"),
        c.LAST_DATE: dates[last].astype("datetime64[ns]"),
        c.ACTIVE_DAYS: active,
        c.ZERO_SHARE: zero_share,
        c.STORE_CLASS: kind,
    }
    kept = {name: names[name].to_numpy(object) for name in names.columns if name not in counted}
    return pd.DataFrame({**fixed, **kept, **counted})[list(c.STORES)]


def with_values(series: Series, y: np.ndarray) -> Series:
    """The same stores with other values; what the store table counts is counted anew."""
    return Series(y, series.dates, describe(y, series.dates, series.stores))


def with_campaigns(
    made: Synthetic,
    partner: str,
    starts: Sequence[int],
    length: int,
    lift: float,
    name: str = "campaign",
) -> tuple[Synthetic, pd.DataFrame]:
    """The same stores, those of a partner selling more on the days of its campaigns; the plan.

    Args:
        made: stores without campaigns.
        partner: its code.
        starts: first days, counted from the first day of the series; they may lie ahead.
        length: days of each campaign.
        lift: what is sold more, relative to the same day without it.
        name: of the campaigns.

    Returns:
        The stores, and the planned events with the columns of `columns.EVENTS`.

    >>> made = generate_series(n_stores=2, noise=0)
    >>> boosted, plan = with_campaigns(made, "P0", [10], length=3, lift=0.5)
    >>> (boosted.series.y / made.series.y)[0, 8:15].round(3).tolist()
    [1.0, 1.0, 1.5, 1.5, 1.5, 1.0, 1.0]
    """
    day, first = np.arange(made.expected.shape[1]), np.array(starts)
    on = ((day >= first[:, None]) & (day < first[:, None] + length)).any(axis=0)
    theirs = (made.series.stores[c.PARTNER_CODE] == partner).to_numpy()
    factor = 1 + lift * (theirs[:, None] & on)
    series = with_values(made.series, made.series.y * factor[:, : made.series.y.shape[1]])
    begins = made.series.dates[0] + first
    events = {
        c.PARTNER_CODE: partner,
        c.STORE_CODE: "",
        c.START_DATE: begins,
        c.END_DATE: begins + length - 1,
        c.NAME: name,
        c.VALUE: 1.0,
    }
    plan = pd.DataFrame(events)[list(c.EVENTS)].astype(TYPES)
    return replace(made, series=series, expected=made.expected * factor), plan


def to_panel(series: Series) -> pd.DataFrame:
    """The long form, with the columns of `columns.PANEL`, without days before a store's first."""
    seen = np.isfinite(series.y)
    store, day = np.nonzero(seen)
    y = series.y[seen]
    dates = series.dates[day].astype("datetime64[ns]")
    counts = (y != 0).astype("int64")
    values = (series.store_ids[store], dates, y, counts)
    return pd.DataFrame(dict(zip(c.PANEL, values, strict=True)))


def small_settings(**changes: Any) -> ModelSettings:
    """Settings whose fits take milliseconds: two sizes of everything, one process."""
    sizes = {
        "small": CatBoostSettings(iterations=4, depth=2, learning_rate=0.3),
        "large": CatBoostSettings(iterations=8, depth=3, learning_rate=0.3),
    }
    chosen = {
        "n_windows": 2,
        "workers": 1,
        "store_seconds": None,
        "candidates": ("base", "ets", "direct", "recursive", "local_catboost", "ridge"),
        "direct": PooledSettings(sizes=sizes),
        "recursive": PooledSettings(sizes=sizes),
        "local_catboost": LocalSettings(sizes=sizes),
        "ridge": RidgeSettings(alphas={"strong": 3000.0, "weak": 30.0}),
        "combine": CombineSettings(shrink_days=168),
    }
    return ModelSettings(**chosen | changes)
