import type { RunRecord } from "./store/session-record.js";

/** A conversation with the agent: a name, the id with which it can be resumed if there is one, and its runs. */
export interface Session {
  /** Tells sessions of the same name apart. */
  key: string;
  name: string;
  /** Absent when no server has shown one: then the conversation cannot be continued. */
  sessionId?: string;
  repositoryUrl?: string;
  gitBranch?: string;
  /** Oldest first, each as known without asking for it alone. */
  runs: RunRecord[];
  /** When one of its runs last began or ended, epoch ms. */
  updatedAt: number;
}

/** How a person or model names a run: any of the three, and any of them may hold another's kind of value. */
export interface Target {
  runId?: string;
  sessionId?: string;
  sessionName?: string;
}
