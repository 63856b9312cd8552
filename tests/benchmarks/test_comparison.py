import comparison
import numpy as np
import pandas as pd
import pytest
import scores
from panels import Panel
from runner import Run

from lifemiles_forecasting.core.backtest import BLEND
from lifemiles_forecasting.core.synthetic import generate_series, to_panel

FACTORS = {BLEND: 1.1, "direct": 1.15, "AutoETS": 1.05, "seasonal naive 7": 1.5}


@pytest.fixture(scope="module")
def panel():
    series = generate_series(n_stores=24, n_days=200, seed=3).series
    return Panel(to_panel(series), series.stores, 120, "Made up.")


def made(panel: Panel, factors: dict[str, float]) -> comparison.Comparison:
    """Methods whose forecasts are what happened times a factor, in the last window."""
    last = panel.panel["date"].max()
    origin = last - pd.Timedelta(days=28)
    truth = panel.panel[panel.panel["date"] > origin]
    forecasts = pd.concat(
        [
            truth.assign(method=name, origin=origin, y_hat=factor * truth["y"])
            for name, factor in factors.items()
        ]
    )
    series = comparison.Series.from_frames(panel.panel, panel.stores)
    windows = scores.store_windows(series, forecasts, 28)
    notes = {"sizes": {"direct": "small"}, "covered": {"80": 79.0}, "attempted": 24}
    runs = {
        "ours": Run(forecasts, 10, 100, "2024-01-02", False, notes),
        "AutoETS": Run(forecasts, 20, 200, "2024-01-01", True, {}),
    }
    stores = panel.stores.set_index("store_id")
    return comparison.Comparison(windows, stores, runs, ["AutoGluon"])


def test_section_says_who_is_better_and_who_is_not_beaten(panel):
    text = comparison.render(panel, made(panel, FACTORS))
    assert "Peers that are significantly better: AutoETS (WAPE, RMSE, WAPE28, bias +5.0 %)." in text
    assert "peers not significantly beaten: none." in text
    assert "Other peers not significantly beaten: AutoETS (WAPE, RMSE, WAPE28)." in text
    assert "Bias of ours: +10.00 %." in text


def test_section_says_what_was_skipped_and_what_was_kept(panel):
    text = comparison.render(panel, made(panel, FACTORS))
    assert "environment is not there: AutoGluon." in text
    assert "Kept from an earlier run on the same data: AutoETS 2024-01-01." in text


def test_main_table_has_every_method_with_its_kind_and_cost(panel):
    text = comparison.render(panel, made(panel, FACTORS))
    rows = {line.split("|")[1].strip(): line for line in text.split("\n") if line.startswith("|")}
    assert "**ours**" in text and "candidate of ours" in text
    assert set(FACTORS) <= set(rows)
    main = next(line for line in text.split("\n") if line.startswith("| AutoETS"))
    assert [cell.strip() for cell in main.split("|")][-3:-1] == ["20", "200"]


def test_groups_cover_every_scored_store_once_by_class_and_once_by_partner(panel):
    found = made(panel, FACTORS)
    groups = comparison._groups(found, panel.min_active).set_index("group")["stores"]
    busy = (panel.stores["active_days"] >= panel.min_active).sum()
    assert groups[groups.index.str.startswith("class ")].sum() == busy
    assert groups[groups.index.str.startswith("partner ")].sum() == busy
    assert groups["under 120 active days"] == len(panel.stores) - busy


def test_a_loss_in_one_group_is_not_hidden_by_a_gain_in_another(panel):
    found = made(panel, FACTORS | {"AutoETS": 1.3})
    lost = found.stores["partner_code"] == "P0"
    rows = found.windows["store_id"].isin(found.stores.index[lost])
    errors = ["absolute", "absolute_total", "rmse"]
    found.windows.loc[rows & (found.windows["method"] == "AutoETS"), errors] /= 10
    groups = comparison._groups(found, panel.min_active).set_index("group")
    said = groups["significantly better"]
    assert said["partner P0"] == "AutoETS (WAPE, RMSE, WAPE28)"
    assert said["partner P1"] in ("none", "fewer than 10 stores")


def test_a_group_that_sold_nothing_has_no_figure(panel):
    found = made(panel, FACTORS)
    one = found.windows[found.windows["store_id"] == found.stores.index[0]]
    unsold = one.assign(size=0.0, size_total=0.0)
    assert comparison._group(unsold)["WAPE"] == "nothing sold"
    assert np.isnan(scores.table(unsold)["WAPE"]).all()
