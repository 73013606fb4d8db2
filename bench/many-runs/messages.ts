/** What the upstream's process tells. Times are epoch ms. */
export type FromUpstream =
  | { type: "ready"; url: string }
  /** A change of the run of that session name; it may lie in the future. */
  | { type: "change"; name: string; turn: number | "end"; at: number }
  /** Requests since it was asked last. */
  | { type: "requests"; count: number };
