/** The list of requests: filters, counts by phase, and rows that change as it happens. */

import { amend, link } from "../parts/address.js";
import { draw, undraw } from "../parts/drawing.js";
import { el, put, say } from "../parts/element.js";
import { live, onLive } from "../parts/live.js";
import { command, empty, failure, loading } from "../parts/notices.js";
import { badge, ENDED, LIVE, phaseOf, sign } from "../parts/phases.js";
import { Rows } from "../parts/rows.js";
import { get } from "../parts/server.js";
import { session } from "../parts/session.js";
import { speak, toast } from "../parts/speech.js";
import { ago, count, instant, length, money, NONE } from "../parts/words.js";
import { filterBar, matches, queryOf } from "./request_filters.js";

const PAGE = 200;
const MOST_ROWS = 10_000;
const RECOUNT_MS = 3_000;

const COLUMNS = [
  { name: "State", kind: "state", mark: (row) => `${row.phase}|${row.waits}|${row.code}`, node: (row) => badge(row.phase, row.waits, row.code) },
  { name: "Request", kind: "id", link: true, text: (row) => (row.run > 1 ? `${row.id} · run ${row.run}` : row.id), title: (row) => row.id },
  { name: "Mode", kind: "mode", text: (row) => row.mode ?? NONE },
  { name: "Tenant", kind: "tenant", text: (row) => row.tenant ?? NONE, title: (row) => row.tenant ?? "" },
  { name: "Key", kind: "key", text: (row) => row.key ?? NONE, title: (row) => row.key ?? "" },
  { name: "Runs on", kind: "where", text: (row) => (row.process ? `${row.process} · ${row.partition}` : `partition ${row.partition}`), title: (row) => `Partition ${row.partition}${row.process ? `, ${row.process}` : ""}` },
  { name: "Attempt", kind: "attempt number", text: (row) => String(row.attempt || NONE) },
  { name: "Text", kind: "text number", text: (row) => (row.characters ? count(row.characters) : NONE), title: () => "Characters generated so far" },
  { name: "Accepted", kind: "accepted number", text: (row, now) => ago(row.accepted_ms, now), title: (row) => instant(row.accepted_ms) },
  { name: "Took", kind: "took number", text: (row, now) => length((row.ended_ms ?? now) - row.accepted_ms) },
  { name: "Cost", kind: "cost number", text: (row) => money(row.cost, null), title: () => session.currency ?? "" },
];

const newestFirst = (one, other) => other.accepted_ms - one.accepted_ms || (one.id < other.id ? 1 : -1);

export function requestsView(root, members) {
  const found = new Map();
  let filters = { ...members };
  let order = [];
  let stale = true;
  let next = null;
  let matching = null;
  let held = false;
  let reading = null;
  let recount = null;
  let full = false;
  let retry = false;
  let closed = false;

  const chips = el("div", { class: "chips", role: "group", "aria-label": "Phases" });
  const summary = el("p", { class: "summary" });
  const hold = el("button", { type: "button", class: "small", onclick: () => toggle(), "aria-pressed": "false" }, "Hold");
  const bar = el("div", { class: "filters" });
  const place = el("div", { class: "place" });
  const older = el("button", { type: "button", class: "older", hidden: true, onclick: () => more() }, "Show older requests");
  const rows = new Rows({
    name: "Requests",
    columns: COLUMNS,
    idOf: (row) => row.id,
    hrefOf: (row) => link(["requests", row.id]),
    // Far down the next page is read before its end is seen.
    atEnd: () => next !== null && !retry && scrollY > 0 && more(),
  });

  put(
    root,
    el("div", { class: "head" }, el("h1", null, "Requests"), el("div", { class: "head-end" }, summary, hold)),
    bar,
    chips,
    place,
    older,
  );

  function counts() {
    for (const chip of chips.children) {
      const amount = live.phases[chip.dataset.phase] ?? 0;
      say(chip.lastChild, count(amount));
      chip.classList.toggle("none", amount === 0);
      chip.setAttribute("aria-pressed", String(filters.phase === chip.dataset.phase));
    }
    const parts = [`${count(live.live)} live`, `${count(live.ended)} ended`];
    if (live.leftOut) parts.push(live.leftOut === 1 ? "1 older one is left out" : `${count(live.leftOut)} older ones are left out`);
    if (matching !== null && filtered()) parts.unshift(`${count(matching)} match`);
    if (live.fragments >= 1) parts.push(`${count(Math.round(live.fragments))} fragments/s`);
    say(summary, held ? `Held · ${parts.join(" · ")}` : parts.join(" · "));
  }

  function filtered() {
    return Object.entries(filters).some(([name, value]) => value && !(name === "state" && value === "all"));
  }

  function paint() {
    if (closed) return;
    counts();
    if (reading === "first" || held) return;
    if (stale) arrange();
    if (order.length === 0) showEmpty();
    else if (rows.node.parentNode !== place) put(place, rows.node);
    older.hidden = next === null || full;
    rows.set(order);
  }

  /** Put the rows in order, and let go of the oldest when there are too many. */
  function arrange() {
    order = [...found.values()].sort(newestFirst);
    for (const row of order.splice(MOST_ROWS)) found.delete(row.id);
    full = full || order.length === MOST_ROWS;
    stale = false;
  }

  function showEmpty() {
    if (place.dataset.empty === "yes" && place.querySelector(".notice")) return;
    place.dataset.empty = "yes";
    put(
      place,
      filtered()
        ? empty(
            "No request matches these filters",
            "Ended requests are kept for a while only. Take a filter away, or look in the completions topic.",
            el("button", { type: "button", onclick: () => reset() }, "Clear the filters"),
          )
        : empty(
            "No requests yet",
            `What is sent to the topic ${session.topics?.requests ?? "of requests"} appears here at once. Send one:`,
            command("reelwire submit video.mp4 --prompt \"What happens?\" --wait"),
          ),
    );
  }

  async function load() {
    reading = "first";
    found.clear();
    next = null;
    full = false;
    stale = true;
    if (!place.firstChild) put(place, loading());
    const asked = JSON.stringify(filters);
    try {
      const answer = await get("api/jobs", { ...queryOf(filters), limit: PAGE });
      if (closed || asked !== JSON.stringify(filters)) return;
      take(answer);
      reading = null;
      paint();
      speak(filtered() ? `${answer.matching} requests match.` : `${answer.live} requests are live.`);
    } catch (error) {
      if (closed || asked !== JSON.stringify(filters)) return;
      reading = null;
      older.hidden = true;
      put(place, failure(error, load));
    }
  }

  function take(answer) {
    for (const row of answer.jobs) keep(row);
    next = answer.next;
    matching = answer.matching;
    const { phases, live: running, ended, left_out: leftOut } = answer;
    Object.assign(live, { phases, live: running, ended, leftOut: leftOut ?? 0 });
  }

  function keep(row) {
    const known = found.get(row.id);
    if (known && known.run === row.run && known.updated_ms > row.updated_ms) return;
    if (!known || known.accepted_ms !== row.accepted_ms) stale = true;
    found.set(row.id, row);
  }

  async function more() {
    if (reading !== null || next === null || full) return;
    reading = "more";
    retry = false;
    const asked = JSON.stringify(filters);
    try {
      const answer = await get("api/jobs", { ...queryOf(filters), limit: PAGE, before: next });
      if (!closed && asked === JSON.stringify(filters)) take(answer);
    } catch (error) {
      // The button stays, to try again; the end of the page does not ask by itself once more.
      retry = true;
      toast(error.message, true);
    } finally {
      if (reading === "more") reading = null;
      draw(paint);
    }
  }

  function changed(name, value) {
    const given = typeof name === "string" ? { [name]: value } : name;
    filters = { ...filters, ...given };
    amend(given);
    delete place.dataset.empty;
    load();
    counts();
  }

  function reset() {
    const cleared = Object.fromEntries(Object.keys(filters).map((name) => [name, ""]));
    changed(cleared);
    bar.replaceChildren(...filterBar(filters, changed, reset));
  }

  function toggle() {
    held = !held;
    hold.setAttribute("aria-pressed", String(held));
    say(hold, held ? "Go on" : "Hold");
    speak(held ? "The list is held still." : "The list goes on.");
    draw(paint);
  }

  bar.append(...filterBar(filters, changed, reset));
  chips.append(
    ...[...LIVE, ...ENDED].map((name) => {
      const { name: word, kind, means } = phaseOf(name);
      const press = () => changed("phase", filters.phase === name ? "" : name);
      return el(
        "button",
        { type: "button", class: `chip ${kind}`, "data-phase": name, title: means, onclick: press },
        sign(kind),
        el("span", null, word),
        el("span", { class: "chip-count" }, "0"),
      );
    }),
  );
  load();

  const leave = onLive({
    rows(changedRows, texts) {
      if (reading === "first") return draw(paint);
      for (const row of changedRows) {
        if (matches(row, filters)) {
          // Beyond the last page that was read nothing is put in: it would leave a hole.
          if (found.has(row.id) || next === null || order.length === 0 || row.accepted_ms >= order.at(-1).accepted_ms) keep(row);
        } else if (found.delete(row.id)) stale = true;
      }
      for (const [id, characters] of Object.entries(texts)) {
        const row = found.get(id);
        if (row && row.ended_ms === null) row.characters = characters;
      }
      // A hidden tab draws nothing, and must not grow for that.
      if (found.size > 2 * MOST_ROWS) arrange();
      if (filtered() && changedRows.length && recount === null) recount = setTimeout(countAgain, RECOUNT_MS);
      draw(paint);
    },
    again: () => load(),
  });
  async function countAgain() {
    try {
      const answer = await get("api/jobs", { ...queryOf(filters), limit: 1 });
      matching = answer.matching;
      draw(paint);
    } catch {
      // The next change asks again; a lost connection is said elsewhere.
    }
    recount = null;
  }
  const clock = setInterval(() => held || document.hidden || rows.refresh(), 1_000);

  return {
    title: "Requests",
    keys: {
      j: () => rows.move(1),
      ArrowDown: () => rows.move(1),
      k: () => rows.move(-1),
      ArrowUp: () => rows.move(-1),
      Enter: () => rows.chosenLink()?.click(),
      p: toggle,
      "/": () => root.querySelector("input[name=text]").focus(),
    },
    choose: (id) => rows.choose(id),
    update(given) {
      filters = { ...given };
      bar.replaceChildren(...filterBar(filters, changed, reset));
      delete place.dataset.empty;
      load();
    },
    close() {
      closed = true;
      clearInterval(clock);
      clearTimeout(recount);
      undraw(paint);
      rows.close();
      leave();
    },
  };
}
