r"""Text to amounts and days, with the same answer on every engine.

DuckDB casts what it can and gives null for the rest. PostgreSQL ends the whole query at the first
text that is no number, and Spark takes other texts for numbers (`5d`, `0x1p3`) and for days
(`2017`). There a pattern decides first, and only what it accepts is cast; the patterns accept what
DuckDB accepts. They hold the characters themselves, because engines read `\d`, `\s` and `\x{..}`
in ways of their own.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ibis.expr.types as ir

AMOUNT = "decimal(18, 6)"  # so |amount| < 1e12, and a sum of them is exact
WIDER = "decimal(19, 6)"
FIRST_TOO_LARGE = "999999999999.9999995"  # six places would make 1e12 of it
BEYOND_FLOAT = "1.797693134862315808e308"  # from here on the nearest float is infinite
LONGEST = 1_000  # characters of a number that are looked at; PostgreSQL refuses 131,073 digits

WHITE = "\t\n\x0b\x0c\r \x85\xa0\u1680\u2000-\u200b\u2028\u2029\u202f\u205f\u3000\ufeff"
OUTER = f"^[{WHITE}]+|[{WHITE}]+$"
BEYOND_ASCII = "[^\x01-\x7f]"

DIGITS = r"([0-9]+[.]?[0-9]*|[.][0-9]+)"
USUAL_AMOUNT = "^-?[0-9]{1,12}([.][0-9]{1,6})?$"
EXACT = f"^[+-]?{DIGITS}([eE][+-]?0*[0-9]{{1,4}}[.]?)?$"
ANY_SIZE = f"^[+]?-?{DIGITS}([eE][+-]?[0-9]+)?$"
INFINITE = "^[+]?-?[iI][nN][fF]([iI][nN][iI][tT][yY])?$"
NOT_ZERO = "^[^eE]*[1-9]"
TINY = "[eE]-0*[1-9][0-9]{2,}[.]?$"  # a power of ten of -100 and less
HUGE = "[eE][+]?0*[1-9][0-9]{3,}$"  # of 1000 and more

LEAP = "([0-9]{2}(0[48]|[2468][048]|[13579][26])|([02468][048]|[13579][26])00)"
USUAL_DAY = "^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])$"  # in any month and year
DAY = (
    "^([0-9]{4}-((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)"
    "|02-(0[1-9]|1[0-9]|2[0-8])|(0[1-9]|1[0-2])-[1-9][ \t\n\x0b\x0c\r])"  # DuckDB reads `03-5 `
    f"|{LEAP}-02-29)$"
)


@cache
def _octets() -> Callable[[ir.StringValue], ir.IntegerValue]:
    """DuckDB's function for the bytes of a text in UTF-8; Ibis has none of its own."""
    import ibis

    @ibis.udf.scalar.builtin
    def strlen(text: str) -> int: ...

    return strlen


@cache
def _hash() -> Callable[[ir.StringValue], ir.IntegerValue]:
    import ibis

    @ibis.udf.scalar.builtin(name="hash", signature=(("string",), "uint64"))
    def hashed(text): ...

    return hashed


def part(text: ir.StringValue, parts: int) -> ir.IntegerValue:
    """Which of so many parts of about the same size a text falls into; DuckDB only."""
    return _hash()(text) % parts


def _engine(value: ir.Value) -> str:
    return value.get_backend().name


def _matches(text: ir.StringValue, pattern: str) -> ir.BooleanValue:
    """Whether a pattern is found; a `$` at its end is the end of the text and nothing else."""
    if _engine(text) == "pyspark" and pattern.endswith("$"):
        pattern = pattern[:-1] + r"\z"  # Java's `$` matches before a last line break, too
    return text.re_search(pattern)


def beyond_ascii(text: ir.StringValue) -> ir.BooleanValue:
    """Whether a text has other characters than ASCII's."""
    if _engine(text) == "duckdb":
        return _octets()(text) != text.length()
    return _matches(text, BEYOND_ASCII)


def may_have_outer_white(text: ir.StringValue) -> ir.BooleanValue:
    """Whether a text may begin or end with white space; true of all beyond ASCII."""
    if _engine(text) == "duckdb":
        return (text.left(1) < "!") | (text.right(1) < "!") | beyond_ascii(text)
    return _matches(text, OUTER) | beyond_ascii(text)


def bare(text: ir.StringValue) -> ir.StringValue:
    """Text without outer white space of any script, byte-order marks and the like."""
    import ibis

    if _engine(text) == "duckdb":
        return ibis.ifelse(beyond_ascii(text), text.re_replace(OUTER, ""), text.strip())
    return text.re_replace(OUTER, "")


def is_one_of(text: ir.StringValue, words: Iterable[str]) -> ir.BooleanValue:
    """Whether a text is nothing or one of some words, but for outer white space."""
    return _matches(text, f"^[{WHITE}]*({'|'.join(map(re.escape, words))})?[{WHITE}]*$")


def amount(text: ir.StringValue) -> ir.DecimalValue:
    """The exact amount, rounded half away from zero to six places.

    Args:
        text: a number with a decimal point; with white space around it, it may be null.

    Returns:
        Null where the text is no number, or one of 1e12 and more.
    """
    import ibis

    if _engine(text) == "duckdb":
        # it reads 1_000 as a number, and does not look at the range of 2.26455928e+12
        narrow = text.try_cast(WIDER).try_cast(AMOUNT)
        return ibis.ifelse(text.contains("_"), None, narrow)
    zero = ibis.literal(0).cast(AMOUNT)
    nothing = ~_matches(text, NOT_ZERO) | _matches(text, TINY)
    return ibis.cases(
        (_matches(text, USUAL_AMOUNT), text.cast(AMOUNT)),  # nothing else is computed for most
        (~_matches(text, EXACT), None),
        (nothing, zero),
        (~_matches(text, HUGE), _rounded(_plain(text))),
    )


def _plain(text: ir.StringValue) -> ir.StringValue:
    """A number without what DuckDB alone allows: a plus before a minus, a point at the end."""
    return text.left(LONGEST).re_replace("^[+]|[.]$", "")


def _rounded(number: ir.StringValue) -> ir.DecimalValue:
    if _engine(number) == "postgres":
        return _in_range(number.cast("decimal"))  # of any number of digits
    return number.try_cast(AMOUNT)


def _in_range(value: ir.DecimalValue) -> ir.DecimalValue:
    """PostgreSQL's cast to an amount, which would refuse a larger number."""
    import ibis

    small = value.abs() < ibis.literal(FIRST_TOO_LARGE).cast("decimal")
    return ibis.ifelse(small, value.cast(AMOUNT), None)


def product(left: ir.DecimalValue, right: ir.DecimalValue) -> ir.DecimalValue:
    """The exact product of two amounts, rounded as they are; null where it is out of range."""
    wide = "decimal(38, 6)"  # Ibis and DuckDB take the type of a product for that of its factors
    value = left.cast(wide) * right.cast(wide)
    return _in_range(value) if _engine(value) == "postgres" else value.try_cast(AMOUNT)


def is_number(text: ir.StringValue) -> ir.BooleanValue:
    """Whether a text is a number of any size, infinite ones among them.

    Args:
        text: without outer white space, with a decimal point.
    """
    if _engine(text) == "duckdb":
        value = text.try_cast("float64")
        return value.notnull() & ~value.isnan() & ~text.contains("_")
    return _matches(text, ANY_SIZE) | _matches(text, INFINITE)


def is_infinite(text: ir.StringValue) -> ir.BooleanValue:
    """Whether a number says that it is infinite or is beyond any float.

    Args:
        text: of which `is_number` holds.
    """
    import ibis

    if _engine(text) == "duckdb":
        return text.try_cast("float64").isinf()
    return ibis.cases(
        (~_matches(text, ANY_SIZE), _matches(text, INFINITE)),
        (~_matches(text, NOT_ZERO) | _matches(text, TINY), False),
        (_matches(text, HUGE), True),
        else_=_is_vast(_plain(text)),
    )


def _is_vast(number: ir.StringValue) -> ir.BooleanValue:
    import ibis

    if _engine(number) == "pyspark":
        # Ibis 12 makes FALSE of isinf on Spark
        return number.try_cast("float64").abs() > sys.float_info.max
    return number.cast("decimal").abs() >= ibis.literal(BEYOND_FLOAT).cast("decimal")


def day(text: ir.StringValue) -> ir.DateValue:
    """The day of a text of the form `____-__-__`; null where there is none of that name."""
    import ibis

    if _engine(text) == "duckdb":
        # it reads ` 217-03-05` and `-217-03-05` as well
        return ibis.ifelse(text >= "0", text.try_cast("date"), None)
    usual = _matches(text, USUAL_DAY) & ~text.startswith("0000")
    return ibis.cases((usual, text.cast("date")), (_matches(text, DAY), _any_day(text)))


def _any_day(text: ir.StringValue) -> ir.DateValue:
    import ibis

    if _engine(text) == "pyspark":
        return text.cast("date")
    # PostgreSQL calls the year 0 what historians call it
    before = "0001" + text.substr(4) + " BC"
    return ibis.ifelse(text.startswith("0000"), before, text).cast("date")
