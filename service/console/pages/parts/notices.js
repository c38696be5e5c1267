/** What stands where there is nothing to show, or where something went wrong: always with what to do. */

import { el } from "./element.js";

/** A sentence in which what stands between backticks is code. */
export function prose(text) {
  return text.split("`").map((part, at) => (at % 2 ? el("code", null, part) : part));
}

/** `again`: a function that tries once more. */
export function failure(error, again = null) {
  return el(
    "div",
    { class: "notice failed", role: "alert" },
    el("p", { class: "notice-title" }, "This could not be read"),
    el("p", null, prose(error.message)),
    again && el("button", { type: "button", onclick: again }, "Try again"),
  );
}

/** `title` says what is so, the rest what to do. */
export function empty(title, ...rest) {
  return el(
    "div",
    { class: "notice" },
    el("p", { class: "notice-title" }, title),
    rest.map((part) => (typeof part === "string" ? el("p", null, prose(part)) : part)),
  );
}

export function loading() {
  return el("p", { class: "loading", "aria-busy": "true" }, "Reading…");
}

/** A command that can be copied by selecting it. */
export function command(text) {
  return el("pre", { class: "command", tabindex: 0 }, text);
}
