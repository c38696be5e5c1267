/** The segments of a video on a bar of its time: lanes where they overlap, a colour for each kind, details on demand. */

import { el, put } from "../parts/element.js";
import { position } from "../parts/words.js";

const COLOURS = 6;
const MOST_LANES = 8;
const LANE = 26;

/** `segments` as the server gives them; `duration` in seconds, or null. */
export function segmentBar(segments, duration) {
  const sorted = [...segments].filter((one) => one.start_s !== null).sort((one, other) => one.start_s - other.start_s);
  const end = Math.max(duration ?? 0, ...sorted.map((one) => one.end_s ?? one.start_s), 0.001);
  const kinds = [...new Set(sorted.map((one) => one.label))];
  const lanes = [];
  const detail = el("div", { class: "segment-detail", "aria-live": "polite" });
  let pressed = null;

  const buttons = sorted.map((one) => {
    const from = one.start_s;
    const to = Math.max(one.end_s ?? from, from);
    let lane = lanes.findIndex((until) => until <= from + 1e-9);
    if (lane < 0) lane = lanes.length < MOST_LANES ? lanes.push(0) - 1 : MOST_LANES - 1;
    lanes[lane] = Math.max(lanes[lane], to);
    const times = one.end_s === null ? position(from) : `${position(from)} – ${position(to)}`;
    const button = el(
      "button",
      {
        type: "button",
        class: `segment colour-${kinds.indexOf(one.label) % COLOURS}`,
        title: `${one.label}, ${times}`,
        "aria-label": `${one.label}, ${times}`,
        "aria-pressed": "false",
        onclick: () => choose(button, one, times),
      },
      el("span", null, one.label),
    );
    button.style.left = `${(from / end) * 100}%`;
    button.style.width = `max(6px, ${((to - from) / end) * 100}%)`;
    button.style.top = `${lane * LANE}px`;
    return button;
  });

  function choose(button, one, times) {
    pressed?.setAttribute("aria-pressed", "false");
    pressed = button;
    button.setAttribute("aria-pressed", "true");
    const fields = Object.entries(one.detail ?? {});
    put(
      detail,
      el("p", { class: "segment-title" }, el("strong", null, one.label), " ", el("span", { class: "dim" }, times)),
      fields.length > 0 &&
        el(
          "dl",
          { class: "facts" },
          fields.map(([name, value]) => [
            el("dt", null, name),
            el("dd", null, typeof value === "string" ? value : JSON.stringify(value)),
          ]),
        ),
    );
  }

  const track = el("div", { class: "segment-track" }, buttons);
  track.style.height = `${Math.max(1, lanes.length) * LANE}px`;
  const scale = el("div", { class: "segment-scale", "aria-hidden": "true" });
  for (let at = 0; at <= 4; at += 1) scale.append(el("span", null, position((end * at) / 4)));
  put(detail, el("p", { class: "dim" }, "Choose a segment to see what was found in it."));
  return el(
    "div",
    { class: "segments" },
    kinds.length > 1 &&
      el(
        "ul",
        { class: "legend" },
        kinds.slice(0, 12).map((kind, at) => el("li", null, el("i", { class: `dot colour-${at % COLOURS}` }), kind)),
      ),
    el("div", { role: "group", "aria-label": `Segments over ${position(end)}` }, track),
    scale,
    detail,
  );
}
