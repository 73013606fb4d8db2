import { createRandom, mix, type Random } from "./random.js";

/** Which protocol the client of a sequence speaks. */
export type ClientEra = "earlier" | "modern";

/** How a client of protocol 2026-07-28 is. */
export interface ModernClient {
  over: "stdio" | "HTTP";
  /** It declares the extension for tasks. */
  hasTasks: boolean;
  /** How long a call shows its progress before it becomes a task, in s. */
  taskAfterS: number;
}

/** What a client does with a form of a call besides answering it. */
export interface RoundManner {
  /** The answer comes so often, at the same time. */
  times: number;
  /** What comes before it. */
  before: "nothing" | "other arguments" | "made-up state" | "other caller" | "another process";
  /** One of those that come at the same time is given up at once. */
  givesOneUp: boolean;
  /** What comes when the call is over. */
  after: "nothing" | "the same again" | "another answer";
}

/** What a client does with a task. */
export interface TaskManner {
  /** How often it asks, and how long at most, in real ms. */
  everyMs: number;
  forMs: number;
  /** How it brings the answer to a form. */
  answers: "once" | "twice" | "late" | "with a key of no form" | "never";
  /** What else it does, after so many looks. */
  meanwhile: "nothing" | "cancel" | "cancel twice" | "another process" | "other caller" | "made-up id";
  afterLooks: number;
}

/** Drawn apart, so that the same seed gives the same sequence for either client. */
export function drawModernClient(seed: number): ModernClient {
  const random = createRandom(mix(seed, "modern client"));
  return {
    over: random.pick(["stdio", "HTTP"]),
    hasTasks: random.chance(0.65),
    taskAfterS: random.pick([0, 0, 5, 3_600]),
  };
}

export function drawRoundManner(random: Random): RoundManner {
  return {
    times: random.pick([1, 1, 1, 2, 10]),
    before: random.chance(0.6)
      ? "nothing"
      : random.pick(["other arguments", "made-up state", "other caller", "another process"]),
    givesOneUp: random.chance(0.2),
    after: random.pick(["nothing", "nothing", "the same again", "another answer"]),
  };
}

export function drawTaskManner(random: Random): TaskManner {
  return {
    everyMs: random.pick([10, 40, 120]),
    forMs: random.pick([150, 600, 2_000]),
    answers: random.pick(["once", "once", "twice", "late", "with a key of no form", "never"]),
    meanwhile: random.chance(0.4)
      ? "nothing"
      : random.pick(["cancel", "cancel twice", "another process", "other caller", "made-up id"]),
    afterLooks: random.between(0, 6),
  };
}
