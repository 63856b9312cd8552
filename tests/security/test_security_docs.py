"""docs/security.md says what is true: its tests exist, and no exception to the rules is missing."""

import re
import tokenize
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "security.md").read_text("utf-8")
DECISION = (ROOT / "docs" / "decisions" / "formulas_in_csv.md").read_text("utf-8")
RULE = re.compile(r"\bS\d{3}\b|\bS\b")


def explained():
    """Rule and file of every row of the table of exceptions."""
    rows = re.findall(r"^\| (S\d*) \| (\S+) \| \S.*\|$", PAGE, re.M)
    assert len(rows) == len(set(rows)) > 5
    return set(rows)


def exceptions():
    """Rule and file of every line, and every pattern of files, that ruff's S rules are off for."""
    for folder in ("src", "data", "benchmarks"):
        for file in sorted((ROOT / folder).rglob("*.py")):
            with file.open("rb") as source:
                for token in tokenize.tokenize(source.readline):
                    marks = re.search(r"noqa:([^#]*)", token.string)
                    if token.type == tokenize.COMMENT and marks:
                        codes = re.split(r"\s-", marks[1])[0]  # what follows is the reason
                        for rule in RULE.findall(codes):
                            yield rule, str(file.relative_to(ROOT))
    lint = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["ruff"]["lint"]
    for pattern, rules in lint["per-file-ignores"].items():
        yield from ((rule, pattern) for rule in rules if RULE.fullmatch(rule))
    assert "S" in lint["select"]
    assert not [rule for rule in lint["ignore"] if RULE.fullmatch(rule)]


def test_every_exception_to_the_security_rules_is_explained():
    assert set(exceptions()) == explained()


def test_no_line_is_hidden_from_every_rule():
    """A bare `noqa` would hide anything."""
    bare = re.compile(r"#\s*noqa(?!:)|#\s*ruff:\s*noqa|#\s*nosec")
    hidden = [
        str(file)
        for folder in ("src", "data", "benchmarks")
        for file in (ROOT / folder).rglob("*.py")
        if bare.search(file.read_text("utf-8"))
    ]
    assert hidden == []


def test_every_test_that_the_pages_name_is_there():
    named = set(re.findall(r"`(test_\w+)`", PAGE + DECISION))
    written = "\n".join(file.read_text("utf-8") for file in (ROOT / "tests").rglob("test_*.py"))
    assert len(named) > 20
    assert {name for name in named if f"def {name}(" not in written} == set()
