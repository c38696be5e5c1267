/** The filters of the list of requests: their fields, and what they mean for a row that arrives. */

import { el } from "../parts/element.js";
import { choiceFilter, fromLocal, switchFilter, textFilter, toLocal } from "../parts/filters.js";

const RANGES = { "15m": 15 * 60_000, "1h": 3_600_000, "24h": 86_400_000, "7d": 7 * 86_400_000 };
const NAMED = [["", "Any time"], ["15m", "Last 15 minutes"], ["1h", "Last hour"], ["24h", "Last 24 hours"], ["7d", "Last 7 days"], ["own", "From … to …"]];

/** The members of the address as the server takes them. */
export function queryOf({ range, since, until, state, ...rest }) {
  const from = RANGES[range] ? Date.now() - RANGES[range] : range === "own" ? since : "";
  return { state: state || "all", ...rest, since: from, until: range === "own" ? until : "" };
}

/** Whether a row belongs to the list. */
export function matches(row, filters) {
  const { state, phase, mode, key, tenant, code, text, since, until } = queryOf(filters);
  if (state === "live" && row.ended_ms !== null) return false;
  if (state === "ended" && row.ended_ms === null) return false;
  if (phase && row.phase !== phase) return false;
  if (mode && row.mode !== mode) return false;
  if (key && row.key !== key) return false;
  if (tenant && row.tenant !== tenant) return false;
  if (code && row.code !== code) return false;
  if (text && !row.id.includes(text)) return false;
  if (since && row.accepted_ms < Number(since)) return false;
  return !(until && row.accepted_ms >= Number(until));
}

/** The fields. `changed(name, value)`, or `changed({…})` for several; `reset()` clears them. */
export function filterBar(filters, changed, reset) {
  const value = (name) => filters[name] ?? "";
  const own = el("div", { class: "own", hidden: value("range") !== "own" });
  for (const [name, label] of [["since", "From"], ["until", "To"]]) {
    const field = el("input", {
      type: "datetime-local",
      name,
      value: value(name) && toLocal(value(name)),
      onchange: (event) => changed(name, fromLocal(event.target.value)),
    });
    own.append(el("label", { class: "field" }, el("span", null, label), field));
  }
  const range = choiceFilter("range", "Accepted", value("range"), NAMED, (name, chosen) => {
    own.hidden = chosen !== "own";
    changed(chosen === "own" ? { range: "own" } : { range: chosen, since: "", until: "" });
  });
  const rest = ["mode", "tenant", "key", "code", "range", "phase"].some((name) => value(name));
  return [
    el(
      "div",
      { class: "filters-first" },
      textFilter("text", "Request id", value("text"), changed, { placeholder: "Id contains…   /" }),
      switchFilter("state", "Which", value("state") || "all", [["all", "All"], ["live", "Live"], ["ended", "Ended"]], changed),
    ),
    el(
      "details",
      { class: "more", open: rest || matchMedia("(min-width: 900px)").matches },
      el("summary", null, "More filters"),
      el(
        "div",
        { class: "filters-more" },
        choiceFilter("mode", "Mode", value("mode"), [["", "Any"], ["stream", "stream"], ["sync", "sync"], ["async", "async"]], changed),
        textFilter("tenant", "Tenant", value("tenant"), changed),
        textFilter("key", "Key", value("key"), changed),
        textFilter("code", "Error code", value("code"), changed, { list: "codes" }),
        codes(),
        range,
        own,
        el("button", { type: "button", class: "small clear", onclick: reset }, "Clear"),
      ),
    ),
  ];
}

function codes() {
  const known = [
    "source_not_allowed", "source_not_found", "source_unreadable", "mode_not_possible", "deadline_exceeded", "budget_exceeded",
    "asset_failed", "upload_failed", "rejected", "task_failed", "stream_failed", "interrupted", "outcome_unknown",
    "platform_unavailable", "result_too_large", "internal_error",
  ];
  return el("datalist", { id: "codes" }, known.map((code) => el("option", { value: code })));
}
