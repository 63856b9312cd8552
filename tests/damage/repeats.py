"""Rows and files that are there twice."""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

from damage.folder import (
    FIRST_DAY,
    HEADINGS,
    NO_ACTIVITY,
    Draft,
    Sale,
    Sheet,
)
from lifemiles_forecasting.core.transactions import DUPLICATE

REPEATED = ("data_01.csv", "data_02", "same rows", "Activity Number")


def _months(
    draft: Draft, headings: Mapping[str, str], number: int = 400
) -> tuple[Sheet, list[Sale]]:
    """A first file of many sales, and the sales of its second month."""
    sheet = draft.sheet("data_01.csv", headings=headings)
    sales = draft.sales(number)
    sheet.use_all(sales)
    sheet.save()
    return sheet, [sale for sale in sales if sale.day >= FIRST_DAY + timedelta(31)]


def activity_numbers_repeated(draft: Draft) -> None:
    """Rows with the activity number of an earlier row of their partner: those rows go."""
    sheet = draft.sheet()
    sales = draft.sales(40)
    sheet.use_all(sales)
    for sale in draft.rng.sample(sales, 5):
        same = {"partner": sale.partner, "activity": sale.activity}
        sheet.lose(DUPLICATE, **same, amount="3.33")
    sheet.save()


def file_repeated(draft: Draft) -> None:
    """A file that is there twice, with activity numbers: the second one's rows go."""
    sheet, _ = _months(draft, HEADINGS, 40)
    copy = draft.sheet("data_02.csv.gz")
    for text in sheet.text.splitlines()[1:]:
        copy.lose(DUPLICATE, text)
    copy.save(gzip.compress(copy.encoded()))


def file_repeated_without_numbers(draft: Draft) -> None:
    """A file that is there twice, packed or not, without activity numbers: refused."""
    sheet, _ = _months(draft, NO_ACTIVITY)
    if draft.rng.random() < 0.5:
        draft.files["data_02.csv"] = sheet.encoded()
    else:
        draft.files["data_02.csv.gz"] = gzip.compress(sheet.encoded())
    draft.error = REPEATED


def months_overlap(draft: Draft) -> None:
    """A file that begins with the month that the one before ends with: those rows go."""
    _, repeated = _months(draft, HEADINGS, 60)
    sheet = draft.sheet("data_02.csv")
    draft.rng.shuffle(repeated)
    for sale in repeated:
        sheet.lose(DUPLICATE, sheet.record(sale))
    sheet.use_all(draft.sales(60))
    sheet.save()


def months_overlap_without_numbers(draft: Draft) -> None:
    """The same without activity numbers: refused, as no row tells whether it is a copy."""
    _, repeated = _months(draft, NO_ACTIVITY)
    sheet = draft.sheet("data_02.csv", headings=NO_ACTIVITY)
    later = [replace(sale, day=sale.day + timedelta(60)) for sale in draft.sales(200)]
    sheet.use_all([*repeated, *later])
    sheet.save()
    draft.error = REPEATED


def equal_sales_in_one_file(draft: Draft) -> None:
    """Equal rows without activity numbers within a file: several sales, all read."""
    sheet = draft.sheet(headings=NO_ACTIVITY)
    sales = draft.sales(20)
    sheet.use_all([*sales, *sales, *sales[:5]])
    sheet.save()


def days_in_several_files(draft: Draft) -> None:
    """The same stores and days in two files, with sales of their own: all read."""
    for name in ("data_01.csv", "data_02.csv"):
        sheet = draft.sheet(name, headings=NO_ACTIVITY)
        sheet.use_all(draft.sales(200))
        sheet.save()


KINDS = (
    activity_numbers_repeated,
    file_repeated,
    file_repeated_without_numbers,
    months_overlap,
    months_overlap_without_numbers,
    equal_sales_in_one_file,
    days_in_several_files,
)
