/** A record of Kafka as this package sees it, whichever client has read it, and what its value holds. */

import { COMPLETIONS_TYPES, FRAGMENTS_TYPES, PROGRESS_TYPES } from "./events.js";
import type { Completion, Fragment, Progress } from "./events.js";

/** Header values of one record, by name; of a name that is there more than once, the last. */
export type Headers = Readonly<Record<string, string | null>>;

/** One record. `partition` matters: a request lives in one partition, the same number in every topic. */
export interface KafkaRecord {
  readonly partition: number;
  readonly value: Uint8Array | null;
  readonly headers: Headers;
  readonly topic?: string;
}

/** Where a record was written. */
export interface Place {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
}

/** A record of the requests topic that was no request. */
export interface DeadLetter {
  readonly place: Place;
  readonly code: string;
  readonly message: string;
}

/** What a record holds. */
export type Content =
  | { readonly kind: "fragment"; readonly event: Fragment }
  | { readonly kind: "completion"; readonly event: Completion }
  | { readonly kind: "progress"; readonly event: Progress }
  | { readonly kind: "dead_letter"; readonly letter: DeadLetter };

/** The value is nothing that this version of the package knows. The message says why. */
export class NotAnEvent extends Error {}

// A byte order mark is kept, and so refused: no event has one.
const UTF8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const DECIMAL = /^[0-9]+$/;

/**
 * What a record holds. Throws `NotAnEvent`.
 *
 * Only what the assembler relies on is checked: an event of a newer service, with members that are new, passes.
 */
export function read(record: KafkaRecord): Content {
  const origin = record.headers["dlq.original.topic"];
  if (typeof origin === "string") return { kind: "dead_letter", letter: deadLetter(record.headers, origin) };
  const event = object(record.value);
  const type = event["type"];
  const fragment = typeof type === "string" && FRAGMENTS_TYPES.has(type);
  const completion = typeof type === "string" && COMPLETIONS_TYPES.has(type);
  if (!fragment && !completion && !(typeof type === "string" && PROGRESS_TYPES.has(type))) {
    throw new NotAnEvent("unknown type");
  }
  event["run"] ??= 1; // events of the first version have none
  need(typeof event["request_id"] === "string", "request_id");
  need(whole(event["run"], 1), "run");
  need(whole(event["attempt"], 1), "attempt");
  if (fragment) need(whole(event["sequence"], 0), "sequence");
  if (fragment || type === "completed") need(typeof event["text"] === "string", "text");
  if (fragment) return { kind: "fragment", event: event as unknown as Fragment };
  if (completion) return { kind: "completion", event: event as unknown as Completion };
  return { kind: "progress", event: event as unknown as Progress };
}

function object(value: Uint8Array | null): Record<string, unknown> {
  if (value === null) throw new NotAnEvent("no value");
  let found: unknown;
  try {
    found = JSON.parse(UTF8.decode(value));
  } catch {
    throw new NotAnEvent("not JSON");
  }
  if (typeof found !== "object" || found === null || Array.isArray(found)) throw new NotAnEvent("not an object");
  return found as Record<string, unknown>;
}

function deadLetter(headers: Headers, topic: string): DeadLetter {
  const partition = headers["dlq.original.partition"] ?? "";
  const offset = headers["dlq.original.offset"] ?? "";
  need(DECIMAL.test(partition) && DECIMAL.test(offset), "dead letter");
  return {
    place: { topic, partition: Number(partition), offset: Number(offset) },
    code: headers["dlq.error.code"] ?? "",
    message: headers["dlq.error.message"] ?? "",
  };
}

function whole(value: unknown, least: number): boolean {
  return typeof value === "number" && Number.isInteger(value) && value >= least;
}

function need(holds: boolean, member: string): void {
  if (!holds) throw new NotAnEvent(`wrong ${member}`);
}
