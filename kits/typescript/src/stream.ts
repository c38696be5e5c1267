/** One request, as a program follows it: live text with its restarts, progress, and the end. */

import type { Change, StreamId } from "./changes.js";
import { RequestCanceled, RequestFailed } from "./errors.js";
import type { Completed, Completion, Progress } from "./events.js";
import type { Place } from "./records.js";

/** `text` goes behind what was shown; at a `restart` erase it: the text begins again, in attempt `attempt`. */
export type Part =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "restart"; readonly attempt: number };

/**
 * Iterate over it (`for await`) for its parts; the iteration ends with the request.
 *
 * Any number of iterations may run, each sees all of the text. A slow one holds up nobody: it gets what came in the
 * meantime as one piece, and of several restarts the last. Made by `Client`.
 */
export class RequestStream implements AsyncIterable<Part> {
  /** Where the request was written, if this client has sent it. */
  place: Place | null = null;
  attempt = 0;
  /** The last thing that happened before the end. */
  progress: Progress | null = null;
  completion: Completion | null = null;
  #pieces: string[] = [];
  #restarts = 0;
  #fresh = false;
  #error: Error | null = null;
  #wake: () => void = () => {};
  #changed = this.#next();

  constructor(
    readonly requestId: string,
    public run: number | null,
    public partition: number | null,
  ) {}

  /** The text since the last restart. */
  get text(): string {
    return this.#pieces.join("");
  }

  /** Whether nothing more comes. */
  get over(): boolean {
    return this.completion !== null || this.#error !== null;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Part, void, undefined> {
    let restarts = this.#restarts;
    let shown = 0;
    for (;;) {
      const changed = this.#changed;
      if (restarts !== this.#restarts) {
        restarts = this.#restarts;
        // A restart is only told to those who have something to erase.
        if (shown > 0) yield { kind: "restart", attempt: this.attempt };
        shown = 0;
      } else if (shown < this.#pieces.length) {
        const text = this.#pieces.slice(shown).join("");
        shown = this.#pieces.length;
        yield { kind: "text", text };
      } else if (this.#error !== null) {
        throw this.#error;
      } else if (this.completion !== null) {
        return;
      } else {
        await changed;
      }
    }
  }

  /** Wait for the completion, whichever it is. Rejects with `RequestRefused` for a request in the dead letters. */
  async end(): Promise<Completion> {
    while (this.completion === null) {
      if (this.#error !== null) throw this.#error;
      await this.#changed;
    }
    return this.completion;
  }

  /** Wait for the result. Rejects with `RequestFailed`, `RequestCanceled` or `RequestRefused`. */
  async result(): Promise<Completed> {
    const completion = await this.end();
    if (completion.type === "failed") throw new RequestFailed(completion);
    if (completion.type === "canceled") throw new RequestCanceled(completion);
    return completion;
  }

  /** Whether a change of this stream is one of ours. A run also ends when a later one does. */
  concerns(stream: StreamId, end = false): boolean {
    if (stream.requestId !== this.requestId) return false;
    if (this.partition !== null && this.partition !== stream.partition) return false;
    return this.run === null || stream.run === this.run || (end && stream.run > this.run);
  }

  /** The text that was shown of the stream before this one was made. Called by the client. */
  beginWith(text: string): void {
    if (text) this.#pieces.push(text);
  }

  /** Take in one change. Called by the client. */
  apply(change: Change): void {
    switch (change.kind) {
      case "text":
        this.#bind(change.stream);
        if (this.#fresh) this.#restart();
        this.attempt = change.attempt;
        this.#pieces.push(change.text);
        break;
      case "restart":
        this.#bind(change.stream);
        this.attempt = change.attempt;
        this.#restart();
        break;
      case "forgotten":
        this.#fresh = true; // what comes next begins again; until then the text stays
        break;
      case "progress":
        this.#bind(change.stream);
        this.progress = change.event;
        break;
      case "end":
      case "repeated":
        this.#finish(change.stream, change.completion);
        break;
      default:
        return;
    }
    this.#tell();
  }

  /** Nothing more comes, for this reason. Called by the client. */
  fail(error: Error): void {
    if (this.over) return;
    this.#error = error;
    this.#tell();
  }

  #bind(stream: StreamId): void {
    this.partition = stream.partition;
    this.run = stream.run;
  }

  #restart(): void {
    this.#restarts += 1;
    this.#pieces = [];
    this.#fresh = false;
  }

  #finish(stream: StreamId, completion: Completion): void {
    this.#bind(stream);
    this.attempt = completion.attempt;
    if (completion.type === "completed" && this.text !== completion.text) {
      // The end of another run, or one that was published again: its text was not shown here.
      this.#restart();
      this.beginWith(completion.text);
    }
    this.completion = completion;
  }

  #next(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  #tell(): void {
    const wake = this.#wake;
    this.#changed = this.#next();
    wake();
  }
}
