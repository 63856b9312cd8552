"""How amounts are written, and what has to be done for them to be read."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable

from lifemiles_forecasting.core.config import DataSettings
from lifemiles_forecasting.core.transactions import THOUSANDS

# decimal sign and sign that parts thousands
FORMS = [(point, mark) for point in ".," for mark in ("", ",", ".", " ", "'") if mark != point]


def _fits(text: str, point: str, mark: str) -> bool:
    """Whether an amount is a number as somebody would write it: `0,900` has no thousands."""
    sign = THOUSANDS.get(mark, f"[{mark}]")
    grouped = rf"|[1-9][0-9]{{0,2}}({sign}[0-9]{{3}})+" if mark else ""
    return re.fullmatch(rf"[+-]?([0-9]+{grouped})([{point}][0-9]*)?", text) is not None


def _bare(text: str) -> str:
    """An amount without currency signs, and without letters such as `USD`."""
    kept = (x for x in text if unicodedata.category(x) != "Sc" and not x.isalpha())
    return "".join(kept).strip()


def _changed(form: tuple[str, str], settings: DataSettings) -> tuple[str, ...]:
    """The settings that are others in a form."""
    given = {"decimal": form[0], "thousands": form[1]}
    return tuple(name for name, sign in given.items() if sign != getattr(settings, name))


def advice(texts: Iterable[str], settings: DataSettings) -> tuple[list[tuple[str, ...]], bool]:
    """What would make numbers of most amounts, and of equally good changes the smallest.

    Args:
        texts: amounts as they are written; those that can be read as configured do not count.
        settings: `decimal` and `thousands`.

    Returns:
        The choices, each with the settings to change, and whether currency signs are in the way.

    >>> advice(["12,345.60", "7.00"], DataSettings(columns={}))
    ([('thousands',)], False)
    >>> advice(["US$ 12,345"], DataSettings(columns={}))
    ([('decimal',), ('thousands',)], True)
    """
    written = {text.strip() for text in texts}
    bad = [text for text in written if not _fits(text, settings.decimal, settings.thousands)]
    fitting = Counter(form for text in bad for form in FORMS if _fits(_bare(text), *form))
    if not fitting:
        return [("decimal",), ("thousands",)], False
    most = max(fitting.values())
    best = [form for form in FORMS if fitting[form] == most]
    changes = {_changed(form, settings) for form in best}
    fewest = min(map(len, changes))
    signs = any(_bare(text) != text for text in bad if _fits(_bare(text), *best[0]))
    return sorted(change for change in changes if len(change) == fewest), signs
