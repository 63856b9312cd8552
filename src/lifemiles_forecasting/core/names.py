"""Names as people write them."""

import unicodedata


def plain(name: str) -> str:
    """A name without case, accents and white space, to compare it with another.

    >>> plain("  Facturación ")
    'facturacion'
    """
    decomposed = unicodedata.normalize("NFKD", name.casefold())
    return "".join(x for x in decomposed if not unicodedata.combining(x) and not x.isspace())


def printable(text: str) -> str:
    """A text for a terminal or a log, without the line breaks and escape sequences of an id."""
    return "".join(sign if sign.isprintable() else "?" for sign in text)
