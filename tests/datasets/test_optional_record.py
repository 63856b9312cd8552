"""`OptionalRecordDataset`: what it saves comes back, and what is not there is None."""

from kedro.io import DataCatalog

ENTRY = "lifemiles_forecasting.datasets.optional_record.OptionalRecordDataset"


def catalog_of(folder):
    return DataCatalog.from_config(
        {"verdict": {"type": ENTRY, "filepath": str(folder / "gate.json")}}
    )


def test_what_is_saved_comes_back(tmp_path):
    record = {"status": "failed", "reasons": ["größer", "más"], "judged_wape": 0.1 + 0.2}
    catalog_of(tmp_path).save("verdict", record)
    assert catalog_of(tmp_path).load("verdict") == record


def test_figure_that_is_none_is_null(tmp_path):
    catalog_of(tmp_path).save("verdict", {"findings": [{"figures": {"found": float("nan")}}]})
    found = catalog_of(tmp_path).load("verdict")
    assert found == {"findings": [{"figures": {"found": None}}]}


def test_what_is_not_there_is_none(tmp_path):
    catalog = catalog_of(tmp_path)
    assert not catalog.exists("verdict")
    assert catalog.load("verdict") is None
