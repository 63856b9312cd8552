"""Every kind of damage once; `make torture` has 25 seeds of each."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import replace
from itertools import chain
from pathlib import Path

import damage
import pytest
from damaged_folders import differences, wrong

from lifemiles_forecasting.core.transactions import REASONS

DOCS = Path(__file__).parents[2] / "docs" / "reliability.md"
LARGE = {kind for kind in damage.KINDS if kind.endswith("far_into_a_file")}  # a second each


@pytest.mark.parametrize("kind", sorted(damage.KINDS.keys() - LARGE))
def test_each_kind_of_damage(kind):
    assert wrong(kind, seed=100) == []


@pytest.mark.parametrize("kind", ["rows_after_as_of", "emoji_and_other_scripts"])
def test_panel_stores_and_row_balance_of_a_damaged_folder(kind, tmp_path):
    assert differences(damage.damaged(kind, 101), tmp_path, whole=True) == []


def test_the_comparison_finds_what_is_wrong(tmp_path):
    made, other = damage.damaged("stray_quote", 1), damage.damaged("too_few_cells", 2)
    found = differences(replace(other, files=made.files), tmp_path / "rows", whole=False)
    for part in ("quarantined: ", "not quarantined: ", "('A', "):
        assert any(line.startswith(part) for line in found)
    refused = damage.damaged("empty_file", 1)
    (line,) = differences(replace(made, files=refused.files), tmp_path / "error", whole=False)
    assert line.startswith("refused: found an empty file")
    (line,) = differences(replace(made, error=("x",)), tmp_path / "none", whole=False)
    assert line == "no error, expected ('x',)"


def test_there_are_enough_kinds_and_the_three_outcomes_among_them():
    made = {kind: damage.damaged(kind, 0) for kind in damage.KINDS.keys() - LARGE}
    outcomes = Counter(
        "refused" if folder.error else "quarantine" if folder.quarantine else "read"
        for folder in made.values()
    )
    assert len(damage.KINDS) >= 40
    assert min(outcomes[name] for name in ("refused", "quarantine", "read")) >= 20
    reasons = {row[2] for row in chain.from_iterable(m.quarantine for m in made.values())}
    assert reasons == set(REASONS)


def test_a_seed_gives_the_same_bytes_and_another_seed_others():
    def digest(kind: str, seed: int) -> str:
        return hashlib.sha256(repr(damage.damaged(kind, seed)).encode()).hexdigest()

    for kind in ("stray_quote", "time_zones", "gzip_with_a_flipped_bit"):
        assert digest(kind, 1) == digest(kind, 1) != digest(kind, 2)


def test_the_table_of_the_documentation_is_that_of_the_code():
    table = DOCS.read_text("utf-8").split("### Every kind")[1]
    rows = [row for row in table.splitlines() if row.startswith("| `")]
    described = {kind: make.__doc__.splitlines()[0] for kind, make in damage.KINDS.items()}
    assert rows == [f"| `{kind}` | {text} | 25 | 0 |" for kind, text in described.items()]
