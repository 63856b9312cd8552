"""Text that a spreadsheet shows and does not run.

A spreadsheet takes a cell that begins with = + - @ for a formula, which may start programs or send
what is in the table elsewhere. Codes and names come from other people's files, so an apostrophe
goes in front of what looks like one, and is taken off again when our own programs read the file.
Nothing else changes, and no two texts become one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

# A spreadsheet may part lines at another sign than the comma that we write (in Spanish ones it is
# the semicolon), and then does not see our quotes either: a cell may begin after each of these.
_STARTS = ';,|\\t\\r\\n"'
# what makes a formula, after the apostrophes that are there already and spaces; full-width signs
# count in Asia
_FORMULA = r"'*[^\S\t\r\n]*[\t\r\n=+\-@＝＋－＠]"
_MISSING_MARK = re.compile(f"(?<![^{_STARTS}])(?={_FORMULA})")
_MARK = re.compile(f"(?<![^{_STARTS}])'(?={_FORMULA})")


def neutral(text: str) -> str:
    """A text that no spreadsheet runs; most stay as they are.

    Example:
        >>> neutral("=1+1"), neutral("a;-1"), neutral("CJGRO_0007")
        ("'=1+1", "a;'-1", 'CJGRO_0007')
    """
    return _MISSING_MARK.sub("'", text)


def original(text: str) -> str:
    """The text that `neutral` was given.

    Example:
        >>> original("'=1+1"), original("'tis")
        ('=1+1', "'tis")
    """
    return _MARK.sub("", text)


def neutral_table(frame: pd.DataFrame) -> pd.DataFrame:
    """A table for a CSV file, whose texts no spreadsheet runs.

    Args:
        frame: any columns; those of text are looked at.

    Returns:
        The same rows, columns and types.
    """
    return _mapped(frame, neutral)


def original_table(frame: pd.DataFrame) -> pd.DataFrame:
    """The table that `neutral_table` was given, as it is read back from a file."""
    return _mapped(frame, original)


def has_text(frame: pd.DataFrame, part: str) -> bool:
    """Whether any text of a table has this part."""
    return any(part in text for _, texts in _texts(frame) for text in texts)


def _texts(frame: pd.DataFrame) -> Iterator[tuple[Hashable, list[str]]]:
    """The distinct texts of each column that has any; a code is in a file many times."""
    from pandas.api.types import is_object_dtype, is_string_dtype

    for name, column in frame.items():
        if is_object_dtype(column) or is_string_dtype(column):
            yield name, [text for text in column.unique() if isinstance(text, str)]


def _mapped(frame: pd.DataFrame, change: Callable[[str], str]) -> pd.DataFrame:
    changed = {}
    for name, texts in _texts(frame):
        known = {text: change(text) for text in texts}
        different = {text: new for text, new in known.items() if new != text}
        if different:
            # `replace` of a mapping takes time with the square of its length
            changed[name] = frame[name].map(lambda x, new=different: new.get(x, x))
    return frame.assign(**changed) if changed else frame
