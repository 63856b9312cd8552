"""Names as people write them."""

import unicodedata


def plain(name: str) -> str:
    """A name without case, accents and white space, to compare it with another.

    >>> plain("  Facturación ")
    'facturacion'
    """
    decomposed = unicodedata.normalize("NFKD", name.casefold())
    return "".join(x for x in decomposed if not unicodedata.combining(x) and not x.isspace())
