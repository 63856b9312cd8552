"""Cells that a spreadsheet would run, in files and in what is read back from them."""

import csv
import io
import json
import re
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lifemiles_forecasting import report
from lifemiles_forecasting.core.spreadsheet import (
    neutral,
    neutral_table,
    original,
    original_table,
)
from lifemiles_forecasting.datasets.csv_table import CsvTableDataset
from lifemiles_forecasting.datasets.optional_table import OptionalTableDataset
from lifemiles_forecasting.rendering import as_csv, as_json

FORMULAS = ["=1+1", "+1", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "x;=1+1", 'x";=1', "＝1", " =1"]
# texts of the signs that matter, and any other
odd_texts = st.one_of(st.text("=+-@;,\t|\"' \n\rA1＝", max_size=12), st.text(max_size=8))
# what a CSV file can hold without telling "" from nothing, or a lone \r from the end of a line
file_texts = odd_texts.filter(lambda text: text.strip() and "\r" not in text)


@given(odd_texts)
@example("'=1")
@example("''=1")
@example("\t=1")
@example("a;'\t-b")
def test_text_comes_back_as_it_was(text):
    assert original(neutral(text)) == text


@given(odd_texts, odd_texts)
def test_different_texts_stay_different(one, other):
    assert (neutral(one) == neutral(other)) == (one == other)


@given(odd_texts)
@example("x;=1+1")
def test_report_writes_its_own_files_as_we_do(text):
    """The page makes its CSV in the browser; the pattern reads the same in both languages."""
    script = (Path(report.__file__).parent / "scripts" / "downloads.js").read_text("utf-8")
    pattern = re.search(r"const FORMULA = /(.+)/g;", script)[1]
    assert re.sub(pattern, "'", text) == neutral(text)


def begins_a_formula(cell):
    return cell.lstrip(" ").startswith(("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠"))


@given(st.lists(st.tuples(odd_texts, odd_texts), min_size=1, max_size=4))
@example([("x;=1+1", "y")])
@example([('x";=1+1', ";-1")])
def test_no_spreadsheet_sees_a_formula_whatever_it_parts_cells_at(rows):
    """The file as Excel reads it in English (comma), Spanish (semicolon), and pasted (tab)."""
    text = neutral_table(pd.DataFrame(rows, columns=["a", "b"])).to_csv(index=False)
    cells = [cell for row in csv.reader(io.StringIO(text, newline="")) for cell in row]
    for line in re.split("[\r\n]", text):  # our quotes mean little to who parts elsewhere
        for separator in ";\t|":
            cells += [cell for row in csv.reader([line], delimiter=separator) for cell in row]
    assert not [cell for cell in cells if begins_a_formula(cell)]


@pytest.mark.parametrize("text", FORMULAS)
def test_formulas_get_an_apostrophe(text):
    assert text.replace("'", "") == neutral(text).replace("'", "")
    assert neutral(text).count("'") >= 1


@pytest.mark.parametrize("text", ["CJGRO_0007", "", "O'Hara", "'tis", "3-4", "a=b", "a@b.example"])
def test_harmless_texts_stay_as_they_are(text):
    assert neutral(text) == text


def test_numbers_dates_and_the_frame_itself_stay_as_they_are():
    frame = pd.DataFrame(
        {"n": [-1.5, 2], "d": pd.to_datetime(["2018-01-01"] * 2), "t": ["-1", None]}
    )
    before = frame.copy()
    changed = neutral_table(frame)
    pd.testing.assert_frame_equal(frame, before)
    assert changed["t"].iloc[0] == "'-1"
    assert changed["t"].isna().tolist() == [False, True]
    pd.testing.assert_frame_equal(changed[["n", "d"]], frame[["n", "d"]])
    pd.testing.assert_frame_equal(original_table(changed), frame)


@given(st.lists(file_texts, min_size=1, max_size=4))
def test_dataset_loads_what_it_saved(texts):
    frame = pd.DataFrame({"store_id": texts, "forecast": [-1.5] * len(texts)})
    options = {"dtype": {"store_id": str}, "keep_default_na": False}
    dataset = CsvTableDataset(
        filepath="memory://table.csv", load_args=options, save_args={"index": False}
    )
    dataset.save(frame)
    pd.testing.assert_frame_equal(dataset.load(), frame)


def test_other_loader_of_our_files_gives_the_same_ids(tmp_path):
    file = tmp_path / "drift.csv"
    frame = pd.DataFrame({"store_id": ["=1", "'=1", "x;=1"], "retrain": [True, False, True]})
    CsvTableDataset(filepath=str(file), save_args={"index": False}).save(frame)
    assert "'=1" in file.read_text()
    loaded = OptionalTableDataset(str(file), dtype={"store_id": str}).load()
    pd.testing.assert_frame_equal(loaded, frame)


def test_explore_neutralises_csv_and_leaves_json_to_machines():
    tables = {"store_runs": [{"store_id": "=1+1", "test_r2": -0.5}]}
    assert as_csv(tables) == "store_id,test_r2\n'=1+1,-0.5\n"
    assert json.loads(as_json(tables)) == tables["store_runs"]


def test_carriage_return_in_a_code_ends_no_line(tmp_path):
    """Readers take a lone one for the end of a line, unless it is quoted."""
    table = pd.DataFrame({"store_id": ["P_a\rb", "P_c", "P_d\r\ne"], "n": [1, 2, 3]})
    dataset = CsvTableDataset(filepath=str(tmp_path / "t.csv"), save_args={"index": False})
    dataset.save(table)
    pd.testing.assert_frame_equal(dataset.load(), table)
    with (tmp_path / "t.csv").open(newline="", encoding="utf-8") as stream:
        assert [row[0] for row in csv.reader(stream)] == [
            "store_id",
            *map(neutral, table["store_id"]),
        ]
    dataset.save(table[1:2])
    assert (tmp_path / "t.csv").read_bytes() == b"store_id,n\nP_c,2\n"
