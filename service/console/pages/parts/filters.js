/** Fields of a filter bar. Each writes its member into the address; the view reads it from there. */

import { el } from "./element.js";

const TYPING_MS = 250;

/** A text field; `changed(name, value)` is called when somebody has stopped typing. */
export function textFilter(name, label, value, changed, more = {}) {
  let timer = null;
  const field = el("input", { type: "search", name, value, autocomplete: "off", spellcheck: "false", ...more });
  const now = () => {
    clearTimeout(timer);
    timer = null;
    changed(name, field.value.trim());
  };
  field.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(now, TYPING_MS);
  });
  field.addEventListener("change", () => timer !== null && now());
  return el("label", { class: `field filter-${name}` }, el("span", null, label), field);
}

/** A choice of few: `options` are pairs of value and word. */
export function choiceFilter(name, label, value, options, changed) {
  const field = el(
    "select",
    { name, onchange: () => changed(name, field.value) },
    options.map(([one, word]) => el("option", { value: one, selected: one === value }, word)),
  );
  return el("label", { class: `field filter-${name}` }, el("span", null, label), field);
}

/** Two or three words of which one holds, side by side. */
export function switchFilter(name, label, value, options, changed) {
  return el(
    "fieldset",
    { class: "switch" },
    el("legend", { class: "unseen" }, label),
    options.map(([one, word]) => {
      const field = el("input", { type: "radio", name, value: one, onchange: () => changed(name, one) });
      field.checked = one === value;
      return el("label", null, field, el("span", null, word));
    }),
  );
}

/** Milliseconds of the epoch as a field for date and time takes it, in local time; and back. */
export function toLocal(ms) {
  const then = new Date(Number(ms));
  if (Number.isNaN(then.getTime())) return "";
  return new Date(then.getTime() - then.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}

export function fromLocal(text) {
  const ms = new Date(text).getTime();
  return Number.isNaN(ms) ? "" : String(ms);
}
