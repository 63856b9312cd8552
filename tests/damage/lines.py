"""Quotes, line ends and columns."""

from __future__ import annotations

import csv
from functools import partial

from damage.folder import HEADINGS, Draft, Sheet
from lifemiles_forecasting.core.transactions import (
    BAD_DATE,
    MISSING_CODE,
    NOT_A_NUMBER,
    UNREADABLE,
    WRONG_ENCODING,
)

SHUFFLED = dict(reversed(HEADINGS.items()))


def everything_in_quotes(draft: Draft) -> None:
    """Every cell in quotes, numbers and dates too: read."""
    sheet = draft.sheet(quoting=csv.QUOTE_ALL)
    sheet.use_all(draft.sales(40))
    sheet.save()


def quotes_and_separators_in_names(draft: Draft) -> None:
    """Doubled quotes and separators within quoted names: read."""
    sheet = draft.sheet()
    for name in ('El "Peñón"', "Uno, dos y tres", '"', ',",', "a;b|c"):
        sheet.use_all(draft.sales(8, store_name=name))
    sheet.save()


def quote_within_a_bare_name(draft: Draft) -> None:
    """A quote in the middle of a name without quotes around it: read."""
    sheet = draft.sheet()
    stray = []
    for sale in draft.sales(3, store_name='TV 40" y radio'):
        text = sheet.record(sale).replace('"TV 40"" y radio"', 'TV 40" y radio')
        stray.append(partial(sheet.use, sale, text))
    sheet.among(40, *stray)
    sheet.save()


def stray_quote(draft: Draft) -> None:
    """A quote that opens a cell and never closes: that row goes, and no other."""
    sheet = draft.sheet()
    stray = [partial(sheet.lose, UNREADABLE, _opened(draft, sheet)) for _ in range(2)]
    sheet.among(40, *stray)
    sheet.save()


def _opened(draft: Draft, sheet: Sheet) -> str:
    """A record with a quote before one of its cells."""
    written = draft.sale(store_name="Centro").cells()
    cells = [written[key] for key in HEADINGS]
    place = draft.rng.randrange(len(cells))
    cells[place] = '"' + cells[place]
    return ",".join(cells)


def stray_quote_among_quotes(draft: Draft) -> None:
    """A quote that never closes in a file with every cell in quotes: that row goes."""
    sheet = draft.sheet(quoting=csv.QUOTE_ALL)
    spoiled = sheet.record(draft.sale(store_name="Centro")).replace('Centro"', "Centro")
    sheet.among(40, partial(sheet.lose, UNREADABLE, spoiled))
    sheet.save()


def stray_quote_far_into_a_file(draft: Draft) -> None:
    """A quote that never closes, 21,000 rows behind the header: that row goes."""
    sheet = draft.sheet()
    sheet.use_all(draft.sales(21_000))
    sheet.lose(UNREADABLE, _opened(draft, sheet))
    sheet.use_all(draft.sales(draft.rng.randrange(100)))
    sheet.save()


def text_behind_a_closing_quote(draft: Draft) -> None:
    """`"Centro"2`: that row goes."""
    sheet = draft.sheet()
    broken = sheet.record(draft.sale(store_name="Centro")).replace("Centro", '"Centro"2')
    sheet.among(40, partial(sheet.lose, UNREADABLE, broken))
    sheet.save()


def backslashes_before_quotes(draft: Draft) -> None:
    r"""`"El \"Peñón\""`, as some databases write it: those rows go."""
    sheet = draft.sheet()
    broken = sheet.record(draft.sale(store_name="Centro")).replace("Centro", r'"El \"Peñón\""')
    sheet.among(40, partial(sheet.lose, UNREADABLE, broken))
    sheet.save()


def line_feeds_in_names(draft: Draft) -> None:
    """Names over several lines, in quotes: read, and later line numbers stay right."""
    sheet = draft.sheet()
    names = ["Centro\n2.º piso", "\nCentro", "a\n\n\nb,\nc"]
    several = [partial(sheet.use, sale) for n in names for sale in draft.sales(3, store_name=n)]
    sheet.among(40, *several, partial(sheet.lose, BAD_DATE, day="soon"))
    sheet.save()


def long_names_in_a_damaged_file(draft: Draft) -> None:
    """A name over hundreds of lines beside a stray quote: read, and only the stray one goes."""
    sheet = draft.sheet()
    lines = draft.rng.randrange(60, 900)
    note = "\n".join(draft.rng.choice(["", "visit", 'a "b"', "x,y"]) for _ in range(lines))
    long = [partial(sheet.use, sale) for sale in draft.sales(2, store_name=f"Note:{note}")]
    sheet.among(40, *long, partial(sheet.lose, UNREADABLE, _opened(draft, sheet)))
    sheet.use_all(draft.sales(5))
    sheet.save()


def damage_within_a_long_name(draft: Draft) -> None:
    """A byte of another encoding, or NUL, in the second line of a name: that row goes, whole."""
    sheet = draft.sheet()
    sheet.among(
        40,
        partial(sheet.lose, WRONG_ENCODING, store_name="Centro\nPe\udcf1on\n"),
        partial(sheet.lose, UNREADABLE, store_name="Centro\n\x00\npiso"),
        *[partial(sheet.use, sale) for sale in draft.sales(3, store_name="uno\ndos\n")],
    )
    sheet.save()


def line_too_long(draft: Draft) -> None:
    """A line of more than two megabytes, with or without quotes: that row goes."""
    sheet = draft.sheet()
    name = draft.rng.choice(["x", "x, y"]) * draft.rng.randrange(2_200_000, 2_500_000)
    sheet.among(40, partial(sheet.lose, UNREADABLE, store_name=name))
    sheet.save()


def _ended(draft: Draft, end: str) -> None:
    sheet = draft.sheet()
    sheet.among(40, partial(sheet.lose, NOT_A_NUMBER, amount="x"))
    sheet.save(sheet.encoded().replace(b"\n", end.encode()))


def carriage_return_and_line_feed(draft: Draft) -> None:
    """Lines as Windows ends them: read."""
    _ended(draft, "\r\n")


def carriage_returns_alone(draft: Draft) -> None:
    """Lines as old Macs end them: read."""
    _ended(draft, "\r")


def mixed_line_ends(draft: Draft) -> None:
    """Line ends of both kinds in one file: read."""
    sheet = draft.sheet()
    sheet.among(40, partial(sheet.lose, NOT_A_NUMBER, amount="x"))
    sheet.use_all(draft.sales(5, store_name="dos\nlíneas"))
    lines = sheet.encoded().split(b"\n")[:-1]
    sheet.save(b"".join(line + draft.rng.choice([b"\n", b"\r\n"]) for line in lines))


def mixed_line_ends_far_into_a_file(draft: Draft) -> None:
    """Line feeds alone for 21,000 rows, then Windows' line ends: read."""
    sheet = draft.sheet()
    sheet.use_all(draft.sales(21_000))
    first = sheet.encoded()
    sheet.use_all(draft.sales(20, store_name="dos\nlíneas"))
    sheet.save(first + sheet.encoded()[len(first) :].replace(b"\n", b"\r\n"))


def blank_lines(draft: Draft) -> None:
    """Blank lines and lines of white space between the rows: no rows, and line numbers stay."""
    sheet = draft.sheet()
    blank = [partial(sheet.put, white) for white in ("", "  ", "\t", "")]
    sheet.among(40, *blank, partial(sheet.lose, BAD_DATE, day="soon"))
    sheet.save()


def no_last_line_feed(draft: Draft) -> None:
    """A last row without a line end: read."""
    sheet = draft.sheet()
    sheet.use_all(draft.sales(40))
    sheet.save(sheet.encoded()[:-1])


def too_few_cells(draft: Draft) -> None:
    """Rows that end early: those rows go."""
    sheet = draft.sheet()
    cells = [sheet.record(draft.sale(store_name="Centro")).split(",") for _ in range(3)]
    short = [",".join(row[: draft.rng.randrange(1, len(row))]) for row in cells]
    sheet.among(40, *[partial(sheet.lose, UNREADABLE, row) for row in short])
    sheet.save()


def too_many_cells(draft: Draft) -> None:
    """Rows with cells beyond the header, such as a name with a bare separator: those rows go."""
    sheet = draft.sheet()
    long = [sheet.record(draft.sale(store_name="Centro")) + end for end in (",x", ", ", ",,x")]
    bare = sheet.record(draft.sale(store_name="Centro")).replace("Centro", "Uno, dos")
    sheet.among(40, *[partial(sheet.lose, UNREADABLE, row) for row in (*long, bare)])
    sheet.save()


def empty_cells_beyond_the_header(draft: Draft) -> None:
    """Separators behind the last cell of each row, beside one that ends early: that row goes."""
    sheet = draft.sheet()
    for sale in draft.sales(40):
        sheet.use(sale, sheet.record(sale) + draft.rng.choice([",", ",,", ',""']))
    short = sheet.record(draft.sale(store_name="Centro")).rsplit(",", 2)[0]
    sheet.among(10, partial(sheet.lose, UNREADABLE, short))
    sheet.save()


def columns_in_another_order(draft: Draft) -> None:
    """Files whose columns differ in order and number: read by their names."""
    for i, headings in enumerate((HEADINGS, SHUFFLED, HEADINGS | {"bonus": "Bonus Name"})):
        sheet = draft.sheet(f"data_{i:02d}.csv", headings=headings)
        sheet.use_all(draft.sales(20))
        sheet.save()


def names_written_otherwise(draft: Draft) -> None:
    """A header in capitals, with other accents and white space: read."""
    change = draft.rng.choice([str.upper, str.lower, lambda name: f"  {name}\u00a0"])
    headings = {key: change(name) for key, name in HEADINGS.items()}
    sheet = draft.sheet(headings=headings | {"amount": change("Facturacio\u0301n")})
    sheet.use_all(draft.sales(40))
    sheet.save()


def column_named_twice(draft: Draft) -> None:
    """A header with the name of a column that is read twice: refused."""
    key = draft.rng.choice(["partner", "day", "amount", "city"])
    sheet = draft.sheet(headings=HEADINGS | {"again": HEADINGS[key]})
    sheet.use_all(draft.sales(20))
    sheet.save()
    draft.error = (repr(HEADINGS[key]), "more than once", "data_01.csv")


def column_missing(draft: Draft) -> None:
    """A later file without a needed column: refused."""
    draft.sheet("data_01.csv").save()
    gone = draft.rng.choice(["partner", "store", "day", "amount"])
    headings = {key: name for key, name in HEADINGS.items() if key != gone}
    sheet = draft.sheet("data_02.csv", headings=headings)
    sheet.use_all(draft.sales(20))
    sheet.save()
    draft.error = ("no column", HEADINGS[gone], "data_02.csv", "data_processing.columns")


def header_over_two_lines(draft: Draft) -> None:
    """A header with a line feed within a quoted name: refused."""
    sheet = draft.sheet(headings=HEADINGS | {"bonus": "Bonus\nName"})
    sheet.use_all(draft.sales(20))
    sheet.save()
    draft.error = ("header", "data_01.csv", "one line")


def header_repeated(draft: Draft) -> None:
    """The header again between the rows, as joined exports have it: those lines go."""
    sheet = draft.sheet()
    header = sheet.joined(HEADINGS.values())
    sheet.among(40, *[partial(sheet.lose, BAD_DATE, header)] * 2)
    sheet.save()


def cells_moved(draft: Draft) -> None:
    """Rows whose cells have moved by one column: those rows go."""
    sheet = draft.sheet()
    row = sheet.record(draft.sale(store_name="Centro"))
    before, behind = row.rsplit(",", 1)
    sheet.among(
        40,
        partial(sheet.lose, BAD_DATE, f"{behind},{before}"),
        partial(sheet.lose, MISSING_CODE, f",{before}"),
    )
    sheet.save()


def line_of_totals(draft: Draft) -> None:
    """A last line with the total of the amounts: it goes."""
    sheet = draft.sheet()
    sheet.use_all(draft.sales(40))
    cells = {"amount": "123456.78", "partner": draft.rng.choice(["", "TOTAL"])}
    text = sheet.joined([cells.get(key, "") for key in HEADINGS])
    sheet.lose(MISSING_CODE, text)
    sheet.save()


KINDS = (
    everything_in_quotes,
    quotes_and_separators_in_names,
    quote_within_a_bare_name,
    stray_quote,
    stray_quote_among_quotes,
    stray_quote_far_into_a_file,
    text_behind_a_closing_quote,
    backslashes_before_quotes,
    line_feeds_in_names,
    long_names_in_a_damaged_file,
    damage_within_a_long_name,
    line_too_long,
    carriage_return_and_line_feed,
    carriage_returns_alone,
    mixed_line_ends,
    mixed_line_ends_far_into_a_file,
    blank_lines,
    no_last_line_feed,
    too_few_cells,
    too_many_cells,
    empty_cells_beyond_the_header,
    columns_in_another_order,
    names_written_otherwise,
    column_named_twice,
    column_missing,
    header_over_two_lines,
    header_repeated,
    cells_moved,
    line_of_totals,
)
