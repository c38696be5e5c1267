/** What the assembler says about a record: small values, told apart by `kind`. */

import type { Completion, Progress } from "./events.js";
import type { DeadLetter } from "./records.js";

/** What a request's events have in common. The id alone is not enough: a partition has its own, and runs differ. */
export interface StreamId {
  readonly partition: number;
  readonly requestId: string;
  readonly run: number;
}

/** The stream's name as text. */
export function nameOf(stream: StreamId): string {
  return `${stream.partition}/${stream.requestId}/${stream.run}`;
}

/** Text that goes behind what was shown of this stream. Never empty. */
export interface TextAdded {
  readonly kind: "text";
  readonly stream: StreamId;
  readonly attempt: number;
  readonly text: string;
}

/** Erase what was shown of this stream: attempt `attempt` begins again. */
export interface Restarted {
  readonly kind: "restart";
  readonly stream: StreamId;
  readonly attempt: number;
}

/** Something happened to the request. */
export interface Progressed {
  readonly kind: "progress";
  readonly stream: StreamId;
  readonly event: Progress;
}

/** The last word on the request. For a `completed` one the text shown since the last restart is its whole text. */
export interface Ended {
  readonly kind: "end";
  readonly stream: StreamId;
  readonly completion: Completion;
}

/**
 * The completion of a request that had ended was published again, as it is for each request with a known id.
 *
 * Ignore it, unless you have sent that request and wait for its end. `same` is false when it is not the completion
 * that was kept: a reader with `readUncommitted` has then kept one that was never committed.
 */
export interface Repeated {
  readonly kind: "repeated";
  readonly stream: StreamId;
  readonly completion: Completion;
  readonly same: boolean;
}

/** A record of the requests topic was no request: no completion comes. */
export interface Refused {
  readonly kind: "refused";
  readonly letter: DeadLetter;
}

/**
 * The stream is not followed any longer, to stay within the bounds or because its partition is read elsewhere.
 *
 * Erase what was shown of it: should more of it come, it begins again. Its completion is still told.
 */
export interface Forgotten {
  readonly kind: "forgotten";
  readonly stream: StreamId;
}

/** A record that adds nothing: `late` is behind the end, `lower_attempt` of an attempt that was given up. */
export interface Ignored {
  readonly kind: "ignored";
  readonly stream: StreamId;
  readonly reason: "late" | "lower_attempt" | "duplicate";
}

/** A record that could not be read, or is of a kind that this version does not know. */
export interface Skipped {
  readonly kind: "skipped";
  readonly reason: string;
}

export type Change =
  | TextAdded
  | Restarted
  | Progressed
  | Ended
  | Repeated
  | Refused
  | Forgotten
  | Ignored
  | Skipped;
