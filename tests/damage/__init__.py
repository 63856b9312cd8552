"""Made-up transaction files with every kind of damage, and what must come of each.

The same kind and seed give the same bytes. The truth is known because the files are written from
it; nothing here reads a file.
"""

from damage import codes, encodings, lines, packing, repeats, values
from damage.folder import Damaged, Draft

_ROOMS = (encodings, packing, lines, values, codes, repeats)
KINDS = {kind.__name__: kind for room in _ROOMS for kind in room.KINDS}


def damaged(kind: str, seed: int) -> Damaged:
    """A folder with one kind of damage.

    Args:
        kind: one of KINDS.
        seed: of everything that is random in it.

    >>> damaged("stray_quote", 3).quarantine
    [('data_01.csv', 9, 'unreadable line'), ('data_01.csv', 36, 'unreadable line')]
    """
    draft = Draft(f"{kind} {seed}")
    KINDS[kind](draft)
    return draft.finished()


__all__ = ["KINDS", "Damaged", "damaged"]
