"""Raw transactions in a table of a real PostgreSQL, against the same rows in files."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import damage
import ibis
import pandas as pd
import pytest
from damage.folder import HEADINGS
from engines import FORMS, configuration, mixed, odd_verdicts, outputs, verdicts
from kedro.io import AbstractDataset, DatasetError
from odd_rows import odd_rows

from lifemiles_forecasting.core.errors import InputError
from lifemiles_forecasting.core.transactions import UNREADABLE, WRONG_ENCODING
from lifemiles_forecasting.datasets.engine import Engine, Form
from lifemiles_forecasting.datasets.transaction_table import Server, TransactionTableDataset

NEVER_IN_A_TABLE = [UNREADABLE, WRONG_ENCODING]


@pytest.fixture(scope="module")
def warehouse(postgres):
    return postgres.create_database("warehouse")


@pytest.fixture
def server(warehouse):
    return Server(warehouse, "500MB")


def sound_for_a_table(kind: str) -> bool:
    """Whether the rows of a kind can stand in one table with those of others."""
    made = damage.damaged(kind, 300)
    usual = {"max_quarantined_share": 0.5}
    head = ",".join(HEADINGS.values()).encode()
    plain = all(content.startswith(head) for content in made.files.values())
    return plain and made.settings == usual and made.as_of is None and not made.error


def records(raw: Path) -> pd.DataFrame:
    """What can be read of some files, by the names of their columns."""
    parts, engine = [], Engine("500MB")
    for path in sorted(raw.iterdir()):
        file = engine.read(path, Form(",", "utf-8"), lambda *_: {"a": 0}, lambda x: x)
        parts.append(file.texts.to_pandas().set_axis(file.header, axis=1))
    return pd.concat(parts, ignore_index=True)


def test_odd_rows_have_the_verdicts_that_duckdb_gives_them(server):
    rows = server.connection.create_table("odd", ibis.memtable(odd_rows(800, 5)), temp=True)
    found = verdicts(rows, step=server.fenced)
    pd.testing.assert_frame_equal(found, odd_verdicts(800, 5, len(FORMS)))
    assert found["flaw"].nunique() > 10


def test_a_table_gives_what_the_same_rows_give_in_files(server, warehouse, tmp_path, monkeypatch):
    kinds = [kind for kind in sorted(damage.KINDS) if sound_for_a_table(kind)][::3]
    assert len(kinds) > 9
    made = mixed(kinds)
    expected = outputs(made, tmp_path)
    rows = records(tmp_path / "raw").assign(id=lambda rows: range(7, 7 + len(rows)))
    server.connection.create_table("rows of files", ibis.memtable(rows))
    monkeypatch.setenv("LIFEMILES_DATABASE_URL", warehouse)
    catalog = configuration("postgres", raw_transactions="public.rows of files")["catalog"]
    table = AbstractDataset.from_config("raw", catalog["raw_transactions"])
    found = outputs(made, tmp_path, table)
    for name in ("panel", "stores"):
        pd.testing.assert_frame_equal(found[name], expected[name], check_exact=True)
    readable = ~expected["quarantine"]["reason"].isin(NEVER_IN_A_TABLE)
    expected["quarantine"] = expected["quarantine"][readable].reset_index(drop=True)
    quarantined = [_meant(row) for row in found["quarantine"].itertuples()]
    assert quarantined == [_meant(row) for row in expected["quarantine"].itertuples()]
    assert len(quarantined) > 100
    keys = [int(json.loads(raw)["id"]) for raw in found["quarantine"]["raw"]]
    assert keys == found["quarantine"]["line"].tolist()
    assert found["row_balance"]["rows_in"] == len(rows)


def _meant(row) -> tuple[str, dict[str, str]]:
    """The reason and the cells that are filled."""
    cells = json.loads(row.raw).items()
    return row.reason, {name: cell for name, cell in cells if cell and name != "id"}


def test_environment_and_nothing_else_makes_a_run_read_the_table(server, warehouse, fresh_project):
    days = pd.date_range("2018-01-01", periods=70).strftime("%Y-%m-%d")
    rows = pd.DataFrame({"partner_code": "P", "store_code": "01", "process_date": days})
    rows = rows.assign(billings="2.50", sale=range(1, 71))
    server.connection.create_table("card_sales", ibis.memtable(rows))
    told = {"LIFEMILES_DATABASE_URL": warehouse, "LIFEMILES_TABLE": "card_sales"}
    done = fresh_project.kedro(
        *("run", "--env=postgres", "--pipelines=data_processing"), LIFEMILES_KEY="sale", **told
    )
    assert done.returncode == 0, done.stderr
    panel = pd.read_parquet(fresh_project.output("03_primary/panel.parquet"))
    assert (len(panel), panel["y"].sum(), panel["store_id"][0]) == (70, 175.0, "P_01")
    assert "70 in = 70 used" in done.stderr
    assert warehouse not in done.stdout + done.stderr


def test_numbers_and_days_of_the_database_itself_are_read(server, warehouse, tmp_path):
    server.connection.raw_sql(
        """CREATE TABLE typed AS SELECT 'P' AS partner_code, 7 AS "Store Code",
        timestamp '2018-01-05 23:59' + day * interval '1 day' AS process_date,
        0.1::numeric(12, 3) AS billings, 1e-3::float8 AS miles, true AS "more",
        day::bigint AS number FROM generate_series(1, 3) AS day"""
    ).close()
    table = TransactionTableDataset(table="typed", key="number", url=warehouse)
    names = configuration("postgres")["parameters"]["data_processing"]["columns"]
    empty = mixed(["header_without_rows"])
    found = outputs(replace(empty, settings={"columns": names}), tmp_path, table)
    assert found["panel"]["y"].tolist() == [0.1, 0.1, 0.1]
    assert found["panel"]["date"].dt.day.tolist() == [6, 7, 8]
    assert found["stores"]["store_id"].tolist() == ["P_7"]


@pytest.mark.parametrize(
    ("table", "key", "message"),
    [
        ("nowhere", "id", r"no table nowhere in the database; .*raw_transactions=TABLE"),
        ("refused", "id", r"no column 'id' of whole numbers in refused, which has: Partner"),
        ("refused", "Billings", r"no column 'Billings' of whole numbers in refused"),
        (
            "refused",
            "number",
            r"2 rows with 1 different values of 'number' in refused; .*KEY",
        ),
        (
            "lacking",
            "number",
            r"no column 'Billings / .* in lacking, which has: Partner",
        ),
    ],
)
def test_input_error_when_a_table_cannot_be_used(server, warehouse, tmp_path, table, key, message):
    row = {"Partner Code": "A", "Store Code": "1", "Process Date": "2018-01-01"}
    for name, cells in (("refused", row | {"Billings": "1"}), ("lacking", row)):
        if name not in server.connection.list_tables():
            rows = pd.DataFrame([cells | {"number": 1}] * 2)
            server.connection.create_table(name, ibis.memtable(rows))
    dataset = TransactionTableDataset(table=table, key=key, url=warehouse)
    with pytest.raises(InputError, match=message):
        outputs(mixed(["header_without_rows"]), tmp_path, dataset)


def test_input_error_without_password_when_the_database_lets_nobody_in(postgres, tmp_path):
    dataset = TransactionTableDataset(table="t", url=postgres.uri("warehouse", password="Wr0ng"))
    with pytest.raises(InputError, match=r"no PostgreSQL database to read from") as caught:
        outputs(mixed(["header_without_rows"]), tmp_path, dataset)
    assert "LIFEMILES_DATABASE_URL" in str(caught.value)
    assert "Wr0ng" not in str(caught.value) + str(dataset) + repr(dataset)


@pytest.mark.parametrize(
    "address",
    [
        "postgresql+psycopg://u:SECRETPW@127.0.0.1/sales",
        "postgresql://u:SEC@RETPW@127.0.0.1/sales",
        "postgresql://u:SECRET%PW@127.0.0.1/sales",
    ],
)
def test_input_error_without_password_when_the_address_is_none(tmp_path, address):
    dataset = TransactionTableDataset(table="t", url=address)
    with pytest.raises(InputError, match=r"an address of the database that cannot be") as caught:
        outputs(mixed(["header_without_rows"]), tmp_path, dataset)
    assert "expected postgresql://USER:PASSWORD@HOST:PORT/DATABASE" in str(caught.value)
    assert not any(part in str(caught.value) for part in ("SEC", "RETPW", "%PW"))


def test_credentials_go_before_the_address_and_nothing_is_written():
    dataset = TransactionTableDataset(table="t", credentials={"url": "postgresql://a:b@c/d"})
    assert dataset.load()._url == "postgresql://a:b@c/d"
    with pytest.raises(DatasetError):
        dataset.save(None)
