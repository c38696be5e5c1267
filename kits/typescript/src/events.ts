/** What crosses Reelwire's borders. Made from the JSON Schemas of the contract by `make contracts`: do not edit. */

/** The topics by their role, with their default names. */
export const TOPICS = {
  requests: "video.analysis.requests.v1",
  fragments: "video.analysis.fragments.v1",
  completions: "video.analysis.completions.v1",
  progress: "video.analysis.progress.v1",
  dead_letters: "video.analysis.requests.v1.dlq",
} as const;

/** The request is durable: it will end in a completion. */
export interface Accepted {
  /** Which message this is. */
  type: "accepted";
  /** The request's. */
  request_id: string;
  /** The request's. Events of the first version have none: they are of run 1. */
  run: number;
  /** From 1; each call that may be billed has a new one. A reader ignores a lower attempt than one it has seen. */
  attempt: number;
  /** When it happened, by the clock of the process that publishes it. */
  time: string;
  /** The request's, as given. */
  metadata: Record<string, unknown> | null;
  /** The request's, as given. */
  tenant: string | null;
}

/** A public link to the raw media. */
export interface UrlVideo {
  /** The caller's own name for the content: two sources with one key are the same video. */
  key?: string | null;
  type: "url";
  /** May be signed: never logged. */
  url: string;
}

/** An asset the platform already has. */
export interface AssetVideo {
  /** The caller's own name for the content: two sources with one key are the same video. */
  key?: string | null;
  type: "asset_id";
  asset_id: string;
}

/** The bytes themselves. */
export interface Base64Video {
  /** The caller's own name for the content: two sources with one key are the same video. */
  key?: string | null;
  type: "base64_string";
  /** A prefix `data:…;base64,` is taken off. */
  base64_string: string;
}

/** A file the service can read, below one of its allowed roots. */
export interface FileVideo {
  /** The caller's own name for the content: two sources with one key are the same video. */
  key?: string | null;
  type: "file";
  path: string;
}

/** An object in a store, below one of the allowed prefixes. */
export interface ObjectVideo {
  /** The caller's own name for the content: two sources with one key are the same video. */
  key?: string | null;
  type: "object";
  uri: string;
}

/** One image of an analysis of images. */
export interface ImageInput {
  /** Where the platform fetches it; instead of `asset_id` and `base64_string`. */
  url?: string | null;
  /** The platform's asset of it. */
  asset_id?: string | null;
  /** The image itself. */
  base64_string?: string | null;
  /** What the prompt calls it: `<@name>`. */
  name: string;
}

/** A reference image; its name may hold hyphens. */
export interface MediaSource {
  /** Where the platform fetches it; instead of `asset_id` and `base64_string`. */
  url?: string | null;
  /** The platform's asset of it. */
  asset_id?: string | null;
  /** The image itself. */
  base64_string?: string | null;
  /** What the prompt calls it: `<@name>`. */
  name: string;
  /** The platform takes no other kind. */
  media_type: "image";
}

/** A prompt that refers to images by `<@name>`. */
export interface PromptV2 {
  /** What to do with the video. */
  input_text: string;
  /** The images that the text refers to. */
  media_sources?: MediaSource[] | null;
}

/** JSON that follows a schema, in the platform's subset of draft 2020-12. The order of properties is kept. */
export interface JsonSchemaFormat {
  type: "json_schema";
  json_schema: Record<string, unknown>;
}

/** What the array of an inner field holds. */
export interface ArrayItems {
  type: "string" | "number" | "boolean" | "integer";
}

/** A member of each event of a `time_array`. */
export interface InnerField {
  name: string;
  type: "string" | "boolean" | "number" | "integer" | "array";
  description: string;
  enum?: string[] | null;
  items?: ArrayItems | null;
  format?: null;
}

/** What an `array` or a `time_array` holds. */
export interface FieldItems {
  type: "string" | "number" | "boolean" | "integer" | "object";
  fields?: InnerField[] | null;
}

/** One thing to say about each segment. */
export interface SegmentField {
  name: string;
  type: "string" | "boolean" | "number" | "integer" | "array" | "timestamp" | "time_array";
  description: string;
  format?: "seconds" | "hh:mm:ss" | "hh:mm:ss.fff" | null;
  enum?: string[] | null;
  items?: FieldItems | null;
}

/** A part of the video, in seconds. */
export interface TimeRange {
  start_time: number;
  end_time: number;
}

/** A kind of segment to look for. Each definition is billed. */
export interface SegmentDefinition {
  id: string;
  description: string;
  fields?: SegmentField[] | null;
  media_sources?: MediaSource[] | null;
  time_ranges?: TimeRange[] | null;
}

/** Segments of the video; asynchronous only. */
export interface SegmentFormat {
  type: "segment_definitions";
  segment_definitions: SegmentDefinition[];
  segment_time_format?: "seconds" | "hh:mm:ss" | "hh:mm:ss.fff" | null;
}

/**
 * Ask for an analysis. Send it with a key, if any, that is put into its partition by murmur2, Kafka's default.
 *
 * A null counts as an absent member; unknown members are ignored.
 */
export interface AnalyzeRequest {
  /** Which message this is. */
  type?: "analyze" | null;
  /** The identity of the job, within its partition: send one id with one key. */
  request_id: string;
  /** Where the video comes from; exactly one of video and image. */
  video?: UrlVideo | AssetVideo | Base64Video | FileVideo | ObjectVideo | null;
  /** Images instead of a video; pegasus1.6 only, and with `prompt`. */
  image?: ImageInput[] | null;
  /** What to do with the video or the images. */
  prompt?: string | null;
  /** A prompt with reference images; instead of `prompt`. */
  prompt_v2?: PromptV2 | null;
  /** How the answer is had: as it is generated, in one response, as a task, or what suits. */
  mode?: "stream" | "sync" | "async" | "auto" | null;
  /** `auto` makes an asset, once; `inline` hands url or base64 to the analysis itself. */
  upload?: "auto" | "inline" | null;
  /** The platform's model. */
  model_name?: "pegasus1.5" | "pegasus1.6" | null;
  /** How freely the text is generated. */
  temperature?: number | null;
  /** Length of the answer; at least 2048 with time_based_metadata, and only there `unlimited` (pegasus1.6). */
  max_tokens?: number | "unlimited" | null;
  /** JSON by a schema, or segments of the video; else the answer is text. */
  response_format?: JsonSchemaFormat | SegmentFormat | null;
  /** Seconds, on the file's own clock. */
  start_time?: number | null;
  /** Seconds; at least one and at most 7200 after `start_time`. */
  end_time?: number | null;
  /** `time_based_metadata` finds segments. */
  analysis_mode?: "general" | "time_based_metadata" | null;
  /** Seconds that a segment lasts at least. */
  min_segment_duration?: number | null;
  /** Seconds that a segment lasts at most. */
  max_segment_duration?: number | null;
  /** What becomes of a stream that a crash cut off. */
  on_interrupt?: "restart" | "async" | "fail" | null;
  /** RFC 3339 with an offset; past it the job is given up. */
  deadline?: string | null;
  /** A finished id is begun again by a record with a higher number: id and run together are the identity. */
  run?: number | null;
  /** Who gets the next turn and the next bit of quota. */
  priority?: "high" | "normal" | "low" | null;
  /** Whether the request may wait to be sent in a batch of the platform; asynchronous only. */
  batch?: boolean | null;
  /** RFC 3339 with an offset: the wall-clock time of the video's first frame, for `timeline`. */
  recorded_at?: string | null;
  /** For whom the analysis is; echoed on every event but fragments. */
  tenant?: string | null;
  /** Echoed on every event but fragments; up to 16 KiB as compact UTF-8 JSON. */
  metadata?: Record<string, unknown> | null;
}

/** The platform has the video. */
export interface AssetReady {
  /** Which message this is. */
  type: "asset_ready";
  /** The request's. */
  request_id: string;
  /** The request's. Events of the first version have none: they are of run 1. */
  run: number;
  /** From 1; each call that may be billed has a new one. A reader ignores a lower attempt than one it has seen. */
  attempt: number;
  /** When it happened, by the clock of the process that publishes it. */
  time: string;
  /** The request's, as given. */
  metadata: Record<string, unknown> | null;
  /** The request's, as given. */
  tenant: string | null;
  /** The platform's name of the video. */
  asset_id: string;
  /** Seconds of video; null when the platform did not say. */
  duration: number | null;
  /** Whether it was on the platform already, so that nothing was uploaded for this request. */
  reused: boolean;
}

/** A cancel came for a request that has ended, or for an unknown id. */
export interface CancelIgnored {
  /** Which message this is. */
  type: "cancel_ignored";
  /** The request's. */
  request_id: string;
  /** The request's. Events of the first version have none: they are of run 1. */
  run: number;
  /** From 1; each call that may be billed has a new one. A reader ignores a lower attempt than one it has seen. */
  attempt: number;
  /** When it happened, by the clock of the process that publishes it. */
  time: string;
  /** The request's, as given. */
  metadata: Record<string, unknown> | null;
  /** The request's, as given. */
  tenant: string | null;
  /** `finished`: the request has ended already · `unknown`: there is no such request in this partition. */
  reason: "finished" | "unknown";
}

/** Ask for the end of a job. Send it with the key of its request and the same partitioner (murmur2). */
export interface CancelRequest {
  /** Which message this is. */
  type: "cancel";
  /** The job to end, whichever run of it is under way. */
  request_id: string;
  /** Echoed on `cancel_ignored`. */
  tenant?: string | null;
  /** Echoed on `cancel_ignored`; a completion has that of the request it ends. */
  metadata?: Record<string, unknown> | null;
}

/** The job was canceled. */
export interface Canceled {
  /** Which message this is. */
  type: "canceled";
  /** The request's. */
  request_id: string;
  /** The request's. Events of the first version have none: they are of run 1. */
  run: number;
  /** From 1; each call that may be billed has a new one. A reader ignores a lower attempt than one it has seen. */
  attempt: number;
  /** When it happened, by the clock of the process that publishes it. */
  time: string;
  /** The request's, as given. */
  metadata: Record<string, unknown> | null;
  /** The request's, as given. */
  tenant: string | null;
  /** Why, in words. */
  reason: string;
}

/**
 * A remark on a result that was delivered: the platform's, such as a cut at `max_tokens`, or ours.
 *
 * `data_repaired` is ours: `data` was found in a text that is not JSON as a whole.
 */
export interface PlatformWarning {
  /** The platform's code, or `data_repaired`. */
  code: string | null;
  /** The remark in words. */
  message: string;
}

/** What the platform used for the analysis. */
export interface Usage {
  /** Of prompt and video, as the platform counts them. */
  input_tokens: number | null;
  /** Of the text, as the platform counts them. */
  output_tokens: number | null;
  /** The analysed window. */
  video_seconds: number | null;
  /** Minutes of the window, for segments once per definition. */
  billed_minutes: number | null;
  /** Of this attempt, by the prices of the settings; null without them. */
  estimated_cost: number | null;
  /** Of `estimated_cost`. */
  currency: string | null;
}

/** One segment, or one time in a result that follows a JSON schema. */
export interface TimelineEntry {
  /** The id of the segment's definition, or the path of the member without indexes, such as `incidents.seen_at`. */
  definition: string;
  /** Seconds of the video. */
  start_time: number | null;
  /** Null for a moment. */
  end_time: number | null;
  /** The wall-clock time, with `recorded_at`. */
  started_at: string | null;
  /** The wall-clock time of `end_time`, with `recorded_at`; null for a moment. */
  ended_at: string | null;
  /** What the result says of it: a segment's metadata, else the plain members beside the time. */
  fields: Record<string, unknown> | null;
}

/** How long each part took, in seconds. */
export interface Timings {
  /** From the request's record until the upload began, or the attempt where nothing was uploaded. */
  queued: number | null;
  /** From its begin until the platform had the video; null when nothing was uploaded. */
  upload: number | null;
  /** From the begin of the attempt that ended it until the completion. */
  analysis: number | null;
  /** From the begin of the attempt until its first piece of text; null off-stream. */
  first_fragment: number | null;
  /** From the request's record until the completion. */
  total: number | null;
}

/** The result. */
export interface Completed {
  /** Which message this is. */
  type: "completed";
  /** The request's. */
  request_id: string;
  /** The request's. Events of the first version have none: they are of run 1. */
  run: number;
  /** From 1; each call that may be billed has a new one. A reader ignores a lower attempt than one it has seen. */
  attempt: number;
  /** When it happened, by the clock of the process that publishes it. */
  time: string;
  /** The request's, as given. */
  metadata: Record<string, unknown> | null;
  /** The request's, as given. */
  tenant: string | null;
  /** The one that was used; with `auto`, the service chose it. */
  mode: "stream" | "sync" | "async";
  /** The whole generated text. */
  text: string;
  /** Decoded JSON where the response format asked for it. */
  data: unknown;
  /** Why it could not be decoded. */
  data_error: string | null;
  /** Why the platform stopped generating, in its words, such as `stop` or `length`. */
  finish_reason: string | null;
  /** A remark on the result; null for none. */
  warning: PlatformWarning | null;
  /** What the platform used; null when it did not say. */
  usage: Usage | null;
  /** The platform's name of what it generated. */
  generation_id: string | null;
  /** The platform's asset of the video; null when there is none, as for images and inline videos. */
  asset_id: string | null;
  /** The platform's task; null off `async`. */
  task_id: string | null;
  /** The platform's batch in which the task was created; null outside of a batch. */
  batch_id: string | null;
  /** How many fragments of this attempt are in the fragments topic. */
  fragments: number;
  /** Segments, and the times of a result that follows a JSON schema, in order of time. */
  timeline: TimelineEntry[] | null;
  /** How long it took. */
  timings: Timings;
}

/**
 * A second request with a known id came. It starts nothing. `run` is what that second request said.
 *
 * A higher `run` than the one under way starts nothing either, now or later: send it again when that one has ended.
 */
export interface Duplicate {
  /** Which message this is. */
  type: "duplicate";
  /** The request's. */
  request_id: string;
  /** The request's. Events of the first version have none: they are of run 1. */
  run: number;
  /** From 1; each call that may be billed has a new one. A reader ignores a lower attempt than one it has seen. */
  attempt: number;
  /** When it happened, by the clock of the process that publishes it. */
  time: string;
  /** The request's, as given. */
  metadata: Record<string, unknown> | null;
  /** The request's, as given. */
  tenant: string | null;
  /** Whether it asks for the same as the known request. If not, the completion of this id is no answer to it. */
  same_body: boolean;
}

export type ErrorCode = "source_not_allowed" | "source_not_found" | "source_unreadable" | "mode_not_possible" | "deadline_exceeded" | "budget_exceeded" | "asset_failed" | "upload_failed" | "rejected" | "task_failed" | "stream_failed" | "interrupted" | "outcome_unknown" | "platform_unavailable" | "result_too_large" | "internal_error";

export type Stage = "request" | "upload" | "analysis";

/** The platform's own words. Only secrets are taken out. */
export interface PlatformAnswer {
  /** HTTP status; null for the error of a task. */
  status: number | null;
  /** The platform's code, if it gave one. */
  code: string | null;
  /** The platform's message, if it gave one. */
  message: string | null;
}

/** Why a job failed. */
export interface ErrorInfo {
  /** What kind of failure it is, for programs. */
  code: ErrorCode;
  /** What happened and what to do, for people; it may change with every version. */
  message: string;
  /** Where in the work it failed. */
  stage: Stage;
  /** Whether the same request, under a new id, may succeed. */
  retryable: boolean;
  /** What the platform answered; null when no answer of it is the reason. */
  platform: PlatformAnswer | null;
}

/** The job ended without a result. */
export interface Failed {
  /** Which message this is. */
  type: "failed";
  /** The request's. */
  request_id: string;
  /** The request's. Events of the first version have none: they are of run 1. */
  run: number;
  /** From 1; each call that may be billed has a new one. A reader ignores a lower attempt than one it has seen. */
  attempt: number;
  /** When it happened, by the clock of the process that publishes it. */
  time: string;
  /** The request's, as given. */
  metadata: Record<string, unknown> | null;
  /** The request's, as given. */
  tenant: string | null;
  /** Why. */
  error: ErrorInfo;
}

/** A piece of the generated text, published as it is generated. */
export interface Fragment {
  /** Which message this is. */
  type: "fragment";
  /** The request's. */
  request_id: string;
  /** The request's. Events of the first version have none: they are of run 1. */
  run: number;
  /** From 1; each call that may be billed has a new one. A reader ignores a lower attempt than one it has seen. */
  attempt: number;
  /** When it happened, by the clock of the process that publishes it. */
  time: string;
  /** From 0, without gaps within an attempt. */
  sequence: number;
  /** This piece; all pieces of an attempt, joined by `sequence`, are the text of its completion. */
  text: string;
  /** The platform's name of what it generates, when it is known. */
  generation_id: string | null;
}

/** The attempt goes on in another process: the partition has moved, and what was running has not. */
export interface HandedOver {
  /** Which message this is. */
  type: "handed_over";
  /** The request's. */
  request_id: string;
  /** The request's. Events of the first version have none: they are of run 1. */
  run: number;
  /** From 1; each call that may be billed has a new one. A reader ignores a lower attempt than one it has seen. */
  attempt: number;
  /** When it happened, by the clock of the process that publishes it. */
  time: string;
  /** The request's, as given. */
  metadata: Record<string, unknown> | null;
  /** The request's, as given. */
  tenant: string | null;
}

/** An attempt was cut off. `attempt` is the number of that attempt. */
export interface Interrupted {
  /** Which message this is. */
  type: "interrupted";
  /** The request's. */
  request_id: string;
  /** The request's. Events of the first version have none: they are of run 1. */
  run: number;
  /** From 1; each call that may be billed has a new one. A reader ignores a lower attempt than one it has seen. */
  attempt: number;
  /** When it happened, by the clock of the process that publishes it. */
  time: string;
  /** The request's, as given. */
  metadata: Record<string, unknown> | null;
  /** The request's, as given. */
  tenant: string | null;
}

/** A call failed and is made again after `delay_seconds`. */
export interface Retrying {
  /** Which message this is. */
  type: "retrying";
  /** The request's. */
  request_id: string;
  /** The request's. Events of the first version have none: they are of run 1. */
  run: number;
  /** From 1; each call that may be billed has a new one. A reader ignores a lower attempt than one it has seen. */
  attempt: number;
  /** When it happened, by the clock of the process that publishes it. */
  time: string;
  /** The request's, as given. */
  metadata: Record<string, unknown> | null;
  /** The request's, as given. */
  tenant: string | null;
  /** What failed, in words. */
  reason: string;
  /** How long is waited before the next call. */
  delay_seconds: number;
}

/** The platform begins to generate. */
export interface StreamStarted {
  /** Which message this is. */
  type: "stream_started";
  /** The request's. */
  request_id: string;
  /** The request's. Events of the first version have none: they are of run 1. */
  run: number;
  /** From 1; each call that may be billed has a new one. A reader ignores a lower attempt than one it has seen. */
  attempt: number;
  /** When it happened, by the clock of the process that publishes it. */
  time: string;
  /** The request's, as given. */
  metadata: Record<string, unknown> | null;
  /** The request's, as given. */
  tenant: string | null;
}

/** The platform has created a task. */
export interface TaskCreated {
  /** Which message this is. */
  type: "task_created";
  /** The request's. */
  request_id: string;
  /** The request's. Events of the first version have none: they are of run 1. */
  run: number;
  /** From 1; each call that may be billed has a new one. A reader ignores a lower attempt than one it has seen. */
  attempt: number;
  /** When it happened, by the clock of the process that publishes it. */
  time: string;
  /** The request's, as given. */
  metadata: Record<string, unknown> | null;
  /** The request's, as given. */
  tenant: string | null;
  /** The platform's name of the task. */
  task_id: string;
}

/** The status of the task has changed. */
export interface TaskStatus {
  /** Which message this is. */
  type: "task_status";
  /** The request's. */
  request_id: string;
  /** The request's. Events of the first version have none: they are of run 1. */
  run: number;
  /** From 1; each call that may be billed has a new one. A reader ignores a lower attempt than one it has seen. */
  attempt: number;
  /** When it happened, by the clock of the process that publishes it. */
  time: string;
  /** The request's, as given. */
  metadata: Record<string, unknown> | null;
  /** The request's, as given. */
  tenant: string | null;
  /** The platform's word. */
  status: string;
}

/** How much of the video has been sent to the platform. Published at once, outside any transaction. */
export interface Uploading {
  /** Which message this is. */
  type: "uploading";
  /** The request's. */
  request_id: string;
  /** The request's. Events of the first version have none: they are of run 1. */
  run: number;
  /** From 1; each call that may be billed has a new one. A reader ignores a lower attempt than one it has seen. */
  attempt: number;
  /** When it happened, by the clock of the process that publishes it. */
  time: string;
  /** The request's, as given. */
  metadata: Record<string, unknown> | null;
  /** The request's, as given. */
  tenant: string | null;
  /** So far. */
  bytes_sent: number;
  /** Of the whole video; null when its size is not known. */
  bytes_total: number | null;
  /** How the platform gets the video: it fetches a URL, or is sent one request, or chunks in an upload session. */
  route: "url" | "direct" | "multipart" | null;
}

/** The job waits for longer than five seconds. Published when it begins to wait. */
export interface Waiting {
  /** Which message this is. */
  type: "waiting";
  /** The request's. */
  request_id: string;
  /** The request's. Events of the first version have none: they are of run 1. */
  run: number;
  /** From 1; each call that may be billed has a new one. A reader ignores a lower attempt than one it has seen. */
  attempt: number;
  /** When it happened, by the clock of the process that publishes it. */
  time: string;
  /** The request's, as given. */
  metadata: Record<string, unknown> | null;
  /** The request's, as given. */
  tenant: string | null;
  /**
   * `quota`: the account's is used up · `turn`: others are first · `order`: an earlier request of its key runs ·
   * `batch`: for others to be sent with · `paused`: by the operator.
   */
  reason: "quota" | "turn" | "order" | "batch" | "paused";
}

export type Request = AnalyzeRequest | CancelRequest;
export const REQUESTS_TYPES: ReadonlySet<string> = new Set(["analyze", "cancel"]);

export const FRAGMENTS_TYPES: ReadonlySet<string> = new Set(["fragment"]);

export type Completion = Completed | Failed | Canceled;
export const COMPLETIONS_TYPES: ReadonlySet<string> = new Set(["completed", "failed", "canceled"]);

export type Progress = Accepted | Uploading | AssetReady | StreamStarted | TaskCreated | TaskStatus | Retrying | Waiting | HandedOver | Interrupted | Duplicate | CancelIgnored;
export const PROGRESS_TYPES: ReadonlySet<string> = new Set(["accepted", "uploading", "asset_ready", "stream_started", "task_created", "task_status", "retrying", "waiting", "handed_over", "interrupted", "duplicate", "cancel_ignored"]);

export type Event = Fragment | Completion | Progress;
