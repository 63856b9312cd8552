"""Point-in-time features: everything that is known at an origin about the days after it.

The one rule: `build` sees a history that ends at the origin, and the calendar. Nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lifemiles_forecasting.core.base import Base, fit_base, fit_level
from lifemiles_forecasting.core.calendar import Calendar
from lifemiles_forecasting.core.partners import membership
from lifemiles_forecasting.core.series import Series
from lifemiles_forecasting.core.tail import tail_factor

SPANS = (7, 14, 28, 91, 182, 364)
WEEKS = 26
MIN_HISTORY = 56
DEAD_SHARE = 0.3  # recent mean against the scale; below it a row teaches nothing
SPEEDS = (0.005, 0.06)  # levels at two other speeds beside the base's 0.02
SHRINK_DAYS = 10.0  # weight of the partner's average store in a store's sensitivity
TRAIT_PREFIX = "profile_"  # features that are the same for all rows of a store at an origin
POOLED_PREFIX = "partner_"  # features that look at other stores of the partner


@dataclass(frozen=True)
class Features:
    """Features of every store for every day of the horizon, seen from one origin.

    Attributes:
        X: (S, H, F) float32; nan where there is nothing to look at.
        names: F names.
        base: (S, H) the base forecast in target units.
        scale: (S,) the store's mean level in target units; 0 for a store without sales.
        tail: (S,) what targets that are cut are multiplied by, see `core.tail`.
        old: (S,) bool, stores with MIN_HISTORY days: no model is taught by younger ones.
        usable: (S,) bool, those of them with recent sales, to learn from.
    """

    X: np.ndarray
    names: tuple[str, ...]
    base: np.ndarray
    scale: np.ndarray
    tail: np.ndarray
    old: np.ndarray
    usable: np.ndarray


def mean_seen(values: np.ndarray, axis: int) -> np.ndarray:
    """Mean without nan; nan where there is nothing."""
    seen = np.isfinite(values)
    count = seen.sum(axis)
    total = np.where(seen, values, 0.0).sum(axis)
    return np.divide(total, count, out=np.full(count.shape, np.nan), where=count > 0)


def _spread(values: np.ndarray, axis: int) -> np.ndarray:
    """Standard deviation without nan."""
    centre = np.expand_dims(mean_seen(values, axis), axis)
    return np.sqrt(mean_seen((values - centre) ** 2, axis))


def _tail(y: np.ndarray, days: int) -> np.ndarray:
    """The last `days` columns, filled with nan on the left where the history is shorter."""
    missing = days - y.shape[1]
    if missing <= 0:
        return y[:, -days:]
    return np.concatenate([np.full((len(y), missing), np.nan), y], axis=1)


def partner_mean(values: np.ndarray, partner: np.ndarray) -> np.ndarray:
    """Mean over the stores of each partner, handed back to the stores; axis 0 is stores."""
    of_partner = membership(partner).T
    flat = values.reshape(len(values), -1)
    seen = np.isfinite(flat)
    total, count = of_partner @ np.where(seen, flat, 0.0), of_partner @ seen.astype(float)
    mean = np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)
    return mean[partner].reshape(values.shape)


def store_traits(
    y: np.ndarray, profile: np.ndarray, weekday: np.ndarray, partner: np.ndarray
) -> dict[str, np.ndarray]:
    """(S,) features of what a store is like: its week, and how it answers to its partner's days.

    A mean over a year says with little noise what a few lags say with much.

    Args:
        y: (S, D) scaled history.
        profile: (S, 7) of the base, Monday first.
        weekday: (D,) of the days of `y`.
        partner: (S,) integer code.
    """
    named = {f"{TRAIT_PREFIX}{day}": profile[:, day] for day in range(7)}
    year = slice(-SPANS[-1], None)
    return named | {"partner_sensitivity": _sensitivity(y[:, year], weekday[year], partner)}


def _sensitivity(y: np.ndarray, weekday: np.ndarray, partner: np.ndarray) -> np.ndarray:
    """(S,) slope of a store's deviations from its week on the mean ones of its partner.

    Shrunk towards 1, what the partner's average store shows, by SHRINK_DAYS days.
    """
    seen, by_weekday = np.isfinite(y), np.eye(7)[weekday]
    count = seen @ by_weekday
    total = np.where(seen, y, 0.0) @ by_weekday
    week = np.divide(total, count, out=np.zeros(count.shape), where=count > 0)
    own = y - week[:, weekday]
    common = np.where(seen, partner_mean(own, partner), 0.0)
    own = np.where(seen, own, 0.0)
    power = (common**2).sum(axis=1)
    prior = SHRINK_DAYS * power / np.maximum(seen.sum(axis=1), 1) + 1e-9
    return ((own * common).sum(axis=1) + prior) / (power + prior)


def _levels(y: np.ndarray, partner: np.ndarray) -> dict[str, np.ndarray]:
    """(S,) features of the store's level; `y` is scaled."""
    means = {f"mean_{span}": mean_seen(y[:, -span:], 1) for span in SPANS}
    year, quarter = y[:, -364:], y[:, -91:]
    return {
        **means,
        "variation": _spread(year, 1),  # of a series scaled to mean 1
        "zero_share": mean_seen(np.where(np.isnan(quarter), np.nan, quarter == 0), 1),
        "trend": means["mean_28"] - means["mean_91"],
        "partner_level": partner_mean(means["mean_28"], partner),
    }


def _same_weekday(y: np.ndarray, horizon: int) -> dict[str, np.ndarray]:
    """(S, H) features of the same weekday in the weeks before the origin; `y` is scaled."""
    weeks = _tail(y, 7 * WEEKS).reshape(len(y), WEEKS, 7)
    slot = np.arange(horizon) % 7
    recent = weeks[:, -8:]
    stats = {f"weekday_mean_{n}": mean_seen(weeks[:, -n:], 1) for n in (4, 8, 13, 26)}
    ordered = np.sort(recent, axis=1)  # nan last
    count = np.isfinite(recent).sum(1)
    low, high = np.maximum((count - 1) // 2, 0), np.minimum(count // 2, 7)
    pick = np.take_along_axis
    stats |= {
        "weekday_median_8": (
            pick(ordered, low[:, None], axis=1) + pick(ordered, high[:, None], axis=1)
        )[:, 0]
        / 2,
        "weekday_spread_8": _spread(recent, 1),
        "weekday_zero_share_8": mean_seen(np.where(np.isnan(recent), np.nan, recent == 0), 1),
        "weekday_min_8": ordered[:, 0],
        "weekday_max_8": pick(ordered, np.maximum(count - 1, 0)[:, None], axis=1)[:, 0],
    }
    stats |= {f"weekday_lag_{n}": weeks[:, -n] for n in (1, 2, 3, 4)}
    return {name: values[:, slot] for name, values in stats.items()}


def _lags(y: np.ndarray, partner: np.ndarray, horizon: int) -> dict[str, np.ndarray]:
    """(S, H) features at fixed distances before the day that is forecast; `y` is scaled."""
    ahead = np.arange(1, horizon + 1)
    first = 7 * -(-horizon // 7)  # the shortest whole-week lag known for the whole horizon
    fortnight = 14 * -(-ahead // 14)
    deepest = max(first + 28, fortnight.max() + 14)
    tail = _tail(y, deepest)
    at = lambda lag: tail[:, deepest - 1 + ahead - lag]  # noqa: E731
    lags = {f"lag_{first + extra}": at(first + extra) for extra in (0, 7, 14, 28)}
    phase, before = at(fortnight), at(fortnight + 14)
    both = mean_seen(np.stack([phase, before]), 0)
    lags |= {"fortnight": phase, "fortnight_before": before, "fortnight_mean": both}
    return lags | {
        f"partner_lag_{first}": partner_mean(lags[f"lag_{first}"], partner),
        "partner_fortnight": partner_mean(both, partner),
    }


def date_features(days: np.ndarray) -> dict[str, np.ndarray]:
    """(H,) features of the date itself."""
    month_start = days.astype("datetime64[M]")
    day = (days - month_start.astype("datetime64[D]")).astype(int) + 1
    month_end = (month_start + 1).astype("datetime64[D]")
    year_start = days.astype("datetime64[Y]").astype("datetime64[D]")
    return {
        "weekday": (days.astype(int) + 3) % 7,
        "day_of_month": day,
        "month": month_start.astype(int) % 12 + 1,
        "day_of_year": (days - year_start).astype(int) + 1,
        "days_to_month_end": (month_end - days).astype(int) - 1,
        "week_of_month": (day - 1) // 7,
        "horizon": np.arange(1, len(days) + 1),
    }


def _other_speeds(history: Series, base: Base, scale: np.ndarray) -> dict:
    """(S,) how the level looks from further away and from closer."""
    safe = np.where(base.level > 0, base.level, 1.0)
    ratios = {f"level_ratio_{speed:g}": fit_level(history, speed) / safe for speed in SPEEDS}
    return {"base_level": base.level / np.where(scale > 0, scale, 1.0), **ratios}


def old_enough(y: np.ndarray) -> np.ndarray:
    """(S,) bool: a history of MIN_HISTORY days, in (S, D) with nan before a store's first day."""
    return np.isfinite(y).sum(axis=1) >= MIN_HISTORY


def _alive(scaled: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """(S,) bool: sales, and not fallen silent; anything else teaches nothing."""
    recent = np.nan_to_num(mean_seen(scaled[:, -28:], 1))
    return (scale > 0) & (recent > DEAD_SHARE)


def build(history: Series, calendar: Calendar, horizon: int) -> Features:
    """Features for the `horizon` days after the last day of `history`.

    Args:
        history: what is known at the origin; the last day is the origin.
        calendar: holidays and events of the same stores on the same first day; reaches over the
            horizon.
        horizon: H, days ahead.

    Returns:
        Features with levels divided by the store's scale, so that stores of any size are alike.
    """
    masked = history.without_closures
    scale = np.nan_to_num(mean_seen(masked[:, -364:], 1))
    y = masked / np.where(scale > 0, scale, 1.0)[:, None]
    base = fit_base(history, horizon)
    days = history.origin + 1 + np.arange(horizon)
    origin = len(history.dates) - 1
    planned = calendar.ahead(origin, horizon)
    per_store = {"log_scale": np.log1p(scale), **_levels(y, history.partner)}
    per_store |= _other_speeds(history, base, scale)
    weekday = history.weekday()
    per_store |= store_traits(y, base.profile, weekday, history.partner)
    per_date = date_features(days)
    blocks = {
        **{name: values[:, None] for name, values in per_store.items()},
        **{name: values[None, :] for name, values in per_date.items()},
        **_same_weekday(y, horizon),
        **_lags(y, history.partner, horizon),
        **{name: planned[:, :, k] for k, name in enumerate(calendar.names)},
        "base_profile": base.profile[:, base.ahead],
    }
    X = np.empty((len(y), horizon, len(blocks)), dtype=np.float32)
    for k, values in enumerate(blocks.values()):
        X[:, :, k] = values
    old = old_enough(history.y)
    tail, usable = tail_factor(y, history.partner), old & _alive(y, scale)
    return Features(X, tuple(blocks), base.forecast(), scale, tail, old, usable)
