import type { RepositoryConsent } from "../../api/types.js";
import type { Expectation } from "../../history/expect.js";
import type { Past } from "../../history/history.js";
import type { Session } from "../../sessions/types.js";
import type { Settings } from "../../settings/settings.js";
import type { Fit, Router } from "../../workflows/router.js";
import type { Answer, NextStep } from "../answer.js";
import type { Arguments } from "../arguments.js";
import type { Call, Services } from "../define-action.js";
import type { Question } from "../forms/form-client.js";

/** What a start can be told. */
export const RUN_PARAMETERS = [
  "workflow_name",
  "message",
  "session_name",
  "session_id",
  "continue_session",
  "repository_url",
  "git_branch",
  "agent",
  "model",
  "uncommitted",
  "max_turns",
  "timeout",
  "persistent",
  "finish",
  "auto_merge",
  "temp_workspace",
  "wait_seconds",
  "issue",
  "confirm",
] as const;

export type RunArguments = Arguments<(typeof RUN_PARAMETERS)[number]>;

/** The arguments of a start without the message: for the steps, a {@link Task} speaks for it. */
export type StartArguments = Omit<RunArguments, "message">;

/** The conversation that a run continues, with what its session knows. */
export interface Continuation {
  sessionId: string;
  sessionName?: string;
  repositoryUrl?: string;
  gitBranch?: string;
  /** That its last run was interrupted, as the agent is told. */
  interruption?: string;
  /** The runs that its session had when it was found to be free. */
  knownRuns: readonly string[];
}

/** What a run needs, given or asked for. An empty text means the default; an empty name, that one is made up. */
export interface StartValues {
  workflowName: string;
  sessionName: string;
  repositoryUrl: string;
  gitBranch: string;
}

/** That agents may work on a repository of this machine, and what the person has said to it for this session alone. */
export interface Permission {
  repositoryUrl: string;
  consent?: RepositoryConsent;
}

/** Whether what is not committed in a repository is taken along. */
export interface ChangesDecision {
  repositoryUrl: string;
  taken: boolean;
}

/**
 * A start that is being prepared. A step returns a new draft with what it has settled; a field that is missing is
 * not settled yet.
 */
export interface StartDraft {
  /** The arguments of the call, as changed by what the person has decided. */
  readonly args: StartArguments;
  readonly continuation?: Continuation;
  /** The sessions that had the name when it was checked. */
  readonly namesakes?: readonly Session[];
  /** A sentence for the answer about sessions of the same name. */
  readonly nameNote?: string;
  readonly values?: StartValues;
  /** What the person has entered for the task's own questions, by their names. */
  readonly more?: Readonly<Record<string, string | undefined>>;
  /** A sentence for the answer about the branch, or "". */
  readonly branchNote?: string;
  readonly permission?: Permission;
  readonly changes?: ChangesDecision;
  /** A sentence for the answer about what is not committed, or "". */
  readonly changesNote?: string;
  /** Whether the work is pushed and a pull request opened for it, as settled with the person. */
  readonly publishes?: boolean;
}

/** What is settled with the person once, however often the same start is prepared. */
export type Agreed = Pick<
  StartDraft,
  "values" | "branchNote" | "permission" | "changes" | "changesNote" | "publishes"
>;

/** What a step may use besides the draft. */
export interface StepContext {
  call: Call;
  services: Services;
  task: Task;
}

/** What the steps need of the message, so that it need not be handed through them. */
export interface Task {
  /** What a form that asks for missing values is about, with the beginning of the message. */
  title(workflowName: string | undefined): string;
  /** A name for a new session, made of the message. */
  suggestName(isTaken: (name: string) => boolean): string;
  /** How well workflows fit the message, the best first; left out where no workflow is asked for. */
  rank?(router: Pick<Router, "rank">): Fit[];
  /** What runs of a workflow usually take for such a task; left out with `rank`. */
  expect?(past: Past, workflowName: string, repositoryUrl: string | undefined): Expectation;
  /** Advice to call `run` again with these arguments and the message. */
  startAgain(args: StartArguments, reason: string): NextStep;
  /** What is asked in the same form. Such a task has no workflow of its own that would be asked for. */
  readonly more?: readonly Question[];
  /** What the form's name is one of; a session, where left out. */
  readonly names?: "plan";
  /** The file of this machine that a plan was read from, absolute. */
  readonly planFile?: string | undefined;
  /** Nothing is done on the branch itself: it is where the work's own branches begin, so that it has to be there. */
  readonly beginsAtBranch?: boolean;
  /** The repository that the task itself is about, as git takes it: suggested where nothing nearer is known. */
  readonly repositoryUrl?: string | undefined;
  /** Advice to send the message to a run that is still going on. */
  giveFeedback(runId: string, reason: string): NextStep;
}

/**
 * One step of the preparation.
 * @returns the draft for the next step, or the answer with which the call ends
 * @throws ActionError or ApiError, with which the call ends as a tool error
 */
export type Step = (draft: StartDraft, context: StepContext) => Promise<StartDraft | Answer>;

/**
 * Whether the work is merged when the run succeeds, by the call, and else by the settings; undefined where nobody says
 * anything. `auto_merge` is the API's own word for it.
 */
export function mergesWork(args: StartArguments, settings: Settings): boolean | undefined {
  if (args.finish !== undefined) return args.finish === "merge";
  if (args.auto_merge !== undefined) return args.auto_merge;
  return settings.finish === "merge" && !args.temp_workspace ? true : undefined;
}

/** Whether a pull request is opened when the run succeeds, by the call, and else by the settings. */
export function opensPullRequest(args: StartArguments, settings: Settings): boolean {
  if (args.finish !== undefined) return args.finish === "pull_request";
  return settings.finish === "pull_request" && args.auto_merge !== true && !args.temp_workspace;
}

/** The run's own limits: those of the call, else those of the settings. */
export function limitsOf(args: StartArguments, settings: Settings): { maxTurns: number; timeoutS: number } {
  return { maxTurns: args.max_turns ?? settings.maxTurns, timeoutS: args.timeout ?? settings.timeoutS };
}
