"""Which country and region a store's public holidays are those of."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from lifemiles_forecasting.core.countries import check_country, check_region, country_code
from lifemiles_forecasting.core.errors import ConfigError
from lifemiles_forecasting.core.names import plain

if TYPE_CHECKING:
    from lifemiles_forecasting.core.config import HolidaySettings

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
Place = tuple[str, str]  # country and region, both as codes; "" where there is none
NOWHERE: Place = ("", "")
GROUP = "modeling.holidays"


@dataclass(frozen=True)
class Regions:
    """The configured regions; a store's own goes before its city's, that before its country's.

    Attributes:
        by_name: country code by a name that the data have for it, in plain form.
        by_country: region by country code.
        by_city: region by country code and city, the city in plain form.
        by_store: country and region by store id.
    """

    by_name: Mapping[str, str]
    by_country: Mapping[str, str]
    by_city: Mapping[tuple[str, str], str]
    by_store: Mapping[str, Place]

    @classmethod
    def of(cls, settings: HolidaySettings) -> Regions:
        """Look every name of the configuration up.

        Raises:
            ConfigError: a country or region is unknown, or something stands in two regions.
        """
        where = f"{GROUP}.countries"
        by_name = [
            (plain(name), check_country(country, where))
            for name, country in settings.countries.items()
        ]
        named = _unique(by_name, where)
        where = f"{GROUP}.regions"
        by_country = [
            (check_country(country, where), check_region(country, region, where))
            for country, region in settings.regions.items()
        ]
        cities = f"{GROUP}.city_regions"
        by_city = [
            ((country, plain(city)), region)
            for (country, region), city in _members(settings.city_regions, cities)
        ]
        stores = f"{GROUP}.store_regions"
        by_store = [(store, place) for place, store in _members(settings.store_regions, stores)]
        by_place = (_unique(by_city, cities), _unique(by_store, stores))
        return cls(named, _unique(by_country, where), *by_place)

    def place(self, store_id: str, country: str | None, city: str | None) -> Place:
        """Country and region of a store, NOWHERE where its country is unknown.

        Args:
            store_id: as in the store table.
            country: its country as the data have it.
            city: its city as the data have it.
        """
        if store_id in self.by_store:
            return self.by_store[store_id]
        written = plain(country) if isinstance(country, str) else ""
        code = self.by_name.get(written) or country_code(country)
        if code is None:
            return NOWHERE
        town = plain(city) if isinstance(city, str) else ""
        return code, self.by_city.get((code, town), self.by_country.get(code, ""))


def _members(
    groups: Mapping[str, Mapping[str, tuple[str, ...]]], where: str
) -> Iterator[tuple[Place, str]]:
    for country, by_region in groups.items():
        for region, members in by_region.items():
            place = check_country(country, where), check_region(country, region, where)
            for member in members:
                yield place, member


def _unique(pairs: list[tuple[K, V]], where: str) -> dict[K, V]:
    """The pairs as a mapping, unless one key has two values."""
    found: dict[K, V] = {}
    for key, value in pairs:
        if found.setdefault(key, value) != value:
            raise ConfigError(f"{key!r} with {found[key]!r} and {value!r} in {where}", "one region")
    return found
