import { drawPlanCall, drawPlanStep, type PlansOfSequence } from "./plan-calls.js";
import { createRandom, mix, type Random } from "./random.js";

/** How the person treats the forms of a call. */
export const FORM_ANSWERS = [
  "accept",
  "decline",
  "cancel",
  "partly filled",
  "wrong types",
  "too late",
  "client fails",
] as const;
export type FormAnswer = (typeof FORM_ANSWERS)[number];

/** Which run or session a call is about: one that exists, or something that does not. */
export type Target = "run" | "session" | "conversation" | "nothing" | "unknown";

export interface CallStep {
  do: "call";
  action: string;
  /** Complete but for what only the driver knows: the workflow, the message's mark and the target. */
  args: Record<string, unknown>;
  target: Target;
  form: FormAnswer;
  progress: boolean;
  /** The client gives up after so many real ms. */
  cancelAfterMs?: number;
  /** The next step does not wait for its answer. */
  aside?: true;
}

export type Step =
  | CallStep
  /** Two starts at once; alike in session and workflow, or not. */
  | { do: "two runs"; alike: boolean; waitSeconds: number }
  | { do: "read"; what: "workflows" | "sessions" | "run" | "result" | "nonsense" | "list" }
  | { do: "read"; what: "plan"; name: string }
  /** To the newest run, or to the plan of that name. */
  | { do: "subscribe"; plan?: string }
  | { do: "complete"; typed: string }
  /** What happens `afterMs` comes in the middle of the next step, in real ms. */
  | { do: "jump"; ms: number; afterMs: number }
  | { do: "go down"; ms: number; aside: boolean }
  | { do: "restart"; afterMs: number }
  /** Somebody else starts a run that looks like one of ours. */
  | { do: "stranger" }
  | { do: "pause"; ms: number }
  | { do: "set status"; status: string; afterMs: number }
  | { do: "rate"; rate: number };

/** Everything about a sequence that is decided beforehand. */
export interface Sequence {
  steps: Step[];
  rate: number;
  profile: "contract" | "automagik-0.6";
  toolset: "super" | "named";
  inputFormat: "stream-json" | "text";
  /** The API offers a stream of events, and its agents ask. */
  pushes: boolean;
  hasForms: boolean;
  clientName: string;
  maxRetries: number;
  pollingIntervalS: number;
  stallAfterMs: number;
  /** The API's clock jumps along with ours: both are on one machine. */
  sharedClock: boolean;
  folderStore: boolean;
  /** The server is closed while the last call is still going on. */
  closesInMidCall: boolean;
  /** Plans are among the calls. */
  plans?: PlansOfSequence;
}

const HOUR_MS = 3_600_000;
const WAITS = [0, 0, 1, 5, 15, 45];

/** A sequence: the same seed gives the same. */
export function drawSequence(seed: number): Sequence {
  const random = createRandom(mix(seed, "plan"));
  const steps = Array.from({ length: random.between(3, 8) }, () => drawStep(random));
  return withPlans(seed, {
    // Without a run there is little to do for the others.
    steps: [{ ...drawRun(random), form: "accept" }, ...steps],
    rate: random.pick([0, 0.05, 0.1, 0.2, 0.3, 0.5]),
    profile: random.pick(["contract", "contract", "automagik-0.6"]),
    toolset: random.pick(["super", "named"]),
    inputFormat: random.pick(["stream-json", "text"]),
    pushes: random.chance(0.5),
    hasForms: random.chance(0.8),
    clientName: random.pick(["test-client", "claude-ai", "goose"]),
    maxRetries: random.between(0, 2),
    pollingIntervalS: random.pick([0.5, 2, 8]),
    stallAfterMs: random.pick([10_000, 300_000]),
    sharedClock: random.chance(0.5),
    folderStore: random.chance(0.15),
    closesInMidCall: random.chance(0.25),
  });
}

const WORKFLOWS = {
  contract: { design: "architect", build: "implement", review: "review" },
  "automagik-0.6": { design: "genie", build: "builder", review: "guardian" },
} as const;

/** How many of 1 sequences have plans among their calls. */
const PLANS_SHARE = 0.35;

const LAST = { do: "call", form: "accept", progress: true, target: "nothing" } as const;
/** The call that ends every sequence: one that is answered, or one in the middle of which the server is closed. */
export const LAST_CALLS: Record<"list" | "run", CallStep> = {
  list: { ...LAST, action: "list_sessions", args: {} },
  run: {
    ...LAST,
    action: "run",
    args: {
      ...{ workflow_name: "a known one", session_name: "last", repository_url: "", git_branch: "" },
      wait_seconds: 15,
    },
  },
};

/** Drawn apart, so that the sequences without plans do not depend on how plans are drawn. */
function withPlans(seed: number, sequence: Sequence): Sequence {
  const random = createRandom(mix(seed, "plans"));
  if (!random.chance(PLANS_SHARE)) return sequence;
  const branches = sequence.profile === "contract" && random.chance(0.7);
  const plans = random.between(1, 2);
  const steps: Step[] = [];
  for (let nth = 1; nth <= plans; nth++) {
    const { aside: _alone, ...how } = manner(random);
    const form = random.chance(0.75) ? ("accept" as const) : how.form;
    const workflows = WORKFLOWS[sequence.profile];
    steps.push(drawPlanCall(random, nth, { branches, workflows }, { ...how, form }));
    for (let more = random.between(1, 4); more > 0; more--) {
      const { aside: _aside, ...other } = manner(random);
      steps.push(drawPlanStep(random, nth, other));
    }
  }
  // Other calls are between them; so that all of it takes no longer, there are fewer of those.
  for (const step of sequence.steps.slice(0, 3)) steps.splice(random.between(0, steps.length), 0, step);
  return {
    ...sequence,
    steps,
    plans: { keepsKeys: random.chance(0.5), branches, askAboveRuns: random.pick([1, 2, 10]) },
  };
}

function drawStep(random: Random): Step {
  const roll = random.next();
  if (roll < 0.25) return drawRun(random);
  if (roll < 0.62) return drawOther(random);
  if (roll < 0.67) return { do: "two runs", alike: random.chance(0.6), waitSeconds: random.pick([0, 1, 5]) };
  if (roll < 0.75) {
    return { do: "read", what: random.pick(["workflows", "sessions", "run", "result", "nonsense", "list"]) };
  }
  if (roll < 0.78) return { do: "subscribe" };
  if (roll < 0.8) return { do: "complete", typed: random.pick(["", "a", "s"]) };
  const afterMs = random.pick([0, 0, 10, 50, 150, 400]);
  if (roll < 0.86) {
    return { do: "jump", ms: random.pick([-24, -1, -0.01, 0.01, 1, 24]) * HOUR_MS, afterMs };
  }
  if (roll < 0.9) return { do: "go down", ms: random.pick([20, 150, 500]), aside: random.chance(0.7) };
  if (roll < 0.93) return { do: "restart", afterMs };
  if (roll < 0.94) return { do: "stranger" };
  if (roll < 0.95) return { do: "pause", ms: random.between(5, 150) };
  if (roll < 0.98) {
    const status = random.pick(["running", "paused", "completed", "killed", "zombie"]);
    return { do: "set status", status, afterMs };
  }
  return { do: "rate", rate: random.pick([0, 0.3, 0.8]) };
}

function manner(random: Random) {
  return {
    form: random.chance(0.3) ? ("accept" as const) : random.pick(FORM_ANSWERS),
    progress: random.chance(0.5),
    ...(random.chance(0.15) ? { cancelAfterMs: random.pick([0, 1, 5, 20, 80, 250]) } : {}),
    ...(random.chance(0.2) ? { aside: true as const } : {}),
  };
}

function drawRun(random: Random): CallStep {
  const args: Record<string, unknown> = { wait_seconds: random.pick(WAITS) };
  const complete = random.chance(0.35);
  const has = () => complete || random.chance(0.5);
  if (has()) args.workflow_name = "a known one";
  if (has()) args.session_name = random.pick(["auth", "billing", "docs"]);
  if (has()) args.repository_url = "";
  if (has()) args.git_branch = random.pick(["", "main"]);
  if (random.chance(0.2)) args.max_turns = random.pick([1, 3, 200]);
  if (random.chance(0.1)) args.temp_workspace = true;
  if (random.chance(0.05)) args.workflow_name = "no-such-workflow";
  if (random.chance(0.04)) args.max_turns = "many";
  const target: Target = random.chance(0.3) ? random.pick(["session", "conversation", "unknown"]) : "nothing";
  const { aside: _alone, ...rest } = manner(random);
  return { do: "call", action: "run", args, target, ...rest };
}

function drawOther(random: Random): CallStep {
  const how = manner(random);
  const target: Target = random.pick(["run", "run", "run", "session", "conversation", "nothing", "unknown"]);
  const call = (action: string, args: Record<string, unknown> = {}): CallStep => ({
    do: "call",
    action,
    args,
    target,
    ...how,
  });
  switch (random.between(0, 8)) {
    case 0:
    case 1:
      return call("status", { wait_seconds: random.pick(WAITS), detailed: random.chance(0.5) });
    case 2:
      return call("feedback", { wait_seconds: random.pick([0, 1, 5, 15]) });
    case 3:
      return call("list_sessions", random.chance(0.5) ? { active_only: false } : {});
    case 4:
      return call("list_workflows", { detailed: true });
    case 5: {
      const { aside: _alone, ...alone } = call("kill", { force: random.chance(0.3), confirm: true });
      return alone;
    }
    case 6: {
      const { aside: _alone, ...alone } = call("cleanup", { force: random.chance(0.5), confirm: true });
      return alone;
    }
    case 7:
      return call("message_queue");
    default:
      return call("answer", { answer: random.pick(["allow", "deny", "something else"]) });
  }
}
