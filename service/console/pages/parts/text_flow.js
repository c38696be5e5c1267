/**
 * A text that grows. Each line is an element of its own, so that a piece at the end lays out one line anew and not the
 * whole text. It stays at its end while the reader is there.
 */

import { el } from "./element.js";

const NEAR = 24;

export class TextFlow {
  #waiting = "";
  #line = null;
  #blank = true;

  constructor(name) {
    // Focusable, so that the keyboard can scroll it. Not read aloud as it grows: the view says how long it is.
    this.node = el("div", { class: "flow", role: "region", "aria-label": name, tabindex: 0 });
    this.length = 0;
  }

  /** What was there is void. */
  clear() {
    this.node.replaceChildren();
    this.#waiting = "";
    this.#line = null;
    this.#blank = true;
    this.length = 0;
  }

  append(text) {
    this.#waiting += text;
    this.length += text.length;
  }

  /** The text as it stands on the page. */
  text() {
    return [...this.node.children].map((line) => line.textContent).join("\n") + this.#waiting;
  }

  /** Put what was appended onto the page. */
  paint() {
    if (!this.#waiting) return;
    const near = this.node.scrollHeight - this.node.scrollTop - this.node.clientHeight < NEAR;
    const lines = this.#waiting.split("\n");
    this.#waiting = "";
    lines.forEach((text, at) => {
      if (this.#line === null || at > 0) {
        this.#line = el("div", { class: "flow-line" });
        this.node.append(this.#line);
      }
      if (text) this.#line.append(text);
    });
    this.#line.normalize();
    if (near && !this.#blank) this.node.scrollTop = this.node.scrollHeight;
    this.#blank = false;
  }
}
