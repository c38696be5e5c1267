/**
 * Follow and submit video analyses of Reelwire.
 *
 * `Client` over `@reelwire/client/kafkajs` or `@reelwire/client/confluent` for programs; `Assembler` alone for those who
 * read by themselves; `@reelwire/client/testing` plays requests in memory.
 */

export { Assembler } from "./assembler.js";
export type { AssemblerOptions } from "./assembler.js";
export { nameOf } from "./changes.js";
export type * from "./changes.js";
export { Client } from "./client.js";
export type { Submission, SubmitOptions } from "./client.js";
export * from "./errors.js";
export { TOPICS } from "./events.js";
export type * from "./events.js";
export { murmur2, partitionOf } from "./partitioning.js";
export type { Batch, RecordReader, RequestSender, Role } from "./ports.js";
export type { DeadLetter, Headers, KafkaRecord, Place } from "./records.js";
export { RequestStream } from "./stream.js";
export type { Part } from "./stream.js";
export type { ReaderOptions } from "./topics.js";
