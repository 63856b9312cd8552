"""No stage has become slower than it was, against what the libraries below it need."""

import json

import guard
import pytest

BASELINE = json.loads(guard.BASELINE.read_text())


def test_every_stage_has_a_baseline():
    assert BASELINE.keys() == guard.STAGES.keys()


@pytest.mark.parametrize("stage", guard.STAGES)
def test_stage_is_not_slower_than_its_baseline(stage):
    """A second look where the first was too slow: another program may have come in between."""
    most = guard.SLOWER * BASELINE[stage]
    found = guard.ratio(stage)
    found = found if found <= most else min(found, guard.ratio(stage))
    assert found <= most, f"{stage}: {found:.2f} times what it is held against, {most:.2f} expected"


def test_ratio_is_that_of_the_fastest_turns(monkeypatch):
    """By a clock that only the work moves; what is done once before counts for nothing."""
    clock = [0.0]
    seconds = {"ours": iter([100, 9, 6, 8]), "theirs": iter([100, 2, 5, 3])}

    def work(side):
        clock[0] += next(seconds[side])

    monkeypatch.setattr(guard.time, "process_time", lambda: clock[0])
    both = lambda: work("ours"), lambda: work("theirs")
    monkeypatch.setitem(guard.STAGES, "made up", lambda _: both)
    assert guard.ratio("made up") == 3.0
