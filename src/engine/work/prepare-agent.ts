import { dirname, join } from "node:path";
import { traceParentOf } from "../../shared/trace-parent.js";
import type { AgentOptions } from "../agent/agent-process.js";
import { withoutHooks } from "../agent/environment.js";
import { describeOutsideMemory, findOutsideMemory } from "../agent/outside-memory.js";
import { agentMark } from "../agent/process-tree.js";
import type { EngineOptions } from "../engine-options.js";
import type { EngineRun } from "../runs/run.js";
import type { EngineWorkflow } from "../types.js";
import { agentOf } from "../workflows/models.js";
import { buildSystemPrompt } from "../workflows/system-prompt.js";
import { buildToolRules } from "../workflows/tool-rules.js";
import type { Workspace } from "../workspaces/workspaces.js";
import { type AgentChange, agentOfRun, findOwnTalk } from "./agent-change.js";
import { readHandover } from "./handover-notes.js";
import type { Move } from "./moved-session.js";

/** How a run's agent is to be started. */
export interface PreparedAgent {
  options: AgentOptions;
  /** The conversation has an answer of an agent: one that is lost must not be begun anew in silence. */
  hasHistory: boolean;
}

/**
 * Puts together what the agent of a run gets.
 * @param unlessEnded waits for a step, and rejects when the run was ended meanwhile
 * @throws an Error worded for a person when there is no agent to start
 */
export async function prepareAgent(
  run: EngineRun,
  {
    workflow,
    workspace,
    move,
    change,
  }: {
    workflow: EngineWorkflow;
    workspace: Workspace;
    move?: Move | undefined;
    change?: AgentChange | undefined;
  },
  engine: EngineOptions,
  unlessEnded: <T>(step: Promise<T>) => Promise<T>,
): Promise<PreparedAgent> {
  const agent = agentOfRun(run);
  const kind = engine.agents.get(agent);
  if (!kind) throw new Error(`This engine has no agent "${agent}" any more.`);
  const found = await unlessEnded(engine.agents.find(agent));
  if (!found.ok) throw new Error(found.problem);
  const others = engine.runs.ofSession(run.sessionId).filter(({ runId }) => runId !== run.runId);
  const talksAnew = move?.talksAnew === true || change?.talksAnew === true;
  const own = talksAnew ? undefined : findOwnTalk(run, engine);
  const former = others.find((one) => one.turn > 0);
  const handoverPath = await unlessEnded(engine.prepareHandover(run.sessionId));
  const hasNote =
    move?.hasHandover !== false && (!change || (await unlessEnded(readHandover(handoverPath))) !== undefined);
  const previousHandover = former && {
    ...(hasNote ? { path: handoverPath } : {}),
    isElsewhere: move?.hasHandover === false,
    workflowName: former.request.workflowName,
  };
  const outside = await unlessEnded(findOutsideMemory(workspace.path));
  if (outside.length > 0) workspace.notices.push(describeOutsideMemory(outside));
  const policy = engine.policyFor?.(workflow, workspace, kind);
  const env = { ...engine.env, ...workspace.env, ...found.env, TRACEPARENT: traceParentOf(run.runId) };
  const { costLimitUsd } = run;
  // What the workflow names is for its own agent.
  const model = run.request.model ?? (agent === agentOf(workflow) ? workflow.model : undefined);
  // One that cannot take it answers as the message asks it to.
  const outputSchema = found.takesSchema ? run.request.outputSchema : undefined;
  return {
    hasHistory: others.some((one) => one.turn > 0 && agentOfRun(one) === agent),
    options: {
      path: found.path,
      ...(found.extraArgs ? { extraArgs: found.extraArgs } : {}),
      name: workflow.name,
      policy,
      mark: agentMark(run.runId),
      cwd: workspace.path,
      ownFolders: [dirname(handoverPath)],
      prompt: [
        ...(move?.talksAnew ? [move.prompt] : change ? [change.prompt(hasNote)] : []),
        ...(talksAnew
          ? findUnfinished(others).map((one) => tellUnfinished(one, move?.talksAnew === true))
          : findUnread(run, others).map(tellUnread)),
        run.request.message,
      ].join("\n\n"),
      systemPrompt: buildSystemPrompt(workflow, {
        sessionName: run.sessionName,
        workspacePath: workspace.path,
        emptySubmodules: workspace.emptySubmodules,
        ownCommit: workspace.ownCommit,
        handoverPath,
        previousHandover,
        repository: run.request.repositoryUrl,
        branch: workspace.branch,
      }),
      sessionId: own?.conversationId ?? run.sessionId,
      resume: own !== undefined,
      excludedInstructions: outside.map((name) => join(workspace.path, name)),
      ...buildToolRules(workflow, { handoverPath, previousHandover }),
      permissionMode: workflow.permissionMode,
      env: workspace.ownHooks && !policy?.scriptsAllowed() ? withoutHooks(env) : env,
      clock: engine.clock,
      ...(run.request.maxTurns === undefined ? {} : { maxTurns: run.request.maxTurns }),
      ...(costLimitUsd === undefined ? {} : { maxBudgetUsd: costLimitUsd }),
      ...(model === undefined ? {} : { model }),
      ...(outputSchema === undefined ? {} : { outputSchema }),
      ...(workflow.mcpServers === undefined ? {} : { mcpServers: workflow.mcpServers }),
    },
  };
}

/** The runs before it, oldest first, that were interrupted before their agent had taken up what it was to do. */
function findUnread(run: EngineRun, others: readonly EngineRun[]): EngineRun[] {
  const before = others.filter((one) => one.createdAt <= run.createdAt);
  const begun = before.findIndex((one) => one.turn > 0 || one.conversationBegun);
  return before
    .slice(0, begun < 0 ? undefined : begun)
    .filter((one) => one.status === "interrupted")
    .reverse();
}

function tellUnread({ request }: EngineRun): string {
  return `Before this you were given a task that never reached you, since the run was interrupted. It was:\n\n${request.message}`;
}

/** The newest runs of a conversation that is not here, oldest first, that were interrupted: no note tells of their tasks. */
function findUnfinished(others: readonly EngineRun[]): EngineRun[] {
  const done = others.findIndex(({ status }) => status !== "interrupted");
  return others.slice(0, done < 0 ? undefined : done).reverse();
}

function tellUnfinished({ request }: EngineRun, isElsewhere: boolean): string {
  const what = isElsewhere
    ? "a task on the other machine, and the run was interrupted there. What it has committed by then may be missing"
    : "a task that you have not seen, and the run was interrupted";
  return `Before this the session was given ${what}. It was:\n\n${request.message}`;
}
