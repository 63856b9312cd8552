"""The names of the columns that cross a room's door, each defined once."""

STORE_ID = "store_id"
PARTNER_CODE = "partner_code"
STORE_CODE = "store_code"
PARTNER_NAME = "partner_name"
STORE_NAME = "store_name"
COUNTRY = "country"
CITY = "city"
DATE = "date"
Y = "y"  # the target: one number per store and day, in the target's own units
TRANSACTIONS = "transactions"  # raw rows behind a store-day

FIRST_DATE = "first_date"
LAST_DATE = "last_date"
ACTIVE_DAYS = "active_days"
ZERO_SHARE = "zero_share"
STORE_CLASS = "store_class"

FILE = "file"
LINE = "line"
REASON = "reason"
RAW = "raw"

ORIGIN = "origin"
HORIZON = "horizon"
CANDIDATE = "candidate"
Y_HAT = "y_hat"
FORECAST = "forecast"
STATUS = "status"

START_DATE = "start_date"
END_DATE = "end_date"
NAME = "name"
VALUE = "value"

SUBJECT = "subject"
STAGE = "stage"
WARNING = "warning"
STORES_COUNT = "stores"
GROUP = "group"
VERDICT = "verdict"
FEATURE = "feature"
SHARE = "share"

PANEL = (STORE_ID, DATE, Y, TRANSACTIONS)
STORES = (
    STORE_ID,
    PARTNER_CODE,
    STORE_CODE,
    PARTNER_NAME,
    STORE_NAME,
    COUNTRY,
    CITY,
    FIRST_DATE,
    LAST_DATE,
    ACTIVE_DAYS,
    ZERO_SHARE,
    STORE_CLASS,
)
QUARANTINE = (FILE, LINE, REASON, RAW)
BACKTEST = (STORE_ID, ORIGIN, DATE, HORIZON, CANDIDATE, Y, Y_HAT)
FORECASTS = (
    STORE_ID,
    PARTNER_CODE,
    STORE_CODE,
    DATE,
    HORIZON,
    FORECAST,
    "lower_80",
    "upper_80",
    "lower_95",
    "upper_95",
    STATUS,
)
FAILURES = (STORE_ID, STAGE, "error", "traceback_hash")
TRAINING = (STORE_ID, "outcome", "why")
WARNINGS = (SUBJECT, STAGE, WARNING, STORES_COUNT)
IMPORTANCE = (CANDIDATE, FEATURE, SHARE)
EVENTS = (PARTNER_CODE, STORE_CODE, START_DATE, END_DATE, NAME, VALUE)
COVERAGE = (
    GROUP,
    VALUE,
    "points",
    "coverage_80",
    "coverage_95",
    "open_points",
    "coverage_80_open",
    "coverage_95_open",
    VERDICT,
)
LEAK_AUDIT = ("kind", "name", ORIGIN, "values", "futures", "changed", "changed_by")
ACCURACY = (GROUP, VALUE, "points", "wape", "bias", "coverage_80", "coverage_95")
ERRORS = (STORE_ID, ORIGIN, "days", "error", "shift")
DRIFT = (
    STORE_ID,
    PARTNER_CODE,
    STATUS,
    "days",
    "wape",
    "bias",
    "coverage_80",
    "error",
    "error_before",
    "error_limit",
    "shift",
    "shift_limit",
    "drifted",
    "reasons",
    "level_before",
    "level_now",
    "retrain",
)
