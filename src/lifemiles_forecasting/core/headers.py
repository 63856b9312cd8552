"""Which column of a file is which: the names in its header against the accepted ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from lifemiles_forecasting.core.config import DataSettings
from lifemiles_forecasting.core.errors import InputError
from lifemiles_forecasting.core.names import heading

SEPARATORS = (",", ";", "\t", "|")


def _find(header: Sequence[str], accepted: Sequence[str], file: str) -> int | None:
    """The position of the first accepted name in a header, an exact match before a loose one."""
    for name in accepted:
        if name in header:
            return header.index(name)
    written = [heading(name) for name in header]
    for name in accepted:
        hits = [i for i, other in enumerate(written) if other == heading(name)]
        if len(hits) > 1:
            raise InputError(
                f"columns {' and '.join(repr(header[i]) for i in hits)} in {file}",
                f"one column {name!r}",
                "Remove one of them, or name the right one in data_processing.columns.",
            )
        if hits:
            return hits[0]
    return None


def required_columns(settings: DataSettings, target: str) -> tuple[tuple[str, ...], ...]:
    """What a file must have for the target: of each group, one (joined by `+`: all of them)."""
    amount = {"billings": ("billings", "miles+mile_price")}.get(target, (target,))
    needed = (("partner_code",), ("store_code",), (settings.date_column,), amount)
    return (*needed, ("transaction_type",)) if settings.transaction_types else needed


def _missing(found: Mapping[str, int], settings: DataSettings, target: str) -> tuple[str, ...]:
    """The first group of `required_columns` that a file does not have; empty if it has all."""
    for group in required_columns(settings, target):
        if not any(all(part in found for part in option.split("+")) for option in group):
            return group
    return ()


def _is_header(header: Sequence[str], settings: DataSettings) -> bool:
    """Whether any accepted name is in a line, whatever separates its cells."""
    cells = {heading(cell.strip()) for cell in header}
    for other in SEPARATORS:
        cells.update(heading(cell.strip()) for cell in settings.separator.join(header).split(other))
    return any(heading(name) in cells for names in settings.columns.values() for name in names)


def resolve_columns(
    header: Sequence[str], file: str, settings: DataSettings, target: str
) -> dict[str, int]:
    """Canonical name to position, for the columns of a file that are known.

    Args:
        header: the names in the file's first line, white space stripped.
        file: its name, for the messages.
        settings: `columns` maps a canonical name to the names that are accepted for it.
        target: what is forecast; decides which columns are required.

    Raises:
        InputError: there is no header, an accepted name stands twice in it, or a required column
            is missing.
    """
    if not _is_header(header, settings):
        # not shown: it may be a row, with a member number in it
        raise InputError(
            f"a first line in {file} with none of the names of columns ({len(header)} cells)",
            "the header there",
            "Add it, or the file's names of the columns to data_processing.columns.",
        )
    accepted = {heading(name) for names in settings.columns.values() for name in names}
    names = Counter(name for name in header if name and heading(name) in accepted)
    twice = [name for name, times in names.items() if times > 1]
    if twice:
        raise InputError(f"column {twice[0]!r} more than once in the header of {file}", "it once")
    positions = {name: _find(header, accepted, file) for name, accepted in settings.columns.items()}
    found = {name: at for name, at in positions.items() if at is not None}
    group = _missing(found, settings, target)
    if group:
        raise _missing_column(group, header, file, settings, target)
    return found


def _missing_column(
    group: tuple[str, ...], header: Sequence[str], file: str, settings: DataSettings, target: str
) -> InputError:
    """Name the column, the file and the most likely cause."""
    hint = "Add the file's name of the column to data_processing.columns."
    for other in SEPARATORS:
        names = [name.strip() for name in settings.separator.join(header).split(other)]
        found = {
            k: 0 for k, v in settings.columns.items() if {*map(heading, v)} & {*map(heading, names)}
        }
        if other != settings.separator and not _missing(found, settings, target):
            hint = f"Its columns are separated by {other!r}: set data_processing.separator to it."
    if group == (settings.date_column,):
        hint += " Another column of dates can be chosen with data_processing.date_column."
    if not any(settings.columns.get(part) for option in group for part in option.split("+")):
        hint = f"data_processing.columns has no name for {group[0]}: add the file's."
    names = [
        " with ".join(repr(" / ".join(settings.columns.get(p) or (p,))) for p in option.split("+"))
        for option in group
    ]
    shown = ", ".join(header[:30])
    why = {
        ("partner_code",): "it in every file",
        ("store_code",): "it in every file",
        (settings.date_column,): "it in every file",
        ("transaction_type",): "it, because data_processing.transaction_types names some",
    }.get(group, f"it, because the target {target!r} needs it")
    return InputError(f"no column {' or '.join(names)} in {file}, which has: {shown}", why, hint)
