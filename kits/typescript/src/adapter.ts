/** What `kafkajs` and `confluent` have in common: both libraries have one shape, with differences in few places. */

import { NoPartitions } from "./errors.js";
import type { Batch, RequestSender } from "./ports.js";
import type { KafkaRecord, Place } from "./records.js";

const METADATA_MS = 60_000;

type HeaderValue = Uint8Array | string | (Uint8Array | string)[] | undefined;

/** A message as either library hands it out. */
export interface Message {
  value: Uint8Array | null;
  headers?: Record<string, HeaderValue>;
}

/** What is asked of an admin client. */
export interface Admin {
  connect(): Promise<void>;
  disconnect(): Promise<void>;
  fetchTopicOffsets(topic: string): Promise<{ partition: number; low: string; high: string }[]>;
}

/** What is asked of a producer. */
export interface Producer {
  connect(): Promise<void>;
  disconnect(): Promise<void>;
  send(record: {
    topic: string;
    messages: { key: Buffer; value: Buffer; partition: number; headers: Record<string, string> }[];
  }): Promise<{ partition: number; offset?: string; baseOffset?: string }[]>;
}

export interface StartPlace {
  topic: string;
  partition: number;
  offset: string;
}

/** The messages of one partition as a batch. */
export function batchOf(topic: string, partition: number, messages: readonly Message[], dropped: number[]): Batch {
  return { records: messages.map((message) => recordOf(topic, partition, message)), dropped };
}

/** Where reading begins: the ends of the topics, or their beginnings. */
export async function places(admin: Admin, topics: readonly string[], start: "now" | "earliest"): Promise<StartPlace[]> {
  const found: StartPlace[] = [];
  for (const topic of topics) {
    for (const { partition, low, high } of await partitionsOf(admin, topic)) {
      found.push({ topic, partition, offset: start === "earliest" ? low : high });
    }
  }
  return found;
}

/** Writes requests, over either library. */
export class Sender implements RequestSender {
  #count = 0;
  #counted = 0;

  constructor(
    private readonly producer: Producer,
    private readonly admin: Admin,
    private readonly topic: string,
  ) {}

  async start(): Promise<void> {
    await Promise.all([this.producer.connect(), this.admin.connect()]);
  }

  async partitions(): Promise<number> {
    if (this.#count === 0 || Date.now() - this.#counted > METADATA_MS) {
      this.#count = (await partitionsOf(this.admin, this.topic)).length;
      this.#counted = Date.now();
    }
    return this.#count;
  }

  async send(partition: number, key: Uint8Array, value: Uint8Array, headers: Record<string, string>): Promise<Place> {
    const message = { key: Buffer.from(key), value: Buffer.from(value), partition, headers };
    const [written] = await this.producer.send({ topic: this.topic, messages: [message] });
    return { topic: this.topic, partition, offset: Number(written?.baseOffset ?? written?.offset ?? -1) };
  }

  async stop(): Promise<void> {
    await Promise.all([this.producer.disconnect(), this.admin.disconnect()]);
  }
}

async function partitionsOf(admin: Admin, topic: string): Promise<{ partition: number; low: string; high: string }[]> {
  let found: { partition: number; low: string; high: string }[];
  try {
    found = await admin.fetchTopicOffsets(topic);
  } catch (error) {
    throw new NoPartitions(`the topic ${topic} can't be read: ${(error as Error).message}`, { cause: error });
  }
  if (found.length === 0) throw new NoPartitions(`the topic ${topic} is not there; \`reelwire topics create\` makes it`);
  return found;
}

function recordOf(topic: string, partition: number, message: Message): KafkaRecord {
  const headers: Record<string, string | null> = {};
  for (const [name, value] of Object.entries(message.headers ?? {})) {
    const last = Array.isArray(value) ? value[value.length - 1] : value;
    headers[name] = last === undefined || last === null ? null : typeof last === "string" ? last : UTF8.decode(last);
  }
  return { topic, partition, value: message.value, headers };
}

const UTF8 = new TextDecoder();
