"""The data-processing pipeline, run by Kedro on files."""

from __future__ import annotations

import gzip
import logging
from pathlib import Path

import pandas as pd
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kedro.io import DataCatalog, MemoryDataset
from kedro.runner import SequentialRunner
from kedro_datasets.json import JSONDataset
from kedro_datasets.pandas import ParquetDataset

from lifemiles_forecasting.core import columns as c
from lifemiles_forecasting.core.balance import check_balance
from lifemiles_forecasting.core.errors import InputError
from lifemiles_forecasting.datasets.events import EventFileDataset
from lifemiles_forecasting.datasets.transactions import TransactionFilesDataset
from lifemiles_forecasting.pipelines.data_processing import create_pipeline

PROJECT = Path(__file__).parents[2]
SAMPLE = PROJECT / "data/01_raw/transactions"
DATA = yaml.safe_load((PROJECT / "conf/base/parameters_data_processing.yml").read_text("utf-8"))[
    "data_processing"
]
HEADER = "Membership Number,Partner Code,Store Code,Process Date,Billings,Miles,Mile Price\n"
ROW = "777001,P,{store},2017-01-0{day},{billed},,\n"


def run(
    raw: Path, root: Path, as_of=None, target="local_amount", events: Path | None = None, **changes
) -> dict:
    outputs = {
        "planned_events": ParquetDataset(filepath=str(root / "planned_events.parquet")),
        "quarantine": ParquetDataset(filepath=str(root / "quarantine.parquet")),
        "panel": ParquetDataset(filepath=str(root / "panel.parquet")),
        "stores": ParquetDataset(filepath=str(root / "stores.parquet")),
        "row_balance": JSONDataset(filepath=str(root / "row_balance.json")),
    }
    shared = ("transactions", "rejected_rows", "store_days")
    parameters = {
        "data_processing": DATA | changes,
        "target": target,
        "as_of": as_of,
        "min_samples": 56,
        "data_root": str(root),
    }
    catalog = DataCatalog(
        outputs
        | {name: MemoryDataset(copy_mode="assign") for name in shared}
        | {f"params:{name}": MemoryDataset(value) for name, value in parameters.items()}
        | {
            "raw_transactions": TransactionFilesDataset(filepath=str(raw)),
            "events": EventFileDataset(filepath=None if events is None else str(events)),
        }
    )
    SequentialRunner().run(create_pipeline(), catalog)
    return {name: dataset.load() for name, dataset in outputs.items()}


@pytest.fixture(scope="module")
def sample(tmp_path_factory) -> dict:
    return run(SAMPLE, tmp_path_factory.mktemp("sample"))


@pytest.fixture(scope="module")
def raw_sample() -> pd.DataFrame:
    files = sorted(SAMPLE.glob("*.csv.gz"))
    return pd.concat([pd.read_csv(file, dtype=str) for file in files], ignore_index=True)


def test_all_stores_of_the_sample_come_through(sample):
    balance, stores = sample["row_balance"], sample["stores"]
    assert (balance["rows_in"], balance["rows_used"]) == (289_963, 289_963)
    assert (balance["rows_quarantined"], balance["quarantined_by_reason"]) == (0, {})
    assert sum(file["rows_in"] for file in balance["files"]) == 289_963
    assert (balance["first_date"], balance["last_date"]) == ("2017-01-01", "2017-12-31")
    assert balance["not_read"] == []
    assert balance["stores"] == len(stores) == 1_218
    active = stores["active_days"]
    assert [(active >= 56).sum(), (active >= 200).sum(), (active < 30).sum()] == [372, 315, 823]
    assert sample["panel"]["transactions"].sum() == 289_963
    assert len(sample["quarantine"]) == 0


def test_the_panel_of_the_sample_is_that_of_plain_pandas(sample, raw_sample):
    ids = raw_sample["Partner Code"] + "_" + raw_sample["Store Code"]
    cents = (raw_sample["Local Amount"].astype(float) * 100).round().astype("int64")
    keys = [ids.rename("store_id"), pd.to_datetime(raw_sample["Process Date"]).rename("date")]
    expected = cents.groupby(keys).sum()
    panel = sample["panel"]
    found = panel[panel["transactions"] > 0].set_index(["store_id", "date"])["y"]
    assert (found.index == expected.index).all()
    assert (found.to_numpy() == expected.to_numpy() / 100).all()
    assert (panel.loc[panel["transactions"] == 0, "y"] == 0).all()
    assert (panel.groupby("store_id")["date"].max() == pd.Timestamp("2017-12-31")).all()
    assert (panel.groupby("store_id")["date"].diff().dropna() == pd.Timedelta("1D")).all()


def test_contracts_and_no_member_ids(sample, raw_sample):
    assert tuple(sample["panel"].columns) == c.PANEL
    assert tuple(sample["stores"].columns) == c.STORES
    assert tuple(sample["quarantine"].columns) == c.QUARANTINE
    members = set(raw_sample["Membership Number"])
    for name in ("panel", "stores"):
        frame = sample[name].select_dtypes(exclude="number")
        assert not any(frame[column].astype(str).isin(members).any() for column in frame)


def test_as_of_replays_the_past(sample, tmp_path):
    past = run(SAMPLE, tmp_path, as_of="2017-03-31")
    balance, panel = past["row_balance"], sample["panel"]
    assert balance["last_date"] == "2017-03-31"
    assert balance["rows_in"] + balance["rows_after_as_of"] == 289_963
    assert balance["rows_quarantined"] == 0
    before = panel[panel["date"] <= "2017-03-31"].reset_index(drop=True)
    pd.testing.assert_frame_equal(past["panel"], before, check_exact=True)


def folder(tmp_path: Path, *rows: str) -> Path:
    raw = tmp_path / "raw"
    raw.mkdir()
    (raw / "a.csv.gz").write_bytes(gzip.compress((HEADER + "".join(rows)).encode()))
    return raw


@pytest.mark.parametrize(
    ("as_of", "warns"),
    [
        (None, False),
        ("2017-01-01", False),
        ("2017-01-03", False),  # a day without a row, and rows after it
        ("2017-01-04", False),
        ("2017-01-05", True),
        ("2030-01-01", True),
    ],
)
def test_as_of_after_the_last_day_of_the_data_is_told(tmp_path, caplog, as_of, warns):
    rows = [ROW.format(store="01", day=day, billed="5") for day in (1, 2, 4)]
    run(folder(tmp_path, *rows), tmp_path, as_of=as_of, target="billings")
    told = f"as_of={as_of} is after the last day of the data, 2017-01-04: it changes nothing"
    assert (told in caplog.text) == warns
    assert ("after the last day" in caplog.text) == warns


def test_billings_net_of_reversals_and_the_balance_in_the_log(tmp_path, caplog):
    rows = [
        ROW.format(store="01", day=1, billed="5"),
        ROW.format(store="01", day=1, billed="-2"),
        ROW.format(store="01", day=3, billed="-2"),
        "777002,P,02,2017-01-02,,100,0.015\n",
    ]
    with caplog.at_level(logging.INFO):
        found = run(folder(tmp_path, *rows), tmp_path, target="billings", max_quarantined_share=0.3)
    assert found["panel"]["y"].tolist() == [3.0, 0.0, 1.5]
    assert found["panel"]["transactions"].tolist() == [2, 0, 1]
    assert "Rows: 4 in = 3 used + 1 quarantined; 0 after as_of." in caplog.text
    assert "Quarantined: 1 rows, negative beyond a reversal." in caplog.text
    assert "777001" in found["quarantine"]["raw"][0]
    assert found["row_balance"]["quarantined_by_reason"] == {"negative beyond a reversal": 1}


def test_without_a_plan_there_is_an_empty_one(sample):
    assert tuple(sample["planned_events"].columns) == c.EVENTS
    assert sample["planned_events"].empty


def test_a_plan_is_kept_with_its_leading_zeros(tmp_path):
    plan = tmp_path / "plan.csv"
    plan.write_text(
        "store_code,start_date,end_date,name\n01,2017-01-08,2017-02-01,doble\n", "utf-8"
    )
    raw = folder(tmp_path, ROW.format(store="01", day=1, billed="5"))
    found = run(raw, tmp_path, target="billings", events=plan)["planned_events"]
    assert found[["partner_code", "store_code", "name"]].to_numpy().tolist() == [
        ["", "01", "doble"]
    ]


def test_input_error_when_the_plan_cannot_be_used_before_anything_else_is_read(tmp_path):
    plan = tmp_path / "plan.csv"
    plan.write_text("start_date,end_date,name\nsoon,2017-02-01,doble\n", "utf-8")
    message = "found 'soon' in column 'start_date', line 2 of plan.csv; expected a date YYYY-MM-DD"
    with pytest.raises(InputError, match=message):
        run(tmp_path / "no such folder", tmp_path, events=plan)


def test_input_error_when_too_much_is_quarantined_which_is_saved_before(tmp_path):
    rows = [ROW.format(store="01", day=i % 9 + 1, billed="x" if i < 2 else "1") for i in range(10)]
    message = (
        r"found 2 of 10 rows that cannot be used \(2 not a number\); expected at most 5\.0% "
        r"\(it is 20\.0%\)\. See the rows in .*/02_intermediate/quarantine\.parquet"
    )
    with pytest.raises(InputError, match=message):
        run(folder(tmp_path, *rows), tmp_path, target="billings")
    assert pd.read_parquet(tmp_path / "quarantine.parquet")["line"].tolist() == [2, 3]
    assert not (tmp_path / "panel.parquet").exists()


def test_a_decimal_sign_that_may_part_thousands_is_told_and_can_be_configured(tmp_path, caplog):
    rows = [ROW.format(store="01", day=1, billed="45.900")] * 20
    raw = folder(tmp_path, *rows)
    found = run(raw, tmp_path, target="billings")
    assert found["panel"]["y"].tolist() == [918.0]
    assert "a.csv.gz: all amounts with a decimal sign have three digits behind it" in caplog.text
    caplog.clear()
    found = run(raw, tmp_path, target="billings", thousands=".", decimal=",")
    assert found["panel"]["y"].tolist() == [918_000.0]
    assert "three digits" not in caplog.text


def test_files_that_are_not_read_are_told(tmp_path, caplog):
    raw = folder(tmp_path, ROW.format(store="01", day=1, billed="5"))
    (raw / "2024").mkdir()
    for name in ("2024/b.csv", "c.txt", "d.csv.bz2", "README.md", ".gitkeep"):
        (raw / name).touch()
    found = run(raw, tmp_path, target="billings")
    (told,) = [line for line in caplog.messages if line.startswith("Not read: ")]
    assert told.startswith("Not read: 2024/, c.txt, d.csv.bz2. A run reads the .csv and .csv.gz ")
    assert found["row_balance"]["not_read"] == ["2024/", "c.txt", "d.csv.bz2"]


def test_input_error_when_no_row_is_usable(tmp_path):
    raw = folder(tmp_path, ROW.format(store="01", day=1, billed="x"))
    with pytest.raises(InputError, match=r"no usable row: 1 rows in 1 files \(1 not a number\)"):
        run(raw, tmp_path, target="billings", max_quarantined_share=1.0)
    late = r"no usable row: 0 rows.*1 dated after as_of.*Choose a later as_of"
    with pytest.raises(InputError, match=late):
        run(raw, tmp_path, target="billings", as_of="2016-01-01")


def test_store_that_is_in_the_quarantine_alone_is_in_the_balance(tmp_path):
    rows = [("01", 1), ("01", "x"), ("02", "x"), ("03", "x")]
    raw = folder(tmp_path, "".join(ROW.format(store=s, day=1, billed=b) for s, b in rows))
    found = run(raw, tmp_path, target="billings", max_quarantined_share=1.0)
    assert found["stores"]["store_id"].tolist() == ["P_01"]
    lost = {"stores": 2, "first": ["P_02", "P_03"]}
    assert found["row_balance"]["without_usable_rows"] == lost


def test_runtime_error_when_a_row_is_lost():
    quarantine = pd.DataFrame({"file": ["a"], "line": [2], "reason": ["x"], "raw": [""]})
    files = [{"file": "a", "rows_in": 3, "rows_used": 1, "rows_after_as_of": 0}]
    with pytest.raises(RuntimeError, match="row balance of a: 3 rows in, 1 used, 1 quarantined"):
        check_balance(files, quarantine, 1)
    with pytest.raises(RuntimeError, match="2 rows used, 1 behind the store-days"):
        check_balance([files[0] | {"rows_used": 2}], quarantine, 1)


member_ids = st.lists(st.text("0123456789ABC -=/", max_size=12), min_size=8, max_size=8)


@settings(max_examples=5, suppress_health_check=list(HealthCheck))
@given(member_ids, member_ids)
def test_outputs_are_the_same_whoever_bought(tmp_path_factory, members, others):
    """What does not depend on the member numbers holds nothing of them; the quarantine has rows."""
    both = []
    for numbers in (members, others):
        folder = tmp_path_factory.mktemp("members")
        (folder / "raw").mkdir()
        rows = [
            f"{number},P,{k % 3},2017-01-{k + 1:02d},{'x' if k == 7 else k},,\n"
            for k, number in enumerate(numbers)
        ]
        (folder / "raw" / "a.csv").write_text(HEADER + "".join(rows))
        found = run(folder / "raw", folder, target="billings", max_quarantined_share=1)
        assert len(found["quarantine"]) == 1
        both.append(found)
    for name in ("planned_events", "panel", "stores"):
        pd.testing.assert_frame_equal(both[0][name], both[1][name])
    assert both[0]["row_balance"] == both[1]["row_balance"]
    kept = both[0]["quarantine"].drop(columns="raw")
    pd.testing.assert_frame_equal(kept, both[1]["quarantine"].drop(columns="raw"))
