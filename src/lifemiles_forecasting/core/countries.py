"""Countries and their regions under every name that a file or a configuration may hold."""

from __future__ import annotations

import difflib
from functools import lru_cache

from lifemiles_forecasting.core.errors import ConfigError
from lifemiles_forecasting.core.names import plain


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


@lru_cache
def _regions(country: str) -> dict[str, str]:
    """Codes, names and full ISO 3166-2 codes of a country's regions to their codes."""
    from holidays import country_holidays

    rules = country_holidays(country)
    aliases = getattr(rules, "subdivisions_aliases", {})
    known = {plain(name): code for name, code in aliases.items()}
    for code in rules.subdivisions:
        known |= {plain(code): code, plain(f"{country}-{code}"): code}
    return known


def regions(country: str) -> tuple[str, ...]:
    """Codes of the regions of a country (alpha-2) whose holidays are known apart, sorted."""
    return tuple(sorted(set(_regions(country).values())))


def region_code(country: str, name: str) -> str | None:
    """The code of a region of a country (alpha-2), or None where it is unknown.

    >>> region_code("DE", "Bayern"), region_code("DE", "de-by"), region_code("DE", "Ontario")
    ('BY', 'BY', None)
    """
    return _regions(country).get(plain(name))


def check_country(name: str, where: str) -> str:
    """The alpha-2 code of a country that a configuration names.

    Raises:
        ConfigError: it is unknown.
    """
    code = country_code(name)
    if code is None:
        near = difflib.get_close_matches(plain(name), _codes(), n=1)
        raise ConfigError(
            f"an unknown country {name!r} in {where}",
            "its name in Spanish or English, or its ISO code",
            f"Did you mean {_codes()[near[0]]!r}?" if near else "",
        )
    return code


def check_region(country: str, name: str, where: str) -> str:
    """The code of a region that a configuration names.

    Args:
        country: as the configuration has it.
        name: code or name of the region.
        where: the parameter, for the message.

    Raises:
        ConfigError: the country or the region is unknown; the message lists the regions.
    """
    code = check_country(country, where)
    region = region_code(code, name)
    if region is None:
        near = difflib.get_close_matches(plain(name), _regions(code), n=1)
        available = ", ".join(regions(code))
        raise ConfigError(
            f"an unknown region {name!r} of {country} in {where}",
            f"one of {available}" if available else "none: this country has no regions known",
            f"Did you mean {_regions(code)[near[0]]!r}?" if near else "",
        )
    return region
