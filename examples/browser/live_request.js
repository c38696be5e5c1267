/**
 * The live events of one request in a browser, without Kafka: a class to copy into a web front end.
 *
 * The browser comes back by itself after a lost connection and says how far it was, so nothing is shown twice. What it
 * does not do by itself is at 1 to 3.
 */

export class LiveRequest {
  #source = null;
  #attempt = 0;
  #tokens;
  #shown;
  #address;
  #closed = false;
  #timer = null;

  /**
   * `console`: where it listens. `token()` asks your own server for a token, and returns a promise of it.
   * `shown` has any of `text(text)`, the whole text so far; `state(word, detail)`, where word is `"live"`, `"waiting"`
   * (nothing is known of the request), `"progress"`, `"completed"`, `"failed"`, `"canceled"` or `"lost"`.
   */
  constructor({ console, request, token, shown }) {
    this.#address = `${console.replace(/\/$/, "")}/stream/${encodeURIComponent(request)}`;
    this.#tokens = token;
    this.#shown = shown;
    this.text = "";
  }

  async open() {
    this.#closed = false;
    let token;
    try {
      token = await this.#tokens();
    } catch {
      this.#shown.state?.("lost");
      return this.#later();
    }
    if (this.#closed) return;
    const source = new EventSource(`${this.#address}?${new URLSearchParams({ token })}`);
    this.#source = source;
    const on = (name, act) => source.addEventListener(name, (event) => act(JSON.parse(event.data)));

    source.onopen = () => this.#shown.state?.("live");
    // 1. A refusal, such as of a token that has expired, closes for good: begin again with a new token. The text is
    //    told again from its beginning.
    source.onerror = () => {
      this.#shown.state?.("lost");
      if (source.readyState === EventSource.CLOSED) this.#later();
    };
    // 2. A new attempt makes the text so far void.
    on("restart", ({ attempt }) => this.#begin(attempt));
    on("fragment", ({ attempt, text }) => {
      if (attempt < this.#attempt) return;
      if (attempt > this.#attempt) this.#begin(attempt);
      this.#show(this.text + text);
    });
    on("waiting", () => this.#shown.state?.("waiting"));
    on("progress", ({ stage, detail }) => this.#shown.state?.("progress", { stage, ...detail }));
    // 3. What was missed can't be had any more: read the whole anew.
    on("gap", () => {
      source.close();
      this.#later();
    });
    on("completion", (end) => {
      this.close();
      if (typeof end.text === "string") this.#show(end.text);
      this.#shown.state?.(end.type, end.error);
    });
  }

  close() {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#source?.close();
  }

  #later() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#source?.close();
      this.#begin(0);
      this.open();
    }, 2_000);
  }

  #begin(attempt) {
    this.#attempt = attempt;
    this.#show("");
  }

  #show(text) {
    this.text = text;
    this.#shown.text?.(text);
  }
}
