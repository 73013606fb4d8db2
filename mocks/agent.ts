import { blockFor } from "./output-block.js";
import type { Ending, Profile, RunState, Script } from "./types.js";

/** The script of one run with everything decided. */
export interface Plan {
  actions: string[];
  paceMs: number | "manual";
  outcome: "completed" | "failed";
  ending: Ending;
  error: string | undefined;
  errorCode: string | undefined;
  take: Script["take"];
  /** The server's own refusal of a request that it had accepted: the run fails as soon as it begins. */
  doom: string | undefined;
  /** The agent knows no such conversation: it ends at once without having done anything. */
  refusesResume: boolean;
}

/** A run together with what moves it. */
export interface Entry {
  state: RunState;
  plan: Plan;
  /** When the agent took its latest step; the next one is due a pace later. */
  steppedAt: number;
  /** The server's background task has taken the run up, which no answer after the start's is too early to see. */
  begun: boolean;
}

const ACTIONS = [
  "Reading the code that the request is about",
  "Looking for existing conventions",
  "Planning the change",
  "Making the change",
  "Writing tests for it",
  "Running the test suite",
];
const TOOLS = ["Read", "Grep", "Edit", "Write", "Bash"];
// Near what the recorded runs cost and used; only their being plausible matters.
const COST_PER_TURN_USD = 0.0103;
const TOKENS_PER_TURN = { input: 460, output: 164 };

/** Decides a run's course from its script. Only the stock actions are cut to the turn limit: a script that needs
 * more turns than the run has is meant to run into it. */
export function createPlan(script: Script, maxTurns: number | null, paceMs: number | "manual"): Plan {
  const { result, output, costUsd, toolsUsed, filesChanged, commits } = script;
  return {
    actions: script.actions ?? ACTIONS.slice(0, maxTurns ?? ACTIONS.length),
    paceMs: script.manual ? "manual" : (script.paceMs ?? paceMs),
    outcome: script.outcome ?? "completed",
    ending: dropUndefined({ result, output, costUsd, toolsUsed, filesChanged, commits }),
    error: script.error,
    errorCode: script.errorCode,
    take: script.take,
    doom: undefined,
    refusesResume: false,
  };
}

/** The agent's life on one profile's server. Nothing here looks at a clock: every step is given its time. */
export function createAgent(profile: Profile) {
  /** Takes every step that is due by `now`. */
  function settle(entry: Entry, now: number): void {
    const { state, plan } = entry;
    if (!entry.begun) {
      entry.begun = true;
      state.status = "running";
    }
    if (state.agent !== "working") return;
    if (plan.doom !== undefined) fail(entry, now, plan.doom);
    else if (plan.refusesResume) finish(entry, now, "Subprocess execution completed");
    if (plan.paceMs === "manual") return;
    while (state.agent === "working" && entry.steppedAt + plan.paceMs <= now) {
      step(entry, entry.steppedAt + plan.paceMs);
    }
  }

  function step(entry: Entry, at: number): void {
    const { state, plan } = entry;
    const action = plan.actions[state.turn];
    if (action !== undefined) turn(entry, at, action);
    else if (plan.outcome === "failed") crash(entry, at, plan.error);
    else complete(entry, at, {});
  }

  function turn(entry: Entry, at: number, action?: string): void {
    const { state, plan } = entry;
    if (state.maxTurns !== null && state.turn >= state.maxTurns) {
      complete(entry, at, {}, true);
      return;
    }
    if (state.action !== null) state.actionsDone.push(state.action);
    state.action = action ?? plan.actions[state.turn] ?? `Working on turn ${state.turn + 1}`;
    state.turn += 1;
    state.toolsUsed = (plan.ending.toolsUsed ?? TOOLS).slice(0, state.turn - 1);
    if (profile === "contract") takeUp(state);
    account(state, spent(entry));
    touch(entry, at);
    const limit = state.body.cost_limit_usd ?? Number.POSITIVE_INFINITY;
    if (state.costUsd < limit) return;
    state.errorCode = "cost_limit";
    fail(entry, at, `The run's cost limit of $${limit} was reached.`);
  }

  /** Everything waiting is taken up at once, as the public server's own unfinished consumer means to do. */
  function takeUp(state: RunState): void {
    const queue = state.queue;
    if (queue === null) return;
    state.takenUp.push(...queue.waiting.map((message) => message.content));
    queue.consumed += queue.waiting.length;
    queue.waiting = [];
  }

  function complete(entry: Entry, at: number, by: Ending, atLimit = false): void {
    const { state, plan } = entry;
    const ending = { ...plan.ending, ...by };
    if (state.action !== null) state.actionsDone.push(state.action);
    // The last turn of a run that ends by itself only reports; one stopped at its limit was still at work.
    state.toolsUsed = ending.toolsUsed ?? TOOLS.slice(0, atLimit ? state.turn : Math.max(0, state.turn - 1));
    state.filesChanged = ending.filesChanged ?? [];
    state.commits = ending.commits ?? [];
    account(state, ending.costUsd ?? COST_PER_TURN_USD * state.turn);
    finish(entry, at, atLimit ? limitText(state) : resultText(state, ending));
  }

  function finish(entry: Entry, at: number, result: string): void {
    const { state } = entry;
    state.result = result;
    state.finished = true;
    state.finishedAt = at;
    // The public server removes the folder after success whatever `persistent` says.
    if (profile === "automagik-0.6") state.workspaceExists = false;
    end(entry, at, "completed");
  }

  function resultText(state: RunState, { result, output }: Pick<Ending, "result" | "output">): string {
    const said = result ?? `Done: ${headline(state.message)}`;
    const isAll = output === false || (result !== undefined && output === undefined);
    const block = isAll ? undefined : blockFor(state.message, output || {});
    const last = block === undefined ? said : `${said}\n\n${block}`;
    if (profile === "automagik-0.6") return transcript(state, last);
    if (state.takenUp.length === 0) return last;
    return `${last}\n\nTaken up on the way: ${state.takenUp.join("; ")}`;
  }

  function limitText(state: RunState): string {
    if (profile === "automagik-0.6") return transcript(state, undefined);
    const result = `The limit of ${state.maxTurns} turns was reached before the work was done.`;
    return resultText(state, { result });
  }

  /** The public server stores no reason when the agent's own process fails. */
  function crash(entry: Entry, at: number, error?: string): void {
    entry.state.errorCode = entry.plan.errorCode ?? null;
    fail(entry, at, profile === "contract" ? (error ?? "The agent stopped with an error.") : null);
  }

  function fail(entry: Entry, at: number, error: string | null): void {
    entry.state.error = error ?? entry.state.error;
    end(entry, at, "failed");
  }

  function end(entry: Entry, at: number, status: string): void {
    const { state } = entry;
    state.status = status;
    state.agent = "ended";
    state.action = null;
    state.completedAt = at;
    if (status === "completed" && state.turn > 0) state.lastActivityAt = at;
    state.writes += 1;
  }

  return { settle, turn, complete, crash };
}

function touch(entry: Entry, at: number): void {
  entry.steppedAt = at;
  entry.state.lastActivityAt = at;
  entry.state.writes += 1;
}

/** What a run has cost so far: its share of the scripted total, or so much per turn. */
function spent({ state, plan }: Entry): number {
  const total = plan.ending.costUsd;
  if (total === undefined) return COST_PER_TURN_USD * state.turn;
  return total * Math.min(1, state.turn / Math.max(1, plan.actions.length));
}

function account(state: RunState, costUsd: number): void {
  state.costUsd = Math.round(costUsd * 10_000) / 10_000;
  state.tokens = {
    input: TOKENS_PER_TURN.input * state.turn,
    output: TOKENS_PER_TURN.output * state.turn,
  };
}

/** The public server's result: every text of the agent and every tool's answer, joined (status-completed.json). */
function transcript(state: RunState, last: string | undefined): string {
  const lines = state.actionsDone.flatMap((action, index) => [
    `${action}.`,
    `[{'type': 'tool_result', 'tool_use_id': 'toolu_${String(index + 1).padStart(2, "0")}', 'content': 'ok'}]`,
  ]);
  return [...lines, ...(last === undefined ? [] : [last])].join("\n");
}

function headline(message: string): string {
  const line = message.trim().split("\n")[0] ?? "";
  return line.length > 80 ? `${line.slice(0, 79)}…` : line;
}

function dropUndefined<T extends object>(value: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(value).filter(([, item]) => item !== undefined)) as never;
}
