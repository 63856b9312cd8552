"""Runs, logged models and registered versions out of the database, a statement per table.

MLflow's own `mlflow gc` reads and deletes one run per transaction, and leaves logged models,
inputs, datasets and registered versions behind.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from lifemiles_forecasting.tracking.registered_versions import Key

# ids of runs (hexadecimal) and of logged models (m-...) never meet, so one table holds both
_SETUP = """
CREATE TEMPORARY TABLE gone (id VARCHAR(36) PRIMARY KEY);
CREATE TEMPORARY TABLE gone_versions
    (workspace VARCHAR(63), name VARCHAR(256), version INTEGER);
CREATE TEMPORARY TABLE gone_inputs (input_uuid VARCHAR(36), dataset_uuid VARCHAR(36))
"""
# What refers to a row goes before the row. Datasets go when only these runs were trained on them.
# Verdicts on traces and issues stay; they only forget the run that they came from.
_ERASE = """
DELETE FROM model_version_tags WHERE EXISTS (
    SELECT 1 FROM gone_versions g WHERE g.workspace = model_version_tags.workspace
    AND g.name = model_version_tags.name AND g.version = model_version_tags.version);
DELETE FROM model_versions WHERE EXISTS (
    SELECT 1 FROM gone_versions g WHERE g.workspace = model_versions.workspace
    AND g.name = model_versions.name AND g.version = model_versions.version);

INSERT INTO gone_inputs
    SELECT input_uuid, CASE source_type WHEN 'DATASET' THEN source_id END FROM inputs
    WHERE source_id IN (SELECT id FROM gone) OR destination_id IN (SELECT id FROM gone);
DELETE FROM input_tags WHERE input_uuid IN (SELECT input_uuid FROM gone_inputs);
DELETE FROM inputs WHERE input_uuid IN (SELECT input_uuid FROM gone_inputs);

DELETE FROM logged_model_metrics
    WHERE model_id IN (SELECT id FROM gone) OR run_id IN (SELECT id FROM gone);
DELETE FROM logged_model_params WHERE model_id IN (SELECT id FROM gone);
DELETE FROM logged_model_tags WHERE model_id IN (SELECT id FROM gone);
DELETE FROM logged_models WHERE model_id IN (SELECT id FROM gone);

DELETE FROM datasets
    WHERE dataset_uuid IN (SELECT dataset_uuid FROM gone_inputs)
    AND dataset_uuid NOT IN (SELECT source_id FROM inputs WHERE source_type = 'DATASET');
DELETE FROM entity_associations
    WHERE source_id IN (SELECT id FROM gone) OR destination_id IN (SELECT id FROM gone);
UPDATE assessments SET run_id = NULL WHERE run_id IN (SELECT id FROM gone);
UPDATE issues SET source_run_id = NULL WHERE source_run_id IN (SELECT id FROM gone);

DELETE FROM latest_metrics WHERE run_uuid IN (SELECT id FROM gone);
DELETE FROM metrics WHERE run_uuid IN (SELECT id FROM gone);
DELETE FROM params WHERE run_uuid IN (SELECT id FROM gone);
DELETE FROM tags WHERE run_uuid IN (SELECT id FROM gone);
DELETE FROM runs WHERE run_uuid IN (SELECT id FROM gone);

DROP TABLE gone;
DROP TABLE gone_versions;
DROP TABLE gone_inputs
"""


def erase(connection: Connection, ids: Collection[str], versions: Collection[Key]) -> None:
    """Delete for good, in the transaction of the connection.

    Args:
        connection: to the tracking database, in a transaction that may write.
        ids: of runs and logged models.
        versions: registered versions; their registered models stay.
    """
    from sqlalchemy import text

    _execute(connection, _SETUP)
    if ids:
        rows = [{"id": one} for one in ids]
        connection.execute(text("INSERT INTO gone VALUES (:id)"), rows)
    if versions:
        keys = [dict(zip(("workspace", "name", "version"), key, strict=True)) for key in versions]
        statement = "INSERT INTO gone_versions VALUES (:workspace, :name, :version)"
        connection.execute(text(statement), keys)
    _execute(connection, _ERASE)


def _execute(connection: Connection, script: str) -> None:
    for statement in script.split(";"):
        connection.exec_driver_sql(statement)
