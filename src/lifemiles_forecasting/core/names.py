"""Names as people write them."""

import difflib
import unicodedata
from collections.abc import Iterable, Sequence

_FEW = 5


def plain(name: str) -> str:
    """A name without case, accents and white space, to compare it with another.

    >>> plain("  Facturación ")
    'facturacion'
    """
    decomposed = unicodedata.normalize("NFKD", name.casefold())
    return "".join(x for x in decomposed if not unicodedata.combining(x) and not x.isspace())


def heading(name: str) -> str:
    """A column's name as `plain` has it, and without what stands for its spaces elsewhere.

    >>> heading("Process_Date")
    'processdate'
    """
    return plain(name).replace("_", "").replace("-", "")


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The question for the nearest known name; empty where none is near.

    >>> did_you_mean("horizont", ["seed", "horizon"])
    "Did you mean 'horizon'?"
    """
    near = difflib.get_close_matches(name, list(known), n=1)
    return f"Did you mean {near[0]!r}?" if near else ""


def printable(text: str) -> str:
    """A text for a terminal or a log, without the line breaks and escape sequences of an id."""
    return "".join(sign if sign.isprintable() else "?" for sign in text)


def first_few(names: Sequence[str]) -> str:
    """The first names of a list, for a message; the others are dots.

    >>> first_few(["P1_1", "P1_2", "P1_3", "P1_4", "P1_5", "P1_6"])
    'P1_1, P1_2, P1_3, P1_4, P1_5, ...'
    """
    listed = ", ".join(printable(str(name)) for name in names[:_FEW])
    return f"{listed}, ..." if len(names) > _FEW else listed
