/**
 * Putting a request's fragments together: a lower attempt than one seen is ignored, a higher one makes the text so far
 * void, a piece that is there already is dropped. The server joins pieces and says `gap` where one is missing, so a jump
 * of the index is none.
 */

export class LiveText {
  #flow;
  #attempt = 0;
  #next = 0;

  constructor(flow) {
    this.#flow = flow;
  }

  /** The text as the server has it; fragments behind it follow, from the cursor that came with it. */
  base(text, attempt) {
    this.#flow.clear();
    this.#flow.append(text);
    this.#attempt = attempt;
    this.#next = 0;
  }

  /** The whole text, from the completion. */
  whole(text) {
    if (this.#flow.text() === text) return;
    this.#flow.clear();
    this.#flow.append(text);
  }

  restart(attempt) {
    if (attempt <= this.#attempt) return;
    this.#flow.clear();
    this.#attempt = attempt;
    this.#next = 0;
  }

  /** `index` is that of the last fragment in `text`. */
  fragment({ attempt, index, text }) {
    if (attempt < this.#attempt) return;
    this.restart(attempt);
    if (index < this.#next) return;
    this.#flow.append(text);
    this.#next = index + 1;
  }
}
