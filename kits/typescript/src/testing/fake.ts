/** Reelwire in memory: what a `Client` submits is answered by plays. */

import { TOPICS } from "../events.js";
import type { Batch, RecordReader, RequestSender } from "../ports.js";
import type { KafkaRecord, Place } from "../records.js";
import { Play } from "./play.js";
import type { PlayOptions } from "./play.js";

/** Adds to the play of a request what shall happen; without an end the request stays open. */
export type Script = (play: Play) => unknown;

/** A record of the requests topic. */
export interface SentRequest {
  readonly place: Place;
  readonly key: Uint8Array;
  readonly body: Readonly<Record<string, unknown>>;
}

interface Reading {
  deliver: (batch: Batch) => void;
  fail: (error: Error) => void;
}

/** The script of requests that have none of their own: accepted, two fragments, completed. */
const answer: Script = (play) =>
  play.accepted().progress("stream_started").text("Analysis of ", `${play.requestId}.`).completed();

/**
 * `Client.start(fake.reader(), fake.sender())` works against it as against the service.
 *
 * A known id starts nothing: `duplicate`, and the completion once more. `cancel` ends what is open. What is no request
 * becomes a dead letter. Nothing happens by itself: each record is there when the call that makes it returns.
 */
export class FakeReelwire {
  /** Every record that was sent, in order. */
  readonly sent: SentRequest[] = [];
  readonly partitions: number;
  readonly #default: Script;
  readonly #scripts = new Map<string, Script>();
  readonly #plays = new Map<string, Play>();
  readonly #published = new Map<Play, number>();
  readonly #readings = new Set<Reading>();
  readonly #offsets: number[];

  constructor(options: { partitions?: number; default?: Script } = {}) {
    this.partitions = options.partitions ?? 2;
    this.#default = options.default ?? answer;
    this.#offsets = new Array<number>(this.partitions).fill(0);
  }

  /** What shall happen when this request comes. */
  on(requestId: string, script: Script): void {
    this.#scripts.set(requestId, script);
  }

  /** What happens now to a request that has come. */
  more(requestId: string, script: Script): void {
    const play = [...this.#plays.values()].find((found) => found.requestId === requestId);
    if (play === undefined) throw new Error(`no request ${requestId} has come`);
    script(play);
    this.#publish(play);
  }

  /** Records as they are, such as those of a `Play` that nobody asked for. */
  publish(records: readonly KafkaRecord[]): void {
    for (const reading of this.#readings) reading.deliver({ records });
  }

  /** Every reader fails with this error, as when the brokers refuse it. */
  stopReading(error: Error): void {
    for (const reading of this.#readings) reading.fail(error);
  }

  /** For a `Client`; it gets what happens from its start on. */
  reader(): RecordReader {
    let reading: Reading | null = null;
    return {
      start: async (deliver, fail) => {
        reading = { deliver, fail };
        this.#readings.add(reading);
      },
      stop: async () => {
        if (reading !== null) this.#readings.delete(reading);
      },
    };
  }

  /** For a `Client`. */
  sender(): RequestSender {
    return {
      start: async () => {},
      partitions: async () => this.partitions,
      send: async (partition, key, value) => this.#take(partition, key, value),
      stop: async () => {},
    };
  }

  #take(partition: number, key: Uint8Array, value: Uint8Array): Place {
    const offset = this.#offsets[partition] ?? 0;
    this.#offsets[partition] = offset + 1;
    const place = { topic: TOPICS.requests, partition, offset };
    const body = object(value);
    this.sent.push({ place, key, body });
    const name = body["request_id"];
    if (typeof name !== "string") {
      this.publish(of(place, "").refused("invalid", "request_id is missing", value).records());
    } else if (body["type"] === "cancel") {
      this.#cancel(place, name);
    } else {
      this.#begin(place, name, body);
    }
    return place;
  }

  #begin(place: Place, name: string, body: Record<string, unknown>): void {
    const known = this.#plays.get(`${place.partition}/${name}`);
    const run = (body["run"] ?? 1) as number;
    if (known !== undefined && !(known.ended && run > known.run)) {
      known.progress("duplicate");
      if (known.ended) known.repeated();
      this.#publish(known);
      return;
    }
    const metadata = (body["metadata"] ?? null) as Record<string, unknown> | null;
    const play = of(place, name, { run, metadata, tenant: (body["tenant"] ?? null) as string | null });
    this.#plays.set(`${place.partition}/${name}`, play);
    (this.#scripts.get(name) ?? this.#default)(play);
    this.#publish(play);
  }

  #cancel(place: Place, name: string): void {
    const play = this.#plays.get(`${place.partition}/${name}`);
    if (play === undefined) {
      this.publish(of(place, name).progress("cancel_ignored", { reason: "unknown" }).records());
      return;
    }
    if (play.ended) play.progress("cancel_ignored", { reason: "finished" });
    else play.canceled();
    this.#publish(play);
  }

  #publish(play: Play): void {
    const records = play.records();
    const fresh = records.slice(this.#published.get(play) ?? 0);
    this.#published.set(play, records.length);
    this.publish(fresh);
  }
}

function of(place: Place, name: string, options: PlayOptions = {}): Play {
  return new Play(name, { partition: place.partition, offset: place.offset, ...options });
}

function object(value: Uint8Array): Record<string, unknown> {
  try {
    const found: unknown = JSON.parse(new TextDecoder().decode(value));
    return typeof found === "object" && found !== null ? (found as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}
