/** One dead letter: why it is here, its bytes, and its ways out: redrive and discard. */

import { link } from "../parts/address.js";
import { copyButton } from "../parts/copying.js";
import { confirmed } from "../parts/dialogs.js";
import { el, put } from "../parts/element.js";
import { failure, loading, prose } from "../parts/notices.js";
import { get } from "../parts/server.js";
import { act, onSession, session } from "../parts/session.js";
import { instant, moment, NONE, size } from "../parts/words.js";
import { LETTER_STATES } from "./dead_letters.js";
import { hexOf } from "./hex.js";

const TEXT = "text";
const HEX = "hex";

export function deadLetterView(root, partition, offset, back) {
  const path = `api/dead-letters/${encodeURIComponent(partition)}/${encodeURIComponent(offset)}`;
  let letter = null;
  let shown = null;
  let closed = false;
  const buttons = el("div", { class: "head-end" });
  const body = el("div", null, loading());
  const name = `Dead letter ${partition}:${offset}`;
  put(
    root,
    el("p", { class: "back" }, el("a", { href: back() }, "← Dead letters")),
    el("div", { class: "head" }, el("h1", null, name), buttons),
    body,
  );

  async function load() {
    try {
      letter = await get(path);
    } catch (error) {
      if (!closed) put(body, failure(error, load));
      return;
    }
    if (closed) return;
    shown ??= letter.value_text === null || letter.value_text === undefined ? HEX : TEXT;
    paint();
  }

  function paint() {
    if (closed || letter === null) return;
    showButtons();
    put(
      body,
      el(
        "div",
        { class: letter.state === "open" ? "notice failed" : "notice" },
        el("p", { class: "notice-title" }, LETTER_STATES[letter.state] ?? letter.state, ": ", el("code", null, letter.code)),
        el("p", null, letter.message),
        letter.state === "open" && !letter.redrivable && el("p", { class: "dim" }, "It can't be redriven: its value is not in the record, or it would only fail again as it stands."),
      ),
      el(
        "div",
        { class: "columns" },
        el("div", { class: "wide" }, bytes()),
        el("div", { class: "narrow" }, about(), headers()),
      ),
    );
  }

  function card(word, extra, content) {
    return el("section", { class: "card", "aria-label": word }, el("div", { class: "card-head" }, el("h2", null, word), extra), content);
  }

  function bytes() {
    const hasText = letter.value_text !== null && letter.value_text !== undefined;
    const switcher = el(
      "fieldset",
      { class: "switch" },
      el("legend", { class: "unseen" }, "Show the bytes as"),
      [[TEXT, "Text"], [HEX, "Hex"]].map(([one, word]) => {
        const field = el("input", { type: "radio", name: "bytes", value: one, disabled: one === TEXT && !hasText, onchange: () => {
          shown = one;
          paint();
          root.querySelector(`input[name=bytes][value=${one}]`)?.focus();
        } });
        field.checked = one === shown;
        return el("label", null, field, el("span", null, word));
      }),
    );
    const written = shown === TEXT && hasText ? letter.value_text : hexOf(letter.value_base64 ?? "");
    return card(
      "Value",
      [el("span", { class: "dim" }, size(letter.bytes)), switcher, copyButton("the value", () => written)],
      el(
        "div",
        null,
        letter.truncated && el("p", { class: "dim" }, prose("Only its beginning is shown. `reelwire dlq show` writes all of it.")),
        written === "" ? el("p", { class: "dim" }, "The record has no value.") : el("pre", { class: "code bytes", tabindex: 0 }, written),
        !hasText && el("p", { class: "dim" }, "These bytes are no UTF-8, so there is no text."),
      ),
    );
  }

  function about() {
    const facts = [
      ["Topic", letter.source.topic],
      ["Partition", String(letter.source.partition)],
      ["Offset", String(letter.source.offset)],
      ["Request", letter.request_id ? el("a", { href: link(["requests", letter.request_id]) }, letter.request_id) : "not readable"],
      ["Key", letter.key_text ?? NONE],
      ["When", el("time", { datetime: instant(letter.time_ms), title: instant(letter.time_ms) }, moment(letter.time_ms))],
    ];
    return card("Came from", null, el("dl", { class: "facts" }, facts.map(([word, value]) => [el("dt", null, word), el("dd", null, value)])));
  }

  function headers() {
    const pairs = letter.headers ?? [];
    return card(
      "Headers",
      null,
      pairs.length === 0
        ? el("p", { class: "dim" }, "It has none.")
        : el("dl", { class: "facts stacked" }, pairs.map(([word, value]) => [el("dt", null, word), el("dd", null, value ?? "null")])),
    );
  }

  function showButtons() {
    const offered = session.actions_offered && letter.state === "open";
    put(
      buttons,
      offered && el("button", { type: "button", class: "danger", onclick: discard }, "Discard"),
      offered && letter.redrivable && el("button", { type: "button", class: "primary", onclick: redrive }, "Redrive"),
    );
  }

  async function redrive() {
    const sure = await confirmed(
      "Send this record to the requests topic again?",
      [`Its bytes are sent as they are, with the same key. As long as what was wrong is still so (“${letter.code}”), it comes back here.`],
      "Redrive",
    );
    if (sure && (await act(`${path}/redrive`))) load();
  }

  async function discard() {
    const sure = await confirmed(
      "Discard this dead letter?",
      ["It is marked as done with and no longer listed as open. Its bytes stay in the topic for as long as the topic keeps them."],
      "Discard",
    );
    if (sure && (await act(`${path}/discard`))) load();
  }

  const leave = onSession(paint);
  load();
  return {
    title: name,
    keys: { Escape: () => (location.hash = back()) },
    update() {},
    close() {
      closed = true;
      leave();
    },
  };
}
