"""Public holidays of the store's country, known ahead of time."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from lifemiles_forecasting.core import columns as c
from lifemiles_forecasting.core.names import plain
from lifemiles_forecasting.core.series import Series

FAR = 30  # days; a holiday further away than this is no holiday in sight
NAMES = ("holiday", "days_to_holiday", "days_since_holiday", "holidays_in_week")


@lru_cache
def _codes() -> dict[str, str]:
    """Country names in Spanish and English and ISO codes (2 and 3 letters) to ISO 3166 alpha-2."""
    from babel import Locale
    from babel.core import get_global
    from holidays import list_supported_countries

    supported = set(list_supported_countries(include_aliases=False))
    known = {plain(code): code for code in supported}
    for alias, codes in get_global("territory_aliases").items():  # the three-letter codes
        if len(codes) == 1 and codes[0] in supported:
            known[plain(alias)] = codes[0]
    for language in ("es", "en"):
        names = Locale(language).territories
        known |= {plain(name): code for code, name in names.items() if code in supported}
    return known


def country_code(name: str | None) -> str | None:
    """The ISO 3166 alpha-2 code of a country, or None where it is unknown.

    >>> country_code("Estados Unidos"), country_code("colombia"), country_code("Atlantis")
    ('US', 'CO', None)
    """
    return _codes().get(plain(name)) if isinstance(name, str) else None


def holiday_dates(code: str | None, first: np.datetime64, last: np.datetime64) -> np.ndarray:
    """Sorted datetime64[D] of the public holidays between two days, with a margin of FAR days."""
    if code is None:
        return np.array([], dtype="datetime64[D]")
    from holidays import country_holidays

    years = range(int(str(first - FAR)[:4]), int(str(last + FAR)[:4]) + 1)
    return np.array(sorted(country_holidays(code, years=years)), dtype="datetime64[D]")


def holiday_features(holidays: np.ndarray, days: np.ndarray) -> np.ndarray:
    """(len(days), 4) float32 in the order of NAMES; distances are capped at FAR days."""
    after = np.searchsorted(holidays, days, side="left")  # the first holiday on or after the day
    padded = np.concatenate([holidays[:1] - 10 * FAR, holidays, holidays[-1:] + 10 * FAR])
    if not len(holidays):
        far = np.full(len(days), FAR)
        return np.stack([0 * far, far, far, 0 * far], axis=1).astype(np.float32)
    to_next = (padded[after + 1] - days).astype(int)
    before = np.searchsorted(holidays, days, side="right")
    since = (days - padded[before]).astype(int)
    monday = days - (days.astype(int) + 3) % 7
    in_week = np.searchsorted(holidays, monday + 7) - np.searchsorted(holidays, monday)
    return np.stack(
        [to_next == 0, np.minimum(to_next, FAR), np.minimum(since, FAR), in_week], axis=1
    ).astype(np.float32)


@dataclass(frozen=True)
class Calendar:
    """Holiday features of every country of the stores, for the past and the days ahead.

    Attributes:
        features: (countries, D + horizon, 4) float32, see NAMES.
        country: (S,) index into `features` of each store.
        unknown: names of countries for which no holidays are known.
    """

    features: np.ndarray
    country: np.ndarray
    unknown: tuple[str, ...]

    @classmethod
    def of(cls, series: Series, horizon: int) -> Calendar:
        """Read the stores' countries and look their holidays up."""
        days = np.arange(series.dates[0], series.dates[-1] + 1 + horizon)
        names = series.stores[c.COUNTRY].to_numpy(object)
        codes = np.array([country_code(name) or "" for name in names], dtype=object)
        distinct, country = np.unique(codes.astype(str), return_inverse=True)
        features = np.stack(
            [
                holiday_features(holiday_dates(code or None, days[0], days[-1]), days)
                for code in distinct
            ]
        )
        unknown = {
            name if isinstance(name, str) else "(none given)"
            for name, code in zip(names, codes, strict=True)
            if not code
        }
        return cls(features, country, tuple(sorted(unknown)))

    def take(self, rows: np.ndarray) -> Calendar:
        """Only these stores."""
        return Calendar(self.features, self.country[rows], self.unknown)

    def ahead(self, origin: int, horizon: int) -> np.ndarray:
        """(S, horizon, 4): the features of the days after `origin` for each store."""
        return self.features[self.country, origin + 1 : origin + 1 + horizon]
