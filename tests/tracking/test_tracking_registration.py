"""What becomes of a model that passed the gate while others came to be in charge."""

from types import SimpleNamespace

import pytest

from lifemiles_forecasting.core.gate import Finding, Verdict
from lifemiles_forecasting.core.results import Registration
from lifemiles_forecasting.tracking import registered_fleet
from lifemiles_forecasting.tracking.names import CHALLENGER, CHAMPION, REGISTERED_MODEL
from lifemiles_forecasting.tracking.registry import Registry


@pytest.fixture
def register(client, monkeypatch):
    """A function that registers the model of a new run; its files do not matter here."""

    def registered(champion, *findings):
        tags = {"training_mode": "full", "model_files_sha256": "0"}
        run = client.create_run("1", tags=tags).info
        logged = SimpleNamespace(model_uri=f"{run.artifact_uri}/model")
        monkeypatch.setattr(registered_fleet, "log_fleet", lambda _: logged)
        monkeypatch.setattr(registered_fleet, "log_before_test", lambda *_: None)
        recipe = {"target": "billings", "horizon": 28, "trained_until": "2024-01-01"}
        fleet = SimpleNamespace(recipe=recipe)
        new = Registration(fleet, fleet, Verdict(findings, champion=champion))
        said = registered_fleet.log_and_register(client, run.run_id, new)
        return said, client.get_run(run.run_id).data.tags

    return registered


def test_of_two_runs_that_were_compared_with_the_same_champion_the_first_takes_charge(
    client, register
):
    assert register("")[1]["model_role"] == CHAMPION
    assert register("1")[1]["model_role"] == CHAMPION
    said, tags = register("1")
    why = "it was judged while version 1 was in charge, and by now version 2 is"
    assert said == f"Version 3 of {REGISTERED_MODEL} is the challenger: {why}."
    version = Registry(client).version(3)
    for told in (tags, version.tags):
        assert (told["gate_status"], told["gate_reasons"]) == ("failed", why)
        assert told["gate_champion"] == "1"
    assert tags["model_role"] == CHALLENGER
    assert Registry(client).alias(CHAMPION).version == 2
    assert Registry(client).history() == [1, 2]


def test_a_promotion_by_hand_is_not_overridden(client, register):
    register("")
    register("1", Finding("bias", "bias +12.0 %"))
    Registry(client).promote(2)
    assert register("1")[1]["model_role"] == CHALLENGER
    Registry(client).rollback()
    assert register("1")[1]["model_role"] == CHAMPION


@pytest.mark.parametrize(
    ("judged", "why"),
    [
        ("", "it was judged while no model was in charge, and by now version 1 is"),
        ("1", "it was judged while version 1 was in charge, and by now no model is"),
    ],
)
def test_a_champion_that_came_or_went_is_another_one(client, register, judged, why):
    register("")
    if judged:
        client.delete_registered_model_alias(REGISTERED_MODEL, CHAMPION)
    assert register(judged)[1]["gate_reasons"] == why


def test_reasons_of_the_gate_stay_as_they_are(register):
    register("")
    register("1")
    _, tags = register("1", Finding("bias", "bias +12.0 %"))
    assert tags["gate_reasons"] == "bias +12.0 %"
