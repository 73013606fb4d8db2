import type { Random } from "../random.js";

/** How a run's agent behaves. Only `quick` and `works` end by themselves. */
export type RunKind = "quick" | "works" | "hangs" | "asks" | "listens";

/** What a sequence does next. Workers and runs are named by numbers of which the remainder counts. */
export type Step = { pauseMs: number } & (
  | { do: "start"; worker: number; run: RunKind; workMs: number; keyed: boolean; again?: number }
  | { do: "continue"; worker: number; run: RunKind; workMs: number; of: number }
  | { do: "repeat"; worker: number; of: number }
  | { do: "message"; worker: number; of: number }
  | { do: "answer"; worker: number; of: number; both: boolean }
  | { do: "kill"; worker: number; of: number; force: boolean }
  | { do: "cleanup"; worker: number; of: number; force: boolean }
  | { do: "plan"; server: number; gated: boolean; run: "quick" | "works"; workMs: number }
  | { do: "decide"; server: number; of: number; stop: boolean; both: boolean }
  | { do: "move the reader"; reader: number; worker: number }
  | { do: "fault"; fault: Fault }
);

export type Fault =
  | { kind: "worker killed"; worker: number; forMs: number }
  | { kind: "worker told to end"; worker: number; forMs: number }
  | { kind: "worker frozen for a moment" | "worker frozen for long"; worker: number; forMs: number }
  | { kind: ServerFault; server: number; forMs: number }
  | { kind: "database killed"; forMs: number }
  | { kind: "database frozen"; forMs: number }
  | { kind: "link cut for a moment" | "link cut for long"; worker: number; forMs: number };

export type ServerFault =
  | "server killed"
  | "server told to end"
  | "server frozen for a moment"
  | "server frozen for long";

/** Those that hold a place for ever are few: else nothing begins any more. */
const KINDS: readonly RunKind[] = [
  ...(["quick", "quick", "works", "works", "works", "hangs"] as const),
  ...(["asks", "asks", "asks", "listens", "listens"] as const),
];

export interface DrawOptions {
  /** A link can be cut. */
  links: boolean;
  /** Servers that carry plans out. */
  servers: number;
  /** Short faults only, and few steps. */
  brief: boolean;
}

/** The steps of a sequence. */
export function drawSteps(random: Random, options: DrawOptions): Step[] {
  const count = options.brief ? random.between(7, 9) : random.between(12, 20);
  const steps = Array.from({ length: count }, (_, index) => drawStep(random, index, options));
  // A sequence without a fault shows little.
  if (!steps.some((step) => step.do === "fault")) {
    const fault = drawFault(random, options);
    steps.splice(random.between(2, steps.length - 1), 0, { pauseMs: 300, do: "fault", fault });
  }
  return steps;
}

function drawStep(random: Random, index: number, options: DrawOptions): Step {
  const pauseMs = random.chance(0.3) ? 0 : random.between(20, options.brief ? 300 : 900);
  const worker = random.between(0, 2);
  const of = random.between(0, 1_000);
  const run = random.pick(KINDS);
  const workMs = random.between(300, options.brief ? 800 : 4_000);
  if (index >= 2 && options.servers > 0 && random.chance(0.25))
    return { pauseMs, ...drawPlanStep(random, options) };
  const draw = index < 2 ? 0 : random.next();
  if (draw < 0.3) {
    const keyed = random.chance(0.7);
    const again = random.between(0, 2);
    return {
      pauseMs,
      do: "start",
      worker,
      run,
      workMs,
      keyed,
      ...(keyed && random.chance(0.3) ? { again } : {}),
    };
  }
  if (draw < 0.38) return { pauseMs, do: "continue", worker, run, workMs, of };
  if (draw < 0.43) return { pauseMs, do: "repeat", worker, of };
  if (draw < 0.57) return { pauseMs, do: "message", worker, of };
  if (draw < 0.69) return { pauseMs, do: "answer", worker, of, both: random.chance(0.3) };
  if (draw < 0.77) return { pauseMs, do: "kill", worker, of, force: random.chance(0.5) };
  if (draw < 0.8) return { pauseMs, do: "cleanup", worker, of, force: random.chance(0.5) };
  if (draw < 0.84) return { pauseMs, do: "move the reader", reader: random.between(0, 1), worker };
  return { pauseMs, do: "fault", fault: drawFault(random, options) };
}

type PlanStep = Extract<Step, { do: "plan" | "decide" }>;

/** A step as it is without its pause, of each kind by itself. */
type Unpaused<S> = S extends unknown ? Omit<S, "pauseMs"> : never;

function drawPlanStep(random: Random, { servers, brief }: DrawOptions): Unpaused<PlanStep> {
  const server = random.between(0, servers - 1);
  if (random.chance(0.5)) {
    const of = random.between(0, 1_000);
    return { do: "decide", server, of, stop: random.chance(0.3), both: random.chance(0.3) };
  }
  const workMs = random.between(300, brief ? 800 : 3_000);
  return {
    do: "plan",
    server,
    gated: random.chance(0.6),
    run: random.pick(["quick", "works"] as const),
    workMs,
  };
}

function drawServerFault(random: Random, { servers, brief }: DrawOptions): Fault {
  const server = random.between(0, servers - 1);
  const moment = random.between(200, brief ? 700 : 2_000);
  const draw = random.next();
  if (draw < 0.4) return { kind: "server killed", server, forMs: moment };
  if (draw < 0.6) return { kind: "server told to end", server, forMs: moment };
  if (draw < 0.8 || brief) return { kind: "server frozen for a moment", server, forMs: moment };
  // Longer than the others wait until they take its plans on.
  return { kind: "server frozen for long", server, forMs: random.between(16_000, 20_000) };
}

function drawFault(random: Random, options: DrawOptions): Fault {
  if (options.servers > 0 && random.chance(0.3)) return drawServerFault(random, options);
  const { links, brief } = options;
  const worker = random.between(0, 2);
  const draw = random.next() * (links ? 1 : 0.8);
  const moment = random.between(200, brief ? 700 : 2_000);
  const long = brief ? moment : random.between(3_200, 6_500);
  const either = random.chance(0.5) ? moment : long;
  if (draw < 0.2) return { kind: "worker killed", worker, forMs: either };
  if (draw < 0.28) return { kind: "worker told to end", worker, forMs: either };
  if (draw < 0.38) return { kind: "worker frozen for a moment", worker, forMs: moment };
  if (draw < 0.52) return { kind: "worker frozen for long", worker, forMs: long };
  if (draw < 0.64) return { kind: "database killed", forMs: random.chance(0.7) ? moment : long };
  if (draw < 0.8) return { kind: "database frozen", forMs: brief ? moment : random.between(1_000, 6_000) };
  if (draw < 0.88) return { kind: "link cut for a moment", worker, forMs: moment };
  return { kind: "link cut for long", worker, forMs: long };
}
