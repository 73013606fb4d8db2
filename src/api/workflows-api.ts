import type { Whose } from "../shared/whose.js";
import type { ApiDescription } from "./description.js";
import type { ApiError, Outage } from "./errors.js";
import type {
  CheckedRepository,
  KillReport,
  LoggedEvent,
  QueueCounters,
  RepositoryConsent,
  Run,
  RunPullRequest,
  StartRequest,
  Workflow,
} from "./types.js";
import type {
  AskedPullRequest,
  CleanupReport,
  DiscardReport,
  Leftover,
  LeftoverRemoval,
  Leftovers,
  PullRequestSight,
  TakeReport,
  TakeRequest,
  WorkDiff,
  WorkHead,
} from "./work-types.js";

/** How a read is done. */
export interface ReadOptions {
  signal?: AbortSignal | undefined;
  /** Nobody waits for the answer. */
  background?: boolean;
  /** A poll: while the API is known to be down it fails at once, unless it is the one that tries the API again. */
  poller?: boolean;
  /** Overrides how often the read is tried again. */
  retries?: number;
  /** A time limit of its own, in ms. */
  timeoutMs?: number;
}

/** Which runs are listed. */
export interface ListRunsOptions extends ReadOptions {
  /** From 1. */
  page?: number;
  /** 1–100. */
  pageSize?: number;
  workflowName?: string;
  /** Only runs of this status. */
  status?: "running";
}

/** The workflows API, one method for each endpoint in use. Every method throws {@link ApiError} and nothing else. */
export interface WorkflowsApi {
  /** Where the API is, for messages. */
  readonly address: string;
  /** False when no key is set: then every call fails with kind `no_key` before anything is sent. */
  readonly hasKey: boolean;
  /** How far the API's clock is ahead of ours, in ms, as its last Date header told; 0 until then. */
  clockOffsetMs(): number;
  /** Since when the API has not answered and when it is tried again, while requests show that it is down. */
  outage(): Outage | undefined;
  /** What the API's clock said at the latest, by a Date header, epoch ms; undefined until then. */
  apiTime(): number | undefined;
  /** `GET /manage`; `/workflows`, then the names of `/health`, on servers without it. */
  listWorkflows(options?: ReadOptions): Promise<Workflow[]>;
  /** Why workflows that are there cannot be used, as the last list of them said. */
  workflowProblems(): readonly string[];
  /** `POST /run/{workflow_name}`: one paid run. Sent once, never repeated here; `key` is its `Idempotency-Key`. */
  startRun(request: StartRequest, key?: string): Promise<Run>;
  /**
   * `GET /run/{id}/status?debug=true`: live turns and session ids are only in there on the public server.
   * @param options.message asks for the message that it was started with, too, which only some servers tell
   */
  getRun(runId: string, options?: ReadOptions & { message?: boolean }): Promise<Run>;
  /** One page of `GET /runs`, newest first. `last` when the page is short: has_next is wrong on some servers. */
  listRuns(options?: ListRunsOptions): Promise<{ runs: Run[]; last: boolean }>;
  /** `POST /run/{id}/add-message`: the answer means queued, not delivered. */
  addMessage(runId: string, type: "user" | "system", content: string): Promise<QueueCounters>;
  /** `GET /run/{id}/message-queue`; undefined when nothing was ever queued for the run. */
  getQueue(runId: string, options?: ReadOptions): Promise<QueueCounters | undefined>;
  /** `POST /run/{id}/kill`. The answer says what the API claims, not what became of the agent. */
  killRun(runId: string, force: boolean): Promise<KillReport>;
  /**
   * What the API says of itself (`/api/v1/openapi.json`), or why nothing can be made of it. Throws only for what may
   * be otherwise in a while.
   */
  describe(options?: ReadOptions): Promise<{ description: ApiDescription } | { error: ApiError }>;
  /**
   * `GET /events`: every change of every run as it happens. Resolves when the stream ends.
   * @param options.lastEventId goes on after this event
   * @param options.onOpen the stream stands and begins after this event; `gap` when events between are gone
   */
  streamRuns(options: {
    signal: AbortSignal;
    lastEventId?: string;
    onOpen(gap: boolean, id: string | undefined): void;
    onRun(id: string, run: Run): void;
  }): Promise<void>;
  /**
   * `GET /run/{id}/events` from the run's beginning on, as far as it is kept. Resolves when the stream ends.
   * @param after goes on behind the event that came with this id
   */
  streamEvents(
    runId: string,
    signal: AbortSignal,
    onEvent: (event: LoggedEvent, id: string | undefined) => void,
    after?: string,
  ): Promise<void>;
  /** `POST /run/{id}/questions/{question_id}/answer`. @param whose only for APIs that say that they take it */
  answerQuestion(runId: string, questionId: string, answer: string, whose?: Whose): Promise<void>;
  /** `GET /run/{id}/diff`: what the session's commits change, at most so many bytes. */
  readDiff(runId: string, maxBytes: number, options?: ReadOptions): Promise<WorkDiff>;
  /** `GET /run/{id}/work`: where the session's branch stands now, whoever has committed to it. */
  readHead(runId: string, options?: ReadOptions): Promise<WorkHead>;
  /**
   * `POST /run/{id}/take`: merges them into a branch of the repository.
   * @param options.signal gives it up; a check is then ended, and nothing merged
   * @param options.timeoutMs a time limit of its own, since a check may take long
   */
  takeWork(
    runId: string,
    how: TakeRequest,
    options?: { signal?: AbortSignal; timeoutMs?: number },
  ): Promise<TakeReport>;
  /** `POST /run/{id}/pull-request`: pushes the session's branch, or another, and has a pull request say this. */
  openPullRequest(runId: string, asked: AskedPullRequest): Promise<RunPullRequest | undefined>;
  /** `GET /run/{id}/pull-request`: how that of the run's session stands, checks and reviews. */
  readPullRequest(runId: string, options?: ReadOptions): Promise<PullRequestSight>;
  /** `POST /run/{id}/discard`: worktree and branches of the session go. */
  discardWork(runId: string): Promise<DiscardReport>;
  /** `POST /run/{id}/cleanup`. */
  cleanupRun(runId: string, force: boolean): Promise<CleanupReport>;
  /**
   * `POST /repositories/check`, which only our own engine has: undefined at any other API. It changes nothing.
   * @param options.sessionId the session that is to be continued
   * @param options.changesOn looks also for what is not committed there, for a new session on this branch ("": none named)
   */
  checkRepository(
    path: string,
    options?: { sessionId?: string | undefined; changesOn?: string; signal?: AbortSignal },
  ): Promise<CheckedRepository | undefined>;
  /** `POST /repositories/allow`: remembers a person's word for good. */
  allowRepository(consent: RepositoryConsent): Promise<void>;
  /** `GET /leftovers`, which only our own engine has: what sessions have left on its disk. */
  listLeftovers(): Promise<Leftovers>;
  /** `POST /leftovers/remove`. @param force also what is nowhere else */
  removeLeftover(which: Pick<Leftover, "id" | "mark" | "name">, force: boolean): Promise<LeftoverRemoval>;
  /** `POST /leftovers/branch`: takes a merged branch out of the person's repository. */
  removeMergedBranch(which: Leftovers["mergedBranches"][number]): Promise<void>;
  /**
   * Gives up whatever is under way, so that nothing of it outlives the server: it then fails with kind `aborted`.
   * Resolves when nothing of it is left. Whatever is asked for later is not sent.
   */
  close(): Promise<void>;
}
