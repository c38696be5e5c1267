/**
 * A stream of server-sent events that comes back by itself: after an error it is opened again, later each time up to
 * 15 s, at once when the network or the tab comes back, and from the last event that was seen.
 *
 * The browser's own way of coming back gives up on an error status and says nothing; hence this one. A tab that nobody looks
 * at lets go of its stream: over HTTP/1.1 a browser has six connections to one server, for all its tabs together.
 */

const HIDDEN_MS = 10_000;
const WAITS_MS = [500, 1_000, 2_000, 4_000, 8_000, 15_000];

export class Feed {
  #address;
  #handlers;
  #told;
  #source = null;
  #timer = null;
  #failures = 0;
  #closed = false;
  #cursor;
  #rests = false;
  #rest = null;
  #again = () => this.#retryNow();
  #seen = () => this.#looked();

  /**
   * `handlers` are functions by the name of the event, each given the decoded data. `told` is given `"live"`,
   * `"lost"`, or `"resting"` in a hidden tab.
   */
  constructor(address, handlers, told = () => {}, cursor = null) {
    this.#address = address;
    this.#handlers = handlers;
    this.#told = told;
    this.#cursor = cursor;
    addEventListener("online", this.#again);
    document.addEventListener("visibilitychange", this.#seen);
    this.#open();
  }

  #open() {
    this.#timer = null;
    const joint = this.#address.includes("?") ? "&" : "?";
    const cursor = this.#cursor ? `${joint}cursor=${encodeURIComponent(this.#cursor)}` : "";
    const source = new EventSource(this.#address + cursor);
    this.#source = source;
    source.addEventListener("open", () => {
      this.#failures = 0;
      this.#told("live");
    });
    source.addEventListener("error", () => this.#lost());
    for (const [name, handler] of Object.entries(this.#handlers)) {
      source.addEventListener(name, (event) => {
        if (this.#source !== source) return;
        if (event.lastEventId) this.#cursor = event.lastEventId;
        handler(JSON.parse(event.data || "{}"));
      });
    }
  }

  #lost() {
    if (this.#closed || this.#rests || this.#timer !== null) return;
    this.#source.close();
    const wait = WAITS_MS[Math.min(this.#failures, WAITS_MS.length - 1)] * (0.8 + 0.4 * Math.random());
    this.#failures += 1;
    this.#timer = setTimeout(() => this.#open(), wait);
    this.#told("lost");
  }

  #looked() {
    clearTimeout(this.#rest);
    if (document.hidden) {
      this.#rest = setTimeout(() => {
        this.#rests = true;
        clearTimeout(this.#timer);
        this.#timer = null;
        this.#source.close();
        this.#told("resting");
      }, HIDDEN_MS);
    } else if (this.#rests) {
      this.#rests = false;
      this.#open();
    } else this.#retryNow();
  }

  #retryNow() {
    if (this.#timer === null || document.hidden) return;
    clearTimeout(this.#timer);
    this.#open();
  }

  /** Close for good. */
  close() {
    this.#closed = true;
    clearTimeout(this.#timer);
    clearTimeout(this.#rest);
    removeEventListener("online", this.#again);
    document.removeEventListener("visibilitychange", this.#seen);
    this.#source.close();
    this.#source = null;
  }
}
