"""The embedded database keeps within the memory that it is given."""

import ibis
import pytest

from lifemiles_forecasting.core.errors import ConfigError, InputError
from lifemiles_forecasting.datasets.engine import Engine


def test_more_than_its_memory_is_one_error_that_says_what_to_raise():
    engine = Engine("30MB")
    numbers = ibis.range(0, 20_000_000).unnest().name("number").as_table()
    with pytest.raises(InputError) as caught:
        engine.store(numbers.aggregate(all=numbers.number.collect()))  # what cannot be spilled
    assert str(caught.value) == (
        "found more rows than the database can compare within 30MB; expected fewer, or more "
        "memory for it. Raise memory_limit of raw_transactions in the catalog."
    )


def test_a_temporary_folder_of_key_and_value_adds_no_column(tmp_path):
    path = tmp_path / "job=5" / "rows.csv"
    path.parent.mkdir()
    path.write_text('"a"\n', "utf-8")
    loaded = Engine("100MB").load_csv(path, ibis.schema({"code": "string"}))
    assert loaded.to_pandas().to_dict("list") == {"code": ["a"]}


@pytest.mark.parametrize("limit", [4000, "2 gigs", None, ""])
def test_limit_that_is_no_amount_of_memory_is_refused(limit):
    with pytest.raises(ConfigError) as caught:
        Engine(limit)
    assert str(caught.value) == (
        f"found memory_limit = {limit!r} of raw_transactions in the catalog; expected a number "
        "with its unit, such as 1200MB or 2GB"
    )
