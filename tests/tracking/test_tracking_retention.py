"""The rule of pruning on plain rows, beside a slow one that is written another way."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifemiles_forecasting.core.errors import TrackingError
from lifemiles_forecasting.tracking.inventory import RunRow
from lifemiles_forecasting.tracking.registered_versions import champions
from lifemiles_forecasting.tracking.retention import Rule, choose, lineage

IDS = [f"r{number}" for number in range(12)]
LEVELS = ["pipeline", "store", "scoring", "monitoring", "partial", None]


@st.composite
def stores_of_runs(draw):
    """Runs in two experiments; parents come earlier in the list, are missing, or there is none."""
    rows = []
    for number, run_id in enumerate(IDS):
        parent = draw(st.sampled_from([None, None, "missing", *IDS[:number]]))
        rows.append(
            RunRow(
                run_id,
                experiment_id=draw(st.integers(1, 2)),
                level=draw(st.sampled_from(LEVELS)),
                parent=parent,
                status=draw(st.sampled_from(["FINISHED"] * 4 + ["FAILED", "KILLED", "RUNNING"])),
                stage=draw(st.sampled_from(["active"] * 4 + ["deleted"])),
                started=draw(st.one_of(st.none(), st.integers(1, 30))),
            )
        )
    return rows


rules = st.builds(Rule, st.integers(1, 4), st.one_of(st.none(), st.integers(1, 30)))
protections = st.dictionaries(st.sampled_from(IDS), st.just("champion"), max_size=2)


def slow_choice(runs, rule, protected):
    """Family by family, downwards from its outermost run."""
    known = {run.run_id for run in runs}

    def old(run):
        return rule.before is None or (run.started is not None and run.started < rule.before)

    def below(run):
        return [run] + [one for child in runs if child.parent == run.run_id for one in below(child)]

    def aged(top):
        if top.parent or top.level not in {"pipeline", "scoring", "monitoring", "partial"}:
            return False
        finished = sorted(
            run.started or 0
            for run in runs
            if run.experiment_id == top.experiment_id
            and (run.level, run.status, run.stage) == ("pipeline", "FINISHED", "active")
        )
        newer = [moment for moment in finished if top.started and moment > top.started]
        return len(newer) >= rule.keep

    gone = set()
    for top in runs:
        if top.parent in known:
            continue
        family = below(top)
        if any(run.status == "RUNNING" or run.run_id in protected for run in family):
            continue
        if old(top) and (top.parent == "missing" or aged(top)):
            gone |= {run.run_id for run in family}
        for run in family:
            if run.stage == "deleted" and old(run):
                gone |= {one.run_id for one in below(run)}
    return gone


@given(stores_of_runs(), rules, protections)
def test_choice_is_that_of_the_slow_rule(runs, rule, protected):
    assert choose(runs, rule, protected).gone == slow_choice(runs, rule, protected)


@given(stores_of_runs(), rules, protections)
def test_keeping_more_or_longer_never_deletes_more(runs, rule, protected):
    gone = choose(runs, rule, protected).gone
    assert choose(runs, Rule(rule.keep + 1, rule.before), protected).gone <= gone
    assert gone <= choose(runs, Rule(rule.keep), protected).gone
    assert gone <= choose(runs, rule, {}).gone


@given(stores_of_runs(), rules)
def test_second_time_finds_nothing_more(runs, rule):
    gone = choose(runs, rule, {}).gone
    left = [run for run in runs if run.run_id not in gone]
    assert not choose(left, rule, {}).gone


def test_the_newest_trainings_stay_with_what_is_not_older():
    runs = [RunRow(f"t{age}", 1, level="pipeline", started=age) for age in (10, 20, 30)]
    other = [RunRow(f"s{age}", 1, level="scoring", started=age) for age in (5, 25)]
    nested = [RunRow("c10", 1, level="store", parent="t10", started=40)]
    assert choose([*runs, *other, *nested], Rule(2), {}).gone == {"t10", "c10", "s5"}


def test_runs_that_are_not_ours_are_left_alone():
    runs = [RunRow(f"t{age}", 1, level="pipeline", started=age) for age in (10, 20)]
    assert not choose([*runs, RunRow("x", 1, level=None, started=1)], Rule(1), {"t10": "x"}).gone


def test_what_is_spared_says_why():
    runs = [RunRow(f"t{age}", 1, level="pipeline", started=age) for age in (10, 20, 30)]
    runs.append(RunRow("c", 1, level="store", parent="t20", status="RUNNING"))
    choice = choose(runs, Rule(1), {"t10": "champion, version 4 of m"})
    assert choice.spared == {"t10": "champion, version 4 of m", "t20": "running"}


def test_lineage_of_a_circle_ends():
    rows = {"a": RunRow("a", 1, parent="b"), "b": RunRow("b", 1, parent="a")}
    assert lineage("a", rows) == ["a", "b"]


@pytest.mark.parametrize("history", ["", " ", "1", "1,2", " 3 , 1,2, "])
def test_history_of_champions(history):
    expected = [int(part) for part in history.replace(" ", "").split(",") if part]
    assert champions("stores", history) == expected


@pytest.mark.parametrize("history", ["1;2", "v1", "1,-2", "²"])
def test_history_that_cannot_be_read_stops_everything(history):
    with pytest.raises(TrackingError, match="champion_history of registered model 'stores'"):
        champions("stores", history)
