/** The phases of a request: their words, what they mean, and their sign. Never told by colour alone. */

import { el, svg } from "./element.js";

export const PHASES = {
  accepted: { name: "Accepted", kind: "waits", means: "Durable; its video is being brought to the platform" },
  ready: { name: "Ready", kind: "waits", means: "The platform has the video; the next attempt waits for its turn" },
  streaming: { name: "Streaming", kind: "runs", means: "The platform generates, and the text arrives as it does" },
  calling: { name: "Calling", kind: "runs", means: "A call for the whole answer is under way" },
  creating: { name: "Creating", kind: "runs", means: "A task is being created at the platform" },
  watching: { name: "Watching", kind: "runs", means: "A task runs at the platform and is asked about" },
  canceling: { name: "Canceling", kind: "waits", means: "The task is being canceled" },
  completed: { name: "Completed", kind: "done", means: "The result is in the completions topic" },
  failed: { name: "Failed", kind: "broken", means: "Ended without a result; the code says why" },
  canceled: { name: "Canceled", kind: "off", means: "Canceled before it ended" },
};

export const LIVE = ["accepted", "ready", "streaming", "calling", "creating", "watching", "canceling"];
export const ENDED = ["completed", "failed", "canceled"];

const SIGNS = {
  waits: () => svg("circle", { cx: 7, cy: 7, r: 4.5, class: "ring" }),
  runs: () => svg("circle", { cx: 7, cy: 7, r: 4.5, class: "disc" }),
  done: () => svg("path", { d: "M3 7.5l2.8 2.8L11 4.6", class: "line" }),
  broken: () => svg("path", { d: "M3.5 3.5l7 7M10.5 3.5l-7 7", class: "line" }),
  off: () => svg("path", { d: "M3 7h8", class: "line" }),
};

export function phaseOf(name) {
  return PHASES[name] ?? { name, kind: "waits", means: "" };
}

/** The sign of a kind: an SVG that is read by nobody, since the word stands beside it. */
export function sign(kind) {
  return svg("svg", { class: `sign ${kind}`, viewBox: "0 0 14 14", "aria-hidden": "true" }, SIGNS[kind]());
}

/** Sign and word. `waits`: what a live request waits for, such as `quota`. */
export function badge(name, waits = null, code = null) {
  const { name: word, kind, means } = phaseOf(name);
  const more = code ?? (waits ? `waits: ${waits}` : null);
  return el(
    "span",
    { class: `badge ${waits ? "waits" : kind}`, title: means },
    sign(waits ? "waits" : kind),
    el("span", { class: "badge-word" }, word),
    more && el("span", { class: "badge-more" }, more),
  );
}
