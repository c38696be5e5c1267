/** The plain parts of one request: its facts, its progress as a list, and why it ended as it did. */

import { el } from "../parts/element.js";
import { session } from "../parts/session.js";
import { ago, count, instant, length, moment, money, NONE, size } from "../parts/words.js";

/** One line that says how it stands. */
export function headline(job) {
  const now = Date.now();
  const where = job.process ? ` in ${job.process}` : "";
  if (job.ended_ms !== null) {
    return `Took ${length(job.ended_ms - job.accepted_ms)} · ended ${ago(job.ended_ms, now)}`;
  }
  const attempt = job.attempt ? `Attempt ${job.attempt}` : "No attempt yet";
  const waits = job.waits ? ` · waits: ${job.waits}` : "";
  return `${attempt}${where} · for ${length(now - job.accepted_ms)}${waits}`;
}

function video(job) {
  const source = job.video;
  if (!source) return job.request?.image ? "an image" : NONE;
  const name = source.url ?? source.uri ?? source.path ?? source.asset_id ?? source.key;
  return name ? `${name}` : String(source.type ?? NONE);
}

function timed(ms) {
  return ms === null || ms === undefined ? NONE : el("time", { datetime: instant(ms), title: instant(ms) }, moment(ms));
}

export function factsOf(job) {
  const usage = job.completion?.usage ?? {};
  const facts = [
    ["Prompt", job.prompt ?? (job.request?.prompt_v2 ? JSON.stringify(job.request.prompt_v2) : NONE)],
    ["Video", video(job)],
    ["Length", job.duration_s === null || job.duration_s === undefined ? null : length(job.duration_s * 1000)],
    ["Mode", job.mode ?? (job.ended_ms === null ? "not decided yet" : NONE)],
    ["Runs on", `partition ${job.partition}${job.process ? `, ${job.process}` : job.ended_ms === null ? ", no process" : ""}`],
    ["Attempts", String(job.attempt || 0)],
    ["Run", job.run > 1 ? String(job.run) : null],
    ["Key", job.key],
    ["Tenant", job.tenant],
    ["Priority", job.priority],
    ["Accepted", timed(job.accepted_ms)],
    ["Ended", job.ended_ms === null ? null : timed(job.ended_ms)],
    ["Cost", job.cost === null ? null : money(job.cost, usage.currency ?? session.currency)],
    ["Billed", job.billed_minutes === null ? null : `${Number(job.billed_minutes.toFixed(2))} min`],
    ["Tokens", usage.output_tokens ? `${count(usage.input_tokens)} in, ${count(usage.output_tokens)} out` : null],
  ];
  return el(
    "dl",
    { class: "facts" },
    facts
      .filter(([, value]) => value !== null && value !== undefined && value !== "")
      .map(([name, value]) => [el("dt", null, name), el("dd", null, value)]),
  );
}

const STAGES = {
  accepted: "Accepted",
  uploading: "Uploading",
  asset_ready: "Video is ready",
  stream_started: "Stream began",
  task_created: "Task created",
  task_status: "Task status",
  retrying: "Retrying",
  waiting: "Waiting",
  handed_over: "Handed over",
  interrupted: "Interrupted",
  duplicate: "Duplicate came",
  cancel_ignored: "Cancel ignored",
};

function detailOf(stage, detail) {
  if (stage === "uploading") return `${size(detail.bytes_sent)}${detail.bytes_total ? ` of ${size(detail.bytes_total)}` : ""}${detail.route ? `, ${detail.route}` : ""}`;
  return Object.entries(detail ?? {})
    .filter(([, value]) => value !== null && typeof value !== "object")
    .map(([name, value]) => `${name.replaceAll("_", " ")}: ${value}`)
    .join(", ");
}

export function progressList(events) {
  if (events.length === 0) return el("p", { class: "dim" }, "Nothing has been reported yet.");
  return el(
    "ol",
    { class: "progress-list" },
    events.map((event) =>
      el(
        "li",
        null,
        el("time", { datetime: instant(event.time_ms), title: instant(event.time_ms) }, moment(event.time_ms)),
        el(
          "div",
          null,
          el("span", { class: "stage" }, STAGES[event.stage] ?? event.stage),
          event.attempt > 1 && el("span", { class: "dim" }, ` attempt ${event.attempt}`),
          el("span", { class: "dim detail" }, detailOf(event.stage, event.detail)),
        ),
      ),
    ),
  );
}

/** Why it failed or was canceled, and what of it deserves attention; null when there is nothing to say. */
export function outcome(job) {
  const end = job.completion;
  if (end?.type === "failed") {
    const { code, message, stage, retryable, platform } = end.error ?? {};
    return el(
      "div",
      { class: "notice failed" },
      el("p", { class: "notice-title" }, "Failed: ", el("code", null, code ?? job.code)),
      el("p", null, message ?? ""),
      el("p", { class: "dim" }, `Stage: ${stage ?? NONE}. ${retryable ? "The same request may succeed: send it again as a new run (reelwire rerun)." : "The same request will fail again; change it first."}`),
      platform && el("p", { class: "dim" }, `The platform said: ${[platform.status, platform.code, platform.message].filter(Boolean).join(" · ")}`),
    );
  }
  if (end?.let_go && end.type === "completed") return el("div", { class: "notice" }, el("p", { class: "notice-title" }, "Its text is no longer kept here"), el("p", null, "The whole completion is in the completions topic. REELWIRE_CONSOLE__TEXT_MIB says how much the console keeps."));
  if (end?.type === "canceled") return el("div", { class: "notice" }, el("p", { class: "notice-title" }, "Canceled"), el("p", null, end.reason ?? ""));
  if (end?.warning) return el("div", { class: "notice warns" }, el("p", { class: "notice-title" }, "With a warning"), el("p", null, end.warning.message));
  if (end?.data_error) return el("div", { class: "notice warns" }, el("p", { class: "notice-title" }, "The result is no valid JSON"), el("p", null, end.data_error));
  return null;
}
