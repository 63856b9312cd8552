"""`FiguresDataset`: what was not measured is null in the file, and nan again when it is read."""

import json
import math

from lifemiles_forecasting.datasets.figures import FiguresDataset


def refuse(constant):
    raise ValueError(constant)


def test_what_was_not_measured_is_null_in_the_file(tmp_path):
    file = tmp_path / "metrics.json"
    dataset = FiguresDataset(filepath=str(file), save_args={"indent": 2})
    dataset.save({"wape": 0.1 + 0.2, "coverage_ok": math.nan})
    content = json.loads(file.read_text(), parse_constant=refuse)
    assert content == {"wape": 0.1 + 0.2, "coverage_ok": None}
    back = dataset.load()
    assert back["wape"] == 0.1 + 0.2
    assert math.isnan(back["coverage_ok"])
