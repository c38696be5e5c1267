/** What the client needs of Kafka. The adapters are `kafkajs`, `confluent` and, in memory, `testing`. */

import type { TOPICS } from "./events.js";
import type { KafkaRecord, Place } from "./records.js";

export type Role = keyof typeof TOPICS;

/** What was read at once. */
export interface Batch {
  readonly records: readonly KafkaRecord[];
  /** Partitions that are read elsewhere from now on; told before the records. */
  readonly dropped?: readonly number[];
}

/** Reads fragments, completions, progress and, if wanted, dead letters. */
export interface RecordReader {
  /**
   * Begin to read. When it resolves, no record that is written from now on is missed. A batch has been dealt with when
   * `deliver` returns. `fail` says that nothing more comes.
   */
  start(deliver: (batch: Batch) => void, fail: (error: Error) => void): Promise<void>;
  stop(): Promise<void>;
}

/** Writes to the requests topic. */
export interface RequestSender {
  start(): Promise<void>;
  /** How many partitions the requests topic has. Rejects with `NoPartitions`. */
  partitions(): Promise<number>;
  /** Write one record; resolves when the brokers have it. */
  send(partition: number, key: Uint8Array, value: Uint8Array, headers: Record<string, string>): Promise<Place>;
  stop(): Promise<void>;
}
