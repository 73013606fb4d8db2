import { optional, type PlanStep } from "../plan.js";
import { isWorking } from "./draft.js";
import { indexOf } from "./plan-index.js";
import { type PlanStatus, planStatus } from "./plan-status.js";
import { type OpenPullRequest, openPullRequests } from "./pull-requests.js";
import { questionOf, textFor } from "./resolve.js";
import {
  type Agreement,
  type GateOpening,
  hasEnded,
  type PlanState,
  type StartOrder,
  type StepState,
} from "./state.js";
import { tallyOf } from "./tally.js";

/**
 * What has to be done outside for a plan. Each has an id: what has the same id is the same thing, also after a crash,
 * and is done once or attached to.
 */
export type PlanCommand = { id: string } /** Start it under its key, unless it is there already. */ & (
  | { type: "start"; key: string; step: string; item?: number; order: StartOrder }
  /** It is not wanted any more: when it was not sent, `run-not-started`; else find it, `run-started`. */
  | { type: "withdraw"; key: string }
  /** Look whether there is a run under the key after all, and start none. */
  | { type: "look-up"; key: string }
  /** Wait for its end and its questions. */
  | { type: "watch"; key: string; runId: string }
  | { type: "kill"; key: string; runId: string; reason: string }
  /** Ask a person, who sees the text. */
  | {
      type: "open-gate";
      step: string;
      question: string;
      text: string;
      mayGoBack: boolean;
      opening: GateOpening;
    }
  | { type: "ask-agreement"; step: string; agreement: Agreement }
  /** Into `onto`, or into a branch of the step's own that begins where the plan does. Taken back when `check` fails. */
  | {
      type: "merge";
      step: string;
      attempt: number;
      item: number;
      branch: string;
      commit?: string;
      onto?: { branch: string; commit?: string };
      check?: string;
    }
  /** Every step is done: ask for it, or have it say what there is now. */
  | ({ type: "pull-request" } & OpenPullRequest)
  /** Tell the time then: a limit is reached. */
  | { type: "wake"; at: number }
  /** Nothing more happens by itself. */
  | { type: "finish"; status: PlanStatus }
);

const known = new WeakMap<PlanState, readonly PlanCommand[]>();

/** Everything that is to be done as the plan stands, whether or not it was begun: after a crash this is where to go on. */
export function commandsOf(state: PlanState): readonly PlanCommand[] {
  const commands = known.get(state) ?? listCommands(state);
  known.set(state, commands);
  return commands;
}

function listCommands(state: PlanState): PlanCommand[] {
  const commands: PlanCommand[] = [];
  const isEnding = state.killAskedAt !== undefined;
  for (const step of state.plan.steps) {
    const now = state.steps[step.id] as StepState;
    addRuns(commands, step, now, isEnding, state.pausedAt !== undefined);
    if (isEnding) continue;
    if (now.open && step.kind === "gate") commands.push(gateCommand(state, step, now.open, now.sentBack));
    if (now.status === "waiting" && now.agreement && !now.begun)
      commands.push({
        id: `ask-agreement ${step.id}/${now.agreement.attempt}/${now.agreement.runs}`,
        type: "ask-agreement",
        step: step.id,
        agreement: now.agreement,
      });
  }
  for (const step of state.plan.steps) {
    if (step.kind !== "merge") continue;
    const now = state.steps[step.id] as StepState;
    const merge = now.merges.find(({ status }) => status === "merging");
    if (merge)
      commands.push({
        id: `merge ${step.id}/${merge.round}/${merge.item + 1}`,
        type: "merge",
        step: step.id,
        attempt: merge.round,
        item: merge.item,
        branch: merge.branch,
        ...optional("commit", merge.commit),
        ...(now.branch === undefined || merge.round !== now.round
          ? {}
          : { onto: { branch: now.branch, ...optional("commit", now.commit) } }),
        ...optional("check", step.check),
      });
  }
  const status = planStatus(state);
  const isDone = !isEnding && state.plan.steps.every(({ id }) => hasEnded(state.steps[id] as StepState));
  if (isDone && status === "running")
    for (const one of firstOfEachRun(openPullRequests(state)))
      commands.push({
        id: `pull-request ${one.branch} ${countRounds(state)}`,
        type: "pull-request",
        ...one,
      });
  if (status === "completed" || status === "failed" || status === "killed")
    commands.push({ id: `finish ${status} ${countRounds(state)}`, type: "finish", status });
  else if (!isEnding && isWorking(state, tallyOf(state, indexOf(state.plan)))) {
    const left = state.plan.limits.minutes * 60_000 - state.workMs;
    if (left > 0) commands.push({ id: `wake ${state.at + left}`, type: "wake", at: state.at + left });
  }
  return commands;
}

/** A run tells of one pull request: what else is asked of it comes after that one. */
function firstOfEachRun(all: readonly OpenPullRequest[]): OpenPullRequest[] {
  return all.filter(({ runId }, index) => all.findIndex((other) => other.runId === runId) === index);
}

/** A number that is another one whenever a plan that had ended has begun anew. */
function countRounds({ version, steps }: PlanState): number {
  return Object.values(steps).reduce((sum, { round, attempts }) => sum + round + attempts.length, version);
}

function addRuns(
  commands: PlanCommand[],
  step: PlanStep,
  now: StepState,
  isEnding: boolean,
  isPaused: boolean,
): void {
  for (const { key, status, round, item, request, runId, stop } of now.attempts) {
    if (status === "starting" && request) {
      if (isEnding || round !== now.round) commands.push({ id: `withdraw ${key}`, type: "withdraw", key });
      // It may have been sent before the pause.
      else if (isPaused) commands.push({ id: `look-up ${key}`, type: "look-up", key });
      else
        commands.push({
          id: `start ${key}`,
          type: "start",
          key,
          step: step.id,
          ...optional("item", item),
          order: request,
        });
    } else if (status === "unknown") commands.push({ id: `look-up ${key}`, type: "look-up", key });
    else if ((status === "running" || status === "waiting") && runId !== undefined) {
      commands.push({ id: `watch ${key}`, type: "watch", key, runId });
      const reason = stop ?? (isEnding ? "The plan is being ended." : undefined);
      if (reason) commands.push({ id: `kill ${key}`, type: "kill", key, runId, reason });
    }
  }
}

function gateCommand(
  state: PlanState,
  step: Extract<PlanStep, { kind: "gate" }>,
  opening: GateOpening,
  sentBack: number,
): PlanCommand {
  return {
    id: `open-gate ${step.id}/${opening.attempt}`,
    type: "open-gate",
    step: step.id,
    question: questionOf(state, step),
    text: step.show === undefined ? "" : textFor(state, step.show),
    mayGoBack: step.backTo !== undefined && sentBack < step.backTo.max,
    opening,
  };
}
