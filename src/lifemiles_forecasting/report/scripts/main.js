"use strict";
// Puts the page together: figures and tables at once, charts one by one after the first paint.
(() => {
  const { byId, data, t, fill, number } = base;
  let waiting = []; // charts of what is chosen that are still to be drawn
  // the analyst's figures, drawn once and after everything else
  const figures = [...document.querySelectorAll("[data-figure]")].map((node) => () => charts.drawFigure(node));
  let turn = 0;
  // for whoever measures how long the page takes to open
  const ready = (what) => {
    document.documentElement.dataset.ready = what;
    performance.mark(what);
  };

  const next = () => waiting.shift() || figures.shift();
  const step = (mine) => {
    if (mine !== turn) return;
    const task = next();
    if (task) {
      task();
      setTimeout(step, 0, mine);
    } else if (document.documentElement.dataset.ready !== "charts") ready("charts");
  };
  const queue = (tasks) => {
    turn += 1;
    waiting = tasks;
    setTimeout(step, 0, turn);
  };
  const flush = () => { for (let task = next(); task; task = next()) task(); };

  const refresh = () => {
    const ahead = state.span(sums.aheadDays[0], sums.H);
    const test = state.span(sums.testStart, sums.H);
    stores.measure(ahead);
    const rows = state.selected();
    const { total, partners, parts } = sums.collect(rows);
    const whole = sums.summary(total, ahead, test);
    const groups = new Map([...partners].map(([code, group]) => [code, sums.summary(group, ahead, test)]));
    const measured = sums.measured();
    const moves = stores.moves(rows);
    tables.drawCards(whole, ahead, test, moves);
    tables.drawPartners(whole, groups);
    tables.drawMovers(moves, ahead);
    tables.drawTest(whole, groups, measured);
    tables.notes(measured, ahead, test, state.narrow() ? rows.length : total.stores);
    stores.draw(rows);
    state.write();
    const words = `${t.sec_totals}: ${number(whole.next, base.digitsFor([whole.next]))} ${data.unit}`;
    const told = !whole.tested ? t.not_measured : fill(t.test_words, { sold: number(whole.sold), expected: number(whole.expected) });
    return [
      () => charts.drawTotal(total, sums.history(parts, stores.series), measured, words),
      () => charts.drawPartners(partners, parts),
      () => charts.drawTest(total, measured, `${t.sec_test}: ${told}`),
      () => stores.drawChosen(),
    ];
  };
  const redraw = () => queue(refresh());

  const filters = byId("filters");
  const take = () => {
    for (const id of state.FIELDS) state.chosen[id] = byId(id).value;
    state.chosen.page = "0";
    redraw();
  };
  filters.addEventListener("input", take);
  filters.addEventListener("submit", (event) => event.preventDefault());
  byId("reset").addEventListener("click", () => { state.reset(); redraw(); });
  byId("copy").addEventListener("click", async () => {
    const button = byId("copy");
    try {
      await navigator.clipboard.writeText(window.location.href);
      button.textContent = t.copied;
    } catch {
      button.textContent = t.not_copied; // the clipboard may be closed to a file: the address bar has the link
    }
    setTimeout(() => { button.textContent = t.copy_link; }, 3000);
  });

  byId("view").addEventListener("change", take);
  byId("store-table").tHead.addEventListener("click", (event) => {
    const by = event.target.dataset.by;
    if (!by) return;
    state.chosen.up = (state.chosen.by === by ? !state.chosen.up : !stores.NUMBERS.has(by)) ? "1" : "";
    state.chosen.by = by;
    redraw();
    byId("store-table").tHead.querySelector(`[data-by="${CSS.escape(by)}"]`)?.focus();
  });
  for (const [id, way] of [["previous", -1], ["next", 1]]) {
    byId(id).addEventListener("click", () => { state.chosen.page = String(Number(state.chosen.page) + way); redraw(); });
  }
  byId("picker").addEventListener("change", (event) => {
    const id = event.target.value.trim();
    if (state.rowOf.has(id)) stores.choose(id, false);
    else byId("picker-note").textContent = t.choose_hint;
  });
  for (const button of document.querySelectorAll("button[data-view]")) {
    button.addEventListener("click", () => {
      byId("view").value = button.dataset.view;
      take();
      byId("store-table").scrollIntoView({ block: "start" });
    });
  }
  byId("store-list").append(...state.rows.slice(0, 2000).map((row) => {
    const option = base.element("option", row.store_name);
    option.value = row.store_id;
    return option;
  }));

  // a link inside the page moves the view and leaves the address to the filters
  document.addEventListener("click", (event) => {
    const link = event.target.closest('a[href^="#"]');
    if (!link) return;
    event.preventDefault();
    const target = byId(link.getAttribute("href").slice(1));
    target.scrollIntoView();
    target.tabIndex = -1;
    target.focus({ preventScroll: true });
  });
  window.addEventListener("hashchange", () => { state.read(); redraw(); });

  // paper has room for every chart, and is narrower
  const charted = () => document.querySelectorAll(".js-plotly-plot");
  window.addEventListener("beforeprint", () => {
    flush();
    for (const chart of charted()) Plotly.relayout(chart, { width: Math.min(chart.clientWidth || 660, chart.closest(".pair, #partner-grid") ? 320 : 660) });
  });
  window.addEventListener("afterprint", () => { for (const chart of charted()) Plotly.relayout(chart, { width: null, autosize: true }); });

  if (window.innerWidth < 700) byId("filter-box").open = false;
  charts.watchTables();
  state.read();
  queue(refresh());
  ready("tables");
})();
