"""Codes and names."""

from __future__ import annotations

from functools import partial

from damage.folder import Draft
from lifemiles_forecasting.core.transactions import MISSING_CODE, UNKNOWN_TYPE

PATHS = ("../x", "A/B", "CON", "NUL", "..", ".", "a\\b", "/etc/passwd", "%2e%2e", "~", "C:", "x\ny")
FORMULAS = ("'; DROP TABLE x; --", "=1+1", "#1", "a' OR 'a'='a", "%s", "{x}", "${HOME}", "*", "a%b")
NAMES = ("🛒🏪", "👩‍👩‍👧", "متجر الزهور", "חנות", "店舗", "a\u202eb", "Z̷a̷l̷g̷o̷", "ﬁ", "İı", "\u200bx")
NOTHING = ("NULL", " null", "None", "NaN\t", "N/A", "\\N")
WHITE = (" ", "\t", "  ", "\u00a0", "\u2003", "\ufeff", "\u3000", " \u00a0")


def _stores(draft: Draft, codes: tuple[str, ...], names: tuple[str, ...] = ("Centro",)) -> None:
    """Sales of stores with these codes."""
    sheet = draft.sheet()
    for _ in range(40):
        chosen = {"store": draft.rng.choice(codes), "store_name": draft.rng.choice(names)}
        partner = draft.rng.choice(codes)
        sheet.use(draft.sale(**chosen, partner=partner))
    sheet.save()


def codes_that_are_paths(draft: Draft) -> None:
    """Codes such as `../x`, `A/B` and `CON`: read as any other text."""
    _stores(draft, PATHS)


def codes_that_are_formulas(draft: Draft) -> None:
    """Codes that mean something to databases, spreadsheets and shells: read as text."""
    _stores(draft, FORMULAS)


def codes_of_300_characters(draft: Draft) -> None:
    """Codes longer than any file name may be: read in full."""
    _stores(draft, tuple("".join(draft.rng.choices("abc/é", k=300)) for _ in range(4)))


def codes_that_look_like_numbers(draft: Draft) -> None:
    """Leading zeros, exponents and signs in codes: kept as they are written."""
    _stores(draft, ("007", "07", "7", "7.0", "1e3", "1000", "-1", "+1", "0", "00", "1E5", "nan"))


def emoji_and_other_scripts(draft: Draft) -> None:
    """Emoji, right-to-left and combining letters in codes and names: read."""
    _stores(draft, NAMES[:-1], NAMES)


def codes_that_differ_in_case(draft: Draft) -> None:
    """Codes that differ in nothing but case: different stores."""
    _stores(draft, ("ab", "AB", "Ab", "ß", "SS", "ss"))


def white_space_around_codes(draft: Draft) -> None:
    """White space, no-break spaces and lost byte-order marks around codes: removed."""
    sheet = draft.sheet()
    for sale in draft.sales(40):
        before, behind = draft.rng.choices(["", *WHITE], k=2)
        spelled = {"partner": before + sale.partner, "store": sale.store + behind}
        sheet.use(sale, **spelled, activity=behind + sale.activity)
    sheet.save()


def missing_codes(draft: Draft) -> None:
    """White space, or a word such as `NULL`, where a code should be: those rows go."""
    sheet = draft.sheet()
    gone = [{cell: text} for cell in ("partner", "store") for text in ("", *WHITE, *NOTHING)]
    sheet.among(60, *[partial(sheet.lose, MISSING_CODE, **cells) for cells in gone])
    sheet.save()


def types_that_are_not_billed(draft: Draft) -> None:
    """Transaction types other than the configured ones, or none: those rows go."""
    draft.settings["transaction_types"] = ["Accrual", "Bonus"]
    sheet = draft.sheet()
    other = [partial(sheet.lose, UNKNOWN_TYPE, type=text) for text in ("", " ", "accrual", "A")]
    bonus = [partial(sheet.use, draft.sale(type="Bonus"), type="\u00a0Bonus ")]
    sheet.among(40, *other, *bonus)
    sheet.save()


def two_stores_under_one_id(draft: Draft) -> None:
    """`A_B` with `C` and `A` with `B_C` would share a store id: refused."""
    sheet = draft.sheet()
    left, middle, right = (draft.rng.choice("XYZ") for _ in range(3))
    sheet.use_all(draft.sales(20))
    sheet.use_all(draft.sales(5, partner=f"{left}_{middle}", store=right))
    sheet.use_all(draft.sales(5, partner=left, store=f"{middle}_{right}"))
    sheet.save()
    draft.error = (repr(f"{left}_{middle}_{right}"), "store_id", "Rename")


def file_names_with_signs(draft: Draft) -> None:
    """File names with quotes, patterns and bytes outside of UTF-8: read."""
    for name in ("a'b.csv", "a[1]*.csv", 'a"b?.csv', "a b;c.csv", "ñ\udcf1.csv", "{a,b}.CSV"):
        sheet = draft.sheet(name)
        sheet.use_all(draft.sales(5))
        sheet.save()


KINDS = (
    codes_that_are_paths,
    codes_that_are_formulas,
    codes_of_300_characters,
    codes_that_look_like_numbers,
    emoji_and_other_scripts,
    codes_that_differ_in_case,
    white_space_around_codes,
    missing_codes,
    types_that_are_not_billed,
    two_stores_under_one_id,
    file_names_with_signs,
)
