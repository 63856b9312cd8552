"use strict";
// CSV of what the filters leave, in the order of the table.
(() => {
  const { byId, element } = base;

  // what a spreadsheet takes for a formula gets an apostrophe in front, wherever a cell may begin (core/spreadsheet.py)
  const FORMULA = /(?<![^;,|\t\r\n"])(?='*[^\S\t\r\n]*[\t\r\n=+\-@＝＋－＠])/g;
  const cell = (value) => {
    if (typeof value === "number") return String(value);
    const safe = String(value ?? "").replaceAll(FORMULA, "'");
    return /[",\n\r]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
  };
  const save = (name, lines) => {
    const text = lines.map((values) => values.map(cell).join(",")).join("\r\n");
    const link = element("a");
    // the mark in front tells spreadsheets that the text is UTF-8
    link.href = URL.createObjectURL(new Blob([`\ufeff${text}\r\n`], { type: "text/csv" }));
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  };

  const saveStores = () => {
    const columns = [...state.FACTS.slice(0, -3), "before", "forecast_total", "change", ...stores.WEIGHTS];
    save("stores.csv", [columns, ...stores.shown().map((row) => columns.map((name) => row[name]))]);
  };
  const saveDays = () => {
    const { a, b } = state.span(sums.aheadDays[0], sums.H);
    const kept = stores.series().stores;
    const lines = stores.shown().flatMap((row) => {
      const bounds = Object.hasOwn(kept, row.store_id) ? kept[row.store_id].b : null;
      return sums.aheadDays.slice(a, b).map((day, i) => [row.store_id, row.partner_code, row.country, day, row.forecast[a + i],
        ...[0, 1, 2, 3].map((k) => bounds ? bounds[k][a + i] : "")]);
    });
    save("forecasts.csv", [["store_id", "partner_code", "country", "date", "forecast", "lower_80", "upper_80", "lower_95", "upper_95"], ...lines]);
  };

  byId("download-stores").addEventListener("click", saveStores);
  byId("download-days").addEventListener("click", saveDays);
})();
