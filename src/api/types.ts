/**
 * The product's own picture of what a workflows API tells. Wire names stop in this folder; everything else
 * in the house works with these types. Times are epoch milliseconds, durations seconds, money US dollars.
 */

import type { LinkedIssue } from "../shared/linked-issue.js";
import type { Whose } from "../shared/whose.js";

/** A workflow that the API offers. */
export interface Workflow {
  name: string;
  description: string;
  displayName?: string;
  category?: string;
  emoji?: string;
  /** Turns the API suggests for a run of it. */
  suggestedTurns?: number;
  /** The API's own upper bound, where it has one. */
  maxTurns?: number;
  capabilities: string[];
  /** Models that a run of it can be told to use, where the API takes any. */
  models?: string[];
  /** The kind of agent that carries it out, where the API tells it: `claude`, `codex`. */
  agent?: string;
}

/** Statuses after which a run does no more work. Any other text, known or not, is treated as not final. */
export const FINAL_STATUSES: readonly string[] = ["completed", "failed", "killed"];

/** True when the status says that the run does no more work. */
export function isFinal(status: string): boolean {
  return FINAL_STATUSES.includes(status);
}

export interface TokenCounts {
  total: number;
  input?: number;
  output?: number;
}

/** What a session's branch has beyond its base, and where a person finds it; only some servers tell it. */
export interface Work {
  branch: string;
  baseBranch?: string;
  /** Where the two parted. */
  baseCommit?: string;
  headCommit?: string;
  /** Newest first; the first ones of them. */
  commits: { id: string; title: string }[];
  commitCount: number;
  files?: number;
  insertions?: number;
  deletions?: number;
  /** `repository`: the person's own on the server's machine; `engine`: nowhere but on the server itself. */
  deliveredTo: "repository" | "remote" | "engine";
  /** The folder or address of that. */
  where?: string;
  /** The branch that it was merged into. */
  mergedInto?: string;
  /** Why it is not where it was meant to be, and what helps. */
  problem?: string;
  /** There are changes in the worktree that are in no commit. */
  uncommitted?: true;
  /** The commit with what the person had not committed when the session began; its counts are part of the whole. */
  own?: { commit: string; files: number; insertions: number; deletions: number };
  /** The session's folder on the server, while it is there. */
  worktree?: string;
}

/** One run as far as it is known; what nobody has told is absent, never invented. */
export interface Run {
  runId: string;
  workflowName: string;
  /** `pending`, `running`, `completed`, `failed`, `killed`, or whatever else the API says. */
  status: string;
  /** An id with which the conversation can be resumed. Only ids that the API itself has shown for the run. */
  sessionId?: string;
  /** The session id stands only in the answer to the start; on the public server such an id is random. */
  sessionClaimed?: true;
  /** The API shows session ids only while a run is going on, and showed none here. */
  sessionHidden?: true;
  sessionName?: string;
  /** The message that started it, where that was asked for and the API tells it. */
  message?: string;
  /** How the message that started it begins, on one line, where the API's list tells it. */
  messageStart?: string;
  turn?: number;
  maxTurns?: number;
  /** What successful runs of the workflow usually take. */
  expectedTurns?: number;
  currentAction?: string;
  /** The kind of agent, where it is another one than the API's usual one. */
  agent?: string;
  model?: string;
  startedAt?: number;
  completedAt?: number;
  durationS?: number;
  costUsd?: number;
  /** It has cost more than that. */
  costAtLeast?: true;
  /** Lines that the session's commits add, and take away, as of the run's end. */
  insertions?: number;
  deletions?: number;
  /** The branch of the repository that has them by now. */
  mergedInto?: string;
  tokens?: TokenCounts;
  toolsUsed: string[];
  /** The run's own text. It comes from elsewhere: control characters are removed where it comes in. */
  result?: string;
  error?: string;
  /** Why it has failed, in one word, where the API knows one: `context_full`, `no_credit` … */
  errorCode?: string;
  /** It was interrupted, and the API goes on with it by itself: it will, or does so as this run. */
  goesOn?: { runId?: string };
  repositoryUrl?: string;
  gitBranch?: string;
  /** When the agent was last seen doing something. */
  lastActivityAt?: number;
  currentPhase?: string;
  phasesCompleted: string[];
  filesChanged: string[];
  commits: string[];
  workspacePath?: string;
  work?: Work;
  /** The pull request for its session's branch; only our own engine tells it. */
  pullRequest?: RunPullRequest;
  /** Whether it works in a workspace of its session's own; only some servers tell it. */
  ownWorkspace?: boolean;
  /** The API states that there is none, or none any more. */
  hasNoWork?: true;
  /** What the agent wants to know before it goes on; only some servers let it ask. */
  questions?: RunQuestion[];
  /** The last questions that a person has answered, the newest at the end; only some servers tell. */
  answered?: AnsweredQuestion[];
  /** The run waits for a free slot of the API; `currentAction` tells it in words. */
  waitsForSlot?: SlotWait;
  /** The API's list says that the run waits for an answer; what is asked, only the run itself tells. */
  waitsForAnswer?: true;
  /** What the answer to its start tells the person. */
  startNote?: string;
  /** The API states that it has failed before anything ran or cost anything. */
  neverStarted?: true;
  /** How many questions its agent has asked, for how long it has waited for answers, as far as it was watched here. */
  questionsAsked?: number;
  waitedS?: number;
  /** The longest time in which nothing was seen of it while its agent was at work, as far as it was watched here. */
  quietS?: number;
  /** The conversation that it was asked to continue, as remembered here: whether its agent took it up, only the run shows. */
  resumes?: string;
}

/** The pull request of a session's branch. */
export interface RunPullRequest {
  /** `pushed`: whether one was opened is not known; `failed`: it will not be opened by itself. */
  state: "pending" | "open" | "pushed" | "failed";
  url?: string;
  number?: number;
  branch?: string;
  base?: string;
  commit?: string;
  isDraft?: boolean;
  /** Why it is not open (yet), or what is otherwise than asked for; sentences. */
  problem?: string;
}

/** How a run waits for a free slot; only some servers tell it. */
export interface SlotWait {
  /** From 1. */
  position?: number;
  /** It was answered, and goes on then. */
  answered?: true;
  /** In about so many seconds. */
  estimateS?: number;
}

/** Something that the agent of a run has asked. */
export interface RunQuestion {
  questionId: string;
  /** May it use a tool in this way, or a question of its own? */
  kind: "permission" | "question";
  text: string;
  toolName?: string;
  detail?: string;
  /** Not all of it can be shown: it cannot be allowed, only denied. */
  cut?: true;
  /** When it was asked, where the API tells it. */
  askedAt?: number;
  choices: {
    value: string;
    /** What the API wants to hear for it, where that is not fit to be shown. */
    sent?: string;
    title: string;
    description?: string;
  }[];
  multiSelect: boolean;
}

/** What its agent has asked and a person has answered. */
export interface AnsweredQuestion {
  questionId: string;
  text: string;
  /** As it was given: the value of a choice, or words. */
  answer: string;
  whose: Whose;
}

/** The questions that nobody has answered yet. */
export function openQuestions(run: Run): RunQuestion[] {
  return run.questions ?? [];
}

/** Whose answer a question has; undefined where it has none, or that is not told. */
export function answererOf({ answered }: Run, questionId: string | undefined): Whose | undefined {
  return answered?.findLast((one) => one.questionId === questionId)?.whose;
}

/** What is asked of the API when a run is started. A field that is not set is not sent. */
export interface StartRequest {
  workflowName: string;
  message: string;
  /** Left out where the API does not know it. */
  inputFormat?: "stream-json" | "text";
  sessionId?: string;
  sessionName?: string;
  repositoryUrl?: string;
  gitBranch?: string;
  /** A session's own new branch begins at this one; only for APIs that say that they take it. */
  startFrom?: string;
  /** What the person has agreed to for this session; for our own engine. */
  consent?: RepositoryConsent;
  /** Take along what is not committed in the repository, as the person has agreed; for our own engine. */
  uncommitted?: true;
  /** On whose behalf it is. */
  userId?: string;
  /** What people call them; only for APIs that say that they take it. */
  userName?: string;
  /** The issue that it is about; only for APIs that say that they take it. */
  issue?: LinkedIssue;
  maxTurns?: number;
  /** What it may cost; only for APIs that say that they take it. */
  costLimitUsd?: number;
  /** A JSON Schema of what the agent has to give; only for APIs that say that they take it. */
  outputSchema?: Readonly<Record<string, unknown>>;
  /** For our own engine, and APIs that say that they take it. */
  /** The kind of agent in place of the workflow's. */
  agent?: string;
  model?: string;
  /** The run's own time limit in seconds. */
  timeoutS?: number;
  persistent?: boolean;
  autoMerge?: boolean;
  /** Its branch is pushed and a pull request opened when it succeeds, as the person has agreed; for our own engine. */
  pullRequest?: true;
  tempWorkspace?: boolean;
}

/** A repository of this machine that a person has allowed: its folder, and all folders that it consists of. */
export interface RepositoryConsent {
  path: string;
  folders: readonly string[];
}

/** Whether our own engine may work on a repository of this machine. */
export interface CheckedRepository extends RepositoryConsent {
  allowed: boolean;
  /** Why what was allowed before does not count, as sentences. */
  problem?: string | undefined;
  /** What is not committed there; missing where it was not asked for, and where no files are checked out. */
  changes?: ChangesThere | undefined;
}

/** What is not committed in a repository of this machine. */
export interface ChangesThere {
  /** What is checked out, where that is a branch. */
  branch?: string | undefined;
  /** A new session would begin at what is checked out. */
  isBase: boolean;
  /** How many files can be taken along, and the first of them. */
  count: number;
  files: readonly string[];
  /** How many are never taken along: submodules, files that pass a filter. */
  leftOut: number;
  /** Why they cannot be taken along, and what helps; a clause. */
  problem?: string | undefined;
}

/** The counters of a run's message queue. */
export interface QueueCounters {
  runId: string;
  /** Messages waiting. */
  waiting: number;
  added: number;
  /** Messages the agent has taken up: the only proof of delivery. */
  consumed: number;
  oldestAgeS?: number;
}

export interface KillReport {
  runId: string;
  success: boolean;
  method?: string;
  /** What the API claims; the public server says true whatever happened. */
  processTerminated?: boolean;
  message?: string;
}

/** Something that has happened to a run, as only some servers tell it. Texts in `data` are as they came. */
export interface LoggedEvent {
  /** `turn`, `action`, `question`, `answered`, `message`, `finished` … */
  type: string;
  at: number | undefined;
  data: Record<string, unknown>;
  /** Of an answer, whose it was, where that is told. */
  whose?: Whose;
}
