/** A request's time as a picture: a lane for each kind of work, a bar for each span of it, a mark for each event. */

import { svg } from "../parts/element.js";
import { instant, length } from "../parts/words.js";

const STEPS_S = [0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21600, 43200, 86400, 604800];
const LANE = 30;
const BAR = 16;
const TOP = 26;

/** The class of a bar: what kind of work it is. */
function kindOf(label) {
  if (/upload|video|asset|source/i.test(label)) return "upload";
  if (/wait|queue|turn|quota|order|paused|accept|ready|batch/i.test(label)) return "queued";
  if (/retry|interrupt|cancel/i.test(label)) return "trouble";
  return "analysis";
}

function label(seconds) {
  if (seconds < 60) return `${Number(seconds.toFixed(2))} s`;
  if (seconds < 3600) return `${Number((seconds / 60).toFixed(1))} min`;
  if (seconds < 172800) return `${Number((seconds / 3600).toFixed(1))} h`;
  return `${Number((seconds / 86400).toFixed(1))} d`;
}

/** In words, for who does not see the picture. */
function told(spans, now) {
  const parts = spans.map((span) => {
    const attempt = span.attempt ? ` of attempt ${span.attempt}` : "";
    const open = span.to_ms === null ? " so far" : "";
    return `${span.label}${attempt}: ${length((span.to_ms ?? now) - span.from_ms)}${open}`;
  });
  return `Timeline. ${parts.slice(0, 20).join("; ")}.`;
}

/** `job` as the server gives it; `width` in pixels; `now` ends what has not ended yet. */
export function timeline(job, width, now = Date.now()) {
  const spans = job.spans ?? [];
  const lanes = [...new Set(spans.map((span) => span.label))];
  const start = Math.min(job.accepted_ms, ...spans.map((span) => span.from_ms));
  const end = Math.max(start + 1, job.ended_ms ?? now, ...spans.map((span) => span.to_ms ?? now));
  const left = width < 480 ? 84 : 132;
  const right = 12;
  const wide = Math.max(40, width - left - right);
  const x = (ms) => left + ((ms - start) / (end - start)) * wide;
  const height = TOP + Math.max(1, lanes.length) * LANE + 6;

  const whole = (end - start) / 1000;
  const step = STEPS_S.find((one) => whole / one <= Math.max(2, Math.floor(wide / 90))) ?? STEPS_S.at(-1);
  const ticks = [];
  for (let at = 0; at <= whole && ticks.length < 40; at += step) {
    const place = x(start + at * 1000);
    ticks.push(
      svg("line", { class: "tick", x1: place, x2: place, y1: TOP - 6, y2: height - 4 }),
      svg("text", { class: "tick-word", x: place, y: 12, "text-anchor": place > width - 30 ? "end" : at === 0 ? "start" : "middle" }, at === 0 ? "0" : label(at)),
    );
  }

  const names = lanes.map((lane, at) =>
    svg("text", { class: "lane-word", x: 0, y: TOP + at * LANE + LANE / 2 + 4 }, lane.length > left / 7 ? `${lane.slice(0, Math.floor(left / 7) - 1)}…` : lane),
  );
  const bars = spans.map((span) => {
    const at = lanes.indexOf(span.label);
    const from = x(span.from_ms);
    const wideBar = Math.max(3, x(span.to_ms ?? now) - from);
    const took = length((span.to_ms ?? now) - span.from_ms);
    const attempt = span.attempt ? `attempt ${span.attempt}, ` : "";
    const y = TOP + at * LANE + (LANE - BAR) / 2;
    const inside = wideBar > 64;
    const after = from + wideBar + 70 < width;
    return svg(
      "g",
      { class: `span ${kindOf(span.label)}${span.to_ms === null ? " open" : ""}` },
      svg("title", null, `${span.label}, ${attempt}${took}${span.to_ms === null ? " so far" : ""}\nfrom ${instant(span.from_ms)}`),
      svg("rect", { x: from, y, width: wideBar, height: BAR, rx: 3 }),
      inside || after
        ? svg("text", { class: inside ? "span-word" : "span-word out", x: inside ? from + 6 : from + wideBar + 5, y: y + 12 }, span.attempt > 1 && wideBar > 100 ? `${took} · attempt ${span.attempt}` : took)
        : null,
    );
  });
  const marks = (job.progress ?? []).slice(-200).map((event) =>
    svg(
      "path",
      { class: "mark", d: `M${x(Math.min(Math.max(event.time_ms, start), end))} ${TOP - 9}l4 4-4 4-4-4z` },
      svg("title", null, `${event.stage}, ${instant(event.time_ms)}`),
    ),
  );
  return svg(
    "svg",
    { class: "timeline", role: "img", "aria-label": told(spans, now), width, height, viewBox: `0 0 ${width} ${height}` },
    ticks, names, bars, marks,
  );
}
