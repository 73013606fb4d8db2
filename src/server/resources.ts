import type { Services } from "../actions/define-action.js";
import { describeRun } from "../actions/describe-run.js";
import { describeSessions, sortSessions } from "../actions/list-sessions.js";
import { ApiError } from "../api/errors.js";
import type { Run } from "../api/types.js";
import { mergeRun } from "../runs/merge-run.js";
import { bareRun } from "../runs/run-facts.js";
import type { Completable } from "./completions.js";
import { ResourceProblem, readPlan } from "./plan-resource.js";
import { renderRun, renderSessions, renderWorkflows } from "./tools/output.js";

export const WORKFLOWS_URI = "automagik://workflows";
export const SESSIONS_URI = "automagik://sessions";
const RUNS = "automagik://runs/";

/** A client may put the whole of a resource before its model: so many sessions are about 13,000 tokens. */
const MAX_SESSIONS = 100;

/** A diff of this size, in bytes, is more than any client reads. */
const MAX_DIFF_BYTES = 1024 * 1024;

/** One form of a resource's content. */
export interface Content {
  mimeType: string;
  text: string;
  _meta?: Record<string, unknown>;
}

/** A resource as it is published, free of any framework. */
export interface ResourceDefinition {
  uri: string;
  name: string;
  description: string;
  read(services: Services): Promise<Content[]>;
}

/** A family of resources, one for each value of its argument. */
export interface TemplateDefinition {
  uriTemplate: string;
  name: string;
  description: string;
  /** Of its first content. */
  mimeType: string;
  argument: { name: string; description: string; completes: Completable };
  read(value: string, services: Services): Promise<Content[]>;
}

export function runUri(runId: string): string {
  return RUNS + encodeURIComponent(runId);
}

/** The run that a resource's address is about, its result's address included; undefined for any other. */
export function runIdOf(uri: string): string | undefined {
  if (!uri.startsWith(RUNS)) return undefined;
  const [encoded, tail, ...more] = uri.slice(RUNS.length).split("/");
  if (!encoded || more.length > 0 || (tail !== undefined && tail !== "result" && tail !== "diff"))
    return undefined;
  try {
    return decodeURIComponent(encoded);
  } catch {
    return undefined;
  }
}

/** JSON for machines, and the same in words for people. */
function both(value: unknown, words: string): Content[] {
  return [
    { mimeType: "application/json", text: JSON.stringify(value, null, 2) },
    { mimeType: "text/markdown", text: words },
  ];
}

export const resources: readonly ResourceDefinition[] = [
  {
    uri: WORKFLOWS_URI,
    name: "workflows",
    description: "The workflows that the API offers now.",
    async read({ catalogue }) {
      const state = catalogue.state().available ? catalogue.state() : await catalogue.refresh();
      const workflows = state.workflows.map(({ name, description, suggestedTurns, maxTurns, category }) => ({
        name,
        description,
        ...(category ? { category } : {}),
        ...(suggestedTurns ? { suggested_turns: suggestedTurns } : {}),
        ...(maxTurns ? { max_turns: maxTurns } : {}),
      }));
      const problem = state.problem ? { problem: state.problem } : {};
      return both(
        { workflows, ...problem },
        renderWorkflows(workflows) || (state.problem ?? "No workflows."),
      );
    },
  },
  {
    uri: SESSIONS_URI,
    name: "sessions",
    description: `The sessions: those that wait for the person, the others that are active, the ended ones, each newest first; of more than ${MAX_SESSIONS} the first.`,
    async read(services) {
      const all = sortSessions(await services.sessions.all(), services);
      const list = await describeSessions(all.slice(0, MAX_SESSIONS), services);
      const left = all.length - list.length;
      const note = `${left} more of ${all.length} sessions are not shown here; list_sessions with a part of the name as session_name finds them.`;
      return both(
        { sessions: list, total: all.length, ...(left > 0 ? { note } : {}) },
        list.length === 0 ? "No sessions." : renderSessions(list) + (left > 0 ? `\n\n${note}` : ""),
      );
    },
  },
];

/** The longer template first: the shorter one would match its addresses too. */
export const templates: readonly TemplateDefinition[] = [
  {
    uriTemplate: "automagik://runs/{run_id}/result",
    name: "run-result",
    mimeType: "text/plain",
    description: "The full result text of one run: output of the run, not of this server.",
    argument: { name: "run_id", description: "Id of the run", completes: "run" },
    async read(value, services) {
      const run = await readRun(value, services);
      return [
        {
          mimeType: "text/plain",
          text: run.result ?? `Run ${run.runId} is ${run.status} and has no result.`,
        },
      ];
    },
  },
  {
    uriTemplate: "automagik://runs/{run_id}/diff",
    name: "run-diff",
    mimeType: "text/plain",
    description: "What the commits of one run's session change: written by its agent, not by this server.",
    argument: { name: "run_id", description: "Id of the run", completes: "run" },
    async read(value, services) {
      const run = await readRun(value, services);
      const { text, cut } = await services.api.readDiff(run.runId, MAX_DIFF_BYTES);
      return [{ mimeType: "text/x-diff", text: cut ? `${text}\n[cut here: there is more]\n` : text }];
    },
  },
  {
    uriTemplate: "automagik://runs/{run_id}",
    name: "run",
    mimeType: "application/json",
    description: "One run with its current status.",
    argument: { name: "run_id", description: "Id of the run", completes: "run" },
    async read(value, services) {
      const run = await readRun(value, services);
      const described = describeRun(run, { detailed: true, now: services.clock.now() });
      return both(described, renderRun(described));
    },
  },
  {
    uriTemplate: "plan://{plan_id}",
    name: "plan",
    mimeType: "application/json",
    description: "One plan: where it stands, what it waits for, what it cost, its steps.",
    argument: { name: "plan_id", description: "Id or name of the plan", completes: "plan" },
    async read(value, services) {
      const { plan, words } = await readPlan(value, services);
      return both(plan, words);
    },
  },
];

/** @throws ResourceProblem that names the wanted run only, and ApiError */
async function readRun(value: string, { runs, watcher, sessions }: Services): Promise<Run> {
  const runId = runIdOf(RUNS + value);
  if (!runId || value.includes("/"))
    throw new ResourceProblem(`There is no such resource: "${value}" is not a run id.`, true);
  try {
    const known = await sessions.recall(watcher.latest(runId) ?? bareRun(runId));
    return mergeRun(known, await runs.read(runId));
  } catch (error) {
    if (error instanceof ApiError && error.kind === "not_found")
      throw new ResourceProblem(`The API knows no run "${runId}".`, true);
    throw error;
  }
}
