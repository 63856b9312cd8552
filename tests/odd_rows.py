"""Made-up rows of odd text, to compare how engines read them."""

from __future__ import annotations

import random

import pandas as pd

WHITE = ("", " ", "\t", "\n", "\v", "\r", "\x85", "\xa0", "\u2003", "\u2028", "\u3000", "\ufeff")
DAYS = (
    *(
        "2017-03-05",
        "2017/03/05",
        "20170305",
        "2016-02-29",
        "2017-02-29",
        "1900-02-29",
        "2000-02-29",
    ),
    *(
        "0000-01-01",
        "0000-02-29",
        "0000-00-10",
        "9999-12-31",
        "-201-01-01",
        " 201-01-01",
        "2017-3-5",
    ),
    *(
        "2017-03-5 ",
        "2017-03-5  10:00",
        "5.3.2017",
        "13/12/2017",
        "12/13/2017",
        "31-12-2017",
        "2017",
    ),
    *(
        "31/04/2017 10:00",
        "1/2/2017T8:05Z",
        "２０１７-03-05",
        "2017-1--05",
        "infinity",
        "epoch",
        "now",
    ),
)
TIMES = (
    *("", " 23:59:59", "T8:05", " 10:00 UTC", "T10:00:00.5+05:30", " noon", "x", " 10:00\x85"),
    *(" 12:00:00 AM", " 1:05 p.\xa0m.", " 8:05:00.000PM +00", " 8:05 XM", " AM", " 8:05 a..m"),
)
NUMBERS = (
    *(
        "1_000",
        "nan",
        "-nan",
        "inf",
        "-INF",
        "+-inf",
        "infinit",
        "Infinity",
        "1e400",
        "-1e308",
        "0x10",
    ),
    *(
        "0x1p3",
        "5d",
        "5f",
        "5L",
        "+-5",
        "--5",
        "1e5.",
        "1.e5",
        ".e5",
        ".",
        "5.",
        "-.5",
        "1e",
        "1e+",
        "１",
    ),
    *(
        "0e999999",
        "1e-999999",
        "1e999999",
        "9" * 400,
        "0." + "0" * 50 + "1",
        "1 000.5",
        "1'000",
        "1’000",
    ),
    *(
        "1.000,5",
        "1,000.5",
        "1\u202f000",
        "1.2345675",
        "1.2345665",
        "-0.0000005",
        "0.0000004",
        "(5)",
    ),
    *(
        "999999999999.9999994",
        "999999999999.9999995",
        "-999999999999.9999995",
        "1e12",
        "0.1e13",
        "true",
    ),
    *(
        "179769313486231570e291",
        "1.7976931348623159e308",
        "00" * 30 + "7",
        "1e-7",
        "5e-7",
        "4.9e-7",
    ),
)
NAMES = (
    "",
    "a",
    "007",
    "Ñandú",
    "ß",
    "🛒",
    "a'b",
    'a"b',
    "a\\b",
    "%s",
    "a b",
    "x\u200by",
    "\u202e",
)
CODES = (*NAMES, "NULL", "null", "None", "NaN", "N/A", r"\N", "NA", "NAN", "nan", "\\n", "NULL1")
TYPES = ("", "Accrual", " Accrual\xa0", "accrual", "Other")


def odd_rows(number: int, seed: int) -> pd.DataFrame:
    """Rows of text by canonical name, some of them null; `record` counts them."""
    rng = random.Random(seed)

    def around(text: str) -> str | None:
        edges = rng.choices(WHITE, [8] + [1] * (len(WHITE) - 1), k=2)
        return None if rng.random() < 0.02 else edges[0] + text + edges[1]

    def figures() -> str:
        if rng.random() < 0.3:
            return rng.choice(NUMBERS)
        if rng.random() < 0.3:
            return "".join(rng.choices("0123456789.+-eE_,' ", k=rng.randint(1, 9)))
        return f"{rng.choice(['', '-', '+'])}{rng.uniform(0, 10 ** rng.randint(-7, 13)):.9g}"

    def day() -> str:
        if rng.random() < 0.5:
            return rng.choice(DAYS) + rng.choice(TIMES)
        text = f"{rng.randint(1995, 2021)}-{rng.randint(0, 13):02d}-{rng.randint(0, 32):02d}"
        return text if rng.random() < 0.7 else text[: rng.randint(0, 10)] + rng.choice("-/ 1x+")

    def row(record: int) -> dict[str, str | int | None]:
        return {
            "record": record,
            "partner_code": around(rng.choice(CODES)),
            "store_code": around(rng.choice(CODES)),
            "process_date": around(day()),
            "billings": around(figures() if rng.random() < 0.8 else ""),
            "miles": around(figures()),
            "mile_price": around(rng.choice(["0.015", "1", figures()])),
            "activity_id": around(rng.choice(CODES)),
            "transaction_type": around(rng.choice(TYPES)),
            "store_name": around(rng.choice(NAMES)),
            "city": around(rng.choice(NAMES)),
        }

    return pd.DataFrame([row(i) for i in range(number)])
