/** Dead letters: what could not be read as a request, why, and what can be done with it. */

import { amend, link } from "../parts/address.js";
import { el, put, say } from "../parts/element.js";
import { choiceFilter, switchFilter } from "../parts/filters.js";
import { empty, failure, loading } from "../parts/notices.js";
import { poll } from "../parts/polling.js";
import { Rows } from "../parts/rows.js";
import { get } from "../parts/server.js";
import { speak, toast } from "../parts/speech.js";
import { ago, count, instant, several, size } from "../parts/words.js";

const PAGE = 200;
const EVERY_MS = 5_000;
const STATES = [["open", "Open"], ["redriven", "Redriven"], ["discarded", "Discarded"], ["", "All"]];

export const LETTER_STATES = {
  open: "Open",
  redriven: "Redriven",
  discarded: "Discarded",
};

const COLUMNS = [
  { name: "Reason", kind: "reason", mark: (row) => row.code, node: (row) => el("code", null, row.code) },
  { name: "Message", kind: "message", link: true, text: (row) => row.message || "No message", title: (row) => row.message },
  { name: "Request", kind: "id", text: (row) => row.request_id ?? "not readable", title: (row) => row.request_id ?? "" },
  { name: "Came from", kind: "where", text: (row) => `${row.source.topic} ${row.source.partition}:${row.source.offset}`, title: (row) => `Topic ${row.source.topic}, partition ${row.source.partition}, offset ${row.source.offset}` },
  { name: "Size", kind: "size number", text: (row) => size(row.bytes) },
  { name: "When", kind: "accepted number", text: (row, now) => ago(row.time_ms, now), title: (row) => instant(row.time_ms) },
  { name: "State", kind: "letter-state", text: (row) => LETTER_STATES[row.state] ?? row.state },
];

const idOf = (row) => `${row.partition}/${row.offset}`;

export function deadLettersView(root, members) {
  let filters = { ...members };
  let letters = new Map();
  let next = null;
  let busy = false;
  let closed = false;
  const summary = el("p", { class: "summary" });
  const bar = el("div", { class: "filters letters" });
  const place = el("div", { class: "place" }, loading());
  const older = el("button", { type: "button", class: "older", hidden: true, onclick: () => more() }, "Show older dead letters");
  const rows = new Rows({ name: "Dead letters", columns: COLUMNS, idOf, hrefOf: (row) => link(["dead-letters", row.partition, row.offset]) });
  put(root, el("div", { class: "head" }, el("h1", null, "Dead letters"), summary), bar, place, older);

  function query() {
    // Without a word in the address: those that are open. "all" stands for no choice, since empty members are left out.
    const state = filters.state ?? "open";
    return { code: filters.code, state: state === "all" ? "" : state, limit: PAGE };
  }

  function showBar(codes) {
    const total = Object.values(codes).reduce((sum, one) => sum + one, 0);
    const options = [["", `Any reason (${count(total)})`], ...Object.entries(codes).map(([code, amount]) => [code, `${code} (${count(amount)})`])];
    if (filters.code && !codes[filters.code]) options.push([filters.code, `${filters.code} (0)`]);
    const state = filters.state ?? "open";
    put(
      bar,
      switchFilter("state", "State", state === "all" ? "" : state, STATES, (name, value) => changed(name, value || "all")),
      choiceFilter("code", "Reason", filters.code ?? "", options, changed),
    );
  }

  function changed(name, value) {
    filters = { ...filters, [name]: value };
    amend({ [name]: value });
    letters = new Map();
    asking.now();
  }

  function paint() {
    if (closed) return;
    older.hidden = next === null;
    const list = [...letters.values()].sort((one, other) => other.time_ms - one.time_ms || other.offset - one.offset);
    say(summary, several(list.length, "record") + (next === null ? "" : " and more"));
    if (list.length === 0) {
      const open = (filters.state ?? "open") === "open" && !filters.code;
      put(
        place,
        open
          ? empty("No open dead letters", "Every record could be read as a request. One that can't be appears here, with the reason and its bytes.")
          : empty("No dead letter matches", "Choose another state or reason."),
      );
      return;
    }
    if (rows.node.parentNode !== place) put(place, rows.node);
    rows.set(list);
  }

  let shownCodes = "";
  const asking = poll(
    async (signal) => {
      const answer = await get("api/dead-letters", query(), signal);
      const first = letters.size === 0;
      // What was read of older pages stays, the newest page is what the server says now.
      const oldest = Math.min(...answer.letters.map((one) => one.time_ms));
      for (const [id, letter] of letters) if (letter.time_ms >= oldest) letters.delete(id);
      if (answer.letters.length === 0) letters = new Map();
      for (const letter of answer.letters) letters.set(idOf(letter), letter);
      if (first) next = answer.next;
      const codes = JSON.stringify([answer.codes, filters]);
      if (codes !== shownCodes && !bar.contains(document.activeElement)) {
        shownCodes = codes;
        showBar(answer.codes ?? {});
      }
      paint();
      if (first) speak(`${several(letters.size, "dead letter")}.`);
    },
    EVERY_MS,
    (error) => error && letters.size === 0 && put(place, failure(error, () => asking.now())),
  );

  async function more() {
    if (busy || next === null) return;
    busy = true;
    try {
      const answer = await get("api/dead-letters", { ...query(), before: next });
      for (const letter of answer.letters) letters.set(idOf(letter), letter);
      next = answer.next;
    } catch (error) {
      toast(error.message, true);
    }
    busy = false;
    paint();
  }

  const clock = setInterval(() => document.hidden || rows.refresh(), 5_000);
  return {
    title: "Dead letters",
    keys: {
      j: () => rows.move(1),
      ArrowDown: () => rows.move(1),
      k: () => rows.move(-1),
      ArrowUp: () => rows.move(-1),
      Enter: () => rows.chosenLink()?.click(),
      "/": () => bar.querySelector("select")?.focus(),
    },
    choose: (id) => rows.choose(id),
    update(given) {
      filters = { ...given };
      letters = new Map();
      shownCodes = "";
      asking.now();
    },
    close() {
      closed = true;
      clearInterval(clock);
      asking.close();
      rows.close();
    },
  };
}
