"""Folders of CSV files, sound and damaged, read from disk."""

from __future__ import annotations

import codecs
import gzip
import json
import os
import random
from datetime import date
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from kedro.io import DatasetError

from lifemiles_forecasting.core import transactions as t
from lifemiles_forecasting.core.config import DataSettings, parse
from lifemiles_forecasting.core.errors import InputError
from lifemiles_forecasting.core.headers import resolve_columns
from lifemiles_forecasting.core.panel import daily_panel, fingerprint, store_days
from lifemiles_forecasting.datasets.csv_records import first_records
from lifemiles_forecasting.datasets.transactions import TransactionFilesDataset

CONF = Path(__file__).parents[2] / "conf/base/parameters_data_processing.yml"
DATA = yaml.safe_load(CONF.read_text("utf-8"))["data_processing"]
HEADER = "Partner Code,Store Code,Process Date,Billings,Activity Number,Store Name\n"


def line(i: int, **changes) -> str:
    values = {"p": "P", "s": f"{i % 7:03d}", "d": f"2017-01-{i % 28 + 1:02d}", "b": "1.5"}
    values |= {"a": f"A{i}", "n": "name"} | changes
    return ",".join(values.values()) + "\n"


class Result:
    """What comes of a folder."""

    def __init__(self, folder: Path, target: str = "billings", **changes) -> None:
        data = parse(DataSettings, DATA | changes)
        files = TransactionFilesDataset(filepath=str(folder), memory_limit="500MB").load()
        reading = files.read(
            data.separator,
            data.encoding,
            partial(resolve_columns, settings=data, target=target),
            partial(t.classify, settings=data, target=target, as_of=None, today=date(2020, 1, 1)),
        )
        rejected = t.settle(reading.rows, reading.keep)
        self.counts = reading.counts(rejected)
        self.quarantine = reading.quarantine(rejected)
        self.panel = daily_panel(store_days(reading.rows, rejected)).to_pandas()

    @property
    def reasons(self) -> dict[int, str]:
        return dict(zip(self.quarantine["line"], self.quarantine["reason"], strict=True))


def written(folder: Path, content: str | bytes, name: str = "a.csv") -> Path:
    raw = content if isinstance(content, bytes) else content.encode()
    (folder / name).write_bytes(gzip.compress(raw) if name.endswith(".gz") else raw)
    return folder


DAMAGE = {
    "sound": (line, None),
    "crlf": (lambda i: line(i)[:-1] + "\r\n", None),
    "two lines": (lambda i: line(i, n='"first\nsecond"'), None),
    "quoted": (lambda i: line(i, n='"a ""b"", c"'), None),
    "quote inside": (lambda i: line(i, n='a"b'), None),
    "empty behind": (lambda i: line(i)[:-1] + ",,\n", None),
    "empty quotes behind": (lambda i: line(i)[:-1] + ',""\n', None),
    "white behind": (lambda i: line(i)[:-1] + ", \n", t.UNREADABLE),
    "blank": (lambda i: "\n", ""),
    "white": (lambda i: "   \n", ""),
    "short": (lambda i: "P,1,2017-01-01\n", t.UNREADABLE),
    "long": (lambda i: line(i, n="x,y"), t.UNREADABLE),
    "stray quote": (lambda i: line(i, s='"1'), t.UNREADABLE),
    "broken quotes": (lambda i: line(i, s='"1"1'), t.UNREADABLE),
    "bytes": (lambda i: line(i, n="\udcf1"), t.WRONG_ENCODING),
    "control": (lambda i: line(i, n="\0"), t.UNREADABLE),
    "no code": (lambda i: line(i, p=" "), t.MISSING_CODE),
    "no date": (lambda i: line(i, d="2017-02-30"), t.BAD_DATE),
    "future": (lambda i: line(i, d="2020-01-02"), t.FUTURE_DATE),
    "early": (lambda i: line(i, d="1999-12-31"), t.EARLY_DATE),
    "no amount": (lambda i: line(i, b=""), t.MISSING_AMOUNT),
    "word": (lambda i: line(i, b="abc"), t.NOT_A_NUMBER),
    "infinite": (lambda i: line(i, b="inf"), t.INFINITE),
    "huge": (lambda i: line(i, b="1e30"), t.IMPLAUSIBLE),
    "twice": (lambda i: line(i, a="A0"), t.DUPLICATE),
    "negative": (lambda i: line(i, s="9", b="-3"), t.EXCESS_REVERSAL),
}


def check(kinds: list[str], ends_in_line_feed: bool) -> None:
    """Write these lines, read them, and expect each in its place with its line number."""
    content, expected, rows, number = HEADER + line(0), {}, 1, 3
    for i, kind in enumerate(kinds, start=1):
        make, reason = DAMAGE[kind]
        text = make(i)
        if reason:
            expected[number] = reason
        rows += reason != ""
        number += text.count("\n")
        content += text
    raw = content.encode("utf-8", "surrogateescape")
    raw = raw if ends_in_line_feed else raw.rstrip(b"\n")
    with TemporaryDirectory() as folder:
        found = Result(written(Path(folder), raw))
    assert found.reasons == expected
    assert len(found.quarantine) == len(expected)
    (counts,) = found.counts
    assert counts["rows_in"] == rows == counts["rows_used"] + len(expected)
    assert found.panel["transactions"].sum() == counts["rows_used"]
    lines = raw.decode("utf-8", "backslashreplace").replace("\r\n", "\n").split("\n")
    for row in found.quarantine.itertuples():
        if row.reason in (t.UNREADABLE, t.WRONG_ENCODING):
            assert row.raw == lines[row.line - 1]
        else:
            assert list(json.loads(row.raw).values()) == lines[row.line - 1].split(",")


@settings(max_examples=25)
@given(st.lists(st.sampled_from(sorted(DAMAGE)), max_size=25), st.booleans())
def test_every_row_of_a_damaged_file_ends_in_exactly_one_place(kinds, ends_in_line_feed):
    check(kinds, ends_in_line_feed)


@pytest.mark.parametrize("kind", sorted(DAMAGE))
def test_each_reason_with_its_line(kind):
    check(["sound", kind, "sound"], True)


def test_a_stray_quote_costs_one_line_of_a_large_file(tmp_path):
    lines = [line(i) for i in range(60_000)]
    lines[10] = line(10, s='"1')
    lines[50_000] = line(50_000, b="x")
    found = Result(written(tmp_path, HEADER + "".join(lines)))
    assert found.reasons == {12: t.UNREADABLE, 50_002: t.NOT_A_NUMBER}
    assert found.counts[0]["rows_in"] == 60_000


@pytest.mark.parametrize("behind", ["", ",", ",,,", ',""'])
@pytest.mark.parametrize("header", [HEADER, HEADER.replace("\n", ",\n")])
def test_a_damaged_line_costs_itself_where_lines_end_in_a_separator(tmp_path, header, behind):
    lines = [line(i)[:-1] + behind + "\n" for i in range(1500)]
    sound = Result(written(tmp_path, header + "".join(lines)))
    damaged = Result(written(tmp_path, header + "".join([*lines, "P,000,2017-01-01\n"])))
    assert sound.reasons == {}
    assert damaged.reasons == {1502: t.UNREADABLE}
    pd.testing.assert_frame_equal(damaged.panel, sound.panel, check_exact=True)


def test_the_first_rows_are_looked_at_where_all_lines_end_in_a_separator(tmp_path):
    rows = (HEADER + line(1) + line(2)).replace("\n", ",\n").replace(",\n", "\n", 1)
    (path,) = written(tmp_path, rows + line(3)[:-1] + ",x\n" + "cut").iterdir()
    assert [row[4:] for row in first_records(path, ",", 6)] == [["A1", "name"], ["A2", "name"]]


def test_lines_are_found_in_a_large_sound_file(tmp_path):
    lines = [line(i) for i in range(200_000)]
    lines[150_000] = line(150_000, d="x")
    lines[199_999] = line(5)
    found = Result(written(tmp_path, HEADER + "".join(lines)))
    assert found.reasons == {150_002: t.BAD_DATE, 200_001: t.DUPLICATE}


def test_files_may_differ(tmp_path):
    written(tmp_path, HEADER + line(1), "b.csv")
    written(
        tmp_path,
        "Extra,Process Date,Store Code,Partner Code,Facturación\n"
        "x,2017-01-02,001,P,2\n,bad,001,P,2\n",
        "a.CSV.gz",
    )
    written(tmp_path, "not,a,table", "notes.txt")
    (tmp_path / "sub.csv").mkdir()
    written(tmp_path, "\0", "._b.csv")
    found = Result(tmp_path)
    assert [counts["file"] for counts in found.counts] == ["a.CSV.gz", "b.csv"]
    assert found.panel["y"].sum() == 3.5
    (row,) = found.quarantine.to_dict("records")
    assert row["file"], row["line"] == ("a.CSV.gz", 3)
    assert json.loads(row["raw"])["Extra"] == ""


NAMES = ("a.csv", "B.CSV.GZ", "a.xlsx", "a.csv.bz2", "a.parquet", "old.txt", "data")
QUIET = (".gitkeep", "._a.csv", "README", "readme.TXT", "LICENSE", "fields.md", "_SUCCESS")


@settings(max_examples=30)
@given(
    st.sets(st.sampled_from(NAMES + QUIET)),
    st.dictionaries(
        st.sampled_from(["2024", "sub.csv", ".git", "a/b"]), st.sampled_from(NAMES + QUIET)
    ),
)
def test_what_may_be_data_is_read_or_told(files, inner):
    with TemporaryDirectory() as temporary:
        root = Path(temporary)
        for name in files:
            (root / name).touch()
        for name, file in inner.items():
            (root / name).mkdir(parents=True)
            (root / name / file).touch()
        told = TransactionFilesDataset(filepath=temporary).load().not_read()
    expected = {name for name in files if name in NAMES[2:]}
    expected |= {
        f"{name.split('/')[0]}/" for name, file in inner.items() if name != ".git" and file in NAMES
    }
    assert told == sorted(expected, key=lambda name: name.rstrip("/"))


def test_folder_that_cannot_be_looked_into_and_a_broken_link_are_told(tmp_path, monkeypatch):
    def refused(folder, onerror):
        onerror(PermissionError(folder))

    (tmp_path / "2024").mkdir()
    (tmp_path / os.fsdecode(b"\xff.zip")).symlink_to("nowhere")
    monkeypatch.setattr(os, "walk", refused)
    told = TransactionFilesDataset(filepath=str(tmp_path)).load().not_read()
    assert told == ["2024/", r"\xff.zip"]


def test_a_duplicate_in_a_later_file(tmp_path):
    written(tmp_path, HEADER + line(1, b="1"), "a.csv")
    written(tmp_path, HEADER + line(2) + line(1, b="2"), "b.csv")
    row = Result(tmp_path).quarantine.iloc[0]
    assert (row["file"], row["line"], row["reason"]) == ("b.csv", 3, t.DUPLICATE)


def test_shuffled_rows_and_files_give_the_same_panel(tmp_path):
    rows = [line(i, b=f"{i % 97 / 10}", a="") for i in range(3000)]
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    written(tmp_path / "one", HEADER + "".join(rows))
    random.Random(4).shuffle(rows)
    for k in range(3):
        written(tmp_path / "two", HEADER + "".join(rows[k::3]), f"{9 - k}.csv")
    first, second = Result(tmp_path / "one").panel, Result(tmp_path / "two").panel
    pd.testing.assert_frame_equal(first, second, check_exact=True)
    assert fingerprint(first) == fingerprint(second)


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "latin-1", "utf-16", "utf-16-le", "utf-16-be"]
)
def test_encodings(tmp_path, encoding):
    configured = "utf-16" if encoding.startswith("utf-16") else encoding.removesuffix("-sig")
    text = HEADER.replace("Billings", "Facturación") + line(1, p="Ñ") + line(2, b="x", n="é")
    found = Result(written(tmp_path, text.encode(encoding)), encoding=configured)
    assert found.panel["store_id"].unique() == ["Ñ_001"]
    assert json.loads(found.quarantine["raw"][0])["Store Name"] == "é"


def test_separator_and_decimal_comma(tmp_path):
    text = (HEADER + line(1)).replace(",", ";").replace("1.5", "1,5")
    found = Result(written(tmp_path, text), separator=";", decimal=",")
    assert found.panel["y"].tolist() == [1.5]


def test_cells_of_columns_of_one_name_are_kept_apart(tmp_path):
    text = "Note," + HEADER[:-1] + ",Note,,\nfirst," + line(1, b="x")[:-1] + ",last,,behind\n"
    cells = json.loads(Result(written(tmp_path, text)).quarantine["raw"][0])
    assert (cells["Note"], cells["column 8"], cells["column 10"]) == ("first", "last", "behind")


def test_a_name_that_looks_like_a_pattern(tmp_path):
    written(tmp_path, HEADER + line(1), "a[1].csv")
    assert Result(tmp_path).panel["y"].tolist() == [1.5]


def test_a_folder_of_key_and_value_adds_no_column(tmp_path):
    folder = tmp_path / "c3=7" / "month=01"  # the database would take the first for our column
    folder.mkdir(parents=True)
    found = Result(written(folder, HEADER + line(1) + line(2, b="x")))
    assert found.panel["y"].tolist() == [1.5]
    assert list(json.loads(found.quarantine["raw"][0])) == HEADER.strip().split(",")


def test_carriage_returns_alone_end_lines(tmp_path):
    text = (HEADER + line(1) + line(2, b="x")).replace("\n", "\r")
    assert Result(written(tmp_path, text)).reasons == {3: t.NOT_A_NUMBER}


@pytest.mark.parametrize(
    ("content", "name", "message"),
    [
        (b"", "a.csv", r"found an empty file a\.csv; expected a header and rows"),
        ("\n" + HEADER, "a.csv", r"found a blank first line in a\.csv"),
        (b"\x89PNG\x00\x01", "a.csv", r"found a binary file a\.csv \(it has NUL bytes\)"),
        (HEADER.encode("utf-16"), "a.csv", r"UTF-16 in a\.csv; .*encoding to utf-16, or convert"),
        (HEADER.encode("utf-32"), "a.csv", r"found text in UTF-32, a\.csv; .* Save it as UTF-8\."),
        (
            codecs.BOM_UTF32_BE + HEADER.encode("utf-32-be"),
            "a.csv",
            r"found text in UTF-32, a\.csv; expected text in CSV form\. Save it as UTF-8\.",
        ),
        (HEADER.encode("utf-16-le"), "a.csv", r"binary file a\.csv.*data_processing\.encoding"),
        (HEADER.replace("Store Name", '"Store'), "a.csv", r"header in a\.csv that does not end wh"),
        ("Facturación,b\n".encode("latin-1"), "a.csv", r"header in a\.csv that is not utf-8"),
        (HEADER.replace(",", ";"), "a.csv", r"separated by ';': set data_processing\.separator"),
        (HEADER.replace("Billings", "X"), "a.csv", r"no column 'Billings / .* in a\.csv, which"),
        (HEADER.replace("Store Name", "Billings"), "a.csv", r"'Billings' more than once"),
    ],
)
def test_input_error_when_a_file_cannot_be_used(tmp_path, content, name, message):
    with pytest.raises(InputError, match=message):
        Result(written(tmp_path, content, name))


@pytest.mark.parametrize("damage", ["cut", "text", "checksum"])
def test_input_error_when_a_gzip_file_is_broken(tmp_path, damage):
    packed = gzip.compress((HEADER + line(1) * 1000).encode())
    broken = {
        "cut": packed[: len(packed) // 2],
        "text": b"no gzip",
        "checksum": packed[:-8] + b"12345678",
    }[damage]
    with pytest.raises(InputError, match=r"found a broken gzip file a\.csv\.gz"):
        (tmp_path / "a.csv.gz").write_bytes(broken)
        Result(tmp_path)


def test_input_error_when_the_folder_is_missing_or_empty(tmp_path):
    with pytest.raises(InputError, match=r"found no folder .*nowhere.*raw_transactions=DIR"):
        Result(tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"found no \.csv or \.csv\.gz file in [^,]*; expected"):
        Result(tmp_path)


def test_input_error_names_what_a_folder_without_csv_files_has(tmp_path):
    written(tmp_path, b"PK\x03\x04", "2024\n.zip")
    (tmp_path / "README.md").touch()
    (tmp_path / "old").mkdir()
    written(tmp_path / "old", HEADER)
    message = (
        r"found no \.csv or \.csv\.gz file in .*, which has: 2024\?\.zip, old/; expected at least "
        r"one\. Bring these there in that form, or choose another folder with --params=raw_tr"
    )
    with pytest.raises(InputError, match=message):
        Result(tmp_path)


def test_input_error_when_a_file_cannot_be_read_or_is_a_broken_link(tmp_path):
    (tmp_path / "a.csv").symlink_to("/proc/self/mem")
    with pytest.raises(InputError, match=r"found a file a\.csv that cannot be read \(Input/output"):
        Result(tmp_path)
    (tmp_path / "b.csv.gz").symlink_to(tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"found a link b\.csv\.gz that leads nowhere"):
        Result(tmp_path)


def test_the_dataset_only_reads(tmp_path):
    dataset = TransactionFilesDataset(filepath=str(tmp_path))
    assert dataset.exists()
    assert not TransactionFilesDataset(filepath=str(tmp_path / "nowhere")).exists()
    assert "filepath" in str(dataset)
    with pytest.raises(DatasetError):
        dataset.save(None)
