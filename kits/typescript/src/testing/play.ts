/** The records of one request, written as a story: `new Play("cam7-1").accepted().text("A car").cut().text("A van.")`. */

import { TOPICS } from "../events.js";
import type { Completed, ErrorCode, PlatformAnswer, Progress } from "../events.js";
import type { Role } from "../ports.js";
import type { KafkaRecord } from "../records.js";

const BEGIN = Date.UTC(2026, 0, 1);
const UTF8 = new TextEncoder();
const STAGES: Partial<Record<ErrorCode, string>> = {
  source_not_allowed: "request",
  source_not_found: "request",
  source_unreadable: "request",
  mode_not_possible: "request",
  deadline_exceeded: "request",
  budget_exceeded: "request",
  asset_failed: "upload",
  upload_failed: "upload",
};
/** What progress of a type says beside the common members, unless the test says otherwise. */
const MEMBERS: Record<string, Record<string, unknown>> = {
  uploading: { bytes_sent: 0, bytes_total: null, route: null },
  asset_ready: { asset_id: "asset-1", duration: null, reused: false },
  task_created: { task_id: "task-1" },
  task_status: { status: "processing" },
  retrying: { reason: "rate limited", delay_seconds: 1 },
  waiting: { reason: "quota" },
  duplicate: { same_body: true },
  cancel_ignored: { reason: "finished" },
};

export interface PlayOptions {
  /** The place of the request's record. */
  partition?: number;
  offset?: number;
  run?: number;
  metadata?: Record<string, unknown> | null;
  tenant?: string | null;
}

/**
 * Each method adds what the service would publish, and returns the play. `records()` is all of it, in order.
 *
 * Every value is valid by the contract's schemas, and the same in each run.
 */
export class Play {
  readonly partition: number;
  readonly offset: number;
  readonly run: number;
  readonly metadata: Record<string, unknown> | null;
  readonly tenant: string | null;
  attempt = 1;
  ended = false;
  #pieces: string[] = [];
  #records: KafkaRecord[] = [];
  #completion: KafkaRecord | null = null;

  constructor(
    readonly requestId: string,
    options: PlayOptions = {},
  ) {
    this.partition = options.partition ?? 0;
    this.offset = options.offset ?? 0;
    this.run = options.run ?? 1;
    this.metadata = options.metadata ?? null;
    this.tenant = options.tenant ?? null;
  }

  /** All records so far, in the order in which a reader gets them. */
  records(): KafkaRecord[] {
    return [...this.#records];
  }

  /** The request is durable. */
  accepted(): this {
    return this.progress("accepted");
  }

  /** Progress of any type; members that are not given have some value. */
  progress(type: Progress["type"], members: Record<string, unknown> = {}): this {
    return this.#event("progress", type, { ...MEMBERS[type], ...members });
  }

  /** Fragments of the present attempt, one for each piece. */
  text(...pieces: string[]): this {
    for (const piece of pieces) {
      this.stray(this.attempt, this.#pieces.length, piece);
      this.#pieces.push(piece);
    }
    return this;
  }

  /** The attempt is cut off, and the next one begins as the service begins it: with an empty fragment. */
  cut(): this {
    this.progress("interrupted");
    this.attempt += 1;
    this.#pieces = [];
    return this.text("");
  }

  /** A fragment by a process that was frozen, or one that comes twice. */
  stray(attempt: number, sequence: number, text: string): this {
    const members = { sequence, text, generation_id: null };
    return this.#event("fragments", "fragment", members, attempt, `fragment-${attempt}-${sequence}`);
  }

  /** The result; its text is that of the present attempt. Read ahead of `aheadOf` of the last fragments. */
  completed(members: Partial<Completed> = {}, aheadOf = 0): this {
    const body: Omit<Completed, "type" | "request_id" | "run" | "attempt" | "time" | "metadata" | "tenant"> = {
      mode: this.#pieces.length > 0 ? "stream" : "sync",
      text: this.#pieces.join(""),
      data: null,
      data_error: null,
      finish_reason: "stop",
      warning: null,
      usage: {
        input_tokens: null,
        output_tokens: null,
        video_seconds: null,
        billed_minutes: null,
        estimated_cost: null,
        currency: null,
      },
      generation_id: null,
      asset_id: null,
      task_id: null,
      batch_id: null,
      fragments: this.#pieces.length,
      timeline: null,
      timings: { queued: null, upload: null, analysis: null, first_fragment: null, total: null },
    };
    return this.#end("completed", { ...body, ...members }, aheadOf);
  }

  /** The end without a result. */
  failed(
    code: ErrorCode = "rejected",
    message = "The platform refused the request.",
    options: { retryable?: boolean; platform?: PlatformAnswer | null } = {},
  ): this {
    const { retryable = false, platform = null } = options;
    return this.#end("failed", { error: { code, message, stage: STAGES[code] ?? "analysis", retryable, platform } });
  }

  /** The end by a cancellation. */
  canceled(reason = "asked for"): this {
    return this.#end("canceled", { reason });
  }

  /** The completion once more, byte for byte, as after a second request with the same id. */
  repeated(): this {
    if (this.#completion === null) throw new Error(`${this.requestId} has no completion that could be repeated`);
    this.#records.push(this.#completion);
    return this;
  }

  /** The request becomes a dead letter: there is no completion. */
  refused(code = "invalid", message = "prompt is missing", value: Uint8Array = UTF8.encode("{}")): this {
    const headers = {
      "dlq.original.topic": TOPICS.requests,
      "dlq.original.partition": String(this.partition),
      "dlq.original.offset": String(this.offset),
      "dlq.original.timestamp": String(BEGIN),
      "dlq.error.code": code,
      "dlq.error.message": message,
      "dlq.failed_at": this.#time(),
      "dlq.service.version": "0.1.0",
      "dlq.redrive.count": "0",
    };
    this.#records.push({ topic: TOPICS.dead_letters, partition: this.partition, headers, value });
    return this;
  }

  #end(type: string, members: Record<string, unknown>, aheadOf = 0): this {
    this.#event("completions", type, members, this.attempt, "completion");
    const record = this.#records[this.#records.length - 1] as KafkaRecord;
    this.#completion = record;
    if (aheadOf > 0) {
      this.#records.pop();
      const fragments = [...this.#records.keys()].filter((at) => this.#records[at]?.topic === TOPICS.fragments);
      this.#records.splice(fragments.slice(-aheadOf)[0] ?? this.#records.length, 0, record);
    }
    this.ended = true;
    return this;
  }

  #event(role: Role, type: string, members: Record<string, unknown>, attempt = this.attempt, name?: string): this {
    const time = this.#time();
    const told = role === "fragments" ? {} : { metadata: this.metadata, tenant: this.tenant };
    const body = { type, request_id: this.requestId, run: this.run, attempt, time, ...told, ...members };
    const id = name ?? `${type}-${attempt}-${this.#records.length}`;
    const headers = {
      "content-type": "application/json",
      ce_specversion: "1.0",
      ce_id: `${this.partition}-${this.offset}-${this.requestId}-${this.run}-${id}`,
      ce_source: `reelwire/${TOPICS.requests}`,
      ce_type: `com.reelwire.video.analysis.${type}.v1`,
      ce_subject: this.requestId,
      ce_time: time,
    };
    const value = UTF8.encode(JSON.stringify(body));
    this.#records.push({ topic: TOPICS[role], partition: this.partition, headers, value });
    return this;
  }

  #time(): string {
    return new Date(BEGIN + this.#records.length).toISOString();
  }
}
