import type { OpenedGithub } from "../integrations/github/open-github.js";
import type { Clock } from "../shared/clock.js";
import type { Log } from "../shared/log.js";
import type { AboutKind, FoundAgent } from "./agent/agent-kind.js";
import type { AgentName } from "./agent/agent-name.js";
import type { AgentOptions, AgentProcess } from "./agent/agent-process.js";
import type { AgentEvent } from "./agent/events.js";
import type { RunPolicy } from "./permissions/run-policy.js";
import type { AgentProcessId, EngineRun } from "./runs/run.js";
import type { RunStore } from "./runs/run-store.js";
import type { EngineWorkflow } from "./types.js";
import type { SessionBundles } from "./workers/session-bundles.js";
import type { Worker } from "./workers/worker-rows.js";
import type { WorkflowLibrary } from "./workflows/workflow-library.js";
import type { MovableWorkspaces, ReviewableWorkspaces, Workspace } from "./workspaces/workspaces.js";

/** Limits. They are read whenever something begins, since settings change while the engine runs. */
export interface EngineLimits {
  /** Agents at work at once. */
  concurrency: number;
  /** How long the agent waits for a person's answer, in ms. */
  questionTimeoutMs: number;
  /** How long an agent that has given its result can be told something still, in ms; 1,000 when left out. */
  lingerMs?: number | undefined;
  /** What one run may cost, in USD; undefined for no limit of ours. */
  costLimitUsd?: number | undefined;
  /** What all runs of a local calendar day may cost, in USD; undefined for no limit. */
  costLimitPerDayUsd?: number | undefined;
  /** A run that nobody wanted to end is resumed once; default false. */
  resumeOnce?: boolean | undefined;
  /** What the runs of one caller on a local calendar day may cost, in USD; undefined for no limit. */
  costLimitPerDayAndCallerUsd?: number | undefined;
}

/** The engine as one of several that share a database. */
export interface EngineWorker {
  /** Its id, by which runs are known to be its. */
  id: string;
  /** Its machine, as a person calls it. */
  name: string;
  /** Whether it may begin a run that waits. */
  mayBegin: (run: EngineRun) => boolean;
  /** The id of the one worker at which a run that waits may begin, or go on; undefined for any of them. */
  waitsAt: (run: EngineRun) => string | undefined;
  /** What the others have room for: for what waits at one worker only, or in all. */
  elsewhere: (only?: string) => SlotsElsewhere;
  /** Whether another one is there that begins runs. */
  othersBegin: () => boolean;
  /** Whether there is another one at all, also one that is away at the moment. */
  hasOthers: () => boolean;
  /** Another one, as it was last seen. */
  find: (workerId: string) => Pick<Worker, "name" | "state" | "silentMs"> | undefined;
  /** Resolves when the others know that it is there: from then on no session of it is begun elsewhere. */
  joined: Promise<void>;
  /** Calls it when an earlier copy of the database is in its place, and nothing is at work here any more. */
  onEarlierCopy: (listener: () => void) => void;
  /** What sessions have committed, for those that go on elsewhere. */
  bundles: SessionBundles;
  /** So often what a session has committed is kept while a run of it is at work, in ms. */
  keepEveryMs: number;
  workspaces: MovableWorkspaces;
}

/** Slots of other workers, and the runs there that have begun and not ended. */
export interface SlotsElsewhere {
  /** Runs that can be at work there at once; of one that begins nothing more, those that still are. */
  slots: number;
  busy: readonly EngineRun[];
  /** They gave their slot up; those of them that were answered are in `asking` as well. */
  idle: readonly EngineRun[];
  asking: readonly EngineRun[];
  /** The slots of this worker count, too: runs may begin here as well. */
  ownToo: boolean;
  /** The runs that go on at other workers, by their sessions. */
  bySession: ReadonlyMap<string, EngineRun>;
  /** The only worker, where it begins nothing at the moment. */
  waitsFor?: { name: string; state: string };
}

/** The kinds of agents that an engine has. */
export interface Agents {
  /** The usual one first. */
  all: readonly AboutKind[];
  /** @returns undefined for a name that no kind has */
  get(name: string): AboutKind | undefined;
  /** Its program, or why it cannot be used and what to do. Asked before every start. */
  find(name: AgentName): Promise<FoundAgent>;
  /** Whether its program is there at all, and no setting keeps it out of every run; nothing is started for it. */
  isOffered(name: AgentName): Promise<boolean>;
  /** Starts one, as `StartAgent` does. */
  start(name: AgentName, options: AgentOptions, onEvent: (event: AgentEvent) => void): AgentProcess;
}

/** What the engine and each run's work are given. */
export interface EngineOptions {
  runs: RunStore;
  /** Left out where it is the only engine of its database. */
  worker?: EngineWorker | undefined;
  workspaces: ReviewableWorkspaces;
  library: WorkflowLibrary;
  agents: Agents;
  /** Makes the folder of a session's handover note, outside of its workspace; gives the note's path. */
  prepareHandover: (sessionId: string) => Promise<string>;
  /** What the agent of a run may do without a question; without it everything is asked. */
  policyFor?: (workflow: EngineWorkflow, workspace: Workspace, kind: AboutKind) => RunPolicy;
  limits: EngineLimits;
  /** GitHub, for pull requests; left out where none are opened. */
  github?: () => Promise<OpenedGithub>;
  /** The environment that agents get. */
  env: NodeJS.ProcessEnv;
  clock: Clock;
  log: Log;
  /** Ends what is left of an agent's process group after a restart. Answers whether anything was there. */
  endLeftover: (process: AgentProcessId) => Promise<boolean>;
}
