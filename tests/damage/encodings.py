"""Bytes and letters: encodings, byte-order marks, separators and decimal signs."""

from __future__ import annotations

import codecs
import csv
import gzip
from decimal import Decimal
from functools import partial

from damage.folder import HEADINGS, Draft, Sheet
from lifemiles_forecasting.core.transactions import BAD_DATE, NOT_A_NUMBER, WRONG_ENCODING

ACCENTED = HEADINGS | {"amount": "Facturación"}
CITIES = ("Bogotá", "Medellín", "Cúcuta")


def _accented(draft: Draft, sheet: Sheet, number: int) -> None:
    """Sales whose city and partner have accents."""
    for sale in draft.sales(number):
        city = draft.rng.choice(CITIES)
        sheet.use(type(sale)(**vars(sale) | {"city": city, "partner": f"Ñ{sale.partner}"}))


def accents_in_utf8(draft: Draft) -> None:
    """UTF-8 without a byte-order mark, the usual case: read."""
    sheet = draft.sheet(headings=ACCENTED)
    _accented(draft, sheet, 40)
    sheet.save()


def byte_order_mark(draft: Draft) -> None:
    """UTF-8 with a byte-order mark: read."""
    sheet = draft.sheet(headings=ACCENTED)
    _accented(draft, sheet, 40)
    sheet.save(sheet.encoded("utf-8-sig"))


def byte_order_mark_before_a_quote(draft: Draft) -> None:
    """A byte-order mark, and the first name of the header in quotes: read."""
    sheet = draft.sheet(headings=ACCENTED, quoting=csv.QUOTE_ALL)
    _accented(draft, sheet, 40)
    sheet.save(sheet.encoded("utf-8-sig"))


def joined_files_with_marks(draft: Draft) -> None:
    """Two files joined end to end, header and byte-order mark in the middle: that line goes."""
    sheet = draft.sheet()
    sheet.use_all(draft.sales(draft.rng.randint(5, 40)))
    sheet.lose(BAD_DATE, "\ufeff" + sheet.joined(HEADINGS.values()))
    sheet.use_all(draft.sales(20))
    sheet.save(sheet.encoded("utf-8-sig"))


def _configured(draft: Draft, encoding: str, name: str = "Peñón") -> None:
    """A file in an encoding of one byte, packed or not."""
    draft.settings["encoding"] = encoding
    packed = draft.rng.random() < 0.5
    sheet = draft.sheet("data_01.csv.gz" if packed else "data_01.csv", headings=ACCENTED)
    _accented(draft, sheet, 30)
    sheet.use_all(draft.sales(10, store_name=name))
    content = sheet.encoded(encoding)
    sheet.save(gzip.compress(content) if packed else content)


def latin1_as_configured(draft: Draft) -> None:
    """Latin-1, and configured so: read."""
    _configured(draft, "latin-1")


def cp1252_as_configured(draft: Draft) -> None:
    """Windows-1252 with its curly quotes and euro sign, and configured so: read."""
    _configured(draft, "cp1252", "“El Peñón” – 5 €")


def utf16_as_configured(draft: Draft) -> None:
    """UTF-16 in either byte order, with or without its mark, and configured so: read."""
    order = draft.rng.choice(["le", "be"])
    draft.settings["encoding"] = "utf-16"
    sheet = draft.sheet(headings=ACCENTED)
    _accented(draft, sheet, 30)
    sheet.use_all(draft.sales(10, store_name="متجر 🛒"))
    mark = codecs.BOM_UTF16_LE if order == "le" else codecs.BOM_UTF16_BE
    mark = draft.rng.choice([mark, b""])
    sheet.save(mark + sheet.encoded(f"utf-16-{order}"))


def utf16_cut_short(draft: Draft) -> None:
    """UTF-16 that ends within a character of the last line: that line goes."""
    draft.settings["encoding"] = "utf-16"
    sheet = draft.sheet(headings=ACCENTED)
    _accented(draft, sheet, 30)
    sheet.lose(WRONG_ENCODING)
    sheet.save(sheet.encoded("utf-16")[:-3])


def latin1_header_for_utf8(draft: Draft) -> None:
    """Latin-1 in the header, UTF-8 configured: refused."""
    sheet = draft.sheet(headings=ACCENTED)
    _accented(draft, sheet, 30)
    sheet.save(sheet.encoded("latin-1"))
    draft.error = ("header in data_01.csv", "not utf-8", "data_processing.encoding")


def latin1_file_for_utf8(draft: Draft) -> None:
    """Latin-1 in nearly all rows, UTF-8 configured: refused, never read as other letters."""
    sheet = draft.sheet()
    _accented(draft, sheet, 30)
    sheet.save(sheet.encoded("latin-1"))
    draft.error = (WRONG_ENCODING, "data_01.csv", "data_processing.encoding")


def latin1_rows_in_utf8(draft: Draft) -> None:
    """A few rows in Latin-1 within UTF-8: those rows go."""
    sheet = draft.sheet()
    stray = [
        partial(sheet.lose, WRONG_ENCODING, **{cell: f"A\udcf1o{i}"})
        for i, cell in enumerate(("partner", "store", "store_name"))
    ]
    sheet.among(40, *stray)
    sheet.save()


def utf8_for_latin1(draft: Draft) -> None:
    """UTF-8, Latin-1 or Windows-1252 configured: refused, never read as mojibake."""
    draft.settings["encoding"] = draft.rng.choice(["latin-1", "cp1252"])
    sheet = draft.sheet(headings=draft.rng.choice([HEADINGS, ACCENTED]))
    sheet.use_all(draft.sales(20, city="Bogota", store_name="Centro"))
    _accented(draft, sheet, 3)
    sheet.save()
    draft.error = ("data_01.csv", "UTF-8", "data_processing.encoding")


def cp1252_rows_in_latin1(draft: Draft) -> None:
    """A few euro signs of Windows-1252 in a Latin-1 file: those rows go."""
    draft.settings["encoding"] = "latin-1"
    sheet = draft.sheet()
    sheet.among(40, *[partial(sheet.lose, WRONG_ENCODING, store_name="Todo a 5 \x80")] * 2)
    sheet.save(sheet.encoded("latin-1"))


def utf16_for_utf8(draft: Draft) -> None:
    """UTF-16, UTF-8 configured: refused."""
    sheet = draft.sheet()
    sheet.use_all(draft.sales(20))
    sheet.save(sheet.encoded(draft.rng.choice(["utf-16", "utf-16-le", "utf-16-be"])))
    draft.error = ("data_01.csv", "data_processing.encoding")


def utf8_for_utf16(draft: Draft) -> None:
    """UTF-8, UTF-16 configured: refused."""
    draft.settings["encoding"] = "utf-16"
    sheet = draft.sheet()
    sheet.use_all(draft.sales(20))
    sheet.save()
    draft.error = ("data_01.csv", "not utf-16", "data_processing.encoding")


def characters_lost_before(draft: Draft) -> None:
    """Replacement characters that somebody else's conversion left in names: read as they are."""
    sheet = draft.sheet()
    sheet.use_all(draft.sales(20, store_name="Pe\ufffd\ufffdn"))
    sheet.among(20, partial(sheet.lose, BAD_DATE, day="?"))
    sheet.save()


def cut_within_a_letter(draft: Draft) -> None:
    """UTF-8 that ends within a letter of two bytes: the last line goes."""
    sheet = draft.sheet()
    sheet.use_all(draft.sales(30))
    sheet.lose(WRONG_ENCODING, city="Bogotá")
    sheet.save(sheet.encoded()[:-2])


def _separated(draft: Draft, separator: str) -> None:
    draft.settings["separator"] = separator
    sheet = draft.sheet(separator=separator)
    sheet.use_all(draft.sales(20))
    sheet.use_all(draft.sales(20, store_name=f"a{separator}b, c;d"))
    sheet.save()


def semicolons_as_configured(draft: Draft) -> None:
    """Semicolons, and configured so: read."""
    _separated(draft, ";")


def tabs_as_configured(draft: Draft) -> None:
    """Tabs, and configured so: read."""
    _separated(draft, "\t")


def bars_as_configured(draft: Draft) -> None:
    """Vertical bars, and configured so: read."""
    _separated(draft, "|")


def another_separator(draft: Draft) -> None:
    """A file with another separator than the configured one, in any combination: refused."""
    configured, written = draft.rng.sample([",", ";", "\t", "|"], 2)
    draft.settings["separator"] = configured
    first = draft.sheet("data_01.csv", separator=configured)
    first.use_all(draft.sales(20))
    first.save()
    second = draft.sheet("data_02.csv", separator=written)
    second.use_all(draft.sales(20))
    second.save()
    draft.error = ("data_02.csv", repr(written), "data_processing.separator")


def _comma(sheet: Sheet, draft: Draft, number: int) -> None:
    for sale in draft.sales(number):
        sheet.use(sale, amount=format(sale.amount, "f").replace(".", ","))


def decimal_commas_as_configured(draft: Draft) -> None:
    """Decimal commas, and configured so, between semicolons or in quotes: read."""
    separator = draft.rng.choice([",", ";"])
    draft.settings |= {"decimal": ",", "separator": separator}
    sheet = draft.sheet(separator=separator)
    _comma(sheet, draft, 40)
    sheet.save()


def decimal_commas_for_points(draft: Draft) -> None:
    """Decimal commas all over a file, points configured: refused, never read as thousands."""
    draft.settings["max_quarantined_share"] = 0.05
    sound = draft.sheet("data_01.csv")
    sound.use_all(draft.sales(2000))
    sound.save()
    sheet = draft.sheet("data_02.csv")
    _comma(sheet, draft, 40)
    sheet.save()
    draft.error = (NOT_A_NUMBER, "data_02.csv", "data_processing.decimal")


def decimal_points_for_commas(draft: Draft) -> None:
    """Decimal points, commas configured: refused, never read as thousands."""
    draft.settings |= {"decimal": ",", "separator": ";"}
    sheet = draft.sheet(separator=";")
    sheet.use_all(draft.sales(40))
    sheet.save()
    draft.error = (NOT_A_NUMBER, "data_01.csv", "data_processing.decimal")


def some_decimal_commas(draft: Draft) -> None:
    """A few amounts with the other decimal sign: those rows go."""
    comma = draft.rng.random() < 0.5
    draft.settings["decimal"] = "," if comma else "."
    sheet = draft.sheet()
    if comma:
        _comma(sheet, draft, 40)
    else:
        sheet.use_all(draft.sales(40))
    for amount in ("1.5", "12.50", "1234.567", "0.05"):
        sheet.lose(NOT_A_NUMBER, amount=amount if comma else amount.replace(".", ","))
    sheet.save()


def thousands_separators(draft: Draft) -> None:
    """Amounts with thousands separators of all sorts: those rows go."""
    sheet = draft.sheet()
    written = ("1,234.50", "1.234,50", "1 234.50", "1'234.50", "1\u00a0234.50", "1\u202f234", "1_0")
    sheet.among(40, *[partial(sheet.lose, NOT_A_NUMBER, amount=amount) for amount in written])
    sheet.save()


def thousands_points_with_decimal_commas(draft: Draft) -> None:
    """`1.234,50` and `1.234` where decimal commas are configured: those rows go."""
    draft.settings |= {"decimal": ",", "separator": ";"}
    sheet = draft.sheet(separator=";")
    _comma(sheet, draft, 40)
    for amount in ("1.234,50", "1.234", "12.345.678", "1,234,567"):
        sheet.lose(NOT_A_NUMBER, amount=amount)
    sheet.save()


def thousands_as_configured(draft: Draft) -> None:
    """`1.234,50`, `1 234`, configured so: read; of other groups, or after a zero: those rows go."""
    thousands, decimal = draft.rng.choice([(",", "."), (".", ","), (" ", ","), ("'", ".")])
    draft.settings |= {"thousands": thousands, "decimal": decimal}
    sheet = draft.sheet()
    for _ in range(40):
        amount = Decimal(draft.rng.randint(1, 10**10)).scaleb(-draft.rng.choice([0, 2, 3]))
        signs = str.maketrans({",": thousands, ".": decimal})
        sheet.use(draft.sale(amount=amount), amount=f"{amount:,f}".translate(signs))
    for amount in ("1{}23", "1234{}567", "1{}2345", "1{}234{}56", "12{}3", "0{}900"):
        sheet.lose(NOT_A_NUMBER, amount=amount.format(thousands, thousands))
    sheet.save()


KINDS = (
    accents_in_utf8,
    byte_order_mark,
    byte_order_mark_before_a_quote,
    joined_files_with_marks,
    latin1_as_configured,
    cp1252_as_configured,
    utf16_as_configured,
    utf16_cut_short,
    latin1_header_for_utf8,
    latin1_file_for_utf8,
    latin1_rows_in_utf8,
    utf8_for_latin1,
    cp1252_rows_in_latin1,
    utf16_for_utf8,
    utf8_for_utf16,
    characters_lost_before,
    cut_within_a_letter,
    semicolons_as_configured,
    tabs_as_configured,
    bars_as_configured,
    another_separator,
    decimal_commas_as_configured,
    decimal_commas_for_points,
    decimal_points_for_commas,
    some_decimal_commas,
    thousands_separators,
    thousands_points_with_decimal_commas,
    thousands_as_configured,
)
