"""What is known ahead of time: public holidays of the store's region, and planned events."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from lifemiles_forecasting.core import columns as c
from lifemiles_forecasting.core.config import HolidaySettings
from lifemiles_forecasting.core.event_days import EventDays
from lifemiles_forecasting.core.notices import Notice
from lifemiles_forecasting.core.regions import NOWHERE, Place, Regions
from lifemiles_forecasting.core.series import Series

FAR = 30  # days; a holiday further away than this is no holiday in sight
NAMES = ("holiday", "days_to_holiday", "days_since_holiday", "holidays_in_week")
NO_COUNTRY = "(none given)"
UNKNOWN_COUNTRY = "unknown_country"  # its stores have no holidays


def holiday_dates(place: Place, first: np.datetime64, last: np.datetime64) -> np.ndarray:
    """Sorted datetime64[D] of the public holidays between two days, with a margin of FAR days."""
    country, region = place
    if not country:
        return np.array([], dtype="datetime64[D]")
    from holidays import country_holidays

    years = range(int(str(first - FAR)[:4]), int(str(last + FAR)[:4]) + 1)
    known = country_holidays(country, subdiv=region or None, years=years)
    return np.array(sorted(known), dtype="datetime64[D]")


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


def _places(stores: pd.DataFrame, holidays: HolidaySettings) -> list[Place]:
    """Where each store's holidays are looked up."""
    regions = Regions.of(holidays)
    names = [stores[key].to_numpy(object) for key in (c.STORE_ID, c.COUNTRY, c.CITY)]
    return [regions.place(*one) for one in zip(*names, strict=True)]


def _unknown(stores: pd.DataFrame, places: list[Place]) -> dict[str, int]:
    """How many stores are in each country for which no holidays are known."""
    countries = zip(stores[c.COUNTRY], places, strict=True)
    unknown = Counter(
        (name.strip() if isinstance(name, str) else "") or NO_COUNTRY
        for name, place in countries
        if place == NOWHERE
    )
    return dict(sorted(unknown.items()))


def _country_notices(unknown: Mapping[str, int]) -> list[Notice]:
    return [Notice(name, "holidays", UNKNOWN_COUNTRY, stores) for name, stores in unknown.items()]


def country_notices(stores: pd.DataFrame, holidays: HolidaySettings) -> list[Notice]:
    """Warnings of countries without known holidays, without laying a calendar out.

    Args:
        stores: the columns of `columns.STORES`.
        holidays: regions of the stores.
    """
    return _country_notices(_unknown(stores, _places(stores, holidays)))


@dataclass(frozen=True)
class Calendar:
    """What is known of every store's days, the past ones and those ahead.

    Attributes:
        features: (places, D + horizon, 4) float32 holiday features, see NAMES.
        place: (S,) index into `features` of each store.
        unknown: how many stores are in each country for which no holidays are known.
        events: planned events of the same days; None without any.
    """

    features: np.ndarray
    place: np.ndarray
    unknown: Mapping[str, int]
    events: EventDays | None = None

    @classmethod
    def of(
        cls,
        series: Series,
        horizon: int,
        holidays: HolidaySettings | None = None,
        events: pd.DataFrame | None = None,
        learned: Collection[str] | None = None,
    ) -> Calendar:
        """Look the stores' holidays up and lay their events out.

        Args:
            series: its stores and days; what they sold does not matter.
            horizon: days after the last one that are wanted too.
            holidays: regions of the stores; by default the whole country's holidays.
            events: planned events, the columns of `columns.EVENTS`.
            learned: features of events that a model knows; by default the events decide.
        """
        days = np.arange(series.dates[0], series.dates[-1] + 1 + horizon)
        places = _places(series.stores, holidays or HolidaySettings())
        distinct = sorted(set(places))
        features = [
            holiday_features(holiday_dates(place, days[0], days[-1]), days) for place in distinct
        ]
        index = {place: k for k, place in enumerate(distinct)}
        return cls(
            np.stack(features),
            np.array([index[place] for place in places]),
            _unknown(series.stores, places),
            None if events is None else EventDays.of(events, series.stores, days, learned),
        )

    @property
    def names(self) -> tuple[str, ...]:
        """K names of the features of a day."""
        return NAMES + (() if self.events is None else self.events.names)

    def notices(self) -> list[Notice]:
        """Warnings of countries without known holidays, and of events that share a feature."""
        countries = _country_notices(self.unknown)
        return countries + ([] if self.events is None else self.events.notices())

    def holidays(self) -> np.ndarray:
        """(S, D + horizon) bool, public holidays of each store."""
        return self.features[self.place, :, NAMES.index("holiday")] > 0

    def take(self, rows: np.ndarray) -> Calendar:
        """Only these stores."""
        events = None if self.events is None else self.events.take(rows)
        return replace(self, place=self.place[rows], events=events)

    def ahead(self, origin: int, horizon: int) -> np.ndarray:
        """(S, horizon, K): the features of the days after `origin` for each store."""
        window = slice(origin + 1, origin + 1 + horizon)
        holidays = self.features[self.place, window]
        if self.events is None:
            return holidays
        return np.concatenate([holidays, self.events.of_days(window)], axis=2)
