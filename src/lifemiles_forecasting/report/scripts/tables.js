"use strict";
// Headline figures and the tables of partners, movers and the test window.
const tables = (() => {
  const { byId, data, t, fill, number, percent, signed, digitsFor, written } = base;
  const NUMERIC = [false, true, true, true, true, true];

  const say = (id, text) => { byId(id).textContent = text; };
  const period = (days, { a, b }) => ({ first: written(days[a]), last: written(days[b - 1]) });

  const drawCards = (whole, ahead, test, moves) => {
    const digits = digitsFor([whole.next]);
    say("card-next-title", ahead.all ? data.ahead : fill(t.card_period, period(sums.aheadDays, ahead)));
    say("card-next", number(whole.next, digits));
    say("card-change", whole.change !== null ? fill(t.card_change, { change: signed(whole.change), ago: data.ago }) :
      fill(whole.before === null ? t.card_no_change : t.card_none_before, { ago: data.ago }));
    say("card-stores", number(whole.stores));
    // of everything, over all stores; of a choice, over those that the page lists
    const everything = !state.told().length;
    const { up, down } = everything ? data.movers : { up: moves.up.length, down: moves.down.length };
    const listed = everything || data.stores === state.rows.length ? "" : fill(t.of_listed, { n: number(state.rows.length) });
    say("card-movers", [fill(t.card_movers, { up: number(up), down: number(down) }), listed].filter(Boolean).join(". "));
    say("movers-scope", listed);
    say("card-test", whole.error === null ? "–" : signed(whole.error));
    const sold = digitsFor([whole.sold, whole.expected]);
    say("card-test-detail", !whole.tested ? t.not_measured : fill(t.card_test_detail, { expected: number(whole.expected, sold), sold: number(whole.sold, sold), ...period(sums.testDays, test) }));
    say("card-wape", percent(whole.wape));
  };

  const drawPartners = (whole, groups) => {
    const table = byId("partner-table");
    const list = [...groups.entries()].sort(([, x], [, y]) => y.next - x.next);
    const digits = digitsFor([whole.next, whole.before]);
    const cells = (name, one) => [name, number(one.stores), number(one.before, digits), number(one.next, digits),
      one.change === null ? "–" : signed(one.change), percent(whole.next > 0 ? 100 * one.next / whole.next : null)];
    table.tBodies[0].replaceChildren(...list.map(([code, one]) => base.row(cells(code, one), NUMERIC)));
    table.tFoot.replaceChildren(base.row(cells(t.total, whole), NUMERIC));
  };

  // a change in percent; in words where nothing was sold on the days compared: not yet open, or no sales
  const changeOf = (row, ahead) => {
    if (row.before !== 0) return row.change === null ? "–" : signed(row.change);
    return row.recent[ahead.a] === null ? t.new_store : t.no_sales;
  };
  const drawMovers = (moves, ahead) => {
    const numeric = [false, true, true, true, true];
    const labels = [t.store, data.ago, t.forecast, t.difference, t.change];
    for (const [id, rows] of [["movers-up", moves.up], ["movers-down", moves.down]]) {
      const shown = rows.slice(0, data.most_movers);
      const digits = digitsFor(shown.flatMap((row) => [row.before, row.forecast_total]));
      const table = byId(id);
      table.tHead.replaceChildren(base.head(labels, numeric));
      table.tBodies[0].replaceChildren(...shown.map((row) => {
        const difference = row.forecast_total - row.before;
        return base.row([stores.storeCell(row), number(row.before, digits), number(row.forecast_total, digits),
          (difference > 0 ? "+" : "") + number(difference, digits), changeOf(row, ahead)], numeric);
      }));
      if (!shown.length) table.tBodies[0].append(base.row([t.none], [false]));
    }
  };

  const drawTest = (whole, groups, measured) => {
    const digits = digitsFor([whole.sold, whole.expected]);
    const cells = (name, one) => [name, number(one.sold, digits), number(one.expected, digits), one.error === null ? "–" : signed(one.error), percent(one.wape)];
    const list = [...groups.entries()].filter(([, one]) => one.tested).sort(([, x], [, y]) => y.sold - x.sold);
    const numeric = [false, true, true, true, true];
    byId("test-table").tBodies[0].replaceChildren(...list.map(([code, one]) => base.row(cells(code, one), numeric)),
      whole.tested ? base.row(cells(t.total, whole), numeric, "strong") : base.row([t.not_measured], [false]));
    const windows = measured ? measured.windows : [];
    const sold = digitsFor(windows.map((one) => one[3]));
    byId("windows-table").tBodies[0].replaceChildren(...windows.map(([first, last, , y, expected, error]) =>
      base.row([`${written(first)}–${written(last)}`, number(y, sold), number(expected, sold), error === null ? "–" : signed(error)], numeric)));
    if (!windows.length) byId("windows-table").tBodies[0].append(base.row([t.not_measured], [false]));
  };

  const notes = (measured, ahead, test, listed) => {
    say("band-note", measured && measured.bounds ? fill(t.band_note, { days: number(measured.days), n: number(measured.windows.length) }) : fill(t.no_band, { most: number(data.most_bands) }));
    say("held-note", measured && measured.held ? fill(t.held_note, { held80: percent(measured.held[0]), held95: percent(measured.held[1]), days: number(sums.H) }) : "");
    say("totals-scope", [ahead.missed ? t.no_day_ahead : ahead.all ? "" : fill(t.only_days, period(sums.aheadDays, ahead)),
      state.narrow() && data.stores > state.rows.length ? fill(t.only_listed, { n: number(state.rows.length) }) : ""].filter(Boolean).join(" "));
    say("test-scope", test.missed ? t.no_day_tested : test.all ? "" : fill(t.only_days, period(sums.testDays, test)));
    const told = state.told();
    say("active", told.length ? `(${told.join("; ")})` : "");
    say("shown", listed ? fill(t.shown, { n: number(listed), total: number(data.stores) }) : t.no_match);
  };

  return { drawCards, drawPartners, drawMovers, drawTest, notes };
})();
