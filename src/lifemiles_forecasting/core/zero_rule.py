"""Days on which a store is known not to sell: closed weekdays and holidays, dormant, dust."""

from __future__ import annotations

import numpy as np

from lifemiles_forecasting.core.series import Series

WEEKS = 8
CHANCE = 0.01  # a silent weekday is closed when chance would explain it less often than this
HOLIDAY_DAYS = 728  # in which a store has sold on no public holiday
LEAST_CHANCE = 0.02  # that any day passes without a sale: one holiday alone proves nothing
DUST = 0.1  # of the store's level; a smaller forecast of a regular store is 0
REGULAR_SHARE = 0.9  # a store that sells on so many of its open days never sells dust
MIN_DAYS = 28  # of fewer days nobody can tell which weekdays are closed


def closed_days(history: Series, horizon: int, holidays: np.ndarray) -> np.ndarray:
    """(S, horizon) bool: days of the horizon on which the store will not sell.

    A weekday without a sale in each of the last WEEKS weeks is closed if a store that sells as
    often as this one does on its other weekdays would hardly ever show that by chance. Public
    holidays say nothing of the weekday: many a restaurant is closed on Mondays and open on those
    that are holidays. A holiday ahead is closed where the weekday has had no sale at all. A store
    without any sale in those weeks is dormant: closed throughout.

    Args:
        history: what is known at the origin.
        horizon: days ahead.
        holidays: (S, D + horizon) bool or longer, public holidays of each store.
    """
    sold, seen, plain = _recent(history, holidays)
    known = seen.all(axis=1)  # (S, 7)
    silent = known & ~(sold & plain).any(axis=1)
    by_chance = (1.0 - _rate(sold & plain, plain, silent))[:, None] ** plain.sum(axis=1)
    evident = silent & (by_chance < CHANCE)
    never = evident & ~sold.any(axis=1)
    dormant = known.all(axis=1) & ~sold.any(axis=(1, 2))
    ahead, days = np.arange(horizon) % 7, len(history.dates)
    holiday = holidays[:, days : days + horizon]
    return np.where(holiday, never[:, ahead], evident[:, ahead]) | dormant[:, None]


def closed_holidays(history: Series, horizon: int, holidays: np.ndarray) -> np.ndarray:
    """(S, horizon) bool: public holidays ahead on which the store will not sell.

    It sold on none of the last HOLIDAY_DAYS, and one that sells as often as this one does on the
    same weekdays would hardly ever show that by chance.

    Args:
        history: what is known at the origin.
        horizon: days ahead.
        holidays: (S, D + horizon) bool or longer, public holidays of each store.
    """
    days = len(history.dates)
    last = slice(max(0, days - HOLIDAY_DAYS), days)
    y, holiday, weekday = history.y[:, last], holidays[:, last], np.eye(7)[history.weekday()[last]]
    seen, sold = np.isfinite(y), y > 0
    usual, sales = (seen & ~holiday) @ weekday, (sold & ~holiday) @ weekday  # (S, 7) days
    rate = np.divide(sales, usual, out=np.zeros(usual.shape), where=usual > 0)
    silence = np.log(np.maximum(1.0 - rate @ weekday.T, LEAST_CHANCE))
    by_chance = np.where(seen & holiday, silence, 0.0).sum(axis=1)
    closed = ~(sold & holiday).any(axis=1) & (by_chance < np.log(CHANCE))
    return closed[:, None] & holidays[:, days : days + horizon]


def dust_floor(history: Series, level: np.ndarray, holidays: np.ndarray) -> np.ndarray:
    """(S,) forecasts below this are 0, target units.

    0 for stores that do sell little at times, or of which too few days are known. `holidays` are
    those of `closed_days`.
    """
    sold, seen, plain = _recent(history, holidays)
    closed = ~(sold & plain).any(axis=1)
    rate = _rate(sold & plain, plain, closed)
    known = seen.sum(axis=(1, 2)) >= MIN_DAYS
    recent = history.y[:, -7 * WEEKS :]
    least = np.where(recent > 0, recent, np.inf).min(axis=1)  # what it has sold was no dust
    return np.where(known & (rate >= REGULAR_SHARE), np.minimum(DUST * level, least), 0.0)


def apply(forecast: np.ndarray, closed: np.ndarray, floor: np.ndarray) -> np.ndarray:
    """(S, H) forecast with closed days and dust set to 0."""
    return np.where(closed | (forecast < floor[:, None]), 0.0, forecast)


def _rate(sold: np.ndarray, counted: np.ndarray, closed: np.ndarray) -> np.ndarray:
    """(S,) share of the counted days with a sale, without the weekdays that are closed."""
    opened = ~closed[:, None, :]
    return (sold & opened).sum(axis=(1, 2)) / np.maximum((counted & opened).sum(axis=(1, 2)), 1)


def _recent(history: Series, holidays: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(S, WEEKS, 7) sold, seen, and seen on no holiday; slot 0 the weekday after the origin."""
    y = _last_weeks(history.y, np.nan)
    seen = np.isfinite(y)
    holiday = _last_weeks(holidays[:, : len(history.dates)], False)
    return y > 0, seen, seen & ~holiday


def _last_weeks(values: np.ndarray, missing: float | bool) -> np.ndarray:
    """(S, WEEKS, 7) the last columns of (S, D), filled on the left where there are fewer."""
    tail = values[:, -7 * WEEKS :]
    padded = np.full((len(tail), 7 * WEEKS), missing)
    padded[:, padded.shape[1] - tail.shape[1] :] = tail
    return padded.reshape(-1, WEEKS, 7)
