"""Sums of the stores' forecasts: how far they stray, and a band for each of their days.

The sum of the stores' intervals is no interval of their sum: errors of stores cancel in part, and
the part that they share does not. So the band comes from the totals themselves. The unit of a
total's error is what it would be if the stores strayed independently, the root of the sum of their
squared spreads (`core.intervals.Spread`); how many such units a total strayed on the days of the
scored windows gives, by its conformal rank, the reach of the band. What the stores share is in it,
because it is in the totals that were measured.

There are too few windows for a band of the sum over a whole window: `Total.windows` tells what that
sum was off by in each of them instead.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from lifemiles_forecasting.core import columns as c
from lifemiles_forecasting.core.combine import BLEND
from lifemiles_forecasting.core.intervals import LEVELS, Spread
from lifemiles_forecasting.core.names import plain
from lifemiles_forecasting.core.quality import RunFrames
from lifemiles_forecasting.core.series import Series

EVERY = ""  # stands for every partner, or for every country
MIN_DAYS = 28  # measured days that a band needs; neighbouring days are alike, so fewer prove little


@dataclass(frozen=True)
class Total:
    """The total of a group of stores.

    Attributes:
        partner: code of the partner, or EVERY.
        country: name of the country, or EVERY.
        bounds: (H, 4) bounds of the days ahead, target units, in the order of `intervals.NAMES`;
            None where too few days were measured.
        days: measured days that they rest on.
        test_bounds: (H, 4) the same for the test window, from the windows before it; or None.
        held: share of the test window's days that those held at 80 and 95, percent; or None.
        windows: `origin, first, last, stores, y, y_hat, error` for each scored window: the sums
            over its days and its stores, and the error in percent (nan where nothing was sold).
    """

    partner: str
    country: str
    bounds: np.ndarray | None
    days: int
    test_bounds: np.ndarray | None
    held: tuple[float, float] | None
    windows: pd.DataFrame


@dataclass(frozen=True)
class _Window:
    """(S, H) values, forecasts and spreads of one scored window; nan where there is none."""

    origin: np.datetime64
    y: np.ndarray
    y_hat: np.ndarray
    spread: np.ndarray


def totals(frames: RunFrames, most: int) -> list[Total]:
    """Bands and measured errors of the total, of every partner, country and pair of both.

    Args:
        frames: what the run produced.
        most: groups to measure, those with the largest forecasts first; the total always is.
    """
    series = Series.from_frames(frames.panel, frames.stores)
    windows = [_window(part, series) for _, part in _scored(frames.backtest)]
    ahead = _wide(frames.forecasts, series, c.FORECAST)
    spread = Spread.of(series).at(np.nan_to_num(ahead))
    groups = sorted(_groups(series.stores), key=lambda group: -np.nansum(ahead[group[2]]))
    return [
        _total(partner, country, windows, rows, (ahead[rows], spread[rows]))
        for partner, country, rows in groups[:most]
    ]


def countries(names: pd.Series) -> pd.Series:
    """The countries of stores, each in one spelling; EVERY for a store without one.

    Spellings that differ in case, accents and white space alone are one country. It is shown in the
    most frequent one, of equally frequent ones in the first in alphabetical order.

    >>> countries(pd.Series(["COLOMBIA", "Colombia", "Colombia", None])).tolist()
    ['Colombia', 'Colombia', 'Colombia', '']
    """
    written = names.fillna(EVERY).astype(str).str.strip()
    counts = written.value_counts().sort_index()
    shown = {EVERY: EVERY}
    for name in counts.sort_values(ascending=False, kind="stable").index:
        shown.setdefault(plain(name), name)
    return written.map({name: shown[plain(name)] for name in counts.index}).astype(object)


def reach(error: np.ndarray, unit: np.ndarray) -> np.ndarray | None:
    """(2,) units that a total strays at most, at 80 and at 95 percent.

    Args:
        error: of measured days, target units.
        unit: of the same days, target units; days whose unit is 0 are left out.

    Returns:
        The absolute error of rank ceil((n + 1) * level), in units; None below MIN_DAYS days.

    >>> reach(np.arange(1.0, 101.0), np.ones(100))
    array([81., 96.])
    """
    known = unit > 0
    score = np.sort(np.abs(error[known]) / unit[known])
    if len(score) < MIN_DAYS:
        return None
    ranks = [int(np.ceil((len(score) + 1) * level / 100)) for level in LEVELS]
    return score[np.array(ranks) - 1]


def _total(
    partner: str,
    country: str,
    windows: list[_Window],
    rows: np.ndarray,
    ahead: tuple[np.ndarray, np.ndarray],
) -> Total:
    summed = [_summed(window, rows) for window in windows]
    error, unit = _errors(summed)
    forecast, spread = ahead
    limits = _bounds(np.nansum(forecast, axis=0), _root(spread), reach(error, unit))
    test, before = summed[-1], _errors(summed[:-1])
    test_bounds = _bounds(test[1], test[2], reach(*before))
    return Total(
        partner,
        country,
        limits,
        int((unit > 0).sum()),
        test_bounds,
        None if test_bounds is None else _held(test[0], test_bounds),
        pd.DataFrame([_told(window, rows) for window in windows]),
    )


def _groups(stores: pd.DataFrame) -> Iterator[tuple[str, str, np.ndarray]]:
    """Every group of stores: partner, country and (S,) bool; all stores first.

    A partner, or everyone, that is in one country alone is not told of a second time with it.
    """
    partner = stores[c.PARTNER_CODE].astype(str).to_numpy(object)
    country = countries(stores[c.COUNTRY]).to_numpy(object)
    for one in (EVERY, *sorted(set(partner))):
        there = np.isin(partner, one) if one != EVERY else np.ones(len(stores), bool)
        yield one, EVERY, there
        places = set(country[there])
        for place in sorted(places - {EVERY}) if len(places) > 1 else ():
            yield one, place, there & (country == place)


def _scored(backtest: pd.DataFrame) -> Iterator[tuple[pd.Timestamp, pd.DataFrame]]:
    """The blend's rows of every window, oldest first."""
    yield from backtest[backtest[c.CANDIDATE] == BLEND].groupby(c.ORIGIN, sort=True)


def _window(rows: pd.DataFrame, series: Series) -> _Window:
    origin = rows[c.ORIGIN].iloc[0].to_datetime64().astype("datetime64[D]")
    known = series.until(int(np.searchsorted(series.dates, origin)) + 1)
    y, y_hat = (_wide(rows, series, name) for name in (c.Y, c.Y_HAT))
    return _Window(origin, y, y_hat, Spread.of(known).at(np.nan_to_num(y_hat)))


def _wide(rows: pd.DataFrame, series: Series, value: str) -> np.ndarray:
    """(S, H) in the order of the series; nan for stores that are not there."""
    wide = rows.pivot(index=c.STORE_ID, columns=c.DATE, values=value).sort_index(axis=1)
    return wide.reindex(series.store_ids).to_numpy(dtype=float)


def _there(window: _Window, rows: np.ndarray) -> np.ndarray:
    return rows & np.isfinite(window.y).all(axis=1) & np.isfinite(window.y_hat).all(axis=1)


def _summed(window: _Window, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(H,) values, forecasts and unit of the total of those stores."""
    there = _there(window, rows)
    return (
        window.y[there].sum(axis=0),
        window.y_hat[there].sum(axis=0),
        _root(window.spread[there]),
    )


def _errors(summed: list[tuple[np.ndarray, ...]]) -> tuple[np.ndarray, np.ndarray]:
    """Errors and units of all days of those windows, one after another."""
    if not summed:
        return np.empty(0), np.empty(0)
    y, y_hat, unit = (np.concatenate(part) for part in zip(*summed, strict=True))
    return y_hat - y, unit


def _root(spread: np.ndarray) -> np.ndarray:
    return np.sqrt(np.square(spread).sum(axis=0))


def _bounds(
    forecast: np.ndarray, unit: np.ndarray, reached: np.ndarray | None
) -> np.ndarray | None:
    """(H, 4) bounds, never negative."""
    if reached is None:
        return None
    sides = [forecast + sign * step * unit for step in reached for sign in (-1, 1)]
    return np.maximum(np.stack(sides, axis=1), 0.0)


def _held(y: np.ndarray, limits: np.ndarray) -> tuple[float, float]:
    inside = [
        100 * float(np.mean((limits[:, k] <= y) & (y <= limits[:, k + 1]))) for k in range(0, 4, 2)
    ]
    return inside[0], inside[1]


def _told(window: _Window, rows: np.ndarray) -> dict[str, object]:
    there = _there(window, rows)
    y, y_hat = float(window.y[there].sum()), float(window.y_hat[there].sum())
    horizon = window.y.shape[1]
    return {
        c.ORIGIN: pd.Timestamp(window.origin),
        "first": pd.Timestamp(window.origin + 1),
        "last": pd.Timestamp(window.origin + horizon),
        "stores": int(there.sum()),
        c.Y: y,
        c.Y_HAT: y_hat,
        "error": 100 * (y_hat / y - 1) if y > 0 else np.nan,
    }
