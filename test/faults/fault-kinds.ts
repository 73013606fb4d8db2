import { createRandom, mix, type Random } from "./random.js";

/** The API's endpoints, as faults and counts tell them apart. */
export type Endpoint =
  | "workflows"
  | "description"
  | "events"
  | "runs"
  | "start"
  | "status"
  | "feedback"
  | "queue"
  | "kill"
  | "take"
  | "cleanup"
  | "answer"
  | "other";

/** What may happen to one request. The word says it; what is done is in `faulty-api.ts`. */
export const FAULTS = [
  "reset before",
  "reset after",
  "silence before",
  "silence after",
  "slow bytes",
  "endless bytes",
  "429",
  "429 with Retry-After",
  "500",
  "502",
  "503",
  "504",
  "200 with HTML",
  "truncated JSON",
  "broken off",
  "huge body",
  "long text",
  "wrong types",
  "odd body",
  "deep body",
  "unknown status",
  "status backwards",
  "hostile text",
  "key refused",
  "key quoted",
  "redirect",
  "not found",
] as const;
export type FaultKind = (typeof FAULTS)[number];

/** Rare, because each takes its time: a client waits for them up to its limit, or reads megabytes. */
const COSTLY: readonly FaultKind[] = [
  "silence before",
  "silence after",
  "endless bytes",
  "huge body",
  "long text",
];
/** Said of things that exist, these mislead for good; so they are rare. */
const MISLEADING: readonly FaultKind[] = ["not found", "key refused"];

const WEIGHTED = FAULTS.flatMap((kind): FaultKind[] =>
  Array<FaultKind>(MISLEADING.includes(kind) ? 1 : COSTLY.includes(kind) ? 2 : 5).fill(kind),
);

export interface Draw {
  kind: FaultKind | undefined;
  /** For what the fault leaves open. */
  random: Random;
}

/**
 * What happens to the n-th request of an endpoint. It depends on nothing else, so that a sequence meets the same
 * faults however its requests interleave.
 * @param rate how many of 1 go wrong
 */
export function drawFault(seed: number, endpoint: Endpoint, nth: number, rate: number): Draw {
  const random = createRandom(mix(seed, endpoint, nth));
  return { kind: random.chance(rate) ? random.pick(WEIGHTED) : undefined, random };
}
