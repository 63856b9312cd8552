"""The versions in MLflow's model registry: what each stands on, and which must never go."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lifemiles_forecasting.core.errors import TrackingError
from lifemiles_forecasting.tracking.names import HISTORY_TAG

if TYPE_CHECKING:
    from sqlalchemy import Connection

_CHAMPIONS_KEPT = 2  # today's, and the one before to go back to

_VERSIONS = "SELECT workspace, name, version, run_id, source, storage_location FROM model_versions"
_ALIASES = "SELECT workspace, name, version, alias FROM registered_model_aliases ORDER BY alias"
_HISTORIES = "SELECT workspace, name, value FROM registered_model_tags WHERE key = :tag"
_IDS = re.compile(r"m-[0-9a-f]{32}|[0-9a-f]{32}")

Key = tuple[str, str, int]


@dataclass(frozen=True)
class Version:
    """A registered version.

    Attributes:
        key: workspace, name and version.
        stands_on: ids of the runs and logged models that its addresses name.
        why: what it must be kept for; nothing when it need not be.
    """

    key: Key
    stands_on: frozenset[str]
    why: str = ""


def read_versions(connection: Connection) -> list[Version]:
    """All registered versions.

    A version with an alias must be kept, and so must the two last ones that were champions, by the
    registered model's tag `champion_history`: numbers of versions with commas between, in order of
    promotion.

    Args:
        connection: to the tracking database, in a transaction.

    Raises:
        TrackingError: a history cannot be understood, so what to keep is not known.
    """
    from sqlalchemy import text

    why: dict[Key, str] = {}
    for workspace, name, history in connection.execute(text(_HISTORIES), {"tag": HISTORY_TAG}):
        for version in champions(name, history)[-_CHAMPIONS_KEPT:]:
            why[workspace, name, version] = f"champion before, version {version} of {name}"
    for workspace, name, version, alias in connection.execute(text(_ALIASES)):
        why[workspace, name, int(version)] = f"{alias}, version {version} of {name}"
    return [
        Version(
            (workspace, name, version), _ids(addresses), why.get((workspace, name, version), "")
        )
        for workspace, name, version, *addresses in connection.execute(text(_VERSIONS))
    ]


def champions(name: str, history: str) -> list[int]:
    """The versions that a history names, in order of promotion.

    >>> champions("stores", "1, 4,5")
    [1, 4, 5]

    Args:
        name: of the registered model.
        history: value of its tag.

    Raises:
        TrackingError: it is not a list of numbers.
    """
    numbers = [part.strip() for part in history.split(",") if part.strip()]
    if not all(number.isascii() and number.isdigit() for number in numbers):
        raise TrackingError(
            f"tag {HISTORY_TAG} of registered model {name!r} with the value {history!r}",
            "numbers of versions with commas between",
            "Put it right: it says which versions must be kept",
        )
    return [int(number) for number in numbers]


def _ids(addresses: Sequence[str | None]) -> frozenset[str]:
    return frozenset(one for address in addresses for one in _IDS.findall(address or ""))
