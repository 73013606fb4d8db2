import type { AboutKind } from "../agent/agent-kind.js";
import { type AgentName, USUAL_AGENT } from "../agent/agent-name.js";
import type { EngineOptions } from "../engine-options.js";
import type { EngineRun } from "../runs/run.js";

/** A run that goes on with another agent than its session had last. */
export interface AgentChange {
  /** Its agent has no conversation in this session that it could go on with. */
  talksAnew: boolean;
  /** For the person, as a sentence. */
  told: string;
  /** What the agent is told, on one line. @param hasNote there is a handover note */
  prompt(hasNote: boolean): string;
}

/** The kind of agent that carries a run out. */
export function agentOfRun({ request }: Pick<EngineRun, "request">): AgentName {
  return request.agent ?? USUAL_AGENT;
}

/** An agent has talked in this run, as far as is known. */
export function hasTalked(run: EngineRun): boolean {
  return run.turn > 0 || run.conversationBegun === true;
}

/** The runs of a run's session before it, newest first. */
function formerRuns(run: EngineRun, runs: Pick<EngineOptions["runs"], "ofSession">): EngineRun[] {
  const all = runs.ofSession(run.sessionId);
  return all.slice(all.findIndex(({ runId }) => runId === run.runId) + 1);
}

/**
 * The newest conversation that the run's own kind of agent had in the session, and can go on with.
 * @returns the run that had it
 */
export function findOwnTalk(
  run: EngineRun,
  { runs, agents }: Pick<EngineOptions, "runs" | "agents">,
): EngineRun | undefined {
  const agent = agentOfRun(run);
  const { resume = false, chosenSessionId = false } = agents.get(agent)?.capabilities ?? {};
  const own = formerRuns(run, runs).find((one) => agentOfRun(one) === agent && hasTalked(one));
  return resume && (chosenSessionId || own?.conversationId !== undefined) ? own : undefined;
}

/**
 * Finds out whether a run's session was with another agent so far. Each kind has conversations of its own, which the
 * others cannot read: what they know of each other stands in the handover note.
 * @returns undefined where the run goes on with the newest conversation of its session, or begins the first one
 */
export function findAgentChange(
  run: EngineRun,
  engine: Pick<EngineOptions, "runs" | "agents">,
): AgentChange | undefined {
  const last = formerRuns(run, engine.runs).find(hasTalked);
  const own = findOwnTalk(run, engine);
  if (!last || own === last) return undefined;
  const title = (one: EngineRun) => titleOf(engine.agents.get(agentOfRun(one)), agentOfRun(one));
  const { workflowName } = last.request;
  if (own)
    return {
      talksAnew: false,
      told: `Session "${run.sessionName}" goes on with ${title(run)}, in the conversation that it had before ${title(last)} worked there (${workflowName}).`,
      prompt: (hasNote) =>
        `Since your last message here another agent (${title(last)}, workflow ${workflowName}) has worked in this session${hasNote ? ": the handover note tells of it" : ""}.`,
    };
  return {
    talksAnew: true,
    told: `Session "${run.sessionName}" was with ${title(last)} so far and goes on with ${title(run)}: the conversation begins anew, from the handover note.`,
    prompt: (hasNote) =>
      `This session was with another agent so far (${title(last)}, workflow ${workflowName}), and its conversation is not yours: ` +
      (hasNote ? "the handover note tells of it." : "it has left no handover note."),
  };
}

const titleOf = (kind: AboutKind | undefined, name: string) => kind?.title ?? name;
