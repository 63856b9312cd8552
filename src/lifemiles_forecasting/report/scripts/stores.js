"use strict";
// The table of the stores, and the chart of one of them.
const stores = (() => {
  const { byId, data, t, fill, named, number, percent, element } = base;
  const PAGE = 25;
  const WEIGHTS = data.weights.candidates.map((name) => `weight_${name}`);
  const SHARED = [["store_id", t.store], ["partner_code", t.partner]];
  const HEADS = {
    sales: [...SHARED, ["before", data.ago], ["forecast_total", t.forecast],
      ["change", t.change], ["quality", t.quality], ["status", t.status]],
    accuracy: [...SHARED, ["quality", t.quality], ["test_r2", "R²"], ["test_smape", "SMAPE"], ["test_wape", t.wape],
      ["forecast_total", t.forecast], ["status", t.status]],
    weights: [...SHARED, ["champion", t.champion], ...data.weights.candidates.map((name) => [`weight_${name}`, named("candidate", name)]), ["status", t.status]],
  };
  const NUMBERS = new Set(["before", "change", "test_r2", "test_smape", "test_wape", "forecast_total", ...WEIGHTS]);
  let shown = [];

  let parsed = null; // the largest part of the page: read when it is first asked for
  const series = () => { parsed = parsed || JSON.parse(byId("series").textContent); return parsed; };

  // sums of the chosen days, by store
  const measure = (ahead) => {
    for (const row of state.rows) {
      row.before = data.comparable ? sums.within(row.recent, ahead) : null;
      row.forecast_total = sums.within(row.forecast, ahead);
      row.change = row.before === null ? null : base.change(row.before, row.forecast_total);
    }
  };
  const moves = (rows) => {
    const moved = data.comparable ? rows.map((row) => [row.forecast_total - row.before, row]) : [];
    return { up: moved.filter(([x]) => x > 0).sort(([x], [y]) => y - x).map(([, row]) => row),
      down: moved.filter(([x]) => x < 0).sort(([x], [y]) => x - y).map(([, row]) => row) };
  };

  const compare = (a, b) => {
    const { by, up } = state.chosen;
    const [x, y] = [a[by], b[by]];
    // what is missing stays at the end in both directions
    if (x === y) return 0;
    if (x === null || x === "") return 1;
    if (y === null || y === "") return -1;
    const order = NUMBERS.has(by) ? x - y : x.localeCompare(y);
    return up ? order : -order;
  };
  const storeCell = (row) => {
    const head = element("th");
    const pick = element("button", row.store_id, "link");
    pick.type = "button";
    pick.addEventListener("click", () => choose(row.store_id, true));
    head.append(pick, element("span", [row.store_name, row.city, state.countries.length > 1 && row.country].filter(Boolean).join(" · "), "sub"));
    return head;
  };
  const tierOf = (row) => {
    const tier = element("td", row.quality ? "" : "–");
    if (row.quality) {
      const label = element("span", row.quality, "tier");
      label.style.setProperty("--tier", data.tiers[row.quality] || "#8794a1");
      tier.append(label);
    }
    return tier;
  };
  const money = (rows) => base.digitsFor(rows.flatMap((row) => [row.before, row.forecast_total]));
  // what stands between partner and status
  const CELLS = {
    sales: (row, digits) => [number(row.before, digits), number(row.forecast_total, digits),
      row.change === null ? "–" : base.signed(row.change), tierOf(row)],
    accuracy: (row, digits) => [tierOf(row), number(row.test_r2, 2), percent(row.test_smape), percent(row.test_wape), number(row.forecast_total, digits)],
    weights: (row) => [row.champion ? named("candidate", row.champion) : "–",
      ...WEIGHTS.map((name) => element("td", row[name] === null ? "–" : percent(100 * row[name]), name === `weight_${row.champion}` ? "n largest" : "n"))],
  };
  const statusOf = (row) => {
    const status = element("td", named("status", row.status));
    if (row.reason) status.append(element("span", row.reason, "sub"));
    return status;
  };

  const draw = (rows) => {
    const { view, by, up } = state.chosen;
    const heads = HEADS[view];
    const numeric = heads.map(([name]) => NUMBERS.has(name));
    shown = [...rows].sort(compare);
    const pages = Math.max(1, Math.ceil(shown.length / PAGE));
    const page = Math.min(Number(state.chosen.page), pages - 1);
    state.chosen.page = String(page);
    const part = shown.slice(page * PAGE, (page + 1) * PAGE);
    const digits = money(part);
    byId("store-table").tBodies[0].replaceChildren(...part.map((row) => base.row(
      [storeCell(row), row.partner_code, ...CELLS[view](row, digits), statusOf(row)], numeric, row.store_id === state.chosen.store ? "chosen" : "")));
    byId("page").textContent = fill(t.page, { page: number(page + 1), pages: number(pages) });
    byId("previous").disabled = page === 0;
    byId("next").disabled = page >= pages - 1;
    for (const id of ["download-stores", "download-days"]) byId(id).disabled = !shown.length;
    byId("store-table").tHead.rows[0].replaceChildren(...heads.map(([name, label], i) => {
      const head = element("th", "", numeric[i] ? "n" : "");
      head.scope = "col";
      head.ariaSort = name === by ? (up ? "ascending" : "descending") : "none";
      const button = element("button", label + (name === by ? (up ? " ▲" : " ▼") : ""));
      button.type = "button";
      button.dataset.by = name;
      button.title = fill(t.sort, { column: label });
      head.append(button);
      return head;
    }));
  };

  const drawChosen = () => {
    const row = state.rowOf.get(state.chosen.store) || state.rowOf.get(drawn) || shown.find((one) => one.quality) || shown[0];
    if (!row) return;
    drawn = row.store_id;
    const one = Object.hasOwn(series().stores, row.store_id) ? series().stores[row.store_id] : null;
    byId("picker").value = row.store_id;
    byId("picker-note").textContent = [row.store_id, row.store_name, row.partner_code, named("status", row.status), row.reason,
      row.quality, row.test_wape === null ? "" : `${t.wape} ${percent(row.test_wape)}`,
      `${t.forecast} ${number(row.forecast_total, base.digitsFor([row.forecast_total]))}`,
      one ? "" : fill(t.not_embedded, { n: number(Object.keys(series().stores).length) })].filter(Boolean).join(" · ");
    charts.drawStore(row, one, series().start, `${t.stores_title}: ${row.store_id}`);
  };
  let drawn = ""; // the store of the chart, where none was chosen

  const choose = (id, scroll) => {
    state.chosen.store = id;
    state.write();
    drawChosen();
    for (const line of byId("store-table").tBodies[0].rows) {
      line.classList.toggle("chosen", line.querySelector("button").textContent === id);
    }
    if (scroll) byId("stores").scrollIntoView({ block: "start" });
  };

  return { WEIGHTS, NUMBERS, series, measure, moves, storeCell, draw, drawChosen, choose, shown: () => shown };
})();
