"""The readers that ours is measured against do the same job: same store-days, same quarantine."""

from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
from damaged_folders import processed

from lifemiles_forecasting.datasets import transactions

READERS = Path(__file__).parents[2] / "benchmarks" / "readers"
FLAWS = {  # by column, what stands there
    "Partner Code": "  ",
    "Process Date": "2017-13-01",
    "Facturación": "twelve",
}


@pytest.fixture
def raw(few_stores, tmp_path):
    """The sample's rows with a flaw of every kind that the readers look for."""
    folder = tmp_path / "raw"
    folder.mkdir()
    for file in few_stores.glob("*.csv"):
        rows = pd.read_csv(file, dtype=str, keep_default_na=False)
        for row, (column, value) in enumerate(FLAWS.items()):
            rows.loc[row * 3, column] = value
        rows.loc[20, "Process Date"], rows.loc[22, "Process Date"] = "2099-01-01", "1899-12-31"
        rows.loc[24, ["Facturación", "Miles"]] = ""  # else ours takes miles times their price
        rows.loc[26, "Facturación"] = "1e15"
        rows.loc[28, "Facturación"] = "-99999"
        rows = pd.concat([rows, rows.iloc[[30, 40]]])
        rows.to_csv(folder / file.name, index=False)
    return folder


@pytest.mark.parametrize("size", [transactions.BYTES_PER_NUMBER, 1_000_000])
def test_pandas_gives_the_store_days_and_the_quarantine_that_ours_gives(
    raw, tmp_path, monkeypatch, size
):
    """However few activity numbers ours can compare at once."""
    monkeypatch.setattr(transactions, "BYTES_PER_NUMBER", size)
    monkeypatch.syspath_prepend(READERS)
    import with_pandas

    mine, theirs = tmp_path / "ours", tmp_path / "theirs"
    for folder in (mine, theirs):
        folder.mkdir()
    ours = processed(raw, mine, SimpleNamespace(settings={}, as_of=None), whole=True)
    with_pandas.job(raw, theirs)
    panel = pd.read_parquet(theirs / "panel.parquet").astype({"transactions": "int64"})
    pd.testing.assert_frame_equal(panel, ours["panel"], check_dtype=False, rtol=1e-9)
    bad = pd.read_parquet(theirs / "quarantine.parquet")
    key = ["file", "line", "reason"]
    assert bad["reason"].nunique() == 9
    expected = ours["quarantine"][key].reset_index(drop=True)
    pd.testing.assert_frame_equal(
        bad[key].sort_values(["file", "line"], ignore_index=True), expected, check_dtype=False
    )
    stores = pd.read_parquet(theirs / "stores.parquet").set_index("store_id")
    known = ours["stores"].set_index("store_id")
    assert stores["class"].to_dict() == known["store_class"].to_dict()
    assert stores["Store Name"].str.strip().to_dict() == known["store_name"].to_dict()
