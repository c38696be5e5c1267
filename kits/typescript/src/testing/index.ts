/**
 * For tests of programs that use this package: requests played in memory, without Kafka.
 *
 * `Play` makes the records of one request; `FakeReelwire` answers what a `Client` submits.
 */

export { FakeReelwire } from "./fake.js";
export type { Script, SentRequest } from "./fake.js";
export { Play } from "./play.js";
export type { PlayOptions } from "./play.js";
