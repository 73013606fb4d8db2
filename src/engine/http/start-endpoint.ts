import { linkedIssueSchema } from "../../shared/linked-issue.js";
import type { AboutKind } from "../agent/agent-kind.js";
import { AGENT_NAMES } from "../agent/agent-name.js";
import type { RunRequest } from "../runs/run.js";
import type { Engine } from "../types.js";
import { type Consent, consentSchema } from "../workspaces/consent.js";
import { addEndpoint, type EngineApp } from "./endpoint.js";
import { flag, integer } from "./pydantic.js";
import { HttpRefusal } from "./refusal.js";
import { startedSchema } from "./run-schemas.js";
import { toMoment } from "./run-wire.js";
import * as z from "./schemas.js";

/** It becomes an argument of a program, which holds 128 KiB. */
const MAX_SCHEMA_CHARS = 30_000;

const startQuery = z.object({
  persistent: flag().default(true).describe("Keep the workspace when the run has ended"),
  auto_merge: flag()
    .default(false)
    .describe("Merge the work back when the run succeeded and the merge is clean"),
  temp_workspace: flag().default(false).describe("Work in an empty folder that is removed afterwards"),
});

/** What clients have to know of a kind before they start anything. */
function toAgent({ name, title, capabilities }: AboutKind) {
  return { name, title, tells_cost: capabilities.tellsCost };
}

const startBody = z.object({
  message: z.string().refine((text) => text.trim() !== "", "Message cannot be empty"),
  max_turns: integer({ ge: 1, le: 200 }).nullish(),
  session_id: z.string().nullish().describe("The conversation to continue"),
  session_name: z.string().nullish(),
  user_id: z.string().nullish().describe("On whose behalf: callers take turns, and may have a limit of cost"),
  user_name: z.string().max(100).nullish().describe("What people call them"),
  agent: z.enum(AGENT_NAMES).nullish(),
  model: z
    .string()
    .nullish()
    .describe("The model in place of the workflow's, where the workflow allows it: sonnet, opus …"),
  git_branch: z.string().nullish(),
  start_from: z
    .string()
    .max(250)
    .nullish()
    .describe("A branch at which the own branch of a new session begins, in place of the default one"),
  repository_url: z.string().nullish(),
  cost_limit_usd: z
    .number()
    .positive()
    .nullish()
    .describe("What the run may cost, in US dollars, where that is less than the engine's own limit"),
  output_schema: z
    .looseObject({ type: z.literal("object") })
    .refine((schema) => JSON.stringify(schema).length <= MAX_SCHEMA_CHARS, "The schema is too long")
    .nullish()
    .describe(
      "What the agent has to give at its end: a JSON Schema of an object. The result's text then ends with it, as a " +
        "fenced JSON block. Without effect where the Claude Code of the engine is too old for it",
    ),
  linked_issue: z
    .object(linkedIssueSchema.shape)
    .nullish()
    .describe(
      "The issue elsewhere that it is about: it is told there how the run stands, where a key for it is set",
    ),
  pull_request: z
    .boolean()
    .nullish()
    .describe(
      "When the run succeeds its session's branch is pushed, whatever ENGINE_PUSH says, and a pull request is opened for it. Never to be set without asking the person",
    ),
  timeout: integer({ ge: 60, le: 14_400 }).default(7200).describe("Seconds"),
  input_format: z.literal("stream-json"),
});
type StartBody = z.output<typeof startBody> & {
  allow_repository?: Consent | null | undefined;
  uncommitted?: boolean | null | undefined;
};

/** For an engine that no other machine reaches. */
const consentFields = {
  allow_repository: z
    .object(consentSchema.shape)
    .nullish()
    .describe(
      "A local repository that the person has allowed for this session, as /repositories/check tells it. Never to be set without asking them",
    ),
  uncommitted: z
    .boolean()
    .nullish()
    .describe(
      "A new session on a local repository begins with what is not committed there. Never to be set without asking the person",
    ),
};

function bodyFor(kinds: readonly AboutKind[], takesConsent: boolean): z.ZodType<StartBody> {
  const names = kinds.map(({ name }) => name);
  const agent = z
    .enum(names)
    .nullish()
    .openapi({ "x-agents": kinds.map(toAgent) })
    .describe("The kind of agent in place of the workflow's; x-agents has those that there are");
  const fields = { ...startBody.shape, agent, ...(takesConsent ? consentFields : {}) };
  return z.object(fields).openapi("StartRun") as z.ZodType<StartBody>;
}

/** What a client may call a start; visible characters, so that no proxy changes it. */
function startHeaders(keyPrefix: string) {
  return z.object({
    "idempotency-key": z
      .string()
      .regex(/^[\x21-\x7e]{1,200}$/, "1 to 200 visible characters are allowed")
      .optional()
      .openapi({ param: { "x-key-prefix": keyPrefix } })
      .describe(
        "The client's own name for this start, 1 to 200 visible ASCII characters. The same key again, with the same " +
          "request, is answered with the run of the first one, also after a restart; with another request it is refused. " +
          "Begin it with x-key-prefix, which names the engine's database: should that be lost, and the keys with it, " +
          "such a key is refused instead of starting a second run.",
      ),
  });
}
/** Where no keys are kept they are not described either, and only looked at for those of a database that is lost. */
const noHeaders = z.looseObject({}) as unknown as ReturnType<typeof startHeaders>;

/**
 * Adds the endpoint that starts a run.
 * @param options.kinds the agents that there are
 * @param options.takesConsent whether a start may say that the person has allowed its repository
 * @param options.keyPrefix what an `Idempotency-Key` should begin with; undefined where no keys are kept
 */
export function addStartEndpoint(
  app: EngineApp,
  {
    engine,
    kinds,
    keyPrefix,
    takesConsent,
  }: {
    engine: Engine;
    kinds: readonly AboutKind[];
    keyPrefix?: string | undefined;
    takesConsent: boolean;
  },
): void {
  addEndpoint(app, {
    method: "post",
    path: "/run/{workflow_name}",
    summary: "Start a run",
    query: startQuery,
    // A client that finds the key in the description repeats a lost start; that is safe only if the key is kept.
    headers: keyPrefix === undefined ? noHeaders : startHeaders(keyPrefix),
    body: bodyFor(kinds, takesConsent),
    answer: startedSchema,
    refusals: [400, 404, 409, 413, 503],
    async handle({ id, query, headers, body }) {
      refuseClash(query, body);
      const run = await engine.start(toRequest(id, query, body), headers["idempotency-key"]);
      const note = [engine.agentNote(run), engine.costWarning(run.request)].filter(Boolean).join(" ");
      return {
        run_id: run.runId,
        // Also when the start is asked for again later: the answer is the first one's.
        status: "pending",
        message: `Started ${id} workflow. Use the status endpoint to track progress.`,
        session_id: run.sessionId,
        workflow_name: run.request.workflowName,
        started_at: toMoment(run.createdAt),
        auto_commit_sha: null,
        ...(note ? { note } : {}),
      };
    },
  });
}

function refuseClash(query: z.output<typeof startQuery>, body: StartBody): void {
  if (!query.temp_workspace) return;
  const clash = [
    body.repository_url && "repository_url",
    body.git_branch && "git_branch",
    body.start_from && "start_from",
    body.uncommitted && "uncommitted",
    query.auto_merge && "auto_merge",
    body.pull_request && "pull_request",
  ].filter(Boolean);
  if (clash.length === 0) return;
  throw new HttpRefusal(
    400,
    `temp_workspace cannot be used with: ${clash.join(", ")}. Temporary workspaces are isolated environments without git integration.`,
  );
}

function toRequest(workflowName: string, query: z.output<typeof startQuery>, body: StartBody): RunRequest {
  return {
    workflowName,
    message: body.message,
    // An empty id is one that no session has, an empty name or address is none.
    ...(body.session_id == null ? {} : { sessionId: body.session_id }),
    ...(body.session_name ? { sessionName: body.session_name } : {}),
    ...(body.repository_url ? { repositoryUrl: body.repository_url } : {}),
    ...(body.git_branch ? { gitBranch: body.git_branch } : {}),
    ...(body.start_from ? { startFrom: body.start_from } : {}),
    ...(body.allow_repository ? { consent: body.allow_repository } : {}),
    ...(body.uncommitted ? { uncommitted: true } : {}),
    ...(body.user_id ? { userId: body.user_id } : {}),
    ...(body.user_name ? { userName: body.user_name } : {}),
    ...(body.linked_issue ? { issue: body.linked_issue } : {}),
    ...(body.agent ? { agent: body.agent } : {}),
    ...(body.model ? { model: body.model } : {}),
    ...(body.max_turns == null ? {} : { maxTurns: body.max_turns }),
    ...(body.cost_limit_usd == null ? {} : { costLimitUsd: body.cost_limit_usd }),
    ...(body.output_schema == null ? {} : { outputSchema: body.output_schema }),
    ...(body.pull_request ? { pullRequest: true } : {}),
    timeoutS: body.timeout,
    persistent: query.persistent,
    autoMerge: query.auto_merge,
    tempWorkspace: query.temp_workspace,
  };
}
