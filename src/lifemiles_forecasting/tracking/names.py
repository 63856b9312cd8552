"""Names in the model registry, for whoever writes there and whoever reads; needs no MLflow."""

REGISTERED_MODEL = "lifemiles_store_forecaster"
HISTORY_TAG = "champion_history"  # versions in the order in which they came to be champion

# aliases of its versions: the one that forecasts, and the latest one that wants its place
CHAMPION, CHALLENGER = "champion", "challenger"

# tags of a version: what the comparison with the champion of the time came to
GATE_PREFIX = "gate_"
GATE_STATUS, GATE_REASONS = "gate_status", "gate_reasons"
# of a version and of its run: SHA-256 of the manifest of the model's files. Who can write where the
# artifacts are could change files and manifest alike; this is in the database.
FILES_DIGEST, BEFORE_TEST_DIGEST = "model_files_sha256", "model_before_test_sha256"
PROMOTED_AT = "promoted_at"  # ISO 8601; MLflow keeps no time of an alias
DATA_SOURCE = "data_source"  # tag of a run: where its transactions come from
# environment variable: address of the store in the project that takes over when the configured one
# has gone away in the middle of a run
SPOOL_VARIABLE = "LIFEMILES_SPOOL"
