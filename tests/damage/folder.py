"""A folder of transactions while it is written, together with the truth about it."""

from __future__ import annotations

import csv
import io
import random
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

Key = tuple[str, str, date]  # partner code, store code, day
Kind = Callable[["Draft"], None]

HEADINGS = {
    "partner": "Partner Code",
    "store": "Store Code",
    "day": "Process Date",
    "amount": "Billings",
    "activity": "Activity Number",
    "type": "Transaction Type",
    "store_name": "Store Name",
    "country": "Country",
    "city": "City",
}
NO_ACTIVITY = {key: name for key, name in HEADINGS.items() if key != "activity"}
# any of them can be written in latin-1
NAMES = ("Centro", "Café Ñandú", "São João", "L'Étoile", "Plaza 80", "Über-Markt", "Peñón")
FIRST_DAY = date(2018, 1, 1)


@dataclass(frozen=True)
class Sale:
    """What a row says: `amount` in target units, everything else as the store table has it."""

    partner: str
    store: str
    day: date
    amount: Decimal
    activity: str
    store_name: str
    type: str = "Accrual"
    country: str = "Colombia"
    city: str = "Bogotá"

    def cells(self) -> dict[str, str]:
        """The usual way to write it."""
        written = {"day": self.day.isoformat(), "amount": format(self.amount, "f")}
        return vars(self) | written


@dataclass(frozen=True)
class Damaged:
    """A folder's files, how they are to be read, and what must come of them.

    Attributes:
        files: content by name.
        settings: changes to `data_processing`.
        as_of: last day that may be known; None for no limit.
        days: sum (target units) and number of used rows by partner code, store code and day.
        names: by partner and store code, the store names in its rows of the last day.
        quarantine: file, line and reason of every other row, sorted.
        rows_in: rows up to `as_of`, by file.
        after_as_of: rows after it.
        error: what the one clear error must say, piece by piece; empty when there must be none.
    """

    files: Mapping[str, bytes]
    settings: Mapping[str, Any]
    as_of: date | None
    days: Mapping[Key, tuple[Decimal, int]]
    names: Mapping[tuple[str, str], frozenset[str]]
    quarantine: Sequence[tuple[str, int, str]]
    rows_in: Mapping[str, int]
    after_as_of: int
    error: tuple[str, ...]


class Draft:
    """What a kind of damage writes into.

    Attributes:
        rng: the only source of chance.
        files: content by name, as far as it is written.
        settings: changes to `data_processing`.
        as_of: last day that may be known.
        error: see `Damaged`.
    """

    def __init__(self, seed: str) -> None:
        self.rng = random.Random(seed)
        self.files: dict[str, bytes] = {}
        self.settings: dict[str, Any] = {"max_quarantined_share": 0.5}
        self.as_of: date | None = None
        self.error: tuple[str, ...] = ()
        self.after_as_of = 0
        self._sums: dict[Key, Decimal] = defaultdict(Decimal)
        self._counts: Counter[Key] = Counter()
        self._names: dict[Key, set[str]] = defaultdict(set)
        self._quarantine: list[tuple[str, int, str]] = []
        self._rows_in: Counter[str] = Counter()
        self._sold = 0

    def sales(self, number: int, **same: Any) -> list[Sale]:
        """Made-up sales at a few stores within 60 days.

        Args:
            number: how many.
            same: what they have in common.
        """
        return [self.sale(**same) for _ in range(number)]

    def sale(self, **given: Any) -> Sale:
        """One made-up sale; `given` are values that it must have."""
        self._sold += 1
        store = self.rng.randrange(5)
        drawn = {
            "partner": "ABC"[store % 3],
            "store": f"{store:03d}",
            "day": FIRST_DAY + timedelta(self.rng.randrange(60)),
            "amount": Decimal(self.rng.randint(1, 50_000)).scaleb(-2),
            "activity": f"N{self._sold:06d}",
            "store_name": self.rng.choice(NAMES),
        }
        return Sale(**drawn | given)

    def use(self, sale: Sale, file: str) -> None:
        """Write down that a row must come through."""
        key = (sale.partner, sale.store, sale.day)
        self._sums[key] += sale.amount
        self._counts[key] += 1
        self._names[key].add(sale.store_name)
        self._rows_in[file] += 1

    def lose(self, file: str, line: int, reason: str) -> None:
        """Write down that a row must be in the quarantine."""
        self._quarantine.append((file, line, reason))
        self._rows_in[file] += 1

    def sheet(self, name: str = "data_01.csv", **form: Any) -> Sheet:
        """A new file; see `Sheet` for its form."""
        return Sheet(self, name, **form)

    def finished(self) -> Damaged:
        """The folder and the truth about it."""
        days = {key: (total, self._counts[key]) for key, total in self._sums.items()}
        last = {key[:2]: key for key in sorted(self._names)}
        names = {store: frozenset(self._names[key]) for store, key in last.items()}
        rows_in = {name: self._rows_in[name] for name in self.files}
        return Damaged(
            self.files,
            self.settings,
            self.as_of,
            days,
            names,
            sorted(self._quarantine),
            rows_in,
            self.after_as_of,
            self.error,
        )


class Sheet:
    """One file, line by line.

    Args:
        draft: the folder that it belongs to.
        name: of the file.
        headings: its columns, what a sale calls them to what the file calls them.
        separator: between cells.
        quoting: as in the module `csv`.
    """

    def __init__(
        self,
        draft: Draft,
        name: str,
        headings: Mapping[str, str] = HEADINGS,
        separator: str = ",",
        quoting: int = csv.QUOTE_MINIMAL,
    ) -> None:
        self.name, self._draft, self._headings = name, draft, headings
        self._separator, self._quoting = separator, quoting
        self._lines: list[str] = []
        self.line = 1
        self.put(self.joined(headings.values()))

    def joined(self, cells: Sequence[str]) -> str:
        """Cells as a record without its line end."""
        out = io.StringIO()
        form = {"delimiter": self._separator, "quoting": self._quoting, "lineterminator": "\n"}
        csv.writer(out, **form).writerow(cells)
        return out.getvalue()[:-1]

    @property
    def text(self) -> str:
        """What is written so far."""
        return "".join(self._lines)

    def record(self, sale: Sale, **spelled: str) -> str:
        """The record of a sale, with some cells spelled in another way."""
        cells = sale.cells() | spelled
        return self.joined([cells.get(key, "") for key in self._headings])

    def put(self, text: str) -> int:
        """Write something that is no row; the line on which it begins."""
        begun = self.line
        self._lines.append(text + "\n")
        self.line += text.count("\n") + 1
        return begun

    def use(self, sale: Sale, text: str | None = None, **spelled: str) -> None:
        """Write a row that must come through, in its usual form or as `text`."""
        self.put(self.record(sale, **spelled) if text is None else text)
        self._draft.use(sale, self.name)

    def use_all(self, sales: Sequence[Sale]) -> None:
        """Write rows that must come through."""
        for sale in sales:
            self.use(sale)

    def lose(self, reason: str, text: str | None = None, **spelled: str) -> None:
        """Write a row that must be in the quarantine: `text`, or a sale with some cells spoiled."""
        line = self.put(self.record(self._draft.sale(), **spelled) if text is None else text)
        self._draft.lose(self.name, line, reason)

    def among(self, number: int, *others: Callable[[], None]) -> None:
        """Write so many sound sales, and everything else at places among them."""
        sound = [lambda sale=sale: self.use(sale) for sale in self._draft.sales(number)]
        steps = [*sound, *others]
        self._draft.rng.shuffle(steps)
        for step in steps:
            step()

    def encoded(self, encoding: str = "utf-8") -> bytes:
        """The content; in UTF-8, surrogates stand for bytes outside of it."""
        errors = "surrogateescape" if encoding.startswith("utf-8") else "strict"
        return self.text.encode(encoding, errors)

    def save(self, content: bytes | None = None) -> None:
        """Put the file into the folder, as UTF-8 or as the given bytes."""
        self._draft.files[self.name] = self.encoded() if content is None else content
