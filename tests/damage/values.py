"""Dates and amounts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal
from functools import partial

from damage.folder import FIRST_DAY, Draft, Sale
from lifemiles_forecasting.core.transactions import (
    BAD_DATE,
    EARLY_DATE,
    EXCESS_REVERSAL,
    FUTURE_DATE,
    IMPLAUSIBLE,
    INFINITE,
    MISSING_AMOUNT,
    NOT_A_NUMBER,
)

SIXTH = Decimal("0.000001")
TIMES = ("", " 00:00:00", "T23:59:59", " 23:59:59.999999", "T10:00:00Z", " 8:05")
ZONES = ("Z", "+00:00", "-05:00", "+1400", "-12", " UTC", ".5+05:30")


def _lost(draft: Draft, reason: str, cell: str, written: Sequence[str]) -> None:
    """A file with 40 sound rows, and one for each of these spellings that must go."""
    sheet = draft.sheet()
    sheet.among(40, *[partial(sheet.lose, reason, **{cell: text}) for text in written])
    sheet.save()


def _dated(draft: Draft, form: Callable[[date], str], days: Sequence[date] = ()) -> None:
    """A file of dates in another form."""
    sheet = draft.sheet()
    for sale in [*draft.sales(40), *(draft.sale(day=day) for day in days)]:
        sheet.use(sale, day=form(sale.day))
    sheet.save()


def iso_dates_of_all_forms(draft: Draft) -> None:
    """`2018-01-31`, `2018/01/31`, `20180131`, with times: read as the written day."""
    pick = draft.rng.choice
    forms = (f"%Y-%m-%d{pick(TIMES)}", f"%Y/%m/%d{pick(TIMES)}", "%Y%m%d", "  %Y-%m-%d ")
    _dated(draft, lambda day: day.strftime(pick(forms)))


def time_zones(draft: Draft) -> None:
    """Times with offsets that another zone would put on another day: the written day counts."""
    _dated(draft, lambda d: d.isoformat() + "T" + _time(draft) + draft.rng.choice(ZONES))


def _time(draft: Draft) -> str:
    return draft.rng.choice(["00:00:00", "00:30:00", "12:00:00", "23:59:59"])


def _numbered(draft: Draft, order: str, form: str, other: str) -> None:
    draft.settings["date_order"] = order
    sheet = draft.sheet()
    for sale in draft.sales(40):
        mark, time = draft.rng.choice("/.-"), draft.rng.choice(TIMES[:3])
        sheet.use(sale, day=sale.day.strftime(form.replace("/", mark)) + time)
    sheet.use(draft.sale(day=date(2018, 2, 1)), day="1/2/2018" if order == "dmy" else "2/1/2018")
    sheet.lose(BAD_DATE, day=date(2018, 1, 31).strftime(other))
    sheet.save()


def day_first_as_configured(draft: Draft) -> None:
    """`31/01/2018`, `31.1.2018`, and configured so: read; a single `01/31/2018` goes."""
    _numbered(draft, "dmy", "%d/%m/%Y", "%m/%d/%Y")


def month_first_as_configured(draft: Draft) -> None:
    """`01/31/2018`, and configured so: read; a single `31/01/2018` goes."""
    _numbered(draft, "mdy", "%m/%d/%Y", "%d/%m/%Y")


def another_order_of_dates(draft: Draft) -> None:
    """A small file with the month first among large ones with the day first: refused.

    Most of its rows would be read as other days, and the rest are too few to stop the run.
    """
    orders = [("dmy", "%d/%m/%Y"), ("mdy", "%m/%d/%Y")]
    draft.rng.shuffle(orders)
    (order, form), (other, written) = orders
    draft.settings |= {"date_order": order, "max_quarantined_share": 0.05}
    for name, number, shape in (("data_01.csv", 2000, form), ("data_02.csv", 40, written)):
        sheet = draft.sheet(name)
        for sale in draft.sales(number):
            sheet.use(sale, day=sale.day.strftime(shape))
        sheet.save()
    draft.error = ("data_02.csv", f"data_processing.date_order to {other}")


def numbered_dates_for_iso(draft: Draft) -> None:
    """`31/01/2018` all over a file, ISO configured: refused, never guessed."""
    sheet = draft.sheet()
    form = draft.rng.choice(["%d/%m/%Y", "%m/%d/%Y"])
    for sale in draft.sales(40):
        sheet.use(sale, day=sale.day.strftime(form))
    sheet.save()
    draft.error = (BAD_DATE, "data_01.csv", "data_processing.date_order")


def dates_that_are_none(draft: Draft) -> None:
    """Impossible days, spreadsheet numbers, seconds since 1970, words: those rows go."""
    written = ["2018-02-29", "2018-13-01", "2018-00-10", "43101", "1514764800", "1/2/2018"]
    written += ["31-Jan-2018", "hoy", "", "0000-00-00", "2018-01-01 noon", "２０１８-01-01", "#N/A"]
    _lost(draft, BAD_DATE, "day", written)


def dates_in_the_future(draft: Draft) -> None:
    """Days that have not come: those rows go."""
    _lost(draft, FUTURE_DATE, "day", ["2999-12-31", "9999-12-31", "20990101", "2118-01-05"])


def dates_long_ago(draft: Draft) -> None:
    """Days before the floor, such as the epochs of other systems: those rows go."""
    _lost(draft, EARLY_DATE, "day", ["1900-01-01", "1970-01-01", "1999-12-31", "0018-01-05"])


def rows_after_as_of(draft: Draft) -> None:
    """Rows after `as_of`, sound or not: set apart and counted, in no quarantine."""
    draft.as_of = FIRST_DAY + timedelta(draft.rng.randrange(10, 50))
    sheet = draft.sheet()
    sheet.use_all(draft.sales(5, day=FIRST_DAY))
    for sale in draft.sales(40):
        if sale.day <= draft.as_of:
            sheet.use(sale)
        else:
            sheet.put(sheet.record(sale, amount=draft.rng.choice(["1", "x"])))
            draft.after_as_of += 1
    sheet.save()


def scientific_notation(draft: Draft) -> None:
    """`1.5E+03`, `25e-1`: read as what they are."""
    sheet = draft.sheet()
    for sale in draft.sales(40):
        form = draft.rng.choice([".8e", ".8E", "+.7e", ".9E"])
        sheet.use(sale, amount=format(sale.amount, form))
    sheet.save()


def tiny_amounts(draft: Draft) -> None:
    """Amounts below a millionth: rounded half up to six places, as every amount is."""
    sheet = draft.sheet()
    for _ in range(40):
        exact = Decimal(draft.rng.randint(1, 9999)).scaleb(-draft.rng.randint(6, 12))
        rounded = exact.quantize(SIXTH, ROUND_HALF_UP)
        text = draft.rng.choice([format(exact, "f"), format(exact, ".8e")])
        sheet.use(draft.sale(amount=rounded), amount=text)
    sheet.save()


def large_amounts(draft: Draft) -> None:
    """Amounts up to 10^12: read exactly."""
    sheet = draft.sheet()
    for _ in range(40):
        amount = Decimal(draft.rng.randint(10**15, 10**18 - 1)).scaleb(-6)
        sheet.use(draft.sale(amount=amount))
    sheet.save()


def huge_amounts(draft: Draft) -> None:
    """Amounts from 10^12 on: those rows go."""
    written = ["1e12", "1000000000000", "-1e15", "9" * 40, "1e308", "999999999999.9999999"]
    _lost(draft, IMPLAUSIBLE, "amount", written)


def infinite_amounts(draft: Draft) -> None:
    """`inf` in its spellings, and numbers beyond any float: those rows go."""
    _lost(draft, INFINITE, "amount", ["inf", "-inf", "Infinity", "1e400", "-1e999"])


def missing_amounts(draft: Draft) -> None:
    """Nothing or white space where the amount should be: those rows go."""
    _lost(draft, MISSING_AMOUNT, "amount", ["", " ", "\t", "   "])


def amounts_that_are_none(draft: Draft) -> None:
    """Words, currency signs, accountants' brackets, other digits: those rows go."""
    written = ["abc", "nan", "NULL", "N/A", "-", "$5.00", "5.00 USD", "(5.00)", "5.00-", "--5"]
    written += ["٣٫٥", "１２", "−5", "0x10", "1e", "1.2.3", "1_000", "5%", "true", "=5", "#REF!"]
    _lost(draft, NOT_A_NUMBER, "amount", written)


def white_space_around_amounts(draft: Draft) -> None:
    """White space, no-break spaces too, around amounts and dates, signs and zeros: read."""
    sheet = draft.sheet()
    for sale in draft.sales(40):
        blank = draft.rng.choice([" ", "\t", "\u00a0", "  "])
        amount = draft.rng.choice(["+", "", "000"]) + format(sale.amount, "f")
        sheet.use(sale, amount=blank + amount + blank, day=blank + sale.day.isoformat() + blank)
    sheet.save()


def refunds(draft: Draft) -> None:
    """Refunds on a day that sold more: netted."""
    sheet = draft.sheet()
    rows: list[Sale] = []
    for sale in draft.sales(20):
        back = -(sale.amount * Decimal(draft.rng.random())).quantize(Decimal("0.01"))
        rows += [sale, replace(draft.sale(), amount=back, **_place(sale))]
    draft.rng.shuffle(rows)
    sheet.use_all(rows)
    sheet.save()


def _place(sale: Sale) -> dict[str, object]:
    return {"partner": sale.partner, "store": sale.store, "day": sale.day}


def refunds_beyond_the_sales(draft: Draft) -> None:
    """Refunds that their day cannot bear: the largest of them go."""
    sheet = draft.sheet()
    sheet.use_all(draft.sales(30, store="many"))
    for number in range(5):
        place = {"partner": "R", "store": str(number), "day": FIRST_DAY}
        sheet.use(draft.sale(**place, amount=Decimal("10.00")))
        small = Decimal(draft.rng.randint(1, 1000)).scaleb(-2)
        sheet.lose(EXCESS_REVERSAL, **_written(place), amount=f"-{Decimal('10.01')}")
        sheet.use(draft.sale(**place, amount=-small))
    sheet.lose(EXCESS_REVERSAL, partner="R", store="alone", amount="-0.01")
    sheet.save()


def _written(place: dict[str, object]) -> dict[str, str]:
    return {key: str(value) for key, value in place.items()}


KINDS = (
    iso_dates_of_all_forms,
    time_zones,
    day_first_as_configured,
    month_first_as_configured,
    another_order_of_dates,
    numbered_dates_for_iso,
    dates_that_are_none,
    dates_in_the_future,
    dates_long_ago,
    rows_after_as_of,
    scientific_notation,
    tiny_amounts,
    large_amounts,
    huge_amounts,
    infinite_amounts,
    missing_amounts,
    amounts_that_are_none,
    white_space_around_amounts,
    refunds,
    refunds_beyond_the_sales,
)
