/** One request: what it is, where it runs, its text as it is generated, its time, its segments, its end. */

import { link } from "../parts/address.js";
import { copyButton } from "../parts/copying.js";
import { confirmed } from "../parts/dialogs.js";
import { draw, undraw } from "../parts/drawing.js";
import { el, put, say } from "../parts/element.js";
import { Feed } from "../parts/feed.js";
import { onLive } from "../parts/live.js";
import { LiveText } from "../parts/live_text.js";
import { empty, failure, loading } from "../parts/notices.js";
import { badge, phaseOf } from "../parts/phases.js";
import { get } from "../parts/server.js";
import { act, onSession, session } from "../parts/session.js";
import { speak } from "../parts/speech.js";
import { TextFlow } from "../parts/text_flow.js";
import { count, several } from "../parts/words.js";
import { factsOf, headline, outcome, progressList } from "./request_facts.js";
import { segmentBar } from "./segments.js";
import { timeline } from "./timeline.js";

const RELOAD_MS = 1_000;
const SPOKEN_MS = 10_000;

export function requestView(root, id, back) {
  let job = null;
  let feed = null;
  let again = null;
  let closed = false;
  let gone = false;
  let spoken = 0;

  const title = el("h1", { class: "request-id" }, id);
  const state = el("span", { class: "request-state" });
  const buttons = el("div", { class: "head-end" });
  const lead = el("p", { class: "lead" });
  const above = el("div");
  const body = el("div", { class: "columns", hidden: true });
  const flow = new TextFlow("Generated text");
  const length = el("span", { class: "dim" });
  const lost = el("p", { class: "dim", hidden: true });
  const picture = el("div", { class: "picture" });
  const text = section("text", "Text", [length, copyButton("the text", () => flow.text())], lost, flow.node);
  const time = section("time", "Timeline", [], picture);
  const segments = section("segments", "Segments", []);
  const end = section("end", "Completion", []);
  const facts = section("about", "About", []);
  const progress = section("progress", "Progress", []);
  const given = section("given", "Request", []);
  body.append(el("div", { class: "wide" }, text, time, segments, end), el("div", { class: "narrow" }, facts, progress, given));
  put(root, el("p", { class: "back" }, el("a", { href: back() }, "← Requests")), el("div", { class: "head" }, el("div", { class: "request-title" }, title, state), buttons), lead, above, body);
  put(above, loading());

  const live = new LiveText(flow);
  const size = new ResizeObserver(() => draw(paintTime));
  size.observe(picture);

  function section(name, word, extra, ...content) {
    const heading = `heading-${name}`;
    return el(
      "section",
      { class: `card card-${name}`, "aria-labelledby": heading },
      el("div", { class: "card-head" }, el("h2", { id: heading }, word), ...extra),
      ...content,
    );
  }

  function paintText() {
    if (closed) return;
    flow.paint();
    say(length, flow.length ? several(flow.length, "character") : "");
    text.classList.toggle("is-empty", flow.length === 0);
    const now = Date.now();
    if (job?.ended_ms === null && flow.length && now - spoken > SPOKEN_MS) {
      spoken = now;
      speak(`${several(flow.length, "character")} generated.`);
    }
  }

  function paintTime() {
    if (closed || !job || picture.clientWidth === 0) return;
    put(picture, timeline(job, picture.clientWidth));
  }

  function paint() {
    if (closed || !job) return;
    put(above, gone ? forgotten() : outcome(job));
    body.hidden = false;
    // No child of a heading that is changed: the state is said by `speak`, once.
    put(state, badge(job.phase, job.waits, null));
    say(lead, headline(job));
    showButtons();
    keepHead(facts, factsOf(job));
    keepHead(progress, progressList(job.progress ?? []));
    given.hidden = !job.request;
    if (job.request) keepHead(given, json("the request", job.request));
    segments.hidden = !(job.segments?.length > 0);
    if (!segments.hidden) keepHead(segments, segmentBar(job.segments, job.duration_s));
    end.hidden = job.completion === null;
    if (job.completion) keepHead(end, json("the completion", job.completion));
    // A task has no live text; an ended one without text shows why above.
    say(lost, job.text_let_go ? "The text so far is kept no more: the memory for texts is full (REELWIRE_CONSOLE__TEXT_MIB). The completion will hold all of it." : "");
    lost.hidden = !job.text_let_go;
    text.hidden = !job.text && flow.length === 0 && (job.ended_ms !== null || ["watching", "creating"].includes(job.phase));
    paintTime();
    paintText();
  }

  /** Change the content of a card only when it differs: what is selected or open in it stays. */
  function keepHead(card, content) {
    const old = card.children[1];
    if (old && old.isEqualNode(content)) return;
    if (old?.tagName === "DETAILS" && content.tagName === "DETAILS") content.open = old.open;
    if (old) old.replaceWith(content);
    else card.append(content);
  }

  function json(what, value) {
    const written = JSON.stringify(value, null, 2);
    return el(
      "details",
      { open: written.length < 1_200 },
      el("summary", null, `JSON, ${count(written.length)} characters`),
      el("div", { class: "code-end" }, copyButton(what, () => written)),
      el("pre", { class: "code", tabindex: 0 }, written),
    );
  }

  function showButtons() {
    const offered = session.actions_offered && job.ended_ms === null && job.phase !== "canceling";
    if (offered === (buttons.childElementCount > 0)) return;
    put(buttons, offered && el("button", { type: "button", class: "danger", onclick: cancel }, "Cancel request"));
  }

  async function cancel() {
    const sure = await confirmed(
      "Cancel this request?",
      [id, "Its completion will be “canceled”. What the platform has done until then may be billed."],
      "Cancel request",
    );
    if (sure && (await act(`api/jobs/${encodeURIComponent(id)}/cancel`))) reload();
  }

  function take(answer) {
    const before = job?.phase;
    // Another run of the same id begins anew.
    if (job && job.run !== answer.run) stop();
    job = answer;
    gone = false;
    if (answer.ended_ms !== null) {
      if (typeof answer.text === "string") live.whole(answer.text);
    } else if (feed === null) live.base(answer.text ?? "", answer.attempt);
    if (before !== undefined && before !== job.phase) speak(`${id}: ${phaseOf(job.phase).name}.`);
    if (job.ended_ms !== null) stop();
    else if (feed === null) listen(answer.cursor);
    draw(paint);
  }

  async function load() {
    again = null;
    try {
      const answer = await get(`api/jobs/${encodeURIComponent(id)}`);
      if (!closed) take(answer);
    } catch (error) {
      if (closed) return;
      if (job === null) put(above, error.status === 404 ? missing(error) : failure(error, load));
      else if (error.status === 404) {
        gone = true;
        draw(paint);
      }
      // Else the page shows what it had, and the banner says that the connection is lost.
      else if (error.status === 503) reload();
    }
  }

  function missing(error) {
    return empty(
      "This request is not known here",
      error.message,
      "The console remembers the latest ended requests only. Older completions are in the completions topic, for as long as it keeps them. A request that has just been sent appears when it is accepted.",
      el("button", { type: "button", onclick: load }, "Look again"),
    );
  }

  function forgotten() {
    return empty(
      "The console knows this request no more",
      "What you see is what it knew last. It remembers the latest ended requests only, and forgets all when topics are made anew.",
      el("button", { type: "button", onclick: load }, "Look again"),
    );
  }

  /** Read the request anew, at most once a second. */
  function reload() {
    if (again === null && !closed) again = setTimeout(load, RELOAD_MS);
  }

  /** Follow the events behind `cursor`, which stands for the text that is shown. */
  function listen(cursor) {
    const soon = () => reload();
    feed = new Feed(
      `api/jobs/${encodeURIComponent(id)}/events`,
      {
        fragment(event) {
          live.fragment(event);
          draw(paintText);
        },
        restart(event) {
          live.restart(event.attempt);
          speak(`Attempt ${event.attempt} begins; the text so far is void.`);
          draw(paintText);
          reload();
        },
        progress: soon,
        gap() {
          // What came meanwhile can't be had as events any more: begin again with the text as it is.
          stop();
          reload();
        },
        completion() {
          stop();
          clearTimeout(again);
          load();
        },
      },
      undefined,
      cursor,
    );
  }

  function stop() {
    feed?.close();
    feed = null;
  }

  const leave = onLive({
    rows(rows) {
      const row = rows.find((one) => one.id === id);
      if (!row) return;
      if (job === null || row.phase !== job.phase || row.attempt !== job.attempt || row.run !== job.run || row.ended_ms !== job.ended_ms) reload();
      else if (row.waits !== job.waits || row.cost !== job.cost) {
        Object.assign(job, row);
        draw(paint);
      }
    },
    again: () => load(),
  });
  const leaveSession = onSession(() => draw(paint));
  const clock = setInterval(() => {
    if (document.hidden || !job || job.ended_ms !== null) return;
    say(lead, headline(job));
    draw(paintTime);
  }, 1_000);
  load();

  return {
    title: id,
    keys: {
      Escape: () => (location.hash = back()),
      j: () => scrollBy({ top: 80 }),
      k: () => scrollBy({ top: -80 }),
    },
    update() {},
    close() {
      closed = true;
      stop();
      clearTimeout(again);
      clearInterval(clock);
      size.disconnect();
      for (const one of [paint, paintText, paintTime]) undraw(one);
      leave();
      leaveSession();
    },
  };
}

/** The address of one request. */
export function requestLink(id) {
  return link(["requests", id]);
}
