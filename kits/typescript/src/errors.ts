/** Errors of this package. */

import type { Canceled, Failed } from "./events.js";
import type { DeadLetter } from "./records.js";

/** Every error of this package that is not a wrong argument. */
export class ReelwireError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
  }
}

/** The request ended as `failed`. `event.error.retryable` says whether a new id may succeed. */
export class RequestFailed extends ReelwireError {
  constructor(readonly event: Failed) {
    super(`${event.request_id} failed: ${event.error.code}: ${event.error.message}`);
  }
}

/** The request was canceled. */
export class RequestCanceled extends ReelwireError {
  constructor(readonly event: Canceled) {
    super(`${event.request_id} was canceled: ${event.reason}`);
  }
}

/** The request is in the dead letters: what was sent is no valid request. The message says what to change. */
export class RequestRefused extends ReelwireError {
  constructor(
    requestId: string,
    readonly letter: DeadLetter,
  ) {
    super(`${requestId} was refused: ${letter.code}: ${letter.message}`);
  }
}

/** The request ended before it was followed. Submit it again with the same id: its completion is sent once more. */
export class AlreadyEnded extends ReelwireError {}

/** The topics are not read any longer: the client was closed, or its reader failed (`cause` says how). */
export class ReadingStopped extends ReelwireError {}

/**
 * The stream is not followed any longer: `unfollow` was called for it.
 *
 * Or it is one of `streams()` and its partition is read elsewhere now, or more are live than `maxLive`. Its completion,
 * if it is read here, comes as a stream of its own.
 */
export class StreamForgotten extends ReelwireError {}

/** More streams began than were taken from `streams()`; take them faster, each handled by itself. */
export class TooManyStreams extends ReelwireError {}

/** The requests topic is not there, or has no partitions. */
export class NoPartitions extends ReelwireError {}
