/** Cost per day and tenant, as columns and as a table. */

import { amend } from "../parts/address.js";
import { el, put, say, svg } from "../parts/element.js";
import { switchFilter } from "../parts/filters.js";
import { command, empty, failure, loading } from "../parts/notices.js";
import { poll } from "../parts/polling.js";
import { get } from "../parts/server.js";
import { count, money } from "../parts/words.js";

const EVERY_MS = 30_000;
const SHOWN = 5;
const REST = "others";
const NOBODY = "no tenant";
const HEIGHT = 220;
const BELOW = 24;
const COLUMNS = [["Day", ""], ["Tenant", ""], ["Requests", "number"], ["Minutes", "number spare"], ["Cost", "number"]];
const MEASURES = [["cost", "Cost"], ["minutes", "Minutes"], ["requests", "Requests"]];

/** A round number that is at least `value`: the top of the scale. */
function roundUp(value) {
  if (value <= 0) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10].map((one) => one * power).find((one) => one >= value - 1e-12);
}

function daysBack(amount) {
  const today = Date.parse(new Date().toISOString().slice(0, 10));
  return Array.from({ length: amount }, (_, at) => new Date(today - (amount - 1 - at) * 86_400_000).toISOString().slice(0, 10));
}

export function costView(root, members) {
  let options = { days: members.days ?? "14", measure: members.measure ?? "" };
  let answer = null;
  const bar = el("div", { class: "filters" });
  const place = el("div", null, loading());
  const summary = el("p", { class: "summary" });
  put(root, el("div", { class: "head" }, el("h1", null, "Cost"), summary), bar, place);

  const size = new ResizeObserver(() => answer && paint());
  size.observe(root);

  function changed(name, value) {
    options = { ...options, [name]: value };
    amend({ [name]: value });
    if (name === "days") asking.now();
    else paint();
  }

  function measure() {
    if (options.measure) return options.measure;
    return answer?.days.some((one) => one.cost !== null) ? "cost" : "minutes";
  }

  function showBar() {
    put(
      bar,
      switchFilter("days", "Days", options.days, [["7", "7 days"], ["14", "14 days"], ["30", "30 days"]], changed),
      switchFilter("measure", "Measure", measure(), MEASURES, changed),
    );
  }

  function inWords(value) {
    if (measure() === "cost") return money(value, answer.currency);
    return measure() === "minutes" ? `${count(Number(value.toFixed(value < 10 ? 2 : 1)))} min` : count(value);
  }

  function paint() {
    const name = measure();
    const unit = answer.days.filter((one) => one[name] !== null && one[name] !== undefined);
    const totals = new Map();
    for (const one of unit) totals.set(one.tenant ?? NOBODY, (totals.get(one.tenant ?? NOBODY) ?? 0) + one[name]);
    const tenants = [...totals].sort((one, other) => other[1] - one[1]);
    const shown = tenants.slice(0, SHOWN).map(([tenant]) => tenant);
    if (tenants.length > SHOWN) shown.push(REST);
    const colour = (tenant) => `colour-${Math.min(shown.includes(tenant) ? shown.indexOf(tenant) : SHOWN, SHOWN)}`;
    const sum = tenants.reduce((all, [, value]) => all + value, 0);
    say(summary, `${inWords(sum)} in ${options.days} days (UTC)`);
    if (answer.days.length === 0) {
      put(place, empty("Nothing was billed in these days", "Cost appears when requests end. Choose more days to see older ones."));
      return;
    }
    const priced = answer.days.some((one) => one.cost !== null);
    put(
      place,
      !priced &&
        empty("No prices are set", "Minutes and requests are counted, costs are not. Set the price of a minute for the service, and give the currency a name:", command("REELWIRE_COST__PER_MINUTE=0.05\nREELWIRE_COST__CURRENCY=USD")),
      el(
        "section",
        { class: "card", "aria-label": "Per day" },
        el(
          "ul",
          { class: "legend" },
          shown.map((tenant) => {
            const value = tenant === REST ? tenants.slice(SHOWN).reduce((all, [, one]) => all + one, 0) : totals.get(tenant);
            return el("li", null, el("i", { class: `dot ${colour(tenant)}` }), tenant, " ", el("span", { class: "dim" }, inWords(value)));
          }),
        ),
        columns(unit, name, shown, colour, sum),
      ),
      table(),
    );
  }

  function columns(unit, name, shown, colour, sum) {
    const days = daysBack(Number(options.days));
    const perDay = new Map(days.map((day) => [day, new Map()]));
    for (const one of unit) {
      const own = perDay.get(one.day);
      const tenant = shown.includes(one.tenant ?? NOBODY) ? (one.tenant ?? NOBODY) : REST;
      own?.set(tenant, (own.get(tenant) ?? 0) + one[name]);
    }
    const sums = days.map((day) => [...perDay.get(day).values()].reduce((all, one) => all + one, 0));
    const limit = name === "cost" ? answer.limit : null;
    const top = roundUp(Math.max(...sums, limit ?? 0));
    const width = Math.max(260, root.clientWidth - 34);
    const left = 56;
    const wide = (width - left) / days.length;
    const y = (value) => HEIGHT - (value / top) * (HEIGHT - 14);
    const every = Math.max(1, Math.ceil(56 / wide));
    const parts = [];
    for (const part of [0, 0.5, 1]) {
      parts.push(
        svg("line", { class: "tick", x1: left, x2: width, y1: y(top * part), y2: y(top * part) }),
        svg("text", { class: "tick-word", x: left - 8, y: y(top * part) + 4, "text-anchor": "end" }, name === "cost" ? money(top * part, "") : count(Number((top * part).toPrecision(3)))),
      );
    }
    days.forEach((day, at) => {
      let base = 0;
      for (const tenant of shown) {
        const value = perDay.get(day).get(tenant) ?? 0;
        if (value <= 0) continue;
        parts.push(
          svg(
            "rect",
            { class: `column ${colour(tenant)}`, x: left + at * wide + wide * 0.15, width: wide * 0.7, y: y(base + value), height: Math.max(1, y(base) - y(base + value)) },
            svg("title", null, `${day}, ${tenant}: ${inWords(value)}`),
          ),
        );
        base += value;
      }
      if ((days.length - 1 - at) % every === 0) {
        parts.push(svg("text", { class: "tick-word", x: left + (at + 0.5) * wide, y: HEIGHT + 17, "text-anchor": "middle" }, day.slice(5)));
      }
    });
    if (limit !== null && limit !== undefined) {
      parts.push(
        svg("line", { class: "limit", x1: left, x2: width, y1: y(limit), y2: y(limit) }),
        svg("text", { class: "limit-word", x: width - 4, y: y(limit) - 5, "text-anchor": "end" }, `daily limit ${money(limit, answer.currency)}`),
      );
    }
    const words = `${inWords(sum)} in ${days.length} days; the most on one day: ${inWords(Math.max(...sums))}. The table below has every number.`;
    return svg("svg", { class: "chart", role: "img", "aria-label": words, width, height: HEIGHT + BELOW, viewBox: `0 0 ${width} ${HEIGHT + BELOW}` }, parts);
  }

  function table() {
    const lines = [...answer.days].sort((one, other) => (one.day < other.day ? 1 : one.day > other.day ? -1 : (other.cost ?? 0) - (one.cost ?? 0)));
    return el(
      "section",
      { class: "card", "aria-label": "Table" },
      el(
        "table",
        { class: "plain-table" },
        el("thead", null, el("tr", null, COLUMNS.map(([word, kind]) => el("th", { scope: "col", class: kind }, word)))),
        el(
          "tbody",
          null,
          lines.slice(0, 400).map((one) =>
            el(
              "tr",
              null,
              el("td", null, one.day),
              el("td", { class: "cut" }, one.tenant ?? NOBODY),
              el("td", { class: "number" }, count(one.requests)),
              el("td", { class: "number spare" }, count(Number(one.minutes.toFixed(2)))),
              el("td", { class: "number" }, money(one.cost, answer.currency)),
            ),
          ),
        ),
      ),
    );
  }

  const asking = poll(
    async (signal) => {
      const given = await get("api/cost", { days: options.days }, signal);
      const same = answer !== null && JSON.stringify(given) === JSON.stringify(answer);
      answer = given;
      if (!bar.contains(document.activeElement)) showBar();
      if (!same || !place.querySelector(".chart")) paint();
    },
    EVERY_MS,
    (error) => error && answer === null && put(place, failure(error, () => asking.now())),
  );

  return {
    title: "Cost",
    keys: { "/": () => bar.querySelector("input:checked")?.focus() },
    update(given) {
      options = { days: given.days ?? "14", measure: given.measure ?? "" };
      asking.now();
    },
    close() {
      size.disconnect();
      asking.close();
    },
  };
}
