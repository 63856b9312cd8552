"""A made-up chain with structure to learn: weeks, fortnights, months, holidays, seasons.

Where `core.synthetic` makes one clean case of each kind, this makes the mixture that large real
chains show, with the truth known. Benchmarks use it beside the real sample, which is mostly noise.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from lifemiles_forecasting.core import columns as c
from lifemiles_forecasting.core.calendar import holiday_dates
from lifemiles_forecasting.core.series import Series
from lifemiles_forecasting.core.synthetic import Synthetic, describe

COUNTRIES = {"Estados Unidos": "US", "Colombia": "CO", "Germany": "DE"}
N_PARTNERS = 6
LAST = np.datetime64("2024-07-31")


@dataclass(frozen=True)
class Traits:
    """What share of the stores has which trait, and how strong the structure is.

    Attributes:
        noise: coefficient of variation of a day around its mean.
        drift: standard deviation of a store's level from day to day, relative (a random walk).
        promotion: mean lift of a working day in a promoted week (every other one); 0 for none.
        payday: mean lift around the turn of the month or its middle; 0 for none.
        season: lift of December, relative.
        sunday_closed, holiday_closed: shares of stores.
        closure: share of stores with a closure of 30 to 180 days.
        level_shift: share of stores whose level jumps once, by a factor of 0.6 to 1.6.
        late: share of stores that open within the period.
    """

    noise: float = 0.12
    drift: float = 0.004
    promotion: float = 0.35
    payday: float = 0.15
    season: float = 0.25
    sunday_closed: float = 0.7
    holiday_closed: float = 0.8
    closure: float = 0.12
    level_shift: float = 0.1
    late: float = 0.1


def generate_panel(
    n_stores: int = 1000,
    n_days: int = 900,
    seed: int = 0,
    traits: Traits | None = None,
    ahead: int = 0,
) -> Synthetic:
    """Make a chain of several partners up.

    Args:
        n_stores: S.
        n_days: D, at least 200; the last one is LAST.
        seed: of everything that is drawn.
        traits: the mixture; the default is a large clean chain.
        ahead: days after the last one for which the expected values are wanted too.

    Returns:
        `expected` knows closures, shifts and drift; `kinds` names the most notable trait of each
        store.

    >>> made = generate_panel(n_stores=12, n_days=200)
    >>> made.series.y.shape, made.expected.shape
    ((12, 200), (12, 200))
    """
    traits, rng = traits or Traits(), np.random.default_rng(seed)
    days = np.arange(LAST - n_days + 1, LAST + 1 + ahead)
    partner = np.arange(n_stores) % N_PARTNERS
    country = np.array(list(COUNTRIES))[partner % len(COUNTRIES)]
    expected = _week(partner, days, traits, rng)
    expected *= _promotions(partner, days, traits, rng) * _paydays(partner, days, traits, rng)
    expected *= _season(days, n_stores, traits, rng)
    expected *= _holidays(country, days, traits, rng)
    shifted = rng.random(n_stores) < traits.level_shift
    expected *= _levels(n_stores, len(days), shifted, traits, rng)
    closed = rng.random(n_stores) < traits.closure
    _close(expected, n_days, closed, rng)
    spread = np.sqrt(np.log1p(traits.noise**2))
    y = expected[:, :n_days] * rng.lognormal(-(spread**2) / 2, spread, (n_stores, n_days))
    late = rng.random(n_stores) < traits.late
    opening = rng.integers(n_days // 4, n_days - 60, n_stores)
    y[late[:, None] & (np.arange(n_days) < opening[:, None])] = np.nan
    kinds = np.select([late, closed, shifted], ["late", "closure", "level_shift"], "regular")
    dates = days[:n_days]
    names = pd.DataFrame(
        {
            c.PARTNER_CODE: [f"P{k}" for k in partner],
            c.STORE_CODE: [f"{k:05d}" for k in range(n_stores)],
            c.COUNTRY: country,
        }
    )
    return Synthetic(Series(y, dates, describe(y, dates, names)), expected, tuple(kinds))


def _week(
    partner: np.ndarray, days: np.ndarray, traits: Traits, rng: np.random.Generator
) -> np.ndarray:
    """(S, days) weekday profile: the partner's, and the store's own on top."""
    weekday = (days.astype(int) + 3) % 7
    common = rng.lognormal(0, 0.25, (N_PARTNERS, 7))
    own = common[partner] * rng.lognormal(0, 0.12, (len(partner), 7))
    own[rng.random(len(partner)) < traits.sunday_closed, 6] = 0.0
    return (own / own.mean(axis=1, keepdims=True))[:, weekday]


def _promotions(
    partner: np.ndarray, days: np.ndarray, traits: Traits, rng: np.random.Generator
) -> np.ndarray:
    """(S, days) lift of every other working week of each partner; the turn is skipped at times."""
    week = (days.astype(int) + 3) // 7
    weeks = week[-1] - week[0] + 1
    # a skipped turn moves the phase of all weeks after it
    skipped = rng.random((N_PARTNERS, weeks)) < 0.03
    phase = (np.arange(weeks) + np.cumsum(skipped, axis=1)) % 2
    working = (days.astype(int) + 3) % 7 < 5
    monday = np.where((days.astype(int) + 3) % 7 == 0, 1.4, 1.0)
    promoted = phase[:, week - week[0]] * working * monday  # (partners, days)
    strength = traits.promotion * rng.lognormal(0, 0.4, (len(partner), 1))
    return 1 + strength * promoted[partner]


def _paydays(
    partner: np.ndarray, days: np.ndarray, traits: Traits, rng: np.random.Generator
) -> np.ndarray:
    """(S, days) lift around the turn of the month, for half of the partners also in its middle."""
    start = days.astype("datetime64[M]")
    day = (days - start).astype(int) + 1
    left = ((start + 1).astype("datetime64[D]") - days).astype(int) - 1
    turn = (day <= 3) | (left <= 1)
    middle = (day >= 14) & (day <= 16)
    strength = traits.payday * rng.lognormal(0, 0.4, (len(partner), 1))
    return 1 + strength * np.where((partner % 2 == 0)[:, None], turn | middle, turn)


def _season(
    days: np.ndarray, n_stores: int, traits: Traits, rng: np.random.Generator
) -> np.ndarray:
    """(S, days) a yearly wave of the store's own, and the weeks before Christmas."""
    year = days.astype("datetime64[Y]").astype("datetime64[D]")
    day = (days - year).astype(int)
    wave = rng.normal(0, 0.05, (n_stores, 1)) * np.sin(2 * np.pi * day / 365.25)
    advent = np.clip((day - 325) / 30, 0, 1) * (day < 359)
    return 1 + wave + traits.season * rng.lognormal(0, 0.3, (n_stores, 1)) * advent


def _holidays(
    country: np.ndarray, days: np.ndarray, traits: Traits, rng: np.random.Generator
) -> np.ndarray:
    """(S, days) 0 or less on public holidays, more on the two days before."""
    factor = np.ones((len(country), len(days)))
    shut = rng.random(len(country)) < traits.holiday_closed
    rush = 0.3 * rng.lognormal(0, 0.4, len(country))
    for name, code in COUNTRIES.items():
        dates = holiday_dates((code, ""), days[0], days[-1])
        holiday, eve = np.isin(days, dates), np.isin(days + 1, dates) | np.isin(days + 2, dates)
        rows = country == name
        factor[np.ix_(rows, eve)] *= 1 + rush[rows, None]
        factor[np.ix_(rows, holiday)] = np.where(shut[rows], 0.0, 0.7)[:, None]
    return factor


def _levels(
    n_stores: int, n_days: int, shifted: np.ndarray, traits: Traits, rng: np.random.Generator
) -> np.ndarray:
    """(S, days) level of each store: a random walk around a size, with a jump where `shifted`."""
    size = rng.lognormal(5, 0.8, (n_stores, 1))
    walk = np.exp(np.cumsum(rng.normal(0, traits.drift, (n_stores, n_days)), axis=1))
    at = rng.integers(n_days // 5, n_days, n_stores)
    jump = np.where(shifted, rng.uniform(0.6, 1.6, n_stores), 1.0)
    after = np.arange(n_days) >= at[:, None]
    return size * walk * np.where(after, jump[:, None], 1.0)


def _close(expected: np.ndarray, n_days: int, closed: np.ndarray, rng: np.random.Generator) -> None:
    """Set one long closure of each of these stores to zero, in place."""
    length = rng.integers(30, 181, len(expected))
    start = (rng.random(len(expected)) * (n_days - length)).astype(int)
    day = np.arange(expected.shape[1])
    inside = (day >= start[:, None]) & (day < (start + length)[:, None])
    expected[inside & closed[:, None]] = 0.0
