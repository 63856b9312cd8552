"""Versions of the registered model in a real SQLite store: who is in charge, and who was."""

import mlflow
import pytest

from lifemiles_forecasting.core.errors import TrackingError
from lifemiles_forecasting.tracking.names import CHALLENGER, CHAMPION, HISTORY_TAG, REGISTERED_MODEL
from lifemiles_forecasting.tracking.registry import Registry, open_registry, version_rows


@pytest.fixture
def registry(client):
    return Registry(client)


@pytest.fixture
def add(registry, client, tmp_path):
    """A function that registers one logged model as a version of another run each time."""
    data = tmp_path / "data"
    data.mkdir()
    with mlflow.start_run():
        uri = mlflow.pyfunc.log_model(
            name="model",
            loader_module="lifemiles_forecasting.tracking.fleet",
            data_path=str(data),
            pip_requirements=["mlflow"],
        ).model_uri

    def adder(mode="full", **tags):
        run = client.create_run("1", tags={"training_mode": mode})
        return registry.add(uri, run.info.run_id, {"training_mode": mode} | tags).version

    return adder


def test_nothing_is_there_at_first(registry, client):
    assert registry.versions() == []
    assert registry.alias(CHAMPION) is None
    assert registry.history() == []
    assert version_rows(registry) == []
    message = (
        f"found no champion among the versions of {REGISTERED_MODEL}; "
        "expected one that a full training run left. "
        "Run `kedro run`, or see `kedro models show` for why there is no champion"
    )
    with pytest.raises(TrackingError, match=message):
        registry.chosen(None, CHAMPION)
    with pytest.raises(TrackingError, match=r"found no version 4 of .*; expected one of none yet"):
        registry.promote(4)
    with pytest.raises(TrackingError, match=r"found no champion of .*; expected two to roll back"):
        registry.rollback()


def test_promotions_are_remembered_and_taken_back(registry, client, add):
    one, two, three = add(), add(), add()
    for version in (one, three, two):
        registry.promote(version)
        assert registry.alias(CHAMPION).version == version
    assert registry.history() == [int(one), int(three), int(two)]
    now, left = registry.rollback()
    assert (now.version, left.version) == (three, two)
    assert registry.alias(CHAMPION).version == three
    assert "rolled_back_at" in registry.version(two).tags
    assert registry.rollback()[0].version == one
    with pytest.raises(TrackingError, match=r"found champions \[1\]"):
        registry.rollback()
    assert registry.alias(CHAMPION).version == one
    assert client.get_registered_model(REGISTERED_MODEL).tags[HISTORY_TAG] == str(one)


def test_promoting_the_champion_again_changes_nothing(registry, add):
    version = add()
    registry.promote(version)
    registry.promote(version)
    assert registry.history() == [int(version)]


def test_promoting_puts_a_champion_back_whose_alias_was_taken_away(registry, client, add):
    first, second = add(), add()
    registry.promote(first)
    registry.promote(second)
    client.delete_registered_model_alias(REGISTERED_MODEL, CHAMPION)
    registry.promote(second)
    assert registry.alias(CHAMPION).version == second
    assert registry.history() == [int(first), int(second)]


def test_history_stays_within_what_every_database_holds(registry, client, add):
    versions = [add(), add()]
    registry.promote(versions[0])
    long = ",".join(str(number) for number in range(1_000_000, 1_000_700))
    client.set_registered_model_tag(REGISTERED_MODEL, HISTORY_TAG, f"{long},{versions[0]}")
    registry.promote(versions[1])
    kept = client.get_registered_model(REGISTERED_MODEL).tags[HISTORY_TAG]
    assert len(kept) <= 5_000
    assert kept.split(",")[-2:] == [*map(str, versions)]
    assert registry.rollback()[0].version == versions[0]
    assert int(versions[1]) in registry.ever_champion()


def test_a_challenger_that_is_promoted_is_none_any_more(registry, add):
    first, second = add(), add()
    registry.promote(first)
    registry.challenge(second)
    assert registry.alias(CHALLENGER).version == second
    registry.promote(second)
    assert registry.alias(CHALLENGER) is None
    assert registry.alias(CHAMPION).version == second


def test_a_limited_run_never_takes_charge(registry, client, add):
    limited = add("limited")
    by_hand = add("limited", training_mode="")  # as someone may register it in the UI
    for version in (limited, by_hand):
        with pytest.raises(TrackingError, match="which was trained on a part of the stores"):
            registry.promote(version)
    assert registry.alias(CHAMPION) is None


def test_a_champion_that_was_set_in_the_ui_counts(registry, client, add):
    first, second = add(), add()
    registry.promote(first)
    client.set_registered_model_alias(REGISTERED_MODEL, CHAMPION, second)
    assert registry.history() == [1, 2]
    assert registry.rollback()[0].version == first


def test_a_deleted_version_is_passed_over(registry, client, add):
    versions = [add() for _ in range(3)]
    for version in versions:
        registry.promote(version)
    client.delete_model_version(REGISTERED_MODEL, versions[1])
    assert registry.rollback()[0].version == versions[0]


def test_a_version_is_no_predecessor_of_itself(registry, client, add):
    for _ in range(3):
        add()
    for version in (3, 1, 2, 1):
        registry.promote(version)
    client.delete_model_version(REGISTERED_MODEL, "2")
    now, left = registry.rollback()
    assert (int(now.version), int(left.version)) == (3, 1)
    with pytest.raises(TrackingError, match=r"found champions \[3\] .* expected two to roll"):
        registry.rollback()
    assert "rolled_back_at" not in registry.version(3).tags


def test_who_ever_was_champion_stays_one(registry, client, add):
    assert registry.ever_champion() == frozenset()
    first, second, third, fourth, _ = (add() for _ in range(5))
    registry.challenge(first)
    assert registry.ever_champion() == frozenset()
    for version in (first, second, third):
        registry.promote(version)
    registry.rollback()
    client.delete_model_version(REGISTERED_MODEL, first)
    client.set_registered_model_alias(REGISTERED_MODEL, CHAMPION, fourth)
    assert registry.ever_champion() == {1, 2, 3, 4}


def test_rows_tell_role_and_reasons(registry, client, add):
    first = add(gate_status="passed", trained_until="2024-01-01", target="billings")
    second = add(gate_status="failed", gate_reasons="bias +12.0 %", gate_wape="31.5000")
    registry.promote(first)
    registry.challenge(second)
    newest, oldest = version_rows(open_registry(mlflow.get_tracking_uri()))
    assert (newest["version"], newest["role"], newest["gate"]) == (2, CHALLENGER, "failed")
    assert (newest["reasons"], newest["wape"]) == ("bias +12.0 %", 31.5)
    assert (oldest["version"], oldest["role"], oldest["trained_until"]) == (
        1,
        CHAMPION,
        "2024-01-01",
    )


def test_wape_is_that_of_the_run_where_the_gate_compared_none(registry, client, add):
    """Once with a run that has it, once with one that has none, once without a run."""
    for _ in range(3):
        add(gate_status="failed")
    compared = add(gate_wape="31.5")
    for version in ("1", compared):
        client.log_metric(registry.version(version).run_id, "wape", 28.25)
    with client._tracking_client.store.engine.begin() as connection:  # as `prune` does
        run_id = registry.version(3).run_id
        for table in ("tags", "runs"):
            connection.exec_driver_sql(f"DELETE FROM {table} WHERE run_uuid = '{run_id}'")
    found = {row["version"]: (row["wape"], row["champion_wape"]) for row in version_rows(registry)}
    assert found == {4: (31.5, None), 3: (None, None), 2: (None, None), 1: (28.25, None)}


def test_an_empty_store_is_no_registry(tmp_path):
    with pytest.raises(
        TrackingError, match="found no tracked run; expected one with a registered model"
    ):
        open_registry(f"sqlite:///{tmp_path / 'none.db'}")
