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


def test_a_slow_stage_is_found(monkeypatch):
    def slow(_):
        return lambda: sum(range(2_000_000)), lambda: sum(range(1_000_000))

    monkeypatch.setitem(guard.STAGES, "slow", slow)
    assert guard.ratio("slow") == pytest.approx(2, rel=0.4)
