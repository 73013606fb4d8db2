/**
 * Why something could not be delivered, in a few words that hold no address, key or text of the service's. Which of the
 * three classes it is decides whether it is tried again.
 */
abstract class DeliveryError extends Error {}

/** The service has said no, and nothing came of it: the same is never tried again. */
export class Refused extends DeliveryError {
  override name = "Refused";
}

/** Nothing came of it, and it may be tried later: not reached, too many requests, an error before anything happened. */
export class NotNow extends DeliveryError {
  override name = "NotNow";
  /** Not sooner, in ms; undefined where the service did not say. */
  readonly afterMs: number | undefined;

  constructor(reason: string, afterMs?: number) {
    super(reason);
    this.afterMs = afterMs;
  }
}

/** It was sent and nobody knows what came of it. Only what has a key of its own, or can look first, is tried again. */
export class Unknown extends DeliveryError {
  override name = "Unknown";
}
