/**
 * Saying things to people who do not see the page, and short messages for all. What is said is bounded: at most one
 * sentence each three seconds, the newest; a list that changes ten times a second would be unbearable to hear.
 */

import { el, say } from "./element.js";

const LEAST_MS = 3_000;
const SHOWN_MS = 6_000;
let last = 0;
let timer = null;
let next = "";

/** Say this to a screen reader, now or when the last sentence is three seconds old; a newer one replaces it. */
export function speak(sentence) {
  next = sentence;
  if (timer !== null) return;
  timer = setTimeout(() => {
    timer = null;
    last = Date.now();
    say(document.getElementById("spoken"), next);
  }, Math.max(0, last + LEAST_MS - Date.now()));
}

/** Show a message for six seconds; one of a failure stays until it is closed. */
export function toast(sentence, failed = false) {
  const close = () => node.remove();
  const node = el(
    "div",
    { class: failed ? "toast failed" : "toast" },
    el("p", null, sentence),
    el("button", { type: "button", class: "plain", "aria-label": "Close this message", onclick: close }, "×"),
  );
  const all = document.getElementById("toasts");
  while (all.childElementCount >= 3) all.firstElementChild.remove();
  all.append(node);
  if (!failed) setTimeout(close, SHOWN_MS);
}
