"""Raw rows of text to typed rows, each of them either usable or with the reason why not.

Everything here is an Ibis expression, the same on every engine (`core/casts`). One row has one
reason: the first that applies in the order of `REASONS`. Amounts are exact decimals with six
places, because sums of floats would depend on the order of the rows.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING

from lifemiles_forecasting.core import casts
from lifemiles_forecasting.core import columns as c
from lifemiles_forecasting.core.config import DataSettings

if TYPE_CHECKING:
    import ibis.expr.types as ir

    Step = Callable[[ir.Table], ir.Table]

UNREADABLE = "unreadable line"
WRONG_ENCODING = "bytes outside the encoding"
MISSING_CODE = "missing code"
BAD_DATE = "bad date"
FUTURE_DATE = "date in the future"
EARLY_DATE = "date before the floor"
UNKNOWN_TYPE = "unknown transaction type"
MISSING_AMOUNT = "missing amount"
NOT_A_NUMBER = "not a number"
INFINITE = "infinite"
IMPLAUSIBLE = "not a plausible amount"
DUPLICATE = "duplicate activity number"
EXCESS_REVERSAL = "negative beyond a reversal"

REASONS = (
    UNREADABLE,
    WRONG_ENCODING,
    MISSING_CODE,
    BAD_DATE,
    FUTURE_DATE,
    EARLY_DATE,
    UNKNOWN_TYPE,
    MISSING_AMOUNT,
    NOT_A_NUMBER,
    INFINITE,
    IMPLAUSIBLE,
    DUPLICATE,
    EXCESS_REVERSAL,
)
FLAW_TYPE = "int16"  # wider than Ibis takes the literals for, so that the cast is written
USABLE, AFTER_AS_OF = 0, -1  # values of the column `flaw` that are no reason

AMOUNT = casts.AMOUNT
LABEL_BREAK = "\x1f"  # ASCII's unit separator
LABELS = (c.PARTNER_NAME, c.STORE_NAME, c.COUNTRY, c.CITY)
RECORD, FLAW, ACTIVITY, TEXTS, VALUE = "record", "flaw", "activity_id", "labels", "amount"
CODES = (c.PARTNER_CODE, c.STORE_CODE, ACTIVITY, "transaction_type")  # text, stripped
# what databases and programs write for nothing, letter by letter: `NA` and `NAN` may be codes
NO_CODE = ("NULL", "null", "None", "NaN", "N/A", r"\N")
NUMBERED = r"^([0-9]{1,2})[/.-]([0-9]{1,2})[/.-]([0-9]{4})([ T].*)?$"
SPACE = "[ \xa0\u202f]"
THOUSANDS = {" ": SPACE, "'": "['’]"}  # patterns of marks with several forms
HALF = f"({SPACE}?[AaPp][.]?{SPACE}?[Mm][.]?)?"  # of the day: `AM`, `p. m.`
ZONE = "( ?(Z|UTC|[+-][0-9]{2}:?([0-9]{2})?))?"
TIME = "^[ T][0-9]{1,2}:[0-9]{2}(:[0-9]{2}([.,][0-9]+)?)?" + HALF + ZONE + "$"


def _code(text: ir.StringValue) -> ir.StringValue:
    """Return text without outer white space; null where nothing is left, or a word for nothing."""
    import ibis

    # looking for white space first costs a quarter of stripping every row, and DuckDB takes twice
    # as long for an `isin` of the same words
    spaced = casts.may_have_outer_white(text)
    bare = ibis.ifelse(casts.is_one_of(text, NO_CODE), None, casts.bare(text))
    nothing = reduce(or_, (text == word for word in ("", *NO_CODE)))
    return ibis.ifelse(spaced, bare, ibis.ifelse(nothing, None, text))


def _iso(text: ir.StringValue, order: str) -> ir.StringValue:
    """Bring a written date into the form `YYYY-MM-DD`; null where it is none."""
    import ibis

    common, text = text, casts.bare(text)
    fence, again, rest = text.substr(4, 1), text.substr(7, 1), text.substr(10)
    dashed = (fence == again) & fence.isin(["-", "/"])
    timed = (text.length() == 10) | rest.re_search(TIME)
    head = text.substr(0, 4) + "-" + text.substr(5, 2) + "-" + text.substr(8, 2)
    compact = text.substr(0, 4) + "-" + text.substr(4, 2) + "-" + text.substr(6, 2)
    cases = [
        (common.like("____-__-__"), common),  # first, so that nothing else is computed for it
        (dashed & timed, head),
        (text.re_search("^[0-9]{8}$"), compact),
    ]
    if order != "ymd":
        day, month = (1, 2) if order == "dmy" else (2, 1)
        parts = [text.re_extract(NUMBERED, i).lpad(2, "0") for i in range(4)]
        time = text.re_extract(NUMBERED, 4).fill_null("")
        matched = text.re_search(NUMBERED) & ((time == "") | time.re_search(TIME))
        cases.append((matched, parts[3] + "-" + parts[month] + "-" + parts[day]))
    return ibis.cases(*cases)


def with_day(table: ir.Table, column: str, order: str, step: Step) -> ir.Table:
    """Add the column `date`: the written local date, null where it is of no accepted form.

    Args:
        table: has a column of text without outer white space: ISO `YYYY-MM-DD` (a time, AM or
            PM, and an offset may follow), `YYYY/MM/DD` or `YYYYMMDD`.
        column: its name.
        order: with `dmy` or `mdy` also `DD/MM/YYYY` or `MM/DD/YYYY` (separators `/`, `-`, `.`).
        step: see `classify`.
    """
    table = step(table.mutate(iso=_iso(table[column], order)))
    return table.mutate(**{c.DATE: casts.day(table.iso)}).drop("iso")


def _number(text: ir.StringValue, settings: DataSettings) -> ir.StringValue:
    """A number's text with a decimal point; null where it cannot be a number."""
    import ibis

    if settings.thousands:
        mark, point = THOUSANDS.get(settings.thousands, f"[{settings.thousands}]"), settings.decimal
        # `0,900` has no thousands: its mark may be a decimal sign
        pattern = f"^[+-]?[1-9][0-9]{{0,2}}({mark}[0-9]{{3}})+([{point}][0-9]*)?$"
        grouped = text.re_search(pattern)
        text = ibis.ifelse(grouped, text.re_replace(mark, ""), text)
    if settings.decimal == ",":
        return ibis.ifelse(text.contains("."), None, text.replace(",", "."))
    return text


def _exact(text: ir.StringValue, settings: DataSettings) -> ir.DecimalValue:
    """The exact amount; null where the text is none or is out of range."""
    # white space is looked for only where the text as it is will not do
    direct = casts.amount(_number(text, settings))
    return direct.coalesce(casts.amount(_number(casts.bare(text), settings)))


def _flaw_of(text: ir.StringValue, settings: DataSettings) -> ir.IntegerValue:
    """The index in REASONS of what is wrong with an amount; null if nothing is."""
    import ibis

    number = _number(casts.bare(text), settings)
    return ibis.cases(
        (casts.bare(text).nullif("").isnull(), REASONS.index(MISSING_AMOUNT)),
        (~casts.is_number(number).fill_null(False), REASONS.index(NOT_A_NUMBER)),
        (casts.is_infinite(number), REASONS.index(INFINITE)),
        (_exact(text, settings).isnull(), REASONS.index(IMPLAUSIBLE)),
    )


def _amount(
    table: ir.Table, target: str, settings: DataSettings
) -> tuple[ir.DecimalValue, ir.IntegerValue]:
    """The target's amount and the index in REASONS of what is wrong with it (null: nothing)."""
    import ibis

    def single(name: str) -> tuple[ir.DecimalValue, ir.IntegerValue]:
        return _exact(table[name], settings), _flaw_of(table[name], settings)

    if target != "billings" or not {"miles", "mile_price"} <= set(table.columns):
        return single(target)
    (miles, miles_flaw), (price, price_flaw) = single("miles"), single("mile_price")
    product = casts.product(miles, price)
    too_large = ibis.ifelse(product.isnull(), REASONS.index(IMPLAUSIBLE), None)
    flaw = ibis.least(miles_flaw, price_flaw).coalesce(too_large)
    if "billings" not in table.columns:
        return product, flaw
    billed, billed_flaw = single("billings")
    empty = casts.bare(table["billings"]).nullif("").isnull()
    return (
        billed.coalesce(ibis.ifelse(empty, product, None)),
        ibis.ifelse(empty, flaw, billed_flaw),
    )


def _with_amount(table: ir.Table, target: str, settings: DataSettings, step: Step) -> ir.Table:
    """Add the target's `amount`; null where there is none that can be used."""
    import ibis

    if target not in table.columns:
        return table.mutate(**{VALUE: _amount(table, target, settings)[0]})
    # one step for what nearly every row needs; a choice, as DuckDB computes parts of a coalesce
    # that stand in it twice for every row
    table = step(table.mutate(direct=casts.amount(_number(table[target], settings))))
    amount = _amount(table, target, settings)[0]
    chosen = ibis.ifelse(table["direct"].notnull(), table["direct"], amount)
    return table.mutate(**{VALUE: chosen})


def _flaw(
    table: ir.Table, settings: DataSettings, target: str, as_of: date | None, today: date
) -> ir.IntegerValue:
    """USABLE, AFTER_AS_OF or the index in REASONS of a row's first flaw."""
    import ibis

    day, floor = table[c.DATE], ibis.literal(settings.date_floor)
    coded = table[c.PARTNER_CODE].notnull() & table[c.STORE_CODE].notnull()
    checks = [
        (~coded, MISSING_CODE),
        (day.isnull(), BAD_DATE),
        (day > ibis.literal(today), FUTURE_DATE),
        (day < floor, EARLY_DATE),
    ]
    if settings.transaction_types:
        known = table["transaction_type"].isin(list(settings.transaction_types)).fill_null(False)
        checks.append((~known, UNKNOWN_TYPE))
    else:
        known = ibis.literal(True)
    cases = [(failed, ibis.literal(REASONS.index(reason))) for failed, reason in checks]
    if as_of is not None:
        cases.insert(0, ((day > ibis.literal(as_of)).fill_null(False), ibis.literal(AFTER_AS_OF)))
    last = ibis.literal(today if as_of is None else min(today, as_of))
    # nearly every row is sound: to see that first saves the other checks
    sound = coded & day.between(floor, last) & table[VALUE].notnull() & known
    why = _amount(table, target, settings)[1].coalesce(USABLE)
    return ibis.cases((sound, USABLE), *cases, else_=why).cast(FLAW_TYPE)


def _as_it_is(table: ir.Table) -> ir.Table:
    return table


def classify(
    texts: ir.Table,
    settings: DataSettings,
    target: str,
    as_of: date | None,
    today: date,
    step: Step = _as_it_is,
) -> ir.Table:
    """Turn one file's rows of text into typed rows, in the same form for every file.

    Args:
        texts: the file's columns of text that are known, by canonical name; `record` and `file`
            are handed on where they are there.
        settings: forms of numbers and dates, floor, accepted transaction types.
        target: the amount that is read, in its own units.
        as_of: rows dated later are set apart, whatever else is wrong with them.
        today: rows dated later (and not after `as_of`) are dated in the future.
        step: what keeps an engine from computing a column again wherever a later one mentions it;
            that `mutate` ends there is enough for DuckDB and Spark.

    Returns:
        `date, partner_code, store_code, amount, activity_id, labels` (the four LABELS in one
        text, which costs half of four columns), `flaw` (USABLE, AFTER_AS_OF or an index in
        REASONS).
    """
    import ibis

    empty = ibis.literal("")
    labels = [texts[name].coalesce("") if name in texts.columns else empty for name in LABELS]
    codes = [name for name in CODES if name in texts.columns]
    table = texts.mutate(
        **{name: _code(texts[name]) for name in codes},
        **{TEXTS: ibis.literal(LABEL_BREAK).join(labels)},
    )
    if ACTIVITY not in codes:
        table = table.mutate(**{ACTIVITY: ibis.null("string")})
    table = with_day(table, settings.date_column, settings.date_order, step)
    table = step(_with_amount(table, target, settings, step))
    flaw = _flaw(table, settings, target, as_of, today)
    carried = [name for name in (RECORD, c.FILE) if name in texts.columns]
    return table.select(
        *carried, c.DATE, c.PARTNER_CODE, c.STORE_CODE, VALUE, ACTIVITY, TEXTS, **{FLAW: flaw}
    )


def duplicates(
    rows: ir.Table, keep: Callable[[ir.Table], ir.Table], parts: int = 1, part: int = 0
) -> ir.Table:
    """`record` of usable rows that repeat an earlier usable row of their partner by its number.

    Numbers are compared within a partner, as two partners may both count from 1. The first row of
    a number stays, and so does its reversal: the first row of the opposite amount in its store.

    Args:
        rows: `record` (rising with file and line), `partner_code, store_code, amount,
            activity_id` (null: never a duplicate), `flaw`.
        keep: see `settle`; the few repeated numbers are kept, so that to look for their rows
            costs next to nothing.
        parts: the numbers fall into so many parts, of which each can be looked through alone.
        part: the one to look through.
    """
    import ibis

    usable = rows.filter(rows[FLAW] == USABLE, rows[ACTIVITY].notnull())
    if parts > 1:
        usable = usable.filter(casts.part(usable[ACTIVITY], parts) == part)
    # of all partners: a number alone is looked through faster, and few are left for the rest
    counted = usable.group_by(ACTIVITY).aggregate(times=usable.count())
    repeated = usable.semi_join(keep(counted.filter(counted.times > 1)), ACTIVITY)
    number = [c.PARTNER_CODE, ACTIVITY]
    window = ibis.window(group_by=number, order_by=RECORD)
    store, amount = (repeated[name] for name in (c.STORE_CODE, VALUE))
    opposite = (store == store.first().over(window)) & (amount == -amount.first().over(window))
    ranked = repeated.select(
        *number,
        RECORD,
        place=ibis.row_number().over(window),
        opposite=opposite & (amount != 0),
    )
    window = ibis.window(group_by=[*number, "opposite"], order_by=RECORD)
    ranked = ranked.mutate(turn=ibis.row_number().over(window))
    reversal = ranked.opposite & (ranked.turn == 0)
    return ranked.filter(ranked.place > 0, ~reversal).select(RECORD)


def excess_reversals(rows: ir.Table, rejected: ir.Table) -> ir.Table:
    """`record` of the negative amounts that their store-day cannot bear.

    Of a day whose reversals exceed its sales the smallest (then the first by file and line) are
    kept as long as its net stays at or above 0.

    Args:
        rows: `record, partner_code, store_code, date, amount, flaw`.
        rejected: `record` of the duplicates, which do not count.
    """
    import ibis

    usable = rows.filter(rows[FLAW] == USABLE).anti_join(rejected, RECORD)
    key = [c.PARTNER_CODE, c.STORE_CODE, c.DATE]
    returns = usable.filter(usable[VALUE] < 0).select(key).distinct()
    day = usable.semi_join(returns, key)
    sales = day.filter(day[VALUE] > 0).group_by(key).aggregate(sales=day[VALUE].sum())
    back = day.filter(day[VALUE] < 0)
    window = ibis.window(
        group_by=key, order_by=[back[VALUE].desc(), back[RECORD]], preceding=None, following=0
    )
    running = back.select(*key, RECORD, returned=back[VALUE].sum().over(window))
    both = running.left_join(sales, key)
    net = both["returned"] + both["sales"].coalesce(ibis.literal(0).cast("decimal(38, 6)"))
    return both.filter(net < 0).select(RECORD)


def settle(rows: ir.Table, keep: Callable[[ir.Table], ir.Table], parts: int = 1) -> ir.Table:
    """The rows that are usable by themselves but not beside the others.

    Args:
        rows: what `classify` returns, of all files, with `record`.
        keep: materialises an expression, so that it is computed once.
        parts: see `duplicates`; more of them need less memory at a time.

    Returns:
        `record` and `flaw` (the index of DUPLICATE or EXCESS_REVERSAL in REASONS).
    """
    import ibis

    def flawed(records: ir.Table, reason: str) -> ir.Table:
        flaw = ibis.literal(REASONS.index(reason)).cast(FLAW_TYPE)
        return records.select(RECORD, **{FLAW: flaw})

    repeated = [keep(duplicates(rows, keep, parts, part)) for part in range(parts)]
    duplicate = repeated[0] if parts == 1 else keep(ibis.union(*repeated))
    excess = keep(excess_reversals(rows, duplicate))
    return keep(flawed(duplicate, DUPLICATE).union(flawed(excess, EXCESS_REVERSAL)))


def flawed_rows(rows: ir.Table, rejected: ir.Table) -> ir.Table:
    """`record, reason` of every row that goes to the quarantine (see `settle`)."""
    import ibis

    flawed = rows.filter(rows[FLAW] > USABLE).select(RECORD, FLAW)
    both = flawed.union(rejected.select(RECORD, FLAW))
    names = [(both[FLAW] == i, reason) for i, reason in enumerate(REASONS)]
    return both.select(RECORD, **{c.REASON: ibis.cases(*names)})


def count_rows(rows: ir.Table, rejected: ir.Table) -> ir.Table:
    """`file, rows_after_as_of, rows_used` of each file that has such rows."""
    kept = rows.filter(rows[FLAW] <= USABLE).anti_join(rejected, RECORD)
    after = (kept[FLAW] == AFTER_AS_OF).sum()
    return kept.group_by(c.FILE).aggregate(rows_after_as_of=after, rows_used=kept.count() - after)
