"""The documents: every command parses, many are run, links lead somewhere, both READMEs agree."""

import ast
import re
import shlex
import subprocess
from dataclasses import dataclass
from pathlib import Path

import click
import pytest
import yaml
from click.testing import CliRunner
from kedro.config import OmegaConfigLoader
from kedro.framework.cli.cli import KedroCLI
from kedro.framework.project import configure_project

from lifemiles_forecasting.cli import check_pipelines, cli, full_names, node_names
from lifemiles_forecasting.core.config import Parameters, parse
from lifemiles_forecasting.hooks import check_environment
from lifemiles_forecasting.settings import CONFIG_LOADER_ARGS
from lifemiles_forecasting.tracking_config import tracking_config

ROOT = Path(__file__).parents[1]
PAGES = [
    *(ROOT / name for name in ("README.md", "README.es.md", "CONTRIBUTING.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
]
FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.S | re.M)
COMMAND = re.compile(r"(kedro|make)\s")
PLACEHOLDERS = {"VERSION": "7", "ID": "1", "N": "7"}

# What becomes of every command of the documents, by the first pattern that it fits: the test that
# runs it, or why none does.
RUN_HERE = [
    r"kedro explore( --best-models| --champion| --experiment-id (1|ID))?",
    r"kedro models show",
    r"kedro tracking (size|--help|prune --keep 30 --older-than 90d --dry-run)",
    r"make help",
]
RUN_ELSEWHERE = {  # by file, and what stands in it
    r"kedro tracking replay": ("test_store_goes_away.py", '"tracking", "replay"'),
    r"kedro run --params=resume=false": ("test_run_parameters.py", '"resume": "false"'),
    r"kedro run( --env=quick.*)?": ("conftest.py", '"run", "--env=quick"'),
    r"kedro run --params=(max_stores|as_of|target)=.*": ("test_run_parameters.py", "max_stores"),
    r"kedro run --(params=raw_transactions|pipelines=data_processing).*": (
        "test_bring_your_data.py",
        "--pipelines=data_processing",
    ),
    r"kedro run --pipelines=leak_audit": ("test_leak_audit.py", "--pipelines=leak_audit"),
    r"kedro run (--env=production )?--pipelines=monitoring": (
        "test_monitoring_run.py",
        "--pipelines=monitoring",
    ),
    r"kedro run (--env=production )?--pipelines=forecasting.*": (
        "test_fleet_runs.py",
        "forecasting",
    ),
    r"kedro run (--env=production )?--params=retrain=drifted": ("test_fleet_runs.py", "drifted"),
    r"kedro run --env=cluster --params=modeling.scheduler=.*": (
        "test_runs_at_once.py",
        "--env=cluster",
    ),
    r"kedro run --env=postgres.*": ("test_transaction_table.py", '"run", "--env=postgres"'),
    r"kedro run --env=spark.*": ("test_spark_engine.py", 'configuration("spark"'),
    r"kedro run --env=production": ("test_production.py", '"run", "--env=production"'),
    r"kedro run --pipelines=reporting": ("test_report_alone.py", "--pipelines=reporting"),
    r"kedro run --from-nodes=draw_figures": ("test_viz.py", "--from-nodes=draw_figures"),
    r"kedro viz build --include-previews": ("test_viz.py", "--include-previews"),
    r"kedro models (promote|rollback).*": ("test_fleet_runs.py", "rollback"),
    r"kedro serve --(alias|version).*": ("test_serving_model.py", "--version"),
    r"kedro explore --(compare|store|serve).*": ("test_explore_answers.py", "--compare"),
    r"kedro explore --env=production": ("test_production.py", '"explore", "--env=production"'),
    r"kedro tracking (backup|restore|prune).*": ("test_cli_tracking.py", "restore"),
}
NOT_RUN = {
    r"kedro serve": "a server, until Ctrl-C; tests/serving starts it",
    r"kedro (mlflow ui|viz run)": "servers of Kedro's plugins, until Ctrl-C",
    r"make (ui|viz|serve.*)": "servers and a browser, until Ctrl-C",
    r"make( PYTHON=python3.12)? (run|test|lint|format)": "what the tests themselves are run by",
    r"make coverage": "all tests once more",
    r"make torture": "minutes of kills and damage",
    r"make lock": "asks the package registry",
    r"make audit": "asks the package registry and an advisory database",
    r"make bench": "an environment of its own, and an hour",
    r"make bench-speed": "three quarters of an hour",
}


@dataclass(frozen=True)
class Block:
    """A fenced block of a document."""

    page: str
    language: str
    text: str


def blocks(*languages):
    return [
        Block(
            str(page.relative_to(ROOT)), match[2], re.sub(f"^{match[1]}", "", match[3], flags=re.M)
        )
        for page in PAGES
        for match in FENCE.finditer(page.read_text(encoding="utf-8"))
        if match[2] in languages
    ]


def fenced_commands():
    """Every command of `kedro` or `make` that stands in a block."""
    for block in blocks("", "sh"):
        for line in block.text.splitlines():
            for part in re.split(r"&&|\|\|", re.sub(r"\s+#.*", "", line)):
                if COMMAND.match(part.strip()):
                    yield part.strip()


def inline_commands():
    """Those that stand within a sentence or a table."""
    for page in PAGES:
        prose = FENCE.sub("", page.read_text(encoding="utf-8"))
        for found in re.findall(r"`([^`]+)`", prose):
            if COMMAND.match(found):
                yield " ".join(found.split())


COMMANDS = sorted({*fenced_commands(), *inline_commands()})


def words(command):
    """The words that a shell would hand over."""
    told = command.replace("$(date +%F)", "2018-01-31")
    return [PLACEHOLDERS.get(word, word) for word in shlex.split(told)]


def fits(command, patterns):
    return [pattern for pattern in patterns if re.fullmatch(pattern, command)]


@pytest.fixture(scope="module")
def kedro_cli():
    return KedroCLI(ROOT)


@pytest.fixture(scope="module")
def parsed(kedro_cli):
    """What the real command line makes of a command: the command's path and its options."""

    def parse_command(command):
        arguments = words(command)[1:]
        name, group, arguments = kedro_cli.resolve_command(click.Context(kedro_cli), arguments)
        path = [name]
        while isinstance(group, click.Group) and arguments and not arguments[0].startswith("-"):
            name, group, arguments = group.resolve_command(click.Context(group), arguments)
            path.append(name)
        if not arguments and group.params:  # the bare name of a command that may want more
            return path, {}
        try:
            return path, group.make_context(name, arguments).params
        except click.exceptions.Exit:  # --help
            return path, {}

    return parse_command


def loader_of(options):
    return OmegaConfigLoader(
        conf_source=str(ROOT / "conf"),
        env=options.get("env"),
        runtime_params=options.get("params") or {},
        **CONFIG_LOADER_ARGS,
    )


def test_there_are_commands_and_every_one_has_its_place():
    assert len(COMMANDS) > 40
    places = [*RUN_HERE, *RUN_ELSEWHERE, *NOT_RUN]
    assert [command for command in COMMANDS if not fits(command, places)] == []
    assert [place for place in places if not any(fits(one, [place]) for one in COMMANDS)] == []
    for file, text in RUN_ELSEWHERE.values():
        (path,) = (
            (ROOT / "tests").rglob(file)
            if file != "conftest.py"
            else [Path(__file__).with_name(file)]
        )
        assert text in path.read_text(encoding="utf-8"), f"{text} in {file}"


@pytest.mark.parametrize("command", [one for one in COMMANDS if one.startswith("kedro ")])
def test_command_is_one_that_kedro_takes(command, parsed):
    path, _ = parsed(command)
    assert path


@pytest.mark.parametrize("command", [one for one in COMMANDS if one.startswith("kedro run")])
def test_run_is_one_that_the_project_takes(command, parsed, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    _, options = parsed(command)
    pipelines = options.get("pipelines") or []
    check_pipelines(pipelines)
    nodes = options.get("from_nodes") or []
    assert len(full_names(nodes, node_names(pipelines or ["__default__"]))) == len(nodes)
    loader = loader_of(options)
    check_environment(loader)
    parse(Parameters, loader["parameters"])
    tracking_config(loader, ROOT)


@pytest.mark.parametrize("command", [one for one in COMMANDS if one.startswith("make ")])
def test_command_is_one_that_make_knows(command):
    known = {"help", *re.findall(r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text(), flags=re.M)}
    targets = [word for word in words(command)[1:] if "=" not in word]
    assert targets
    assert set(targets) <= known


@pytest.mark.parametrize("command", [one for one in COMMANDS if fits(one, RUN_HERE)])
def test_command_runs(command, trained, monkeypatch):
    """In this process, on what a real run has left."""
    monkeypatch.chdir(trained.project.folder)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", trained.project.tracking_uri)
    if command.startswith("make "):
        done = subprocess.run(words(command), cwd=ROOT, capture_output=True, text=True, check=False)
        assert (done.returncode, "make run" in done.stdout) == (0, True)
        return
    done = CliRunner().invoke(cli, words(command)[1:])
    assert done.exit_code == 0, done.output
    assert done.output


def test_restore_drill_runs_as_it_is_written(trained, tmp_path, monkeypatch):
    configure_project("lifemiles_forecasting")
    (drill,) = [block for block in blocks("") if "/tmp/drill" in block.text]
    backup = tmp_path / "backups" / "today.tar.gz"
    backup.parent.mkdir()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", trained.project.tracking_uri)
    done = CliRunner().invoke(cli, ["tracking", "backup", str(backup)])
    assert done.exit_code == 0, done.output
    script = drill.text.replace("/tmp/drill", str(tmp_path / "drill"))
    script = script.replace("/backups/$(date +%F).tar.gz", str(backup))
    shell = subprocess.run(
        ["sh", "-eu"],
        input=script.replace("rm -r", "ls"),
        cwd=trained.project.folder,
        env=trained.project.environment(),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert shell.returncode == 0, shell.stderr
    assert "mlflow.db" in shell.stdout
    assert trained.children[0].data.tags["store_id"].split("_")[0] in shell.stdout


@pytest.mark.parametrize("block", blocks("python"), ids=lambda block: block.page)
def test_python_block_is_python(block):
    assert ast.parse(block.text).body


@pytest.mark.parametrize("block", blocks("sh"), ids=lambda block: block.page)
def test_shell_block_is_shell(block):
    subprocess.run(["sh", "-n"], input=block.text, text=True, check=True)


@pytest.mark.parametrize("block", blocks("yaml"), ids=lambda block: block.page)
def test_yaml_block_is_a_configuration(block):
    own = yaml.safe_load(block.text)
    loader = loader_of({"params": own})
    parse(Parameters, loader["parameters"])


def anchors(page):
    """What GitHub calls the headings of a page."""
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    titles = re.findall(r"^#+ (.+)$", text, flags=re.M)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if target.startswith(("http://", "https://")):
            continue
        name, _, anchor = target.partition("#")
        there = page.parent / name if name else page
        assert there.exists(), target
        assert not anchor or anchor in anchors(there), target


def commands_alone(block):
    """The lines of a block without what stands behind a gap: comments, and what a folder holds."""
    return [re.split(r"(?<=\S) {2,}|^ {10,}", line)[0] for line in block.splitlines()]


def skeleton(page):
    """What two languages of one document have in common."""
    text = page.read_text(encoding="utf-8")
    prose = FENCE.sub("", text)
    tables = re.findall(r"(?:^\|.*\n)+", prose, flags=re.M)
    return {
        "headings": [len(marks) for marks in re.findall(r"^(#+) ", prose, flags=re.M)],
        "code": [commands_alone(match[3]) for match in FENCE.finditer(text)],
        "rows": [len(table.splitlines()) for table in tables],
        "names in tables": [re.findall(r"`[^`]+`|\]\([^)]+\)", table) for table in tables],
        "figures in tables": [
            re.findall(r"\d+[.,]\d", table.replace(",", ".")) for table in tables
        ],
        "links": sorted(set(re.findall(r"\]\(([^)]+)\)", prose)) - {"README.md", "README.es.md"}),
    }


@pytest.mark.parametrize("part", sorted(skeleton(ROOT / "README.md")))
def test_README_is_the_same_in_both_languages(part):
    english, spanish = (skeleton(ROOT / name)[part] for name in ("README.md", "README.es.md"))
    assert english
    assert english == spanish
