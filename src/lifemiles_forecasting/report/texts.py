"""The words of the figures and the report, one dict per language."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType

from lifemiles_forecasting.report import (
    texts_en,
    texts_es,
    texts_monitoring_en,
    texts_monitoring_es,
)

TEXTS: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "es": texts_es.TEXTS | texts_monitoring_es.TEXTS,
        "en": texts_en.TEXTS | texts_monitoring_en.TEXTS,
    }
)


def named(texts: Mapping[str, str], kind: str, value: str) -> str:
    """Say a value of the data (a status, a class, a candidate) in the reader's language.

    >>> named(TEXTS["en"], "status", "short_history")
    'short history'
    >>> named(TEXTS["en"], "candidate", "my_own_model")
    'my own model'
    """
    return texts.get(f"{kind}_{value}", value.replace("_", " "))


def number(
    value: float | None, texts: Mapping[str, str], digits: int = 0, *, sign: bool = False
) -> str:
    """Write a number as the language does; an en dash for one that is missing.

    >>> number(1234.5, TEXTS["es"], 1)
    '1.234,5'
    """
    if value is None or not math.isfinite(value):
        return "–"
    plain = f"{value:{'+' if sign else ''},.{digits}f}"
    if not plain.strip("+-0,."):  # -0.0 is 0
        plain = plain.lstrip("+-")
    swap = {",": texts["thousands"], ".": texts["decimal"], "-": "−"}
    return "".join(swap.get(sign_, sign_) for sign_ in plain)


def percent(value: float | None, texts: Mapping[str, str], *, sign: bool = False) -> str:
    r"""Write a number that is already in percent; the sign stays on its line.

    >>> percent(12.34, TEXTS["es"], sign=True)
    '+12,3\xa0%'
    """
    text = number(value, texts, 1, sign=sign)
    return text if text == "–" else f"{text}\u00a0%"
