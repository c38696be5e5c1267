/** Submit requests and follow them, over whichever Kafka client: `await Client.start(reader, sender)`. */

import { Assembler } from "./assembler.js";
import { nameOf } from "./changes.js";
import type { Change, StreamId } from "./changes.js";
import { AlreadyEnded, ReadingStopped, RequestRefused, StreamForgotten, TooManyStreams } from "./errors.js";
import type { AnalyzeRequest } from "./events.js";
import { partitionOf } from "./partitioning.js";
import type { Batch, RecordReader, RequestSender } from "./ports.js";
import type { DeadLetter, Place } from "./records.js";
import { RequestStream } from "./stream.js";

const REQUEST_ID = /^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$/;
const RECENT_LETTERS = 1_000;
const MOST_WAITING = 10_000;
const UTF8 = new TextEncoder();

/** A request; without `request_id` it gets one. */
export type Submission = Omit<AnalyzeRequest, "request_id"> & { request_id?: string };

export interface SubmitOptions {
  /** Requests with one key (a camera's id, say) stay in order in one partition. Without it: the request id. */
  key?: string | Uint8Array;
  /** Further headers, such as `traceparent`. */
  headers?: Record<string, string>;
}

/**
 * Reads from `start` to `close`. Without a sender it only follows. One per process is enough: each has all partitions,
 * unless its reader is in a consumer group with others.
 */
export class Client {
  readonly #reader: RecordReader;
  readonly #sender: RequestSender | null;
  readonly #assembler: Assembler;
  readonly #followed = new Map<string, Set<RequestStream>>();
  readonly #letters = new Map<string, DeadLetter>();
  readonly #listeners = new Set<Listener>();
  #stopped: ReadingStopped | null = null;

  private constructor(reader: RecordReader, sender: RequestSender | null, assembler: Assembler) {
    this.#reader = reader;
    this.#sender = sender;
    this.#assembler = assembler;
  }

  /** Connect and begin to read. */
  static async start(
    reader: RecordReader,
    sender: RequestSender | null = null,
    assembler: Assembler = new Assembler(),
  ): Promise<Client> {
    const client = new Client(reader, sender, assembler);
    await reader.start(
      (batch) => client.#take(batch),
      (error) => client.#stop(new ReadingStopped(`the topics are not read any longer: ${error.message}`, { cause: error })),
    );
    try {
      await sender?.start();
    } catch (error) {
      await reader.stop();
      throw error;
    }
    return client;
  }

  /** End reading and disconnect. Who still waits for a request is told. */
  async close(): Promise<void> {
    this.#stop(new ReadingStopped("the client was closed"));
    await this.#reader.stop();
    await this.#sender?.stop();
  }

  /** Send a request; resolves when the brokers have it. A known id starts nothing: its completion comes. */
  async submit(request: Submission, options: SubmitOptions = {}): Promise<RequestStream> {
    const name = request.request_id ?? globalThis.crypto.randomUUID();
    if (!REQUEST_ID.test(name)) {
      throw new RangeError("request_id must be 1 to 128 of A-Z a-z 0-9 . _ : - and begin with a letter or digit");
    }
    const run = request.run ?? 1;
    if (!Number.isInteger(run) || run < 1) throw new RangeError("run must be a whole number from 1");
    const sender = this.#writing();
    const key = bytes(options.key ?? name);
    const partition = partitionOf(key, await sender.partitions());
    // Followed before it is sent: its first events may be read before the brokers' answer.
    const stream = this.#follow(new RequestStream(name, run, partition));
    stream.beginWith(this.#assembler.shown({ partition, requestId: name, run }));
    try {
      const value = bytes(JSON.stringify({ ...request, request_id: name }));
      stream.place = await sender.send(partition, key, value, withType(options.headers));
    } catch (error) {
      this.#release(stream);
      throw error;
    }
    const letter = this.#letters.get(placeName(stream.place));
    if (letter !== undefined) this.#refuse(stream, letter);
    return stream;
  }

  /** Ask for the end of a request. `key` must be that of the request; its completion comes as ever. */
  async cancel(requestId: string, options: { key?: string | Uint8Array } = {}): Promise<Place> {
    const sender = this.#writing();
    const key = bytes(options.key ?? requestId);
    const partition = partitionOf(key, await sender.partitions());
    return sender.send(partition, key, bytes(JSON.stringify({ type: "cancel", request_id: requestId })), withType());
  }

  /**
   * Follow a request that somebody else has sent. Of several live runs the highest, unless `run` is given.
   *
   * Throws `AlreadyEnded` when its end has been read before; what was read by nobody here is not known.
   */
  follow(requestId: string, options: { run?: number; partition?: number } = {}): RequestStream {
    this.#open();
    const stream = new RequestStream(requestId, options.run ?? null, options.partition ?? null);
    const live = this.#assembler.find(requestId).filter((found) => stream.concerns(found));
    const best = live.sort((one, other) => other.run - one.run)[0];
    if (best !== undefined) {
      stream.run = best.run;
      stream.partition = best.partition;
      stream.beginWith(this.#assembler.shown(best));
    } else if (this.#assembler.hasEnded(requestId, options.run)) {
      throw new AlreadyEnded(`${requestId} has ended; submit it again to have its completion once more`);
    }
    return this.#follow(stream);
  }

  /** Nobody wants this stream any longer: who still waits for it gets `StreamForgotten`. The request goes on. */
  unfollow(stream: RequestStream): void {
    this.#release(stream);
    stream.fail(new StreamForgotten(`${stream.requestId} is not followed any longer`));
  }

  /**
   * Every request from now on, as soon as something of it is read. Handle each without waiting for its end.
   *
   * Rejects with `TooManyStreams` when 10,000 wait to be taken.
   */
  async *streams(): AsyncGenerator<RequestStream, void, undefined> {
    this.#open();
    const listener = new Listener();
    this.#listeners.add(listener);
    try {
      for (;;) yield await listener.next();
    } finally {
      this.#listeners.delete(listener);
    }
  }

  #take(batch: Batch): void {
    for (const partition of batch.dropped ?? []) this.#assembler.dropPartition(partition).forEach(this.#tell);
    for (const record of batch.records) this.#assembler.take(record).forEach(this.#tell);
  }

  readonly #tell = (change: Change): void => {
    if (change.kind === "skipped" || change.kind === "ignored") return;
    if (change.kind === "refused") {
      this.#keep(change.letter);
      return;
    }
    const ended = change.kind === "end" || change.kind === "repeated";
    const followers = [...(this.#followed.get(change.stream.requestId) ?? [])].filter((one) =>
      one.concerns(change.stream, ended),
    );
    const answer = change.kind === "progress" && ["duplicate", "cancel_ignored"].includes(change.event.type);
    if (change.kind !== "repeated" && change.kind !== "forgotten" && !answer) followers.push(...this.#heard(change.stream, change));
    for (const follower of followers) {
      follower.apply(change);
      if (ended) this.#release(follower);
    }
    const name = nameOf(change.stream);
    for (const listener of this.#listeners) {
      const known = listener.known.get(name);
      if (known === undefined || !(ended || change.kind === "forgotten")) continue;
      listener.known.delete(name);
      if (!ended) known.fail(new StreamForgotten(`${known.requestId} is not followed any longer`));
    }
  };

  #heard(stream: StreamId, change: Change): RequestStream[] {
    const found: RequestStream[] = [];
    for (const listener of this.#listeners) {
      let known = listener.known.get(nameOf(stream));
      if (known === undefined) {
        known = new RequestStream(stream.requestId, stream.run, stream.partition);
        known.beginWith(this.#before(stream, change));
        listener.known.set(nameOf(stream), known);
        listener.put(known);
      }
      found.push(known);
    }
    return found;
  }

  /** The text of a stream before this change, for one that begins to listen in the middle of it. */
  #before(stream: StreamId, change: Change): string {
    const shown = this.#assembler.shown(stream);
    if (change.kind === "restart") return "";
    if (change.kind === "text" && shown.endsWith(change.text)) return shown.slice(0, shown.length - change.text.length);
    return shown;
  }

  #keep(letter: DeadLetter): void {
    const name = placeName(letter.place);
    this.#letters.set(name, letter);
    for (const oldest of this.#letters.keys()) {
      if (this.#letters.size <= RECENT_LETTERS) break;
      this.#letters.delete(oldest);
    }
    for (const followers of [...this.#followed.values()]) {
      for (const stream of [...followers]) {
        if (stream.place !== null && placeName(stream.place) === name) this.#refuse(stream, letter);
      }
    }
  }

  #refuse(stream: RequestStream, letter: DeadLetter): void {
    stream.fail(new RequestRefused(stream.requestId, letter));
    this.#release(stream);
  }

  #follow(stream: RequestStream): RequestStream {
    const followers = this.#followed.get(stream.requestId) ?? new Set();
    this.#followed.set(stream.requestId, followers.add(stream));
    return stream;
  }

  #release(stream: RequestStream): void {
    const followers = this.#followed.get(stream.requestId);
    followers?.delete(stream);
    if (followers?.size === 0) this.#followed.delete(stream.requestId);
  }

  #stop(reason: ReadingStopped): void {
    const error = (this.#stopped ??= reason);
    for (const followers of this.#followed.values()) for (const stream of followers) stream.fail(error);
    for (const listener of this.#listeners) {
      for (const stream of listener.known.values()) stream.fail(error);
      listener.stop(error);
    }
    this.#followed.clear();
  }

  #open(): void {
    if (this.#stopped !== null) throw this.#stopped;
  }

  #writing(): RequestSender {
    this.#open();
    if (this.#sender === null) throw new TypeError("this client has no sender: Client.start(reader, sender)");
    return this.#sender;
  }
}

/** One iteration over all streams. */
class Listener {
  readonly known = new Map<string, RequestStream>();
  #waiting: RequestStream[] = [];
  #error: Error | null = null;
  #wake: () => void = () => {};

  put(stream: RequestStream): void {
    if (this.#waiting.length >= MOST_WAITING) {
      this.#waiting = [];
      this.stop(new TooManyStreams(`${MOST_WAITING} streams wait to be taken from streams()`));
    } else if (this.#error === null) {
      this.#waiting.push(stream);
      this.#wake();
    }
  }

  stop(error: Error): void {
    this.#error ??= error;
    this.#wake();
  }

  async next(): Promise<RequestStream> {
    for (;;) {
      const first = this.#waiting.shift();
      if (first !== undefined) return first;
      if (this.#error !== null) throw this.#error;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }
}

function placeName(place: Place): string {
  return `${place.topic}/${place.partition}/${place.offset}`;
}

function bytes(text: string | Uint8Array): Uint8Array {
  return typeof text === "string" ? UTF8.encode(text) : text;
}

function withType(headers: Record<string, string> = {}): Record<string, string> {
  const given = Object.keys(headers).some((name) => name.toLowerCase() === "content-type");
  return given ? headers : { "content-type": "application/json", ...headers };
}
