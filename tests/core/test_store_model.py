"""A store's model: there and back through its files, and the forecasts it gives."""

import json
import re

import numpy as np
import pandas as pd
import pytest

from lifemiles_forecasting.core import backtest
from lifemiles_forecasting.core import columns as c
from lifemiles_forecasting.core.errors import InputError
from lifemiles_forecasting.core.forecast import final_intervals, forecast_all
from lifemiles_forecasting.core.packaging import _Packer
from lifemiles_forecasting.core.rows import features_at
from lifemiles_forecasting.core.store_model import StoreModel, scaler_of
from lifemiles_forecasting.core.synthetic import generate_series

NUMBERS = [c.FORECAST, "lower_80", "upper_80", "lower_95", "upper_95"]


@pytest.fixture(scope="module")
def models(study, result):
    """The model of every attempted store by store_id."""
    at = features_at(study.series, study.calendar, study.last, study.horizon)
    pack = _Packer(study, result, final_intervals(study, result), at)
    return {
        study.series.store_ids[store]: pack.model(store, pack._own(store))
        for store in np.flatnonzero(study.attempted)
    }


@pytest.fixture(scope="module")
def table(study, result):
    return forecast_all(study, result, final_intervals(study, result), study.series)


@pytest.fixture
def model(models):
    return models["P0_0000"]


def refuse(constant):
    raise ValueError(constant)


def test_every_attempted_store_gives_its_rows_of_the_forecasts_back(models, table):
    assert len(models) > 8
    for store_id, model in models.items():
        back = StoreModel.from_files(model.to_files()).predict(pd.DataFrame())
        rows = table[table[c.STORE_ID] == store_id].reset_index(drop=True)
        np.testing.assert_allclose(back[NUMBERS], rows[NUMBERS], rtol=1e-9, atol=1e-9)
        same = [c.STORE_ID, c.PARTNER_CODE, c.STORE_CODE, c.HORIZON, c.STATUS]
        assert back[same].equals(rows[same])
        assert list(back[c.DATE]) == list(rows[c.DATE].dt.strftime("%Y-%m-%d"))


def test_files_are_plain_json_and_native_formats(model):
    files = model.to_files()
    assert set(files) == {"state.json", "local_catboost.cbm", "ridge.json"}
    assert files["local_catboost.cbm"][:4] == b"CBM1"
    state = json.loads(files["state.json"], parse_constant=refuse)
    assert state["format"] == 1
    assert sum(state["weights"].values()) == pytest.approx(1)
    assert list(state["own"]) == ["local_catboost", "ridge"]


def test_files_come_back_the_same(model):
    files = model.to_files()
    assert StoreModel.from_files(files).to_files() == files


def test_features_without_a_value_survive_json(models):
    """Null in the file, missing for the model: what it says does not change on the way."""
    whole = models["P0_0000"]
    X = np.array(whole.state["X"])
    X[:, ::3] = np.nan
    model = StoreModel({**whole.state, "X": X.tolist()}, whole.own)
    files = model.to_files()
    state = json.loads(files["state.json"], parse_constant=refuse)
    assert None in state["X"][0]
    back = StoreModel.from_files(files)
    np.testing.assert_array_equal(np.array(back.state["X"], dtype=float), X)
    pd.testing.assert_frame_equal(back.table, model.table, check_exact=True)


def test_predict_by_horizon_by_date_and_all(model, study):
    everything = model.predict(pd.DataFrame())
    assert tuple(everything.columns) == c.FORECASTS
    assert len(everything) == study.horizon
    some = model.predict(pd.DataFrame({"horizon": [3, 1, 3]}))
    assert list(some[c.HORIZON]) == [3, 1, 3]
    pd.testing.assert_frame_equal(some.iloc[[1]].reset_index(drop=True), everything.iloc[[0]])
    dates = [study.series.origin + 3, study.series.origin + 1]
    for form in (dates, [str(day) for day in dates], pd.to_datetime(pd.Series(dates))):
        by_date = model.predict(pd.DataFrame({"date": form}))
        assert list(by_date[c.HORIZON]) == [3, 1]
    pd.testing.assert_frame_equal(model.predict(pd.DataFrame({"other": [1]})), everything)
    pd.testing.assert_frame_equal(model.predict(pd.DataFrame({"horizon": []})), everything)


def test_predict_takes_the_date_where_the_horizon_is_empty(model, study):
    frame = pd.DataFrame({"horizon": [np.nan], "date": [study.series.origin + 2]})
    assert list(model.predict(frame)[c.HORIZON]) == [2]


def test_predict_does_not_modify_its_input_or_the_model(model):
    frame = pd.DataFrame({"horizon": [2, 1]})
    first = model.predict(frame)
    first[c.FORECAST] = -1.0
    assert frame.equals(pd.DataFrame({"horizon": [2, 1]}))
    assert (model.predict(frame)[c.FORECAST] >= 0).all()
    everything = model.predict(pd.DataFrame())
    everything[c.FORECAST] = -1.0
    assert (model.predict(pd.DataFrame())[c.FORECAST] >= 0).all()


@pytest.mark.parametrize("asked", [0, 15, -3])
def test_predict_InputError_when_horizon_is_outside(model, asked):
    message = (
        f"found horizon {asked} asked of store 'P0_0000'; expected 1 to 14, which is 2024-01-01 "
        "to 2024-01-14. Train anew to forecast from a later day."
    )
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        model.predict(pd.DataFrame({"horizon": [1, asked]}))


def test_predict_InputError_when_date_is_outside(model):
    with pytest.raises(InputError, match="found horizon 32 asked of store 'P0_0000'"):
        model.predict(pd.DataFrame({"date": ["2024-02-01"]}))


@pytest.mark.parametrize(
    ("frame", "found"),
    [
        (pd.DataFrame({"horizon": [1.0, np.nan]}), "a row without horizon and date"),
        (pd.DataFrame({"horizon": [1.5]}), "horizon 1.5"),
        (pd.DataFrame({"horizon": ["soon"]}), "horizon 'soon'"),
        (pd.DataFrame({"date": ["someday"]}), "date 'someday'"),
        (pd.DataFrame({"date": ["2024-01-02", None]}), "a row without horizon and date"),
    ],
)
def test_predict_InputError_when_a_row_names_no_day(model, frame, found):
    with pytest.raises(InputError, match=f"^found {re.escape(found)}; expected "):
        model.predict(frame)


def test_from_files_InputError_when_format_is_of_another_version(model):
    state = json.loads(model.to_files()["state.json"]) | {"format": 99}
    message = "found a store model of format 99; expected format 1"
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        StoreModel.from_files({"state.json": json.dumps(state).encode()})


def test_dormant_store_is_forecast_zero(models, made, study):
    model = models[study.series.store_ids[made.row("dormant")]]
    everything = model.predict(pd.DataFrame())
    assert (everything[NUMBERS] == 0).all(axis=None)
    assert (everything[c.STATUS] == "dormant").all()


def test_own_models_are_evaluated_anew(model):
    """Not a table of numbers: the store's own model is what answers."""
    only = {**model.state, "weights": {"ridge": 1.0}, "floor": 0.0, "closed": [False] * 14}
    X = np.array(only["X"])
    before = StoreModel(only, model.own).table[c.FORECAST]
    column = only["features"].index("weekday_lag_1")
    X[:, column] += 3
    after = StoreModel({**only, "X": X.tolist()}, model.own).table[c.FORECAST]
    assert not np.allclose(before, after)


def test_scaler_of(model):
    scaler = scaler_of(model.own, 12.5)
    assert scaler["target_scale"] == 12.5
    assert set(scaler["features"]) == set(model.own["ridge"].features)
    assert scaler_of({}, 3.0) == {"target_scale": 3.0}
    json.dumps(scaler, allow_nan=False)


def test_silent_store_gives_its_rows_back(make_study):
    """What past silences say is in the model, with its own models beside it."""
    made = generate_series(
        n_stores=12, n_days=260, of=("weekly", "closure", "long_closure", "closed_now")
    )
    study = make_study(made.series)
    result = backtest.run(study)
    intervals = final_intervals(study, result)
    table = forecast_all(study, result, intervals, made.series)
    at = features_at(study.series, study.calendar, study.last, study.horizon)
    pack = _Packer(study, result, intervals, at)
    store = made.row("closed_now")
    assert pack.silence.trust[store] > 0.1
    model = StoreModel.from_files(pack.model(store, pack._own(store)).to_files())
    rows = table[table[c.STORE_ID] == study.series.store_ids[store]]
    np.testing.assert_allclose(model.table[c.FORECAST], rows[c.FORECAST], atol=1e-9)
    blend = dict(model.state) | {"silence_trust": 0.0}
    assert not np.allclose(StoreModel(blend, model.own).table[c.FORECAST], rows[c.FORECAST])


def test_each_row_is_asked_for_its_horizon_or_else_its_date(model, study):
    """As `Answers` does it: what one row leaves open is no business of the others."""
    day = lambda k: str(study.series.dates[-1] + k)  # noqa: E731
    mixed = pd.DataFrame({c.HORIZON: [1, None, None], c.DATE: [day(3), day(2), f"{day(4)}T23:00Z"]})
    assert list(model.predict(mixed)[c.HORIZON]) == [1, 2, 4]
    assert list(model.predict(mixed.assign(date=[None, *mixed[c.DATE][1:]]))[c.HORIZON]) == [
        1,
        2,
        4,
    ]
