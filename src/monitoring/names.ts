/**
 * The names under which operators are told. They are a public interface: dashboards and alerts are built on them. The
 * GenAI and MCP conventions of OpenTelemetry are still in development; a change of theirs is made here.
 */
const PREFIX = "automagik_workflows";

/** Counters are told with `_total` behind their name. No label names a session, a repository or a user. */
export const METRICS = {
  /** By `workflow` and `outcome`: runs that have ended while this process served. */
  runs: `${PREFIX}_runs`,
  /** By `workflow`: what these have cost in US dollars, as far as that is known. */
  costUsd: `${PREFIX}_cost_usd`,
  /** Runs that go on now. */
  runsActive: `${PREFIX}_runs_active`,
  /** By `reason`: what waits now for a person (`question`, `gate`, `plan`) or for a free slot (`slot`). */
  waiting: `${PREFIX}_waiting`,
  /** By `channel` and `outcome`: notifications that were given or could not be. */
  notifications: `${PREFIX}_notifications`,
  /** By `status`: requests to the workflows API, by their HTTP status or `none` where no answer came. */
  upstreamRequests: `${PREFIX}_upstream_requests`,
  /** By `mcp_method_name`, `action` and `failed`: how long calls of tools take, in seconds. */
  operationDuration: "mcp.server.operation.duration",
} as const;

/** Attributes of spans. */
export const SPAN = {
  operation: "gen_ai.operation.name",
  agent: "gen_ai.agent.name",
  conversation: "gen_ai.conversation.id",
  model: "gen_ai.request.model",
  runId: `${PREFIX}.run.id`,
  planId: `${PREFIX}.plan.id`,
  step: `${PREFIX}.plan.step`,
  template: `${PREFIX}.plan.template`,
  outcome: `${PREFIX}.outcome`,
  failure: "error.type",
  turns: `${PREFIX}.turns`,
  tokens: `${PREFIX}.tokens`,
  costUsd: `${PREFIX}.cost_usd`,
  runs: `${PREFIX}.runs`,
  waitedS: `${PREFIX}.waited_s`,
} as const;

/** Upper bounds of the histogram's parts, in seconds: calls that wait for a run take minutes. */
export const DURATION_BOUNDS = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600, 1_800];
