"""Which runs may go: the rule of `kedro tracking prune`, on plain rows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lifemiles_forecasting.tracking.inventory import UNFINISHED, RunRow
from lifemiles_forecasting.tracking.lifecycle import PARTIAL_LEVEL, PIPELINE_LEVEL

# levels of the runs that stand by themselves and grow old
AGEING = frozenset({PIPELINE_LEVEL, PARTIAL_LEVEL, "scoring", "monitoring"})


@dataclass(frozen=True)
class Rule:
    """What is to be kept.

    Attributes:
        keep: newest finished training runs per experiment.
        before: only what started before this may go, milliseconds since 1970; nothing: no limit.
    """

    keep: int
    before: int | None = None

    def old_enough(self, moment: int | None) -> bool:
        """Whether something of this age may go; what has no date has no age."""
        return self.before is None or (moment is not None and moment < self.before)


@dataclass(frozen=True)
class Choice:
    """What the rule comes to.

    Attributes:
        gone: ids of the runs that go.
        root: run id -> the outermost run that it is nested in, itself if in none.
        spared: root -> why it stays with all its nested runs, though its age is against it.
        untouchable: roots of which nothing goes.
    """

    gone: frozenset[str]
    root: Mapping[str, str]
    spared: Mapping[str, str]
    untouchable: frozenset[str]


def choose(runs: Sequence[RunRow], rule: Rule, protected: Mapping[str, str]) -> Choice:
    """Apply the rule. A run goes with all that is nested in it, or stays with all of it.

    What goes: runs of the levels in `AGEING` that are older than the oldest training run that is
    kept of their experiment; runs whose parent is gone; runs in MLflow's bin, also single ones.
    What never goes: anything in one family with an unfinished or a protected run.

    Args:
        runs: all runs of the store.
        rule: what to keep.
        protected: run id -> why it must stay.
    """
    by_id = {run.run_id: run for run in runs}
    root = {run_id: chain[-1] for run_id in by_id for chain in [lineage(run_id, by_id)]}
    reasons = {root[run.run_id]: "running" for run in runs if run.status in UNFINISHED}
    reasons |= {root[run_id]: why for run_id, why in protected.items() if run_id in root}
    oldest = _oldest_kept(runs, rule.keep)
    too_old = {run_id for run_id in by_id if _may_go(run_id, by_id, rule, oldest)}
    return Choice(
        gone=frozenset(run_id for run_id in too_old if root[run_id] not in reasons),
        root=root,
        spared={top: reasons[top] for top in sorted(too_old & reasons.keys())},
        untouchable=frozenset(reasons),
    )


def lineage(run_id: str, by_id: Mapping[str, RunRow]) -> list[str]:
    """A run, the run it is nested in, and so on outwards; a circle is walked once.

    >>> rows = {"a": RunRow("a", 1), "b": RunRow("b", 1, parent="a")}
    >>> lineage("b", rows)
    ['b', 'a']
    """
    chain = [run_id]
    while (parent := by_id[chain[-1]].parent) in by_id and parent not in chain:
        chain.append(parent)
    return chain


def _oldest_kept(runs: Sequence[RunRow], keep: int) -> dict[int, int]:
    """Start of the oldest training run that is kept, by experiment; none where all are."""
    starts = defaultdict(list)
    for run in runs:
        if run.level == PIPELINE_LEVEL and (run.status, run.stage) == ("FINISHED", "active"):
            starts[run.experiment_id].append(run.started or 0)
    return {
        experiment: sorted(moments)[-keep]
        for experiment, moments in starts.items()
        if len(moments) >= keep
    }


def _may_go(
    run_id: str, by_id: Mapping[str, RunRow], rule: Rule, oldest: Mapping[int, int]
) -> bool:
    chain = [by_id[one] for one in lineage(run_id, by_id)]
    if any(run.stage == "deleted" and rule.old_enough(run.started) for run in chain):
        return True
    top = chain[-1]
    if not rule.old_enough(top.started):
        return False
    if top.parent is not None:
        return top.parent not in by_id
    limit = oldest.get(top.experiment_id)
    aged = limit is not None and top.started is not None and top.started < limit
    return top.level in AGEING and aged
