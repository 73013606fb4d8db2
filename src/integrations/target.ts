/** One thing that a target is to be told, as it stands in the outbox. */
export interface Delivery {
  /** The event's key: the same for the same event, whoever tells it, and in each try. */
  id: string;
  kind: string;
  /** What was written, as JSON; the target knows its form. */
  payload: unknown;
  /** How many tries there were of this payload, this one among them. */
  tries: number;
  /** A former try may have arrived: look first, or send with the same key. */
  mayHaveBeenSent: boolean;
  /** What a former delivery of this id gave back: what is there already and is now to be changed. */
  remoteId?: string | undefined;
}

/** A place that is told of events. It never throws anything but the classes of `delivery-error.ts`. */
export interface Target {
  /** Stored with each delivery: never changed, no secret. */
  name: string;
  /**
   * Whether it may go out once more when nobody knows whether it has arrived: the service knows it by a key, or the
   * target looks first. Left out: never.
   */
  isRepeatable?(delivery: Delivery): boolean;
  /**
   * Delivers it within half a minute.
   * @param signal the process ends, or the time is up
   * @returns what the service calls it, where that is for a later change
   * @throws Refused, NotNow, Unknown; any other Error counts as Unknown
   */
  deliver(delivery: Delivery, signal: AbortSignal): Promise<{ remoteId?: string }>;
  /** What it is, for the log: `The comment on ENG-123`. */
  describe(delivery: Delivery): string;
  /** The pauses between tries, in ms; after the last one it is given up. Those of notices unless told. */
  pausesMs?: readonly number[];
  /** What it is called among figures; the name unless told. */
  label?: string;
}

/** A service that restarts is back by then; later it would be no news. In ms. */
export const NEWS_PAUSES_MS = [5_000, 30_000, 120_000] as const;
/** For what has to arrive also after an outage of hours, in ms. */
export const LONG_PAUSES_MS = [
  ...[5_000, 30_000, 120_000, 600_000, 1_800_000],
  ...Array.from({ length: 12 }, () => 3_600_000),
] as const;
