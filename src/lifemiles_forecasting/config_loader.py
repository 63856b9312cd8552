"""Kedro's configuration loader, which hands out nothing that `config_checks` would refuse."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import yaml
from kedro.config import MissingConfigException, OmegaConfigLoader
from omegaconf.errors import ConfigTypeError, GrammarParseError, OmegaConfBaseException

from lifemiles_forecasting import config_checks
from lifemiles_forecasting.core.errors import ConfigError
from lifemiles_forecasting.core.names import did_you_mean

_PLAIN = "plain YAML: text, numbers, lists and groups"
_GROUP = "a name and a value in each line, as in `name: value`"
_INVALID, _DUPLICATE = "Invalid YAML or JSON file ", "Duplicate keys found in "  # Kedro's words


class CheckedConfigLoader(OmegaConfigLoader):
    """Kedro's loader, for every command that builds something from the files of conf/.

    Args:
        conf_source: as in Kedro.
        env: as in Kedro.
        runtime_params: as in Kedro; plain values only.
        **others: as in Kedro.

    Raises:
        ConfigError: a run-time parameter holds a reference.
    """

    def __init__(
        self,
        conf_source: str,
        env: str | None = None,
        runtime_params: dict[str, Any] | None = None,
        **others: Any,
    ) -> None:
        config_checks.check_runtime_parameters(runtime_params or {})
        super().__init__(conf_source, env=env, runtime_params=runtime_params, **others)

    def __getitem__(self, key: str) -> dict[str, Any]:
        """One kind of configuration file, as `parameters` or `catalog`.

        Raises:
            ConfigError: a file is no plain YAML or asks for an object, as `!!python/object` does,
                two of an environment hold the same key, a group is none, a reference leads nowhere,
                a value of the environment holds one, the catalog a type that is not allowed or
                credentials that are not there, a number is another one to YAML, or a group of
                globals.yml is among the parameters.
        """
        try:
            found = super().__getitem__(key)
        except (yaml.YAMLError, UnicodeDecodeError, ConfigTypeError) as error:
            where = f"in one of the files {key}* in {self.conf_source}"
            self._check_groups(key)
            raise ConfigError(_problem(error, where), _PLAIN) from None
        except OmegaConfBaseException as error:
            self._check_groups(key)
            raise _unresolved(error, key) from None
        except (AttributeError, TypeError):  # of Kedro, which takes every file for a group
            self._check_groups(key)
            raise
        except ValueError as error:
            if not str(error).startswith(_DUPLICATE):
                raise
            files = " and ".join(str(error).removeprefix(_DUPLICATE).splitlines())
            raise ConfigError(
                f"the same key in {files.replace(_DUPLICATE, '')}",
                "each key in one file of an environment",
                "Take it out of one of them",
            ) from None
        if key == "globals":
            config_checks.check_globals(found)
        elif key == "catalog":
            config_checks.check_catalog(found)
            self._check_credentials(found)
        elif key == "parameters":
            self._check_numbers()
            config_checks.check_parameters(found)
        return found

    def unread(self) -> Iterator[str]:
        """What to say of YAML files that nobody reads: of no known name, or of an idle `local`."""
        patterns = [pattern for kind in self.config_patterns.values() for pattern in kind]
        kinds = {kind[0].removesuffix("*"): kind[0] for kind in self.config_patterns.values()}
        for folder in self._folders():
            for name in _yaml_files(folder):
                if any(fnmatchcase(name, pattern) for pattern in patterns):
                    continue
                stem = Path(name).stem.partition("_")[0].lower()
                near = difflib.get_close_matches(stem, kinds, n=1)
                hint = f". Did you mean {kinds[near[0]]}?" if near else ""
                expected = f"a name such as {', '.join(kinds.values())}"
                yield f"found {folder / name}, which is not read; expected {expected}{hint}"
        yield from self._unread_local()

    def _unread_local(self) -> Iterator[str]:
        """What to say of the files of the usual environment, in whose place another one is read.

        Credentials are left out: other environments take theirs from variables.
        """
        folders = self._folders()
        local, env = Path(self.conf_source) / str(self.default_run_env), folders[-1]
        if local in folders:
            return
        kinds = {key: kind for key, kind in self.config_patterns.items() if key != "credentials"}
        patterns = [pattern for kind in kinds.values() for pattern in kind]
        files = _yaml_files(local)
        idle = [name for name in files if any(fnmatchcase(name, one) for one in patterns)]
        if idle:
            named = ", ".join(str(local / name) for name in idle)
            yield (
                f"found {named}, which {'is' if len(idle) == 1 else 'are'} not read with "
                f"--env={env.name}; expected what is meant for it in {env}"
            )

    def added_entries(self) -> set[str]:
        """Names of the catalog that the environment adds to those of base."""
        names: dict[bool, set[str]] = {True: set(), False: set()}
        for file, content in self._contents("catalog"):
            if isinstance(content, Mapping):
                names[file.is_relative_to(Path(self.conf_source, self.base_env))] |= {*content}
        return names[False] - names[True]

    def _folders(self) -> list[Path]:
        """Those of base and of the environment."""
        environments = dict.fromkeys((self.base_env, self.env or self.default_run_env))
        return [Path(self.conf_source) / str(name) for name in environments]

    def _check_groups(self, key: str) -> None:
        """Make sure that every file of a kind is a group, with names for keys.

        Raises:
            ConfigError: one is not; the message names it.
        """
        for file, content in self._contents(key):
            if not isinstance(content, Mapping):
                what = "a list" if isinstance(content, list) else "a single value"
                raise ConfigError(f"{what} in the place of groups in {file}", _GROUP)
            for name in content:
                if not isinstance(name, str):
                    raise ConfigError(f"{name!r} as a name in {file}", f"text: '{name}' in quotes")

    def _check_credentials(self, catalog: Mapping[str, Any]) -> None:
        """Make sure that the credentials which entries name are there; an entry may hold its own.

        Raises:
            ConfigError: they are not.
        """
        wanted = {name: entry.get("credentials") for name, entry in catalog.items()}
        for name, credentials in wanted.items():
            if isinstance(credentials, str):
                try:
                    known = self["credentials"]
                except MissingConfigException:
                    known = {}
                if credentials not in known:
                    raise ConfigError(
                        f"catalog entry {name!r} with credentials {credentials!r}, which are not "
                        "there",
                        "them in conf/local/credentials.yml, which is read without --env",
                        did_you_mean(credentials, known)
                        or "Other environments take values from variables: ${oc.env:NAME}",
                    )

    def _check_numbers(self) -> None:
        """Make sure that every number of the parameters is the one that it seems to be.

        Raises:
            ConfigError: one is not; the message names its line.
        """
        for file, _ in self._contents("parameters"):
            tree = yaml.compose(file.read_text("utf-8"), Loader=yaml.SafeLoader)
            for number in config_checks.numbers_of_another_base(tree):
                raise ConfigError(
                    f"{number.value} in line {number.start_mark.line + 1} of {file}, "
                    f"which is {yaml.safe_load(number.value)} to YAML",
                    "a number without a 0 in front, or text in quotes",
                )

    def _contents(self, key: str) -> Iterator[tuple[Path, Any]]:
        """Every file of a kind that is YAML by itself, and what it holds."""
        for folder in self._folders():
            patterns = self.config_patterns[key]
            for file in sorted({file for pattern in patterns for file in folder.glob(pattern)}):
                try:
                    content = yaml.safe_load(file.read_text("utf-8")) if file.is_file() else None
                except (yaml.YAMLError, UnicodeDecodeError):
                    continue
                if content is not None:
                    yield file, content


def _yaml_files(folder: Path) -> list[str]:
    """Names of the YAML files below a folder, hidden ones left out."""
    files = sorted([*folder.rglob("*.yml"), *folder.rglob("*.yaml")])
    names = [file.relative_to(folder).as_posix() for file in files]
    return [name for name in names if not any(part.startswith(".") for part in name.split("/"))]


def _unresolved(error: OmegaConfBaseException, key: str) -> ConfigError:
    """What to say of a reference that cannot be filled in."""
    where = f"{error.full_key} of {key}.yml" if key == "mlflow" else f"{error.full_key} of {key}*"
    missing = re.search(r"Environment variable '(.+?)' not found", str(error))
    if missing is not None:
        return ConfigError(
            f"no environment variable {missing[1]}",
            f"it to be set, because {where} is taken from it",
            "Set it, or choose another --env",
        )
    words = str(error).partition("\n")[0]
    # without words that quote the value where it may be a password
    if isinstance(error, GrammarParseError) or key == "credentials":
        words = "${ without a reference behind it"
    return ConfigError(
        f"{where} that cannot be filled in ({words})",
        "a reference such as ${oc.env:NAME} or ${globals:paths.data_root} that leads to a value",
    )


def _problem(error: Exception, where: str) -> str:
    """What is wrong with a file, and its name and line if they are known."""
    if isinstance(error, ConfigTypeError):
        return f"a list in the place of a group {where}"
    if isinstance(error, UnicodeDecodeError):
        return f"bytes that are no UTF-8 ({error.reason}) {where}"
    if isinstance(error, yaml.composer.ComposerError):  # without its words: it may be a password
        return f"text that begins with * or & and is not quoted {where}"
    cause = error.__cause__
    if isinstance(cause, yaml.MarkedYAMLError):  # Kedro knows the file, and counts from nought
        file = str(error).removeprefix(_INVALID).partition(", unable to read")[0]
        words = str(cause.problem).removeprefix("found ")
        return f"{words} in line {cause.problem_mark.line + 1} of {file}"
    words = getattr(error, "problem", None) or str(error).partition("\n")[0]
    return f"{words.removeprefix('found ')} {where}"
