import { randomUUID } from "node:crypto";
import { createAgent, createPlan, type Entry } from "./agent.js";
import { createBranches } from "./branches.js";
import { cleanUp, doomOf, messageTo, queueOf, stopRun, uuidComplaint } from "./conduct.js";
import { pageOf } from "./listing.js";
import { ApiRefusal } from "./refusal.js";
import { createRunState } from "./run-state.js";
import { defaultWorkflows, unknownWorkflow } from "./seeds.js";
import type {
  Profile,
  RunHandle,
  RunState,
  ScriptSource,
  StartBody,
  StartQuery,
  World,
  WorldOptions,
} from "./types.js";

export { createHandClock, type HandClock } from "./clock.js";
export { ApiRefusal, type Issue } from "./refusal.js";
export type * from "./types.js";

/**
 * Creates a world of workflows and runs: the simulated API without its HTTP. It has no timers: whoever looks at a
 * run first lets it take the steps that are due by the clock. States handed out are copies.
 * @throws {ApiRefusal} from its methods, where the API would refuse
 */
export function createWorld(options: WorldOptions = {}): World {
  const profile: Profile = options.profile ?? "contract";
  const clock = options.clock ?? { now: () => Date.now() };
  if (options.branches && profile !== "contract")
    throw new TypeError("The public server's sessions have no branches: use the contract's profile.");
  const branches = options.branches ? createBranches() : undefined;
  const agent = createAgent(profile);
  const entries = new Map<string, Entry>();
  const sessions = new Map<string, RunState>();
  let seeds = structuredClone(options.workflows ?? defaultWorkflows(profile));
  let source: ScriptSource = options.script ?? {};
  let unable: string | undefined;

  function settled(entry: Entry): Entry {
    const { state } = entry;
    const before = state.agent;
    agent.settle(entry, clock.now());
    if (before === "working") keepCommits(entry);
    if (branches) state.work = branches.workOf(state.sessionId);
    // The agent has a conversation from its first turn on; under the contract there is one from the start.
    if (profile === "contract" || entry.state.turn > 0) sessions.set(entry.state.sessionId, entry.state);
    return entry;
  }

  /** What a run that has just ended well has committed is on its session's branch. */
  function keepCommits({ state, plan }: Entry): void {
    if (!branches || state.agent !== "ended" || state.status !== "completed") return;
    branches.commit(state.sessionId, state.message.split("\n")[0] ?? "", plan.ending.commits ?? [undefined]);
    const work = branches.workOf(state.sessionId);
    const made = plan.ending.commits?.length ?? 1;
    state.commits = (work?.commits ?? []).slice(0, made).map(({ id }) => id);
  }

  function settleAll(): Entry[] {
    return [...entries.values()].map(settled);
  }

  function find(runId: string, refusal = `Run ${runId} not found`): Entry {
    const entry = entries.get(runId);
    if (entry === undefined) throw new ApiRefusal(404, refusal);
    return settled(entry);
  }

  function checkStart(workflow: string, body: StartBody, query: StartQuery): void {
    if (query.temp_workspace) {
      const clash = [
        body.repository_url && "repository_url",
        body.git_branch && "git_branch",
        query.auto_merge && "auto_merge",
      ].filter(Boolean);
      if (clash.length > 0) {
        throw new ApiRefusal(
          400,
          `temp_workspace cannot be used with: ${clash.join(", ")}. Temporary workspaces are isolated environments without git integration.`,
        );
      }
    }
    const names = seeds.map((seed) => seed.name);
    if (!names.includes(workflow)) throw new ApiRefusal(404, unknownWorkflow(profile, workflow, names));
  }

  function start(workflow: string, body: StartBody, query: StartQuery = {}): RunState {
    checkStart(workflow, body, query);
    if (unable !== undefined) throw new ApiRefusal(503, unable, false);
    settleAll();
    const runId = randomUUID();
    const asked = body.session_id ?? undefined;
    const former = asked === undefined ? undefined : sessions.get(asked);
    if (profile === "contract" && asked !== undefined && former === undefined) {
      throw new ApiRefusal(404, `Session ${asked} not found`);
    }
    const ordinal = entries.size + 1;
    const script =
      (typeof source === "function" ? source({ runId, workflowName: workflow, body, ordinal }) : source) ??
      {};
    // Only the contract continues a session as a whole; the public server passes the id on and no more.
    const inherited = profile === "contract" ? former : undefined;
    const now = clock.now();
    const sessionId = asked ?? script.sessionId ?? randomUUID();
    const state = createRunState({ runId, workflow, body, query, sessionId, inherited, now });
    const plan = createPlan(script, state.maxTurns, options.paceMs ?? 1000);
    if (profile === "automagik-0.6") {
      const complaint = body.user_id ? uuidComplaint(body.user_id) : undefined;
      if (complaint !== undefined) return { ...state, status: "failed", error: complaint };
      plan.doom = doomOf(body);
      plan.refusesResume = asked !== undefined && former === undefined;
      const hangs = plan.doom === undefined && body.input_format === "stream-json";
      if (hangs) state.agent = "hung";
      if (hangs || plan.doom !== undefined)
        Object.assign(state, { workspacePath: null, workspaceExists: false });
    } else {
      sessions.set(state.sessionId, state);
      plan.doom = branches?.begin(state, script);
      if (branches) state.ownWorkspace = script.ownWorkspace !== false;
    }
    entries.set(runId, { state, plan, steppedAt: now, begun: false });
    return structuredClone(state);
  }

  function handle(runId: string): RunHandle {
    const move = (action: (entry: Entry, now: number) => void): RunState => {
      const entry = find(runId);
      if (entry.state.agent !== "working") {
        throw new Error(
          `Run ${runId} cannot move: its agent is ${entry.state.agent} (${entry.state.status}).`,
        );
      }
      action(entry, clock.now());
      keepCommits(entry);
      return structuredClone(settled(entry).state);
    };
    return {
      get state() {
        return structuredClone(find(runId).state);
      },
      turn: (action) => move((entry, now) => agent.turn(entry, now, action)),
      complete: (ending = {}) => move((entry, now) => agent.complete(entry, now, ending)),
      fail: (error, errorCode) =>
        move((entry, now) => {
          if (errorCode !== undefined) entry.plan.errorCode = errorCode;
          agent.crash(entry, now, error ?? entry.plan.error);
        }),
      setStatus(status) {
        const entry = find(runId);
        entry.state.status = status;
        return structuredClone(entry.state);
      },
    };
  }

  return {
    profile,
    apiKey: options.apiKey ?? "test-key",
    clock,
    hasBranches: branches !== undefined,
    workflows: {
      list: () => structuredClone(seeds),
      add(seed) {
        seeds = [...seeds, structuredClone(seed)];
      },
      remove(name) {
        const before = seeds.length;
        seeds = seeds.filter((seed) => seed.name !== name);
        return seeds.length < before;
      },
      set(next) {
        seeds = structuredClone(next);
      },
    },
    start,
    get: (runId) => structuredClone(find(runId).state),
    list: (query = {}) => pageOf(settleAll(), query, profile),
    addMessage(runId, type, content) {
      const message = messageTo(type, content, clock.now());
      const { state } = find(runId, `Workflow run ${runId} not found`);
      return queueOf(state, message);
    },
    queue(runId) {
      const entry = entries.get(runId);
      if (entry !== undefined) settled(entry);
      const queue = entry?.state.queue;
      if (queue) return structuredClone(queue);
      if (profile === "automagik-0.6") {
        throw new ApiRefusal(404, `No message queue found for workflow ${runId}`);
      }
      if (entry === undefined) throw new ApiRefusal(404, `Workflow run ${runId} not found`);
      return { waiting: [], added: 0, consumed: 0 };
    },
    kill: (runId, force = false) => structuredClone(stopRun(find(runId).state, force, clock.now(), profile)),
    cleanup: (runId, force = false) =>
      structuredClone(
        cleanUp(find(runId, `Workflow run not found: ${runId}`).state, force, clock.now(), profile),
      ),
    take(runId, request) {
      const { state, plan } = find(runId);
      if (!branches) throw new ApiRefusal(404, "Not Found");
      const busy = settleAll().find((one) => one.state.sessionId === state.sessionId && isGoing(one.state));
      if (busy)
        throw new ApiRefusal(409, `Run ${busy.state.runId} of the session goes on. Nothing was merged.`);
      return branches.take(state, request, plan.take);
    },
    commit(runId, title) {
      const { sessionId } = find(runId).state;
      branches?.commit(sessionId, title);
      const work = branches?.workOf(sessionId);
      if (!work) throw new Error(`The session of run ${runId} has no branch.`);
      return structuredClone(work);
    },
    script(next) {
      source = next;
    },
    refuseStarts(reason) {
      unable = reason;
    },
    run: handle,
    runs: () => settleAll().map((entry) => structuredClone(entry.state)),
    restart() {
      for (const { state } of settleAll()) {
        state.queue = null;
        if (state.agent === "ended") continue;
        state.agent = "gone";
        if (profile === "contract") {
          Object.assign(state, {
            status: "failed",
            agent: "ended",
            action: null,
            completedAt: clock.now(),
            error: "The server was restarted while the run was in flight.",
            errorCode: "interrupted",
          });
        }
      }
    },
  };
}

function isGoing({ agent }: RunState): boolean {
  return agent !== "ended";
}
