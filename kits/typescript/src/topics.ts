/** Which topics a reader reads, and from where on. */

import { TOPICS } from "./events.js";
import type { Role } from "./ports.js";

export interface ReaderOptions {
  /** Topics whose names are not the defaults. */
  topics?: Partial<Record<Role, string>>;
  /** What is read; default fragments, completions, progress and dead letters. */
  roles?: readonly Role[];
  /**
   * Readers with one group share the partitions, and what was dealt with is committed. Without it every reader has
   * all partitions.
   */
  groupId?: string;
  /** `now` (default): what is written from the start of the reader on. `earliest`: everything that is there. */
  start?: "now" | "earliest";
}

const READ: readonly Role[] = ["fragments", "completions", "progress", "dead_letters"];

/** The names of the topics that a reader reads. */
export function namesOf(options: ReaderOptions): string[] {
  return (options.roles ?? READ).map((role) => options.topics?.[role] ?? TOPICS[role]);
}

/**
 * Partitions of a consumer group: which of ours went elsewhere in a rebalance.
 *
 * A request is in the same partition number of every topic, so numbers are what counts. The assignment must keep them
 * together: with another strategy a stream's topics would go to different readers.
 */
export class Moves {
  #ours = new Set<number>();
  #dropped: number[] = [];

  /** The whole new assignment. */
  assigned(partitions: Iterable<number>): void {
    const now = new Set(partitions);
    this.#dropped.push(...[...this.#ours].filter((partition) => !now.has(partition)));
    this.#ours = now;
  }

  /** What was dropped since the last call. */
  take(): number[] {
    const dropped = this.#dropped;
    this.#dropped = [];
    return dropped;
  }
}
