"""Files read by a real Spark session, against the same files read by DuckDB."""

from __future__ import annotations

import pandas as pd
import pytest
from engines import FORMS, configuration, mixed, odd_verdicts, outputs, verdicts
from kedro.io import AbstractDataset
from odd_rows import odd_rows

from lifemiles_forecasting.core.errors import InputError
from lifemiles_forecasting.datasets.engine import PER_FILE, Form
from lifemiles_forecasting.datasets.spark_engine import ONE_MACHINE, Cluster, _session
from lifemiles_forecasting.datasets.spark_tasks import read_file

# whatever can be wrong with a file or its lines, and what needs all files
KINDS = ("refunds_beyond_the_sales", "stray_quote", "latin1_rows_in_utf8", "months_overlap")


@pytest.fixture
def dataset(spark, tmp_path):
    """Spark as its environment has it, but for settings that suit small data."""
    catalog = configuration("spark", raw_transactions=str(tmp_path / "raw"))["catalog"]
    return AbstractDataset.from_config("raw", catalog["raw_transactions"] | {"settings": spark})


def test_odd_rows_have_the_verdicts_that_duckdb_gives_them(spark, tmp_path):
    cluster = Cluster(_session(ONE_MACHINE, spark), None, "500MB")
    odd_rows(1000, 5).to_parquet(tmp_path / "odd.parquet")
    found = verdicts(cluster.parquet([tmp_path / "odd.parquet"]), FORMS[:1])
    pd.testing.assert_frame_equal(found, odd_verdicts(1000, 5, 1))


def test_spark_gives_what_duckdb_gives(dataset, tmp_path):
    made = mixed(KINDS)
    expected, found = outputs(made, tmp_path), outputs(made, tmp_path, dataset)
    for name in ("panel", "stores", "quarantine"):
        pd.testing.assert_frame_equal(found[name], expected[name], check_exact=True)
    assert found["row_balance"] == expected["row_balance"]
    assert found["quarantine"]["reason"].nunique() >= 4


def test_a_temporary_folder_of_key_and_value_adds_no_column(spark, tmp_path):
    folder = tmp_path / "job=5"
    folder.mkdir()
    cluster = Cluster(_session(ONE_MACHINE, spark), str(folder), "500MB")
    pd.DataFrame({"code": ["a"]}).to_parquet(folder / "rows.parquet")
    found = cluster.fetch(cluster.parquet([folder / "rows.parquet"]), lambda rows: rows)
    assert found.to_pandas().to_dict("list") == {"code": ["a"]}


def test_input_error_is_that_of_the_file_although_a_worker_has_read_it(dataset, tmp_path):
    made = mixed(["accents_in_utf8", "empty_file"])
    with pytest.raises(InputError, match=r"^found an empty file 001_data_02\.csv; expected a head"):
        outputs(made, tmp_path, dataset)


def test_rows_that_a_worker_writes_hold_no_members(tmp_path):
    text = (
        "Partner Code,Membership Number,Billings,Store Code,Process Date\nP,777001,1,S,2018-01-01\n"
    )
    (tmp_path / "a.csv").write_text(text)
    columns = {"partner_code": 0, "member_id": 1, "billings": 2, "store_code": 3}
    form = Form(",", "utf-8")
    file = read_file((4, tmp_path / "a.csv"), form, lambda *_: columns, tmp_path, "500MB")
    rows = pd.read_parquet(file.parquet)
    assert rows["record"].tolist() == [4 * PER_FILE]
    assert set(rows.columns) == {"record", "file", "partner_code", "billings", "store_code"}
    assert file.known == ("partner_code", "billings", "store_code")
    assert (file.rows, file.name, file.unreadable) == (1, "a.csv", [])


def test_session_of_one_machine_listens_to_nobody_else(spark):
    context = _session(ONE_MACHINE, spark).sparkContext
    assert context.getConf().get("spark.driver.bindAddress") == "127.0.0.1"
    assert context.uiWebUrl is None
