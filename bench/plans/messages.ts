/** What the processes of the benchmark tell. Times are epoch ms. */
export type FromUpstream =
  | { type: "ready"; url: string }
  /** The start of a run in the session of that name has come. */
  | { type: "start"; name: string; at: number }
  /** Requests that only look, since it was asked last. */
  | { type: "requests"; count: number };

export type FromDriver =
  /** It is known that the run in the session of that name has ended. */
  | { type: "ended"; name: string; at: number }
  /** All plans are over. */
  | { type: "over"; seconds: number; rssMb: number; looks: number };

/** What a driver is to do. */
export interface DriverOrder {
  url: string;
  /** The state folder. */
  folder: string;
  /** Requests a second by which runs are watched. */
  perSecond: number;
  /** The plans, as they are written. */
  plans: object[];
}

/** The time of day with fractions of a millisecond, the same in all processes. */
export const timeOfDay = (): number => performance.timeOrigin + performance.now();
