"""Names that are agreed on with whoever looks at the tracking store."""

REGISTERED_MODEL = "lifemiles_store_forecaster"
CHAMPION, CHALLENGER = "champion", "challenger"  # aliases of its versions
HISTORY_TAG = "champion_history"  # versions in the order in which they came to be champion
