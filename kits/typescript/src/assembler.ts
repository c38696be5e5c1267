/**
 * Turns records into streams, one for each run of a request. Pure: no I/O, no clock, no promises.
 *
 * What it sorts out, so that nobody has to:
 *
 * - Attempts. A higher attempt begins again, fragments of a lower one are void: they come from a process that was
 *   taken for dead.
 * - Duplicates. A fragment is known by attempt and sequence, everything else by `ce_source` and `ce_id`.
 * - Order between topics. Within a topic's partition records are in order; between topics nothing is. A completion may
 *   be read before the last fragments, which then are late: what was missing is taken from the completion's text.
 * - Gaps. The text shown is always the beginning of the attempt's text. A reader that joins in the middle of a stream
 *   sees nothing of it until its completion, which holds the whole text.
 * - Memory. Bounded by the three numbers of the options, whatever is in the topics.
 */

import { nameOf } from "./changes.js";
import type { Change, StreamId } from "./changes.js";
import type { Completion, Fragment, Progress } from "./events.js";
import { NotAnEvent, read } from "./records.js";
import type { Content, KafkaRecord } from "./records.js";

export interface AssemblerOptions {
  /** Streams followed at once; beyond it the one that was silent for longest is forgotten. */
  maxLive?: number;
  /** Ended streams that are remembered, so that late and repeated records of theirs are known. */
  maxEnded?: number;
  /** Characters of text that are held for live streams, each piece counted as 64 more. */
  maxHeld?: number;
}

const PIECE_COST = 64;
/** Progress on a record that is no job of its own: said of ended and unknown requests too. */
const ANSWERS: ReadonlySet<string> = new Set(["duplicate", "cancel_ignored"]);

/** A stream that has not ended. */
class Live {
  attempt = 0;
  next = 0;
  cost = PIECE_COST;
  shown: string[] = [];
  early = new Map<number, string>();

  constructor(readonly id: StreamId) {}

  begin(attempt: number): void {
    this.attempt = attempt;
    this.next = 0;
    this.cost = PIECE_COST;
    this.shown = [];
    this.early.clear();
  }

  hold(text: string): void {
    this.cost += text.length + PIECE_COST;
  }
}

/** `take` each record, in the order in which it was read; topics may be interleaved in any way. */
export class Assembler {
  readonly #maxLive: number;
  readonly #maxEnded: number;
  readonly #maxHeld: number;
  readonly #live = new Map<string, Live>();
  readonly #ended = new Map<string, StreamId>();
  readonly #completions = new Map<string, string>();
  readonly #told = new Map<string, true>();
  #held = 0;

  constructor(options: AssemblerOptions = {}) {
    this.#maxLive = options.maxLive ?? 10_000;
    this.#maxEnded = options.maxEnded ?? 50_000;
    this.#maxHeld = options.maxHeld ?? 64 * 1024 * 1024;
    if (!(Math.min(this.#maxLive, this.#maxEnded, this.#maxHeld) >= 1)) {
      throw new RangeError("maxLive, maxEnded and maxHeld must be at least 1");
    }
  }

  /** How many streams are followed. */
  get live(): number {
    return this.#live.size;
  }

  /** How much text is held, counted as for `maxHeld`. */
  get held(): number {
    return this.#held;
  }

  /** The text of a live stream so far; empty when there is none. */
  shown(stream: StreamId): string {
    return this.#live.get(nameOf(stream))?.shown.join("") ?? "";
  }

  /** The live streams of this request id. */
  find(requestId: string): StreamId[] {
    return [...this.#live.values()].map((live) => live.id).filter((id) => id.requestId === requestId);
  }

  /** Whether the end of this request, or of this run of it, is remembered. */
  hasEnded(requestId: string, run?: number): boolean {
    for (const id of this.#ended.values()) {
      if (id.requestId === requestId && (run === undefined || run === id.run)) return true;
    }
    return false;
  }

  /** What this record changes. Never throws for what a record holds. */
  take(record: KafkaRecord): Change[] {
    let content: Content;
    try {
      content = read(record);
    } catch (error) {
      if (error instanceof NotAnEvent) return [{ kind: "skipped", reason: error.message }];
      throw error;
    }
    if (content.kind === "dead_letter") return [{ kind: "refused", letter: content.letter }];
    const event = content.event;
    const stream = { partition: record.partition, requestId: event.request_id, run: event.run };
    let changes: Change[];
    if (content.kind === "fragment") changes = this.#fragment(stream, content.event);
    else if (content.kind === "completion") changes = this.#completion(stream, content.event, repetition(record, stream, event));
    else changes = this.#progress(stream, content.event, repetition(record, stream, event));
    return [...changes, ...this.#withinBounds()];
  }

  /** Forget the live streams of a partition that is read elsewhere from now on. */
  dropPartition(partition: number): Change[] {
    const gone = [...this.#live].filter(([, live]) => live.id.partition === partition);
    return gone.map(([name, live]) => this.#forget(name, live));
  }

  #fragment(stream: StreamId, event: Fragment): Change[] {
    if (this.#ended.has(nameOf(stream))) return [{ kind: "ignored", stream, reason: "late" }];
    const live = this.#touch(stream);
    const { attempt, sequence, text } = event;
    if (attempt < live.attempt) return [{ kind: "ignored", stream, reason: "lower_attempt" }];
    const changes: Change[] = [];
    this.#held -= live.cost;
    if (attempt > live.attempt) {
      if (live.attempt > 0) changes.push({ kind: "restart", stream, attempt });
      live.begin(attempt);
    }
    if (sequence < live.next || live.early.has(sequence)) {
      changes.push({ kind: "ignored", stream, reason: "duplicate" });
    } else if (sequence > live.next) {
      live.early.set(sequence, text);
      live.hold(text);
    } else {
      let added = text;
      live.next += 1;
      live.hold(text);
      for (let early = live.early.get(live.next); early !== undefined; early = live.early.get(live.next)) {
        added += early;
        live.early.delete(live.next);
        live.next += 1;
      }
      if (added) {
        live.shown.push(added);
        changes.push({ kind: "text", stream, attempt, text: added });
      }
    }
    this.#held += live.cost;
    return changes;
  }

  #completion(stream: StreamId, event: Completion, repeated: string): Change[] {
    const first = this.#completions.get(repeated);
    const it = `${event.attempt} ${event.time ?? ""}`;
    if (first !== undefined) return [{ kind: "repeated", stream, completion: event, same: first === it }];
    const name = nameOf(stream);
    remember(this.#completions, repeated, it, this.#maxEnded);
    remember(this.#ended, name, stream, this.#maxEnded);
    const live = this.#live.get(name) ?? new Live(stream);
    if (this.#live.delete(name)) this.#held -= live.cost;
    const changes = event.type === "completed" ? rest(stream, live, event.attempt, event.text) : [];
    return [...changes, { kind: "end", stream, completion: event }];
  }

  #progress(stream: StreamId, event: Progress, repeated: string): Change[] {
    if (this.#told.has(repeated)) return [{ kind: "ignored", stream, reason: "duplicate" }];
    remember(this.#told, repeated, true, this.#maxEnded);
    if (!ANSWERS.has(event.type)) {
      if (this.#ended.has(nameOf(stream))) return [{ kind: "ignored", stream, reason: "late" }];
      this.#touch(stream);
    }
    return [{ kind: "progress", stream, event }];
  }

  #touch(stream: StreamId): Live {
    const name = nameOf(stream);
    const known = this.#live.get(name);
    const live = known ?? new Live(stream);
    if (known === undefined) this.#held += live.cost;
    this.#live.delete(name); // a map keeps the order of insertion: the last is the one that spoke last
    this.#live.set(name, live);
    return live;
  }

  #withinBounds(): Change[] {
    const changes: Change[] = [];
    for (const [name, live] of this.#live) {
      if (this.#live.size <= this.#maxLive && this.#held <= this.#maxHeld) break;
      changes.push(this.#forget(name, live));
    }
    return changes;
  }

  #forget(name: string, live: Live): Change {
    this.#live.delete(name);
    this.#held -= live.cost;
    return { kind: "forgotten", stream: live.id };
  }
}

/** What is still to be shown of a completion's text, after what was shown of it live. */
function rest(stream: StreamId, live: Live, attempt: number, text: string): Change[] {
  const changes: Change[] = [];
  let shown = live.shown.join("");
  if ((live.attempt > 0 && live.attempt !== attempt) || !text.startsWith(shown)) {
    changes.push({ kind: "restart", stream, attempt });
    shown = "";
  }
  if (text.length > shown.length) changes.push({ kind: "text", stream, attempt, text: text.slice(shown.length) });
  return changes;
}

/** What tells a repetition. A record that lost its headers on the way is known by what it says. */
function repetition(record: KafkaRecord, stream: StreamId, event: Completion | Progress | Fragment): string {
  const source = record.headers["ce_source"];
  const id = record.headers["ce_id"];
  if (typeof source === "string" && typeof id === "string") return JSON.stringify([source, id]);
  return `${nameOf(stream)} ${event.type} ${event.attempt} ${event.time ?? ""}`;
}

function remember<T>(known: Map<string, T>, key: string, value: T, most: number): void {
  known.delete(key);
  known.set(key, value);
  for (const oldest of known.keys()) {
    if (known.size <= most) break;
    known.delete(oldest);
  }
}
