import { createParser } from "eventsource-parser";
import type { z } from "zod";
import { follow } from "../shared/abort.js";
import { sleep } from "../shared/clock.js";
import { BODY_LIMITS } from "../shared/http/body-limits.js";
import { type ApiDescription, descriptionWire, toDescription } from "./description.js";
import { API } from "./endpoints.js";
import { ApiError, isPassing, type Outage } from "./errors.js";
import { hideSecret } from "./hide-secret.js";
import { type Answer, type Call, createHttp, type HttpOptions } from "./http.js";
import { answerWire, parseNews } from "./news.js";
import type { CleanupReport, KillReport, QueueCounters, Run, StartRequest, Workflow } from "./types.js";
import {
  cleanupWire,
  healthWire,
  killWire,
  listItemToRun,
  queueWire,
  readProblem,
  runListWire,
  startToRun,
  startWire,
  statusToRun,
  statusWire,
  toCleanupReport,
  toKillReport,
  toQueueCounters,
  toWorkflow,
  workflowListWire,
} from "./wire.js";

interface ReadOptions {
  signal?: AbortSignal | undefined;
  /** Nobody waits for the answer. */
  background?: boolean;
  /** One look of many: fails at once, unless it is the one that finds out, while the API is known to be down. */
  poller?: boolean;
  /** Overrides how often the read is tried again. */
  retries?: number;
}

interface ListRunsOptions extends ReadOptions {
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
  /** `POST /run/{workflow_name}`: one paid run. Sent once, never repeated. */
  startRun(request: StartRequest): Promise<Run>;
  /** `GET /run/{id}/status?debug=true`: live turns and session ids are only in there on the public server. */
  getRun(runId: string, options?: ReadOptions): Promise<Run>;
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
  /** `POST /run/{id}/questions/{question_id}/answer`. */
  answerQuestion(runId: string, questionId: string, answer: string): Promise<void>;
  /** `POST /run/{id}/cleanup`. */
  cleanupRun(runId: string, force: boolean): Promise<CleanupReport>;
  /**
   * Gives up whatever is under way, so that nothing of it outlives the server: it then fails with kind `aborted`.
   * Resolves when nothing of it is left. Whatever is asked for later is not sent.
   */
  close(): Promise<void>;
}

export interface UpstreamOptions extends HttpOptions {
  /** Tries of a read after the first. */
  maxRetries: number;
}

/** The client of the workflows API. Wire fields and addresses go no further than this folder. */
export function createUpstream(options: UpstreamOptions): WorkflowsApi {
  const http = createHttp(options);
  const inFlight = new Map<AbortController, Promise<unknown>>();
  let closed = false;
  let offsetMs = 0;
  let apiTime: number | undefined;

  /** Does what can be given up by its own signal and by closing. */
  async function underWay<T>(
    { doing, signal }: Pick<Call, "doing" | "signal">,
    begin: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    if (closed) {
      throw new ApiError("aborted", `Could not ${doing}: this server is stopping. Nothing was sent.`);
    }
    const own = new AbortController();
    const stopFollowing = follow(signal, own);
    const work = begin(own.signal);
    inFlight.set(own, work);
    try {
      return await work;
    } finally {
      inFlight.delete(own);
      stopFollowing();
    }
  }

  const send = (call: Call): Promise<Answer> =>
    underWay(call, (signal) => http.send({ retries: options.maxRetries, ...call, signal }));

  async function request<T>(call: Call, schema: z.ZodType<T>): Promise<T> {
    const answer = await send(call);
    answer.body = hideSecret(answer.body, options.apiKey);
    if (answer.clockOffsetMs !== undefined) {
      offsetMs = answer.clockOffsetMs;
      apiTime = Math.max(apiTime ?? 0, options.clock.now() + offsetMs);
    }
    const parsed = schema.safeParse(answer.body);
    if (parsed.success) return parsed.data;
    throw new ApiError(
      "unexpected",
      `Could not ${call.doing}: the workflows API gave an answer without the fields it needs ` +
        `(${parsed.error.issues[0]?.path.join(".") || "the whole body"}). ` +
        (call.acts ? "It is not known whether the API has acted on it. " : "Nothing was changed. ") +
        "Check that AUTOMAGIK_WORKFLOWS_BASE_URL is the API's own address.",
      { mayHaveActed: call.acts === true },
    );
  }

  let problems: readonly string[] = [];
  const runPath = (runId: string) => `${API}/run/${toSegment(runId)}`;

  return {
    get address() {
      return http.address();
    },
    hasKey: Boolean(options.apiKey || options.locate),
    clockOffsetMs: () => offsetMs,
    outage: http.outage,
    apiTime: () => apiTime,
    workflowProblems: () => problems,

    async listWorkflows(read = {}) {
      const doing = "list the workflows";
      const get = (path: string) => ({
        method: "GET" as const,
        path: `${API}${path}`,
        limitBytes: BODY_LIMITS.workflows,
        doing,
        ...read,
      });
      let entries: unknown[];
      try {
        entries = await request(get("/manage"), workflowListWire).catch((error: ApiError) => {
          if (isMissing(error)) return request(get("/workflows"), workflowListWire);
          throw error;
        });
      } catch (error) {
        if (!isMissing(error as ApiError)) throw error;
        const health = await request(get("/health"), healthWire);
        entries = Object.keys(health.workflows).filter((name) => health.workflows[name] !== false);
      }
      const workflows = new Map<string, Workflow>();
      const listed = entries.slice(0, MOST_WORKFLOWS);
      problems = listed.flatMap((entry) => readProblem(entry) ?? []);
      for (const workflow of listed.filter((entry) => readProblem(entry) === undefined).map(toWorkflow)) {
        if (workflow && !workflows.has(workflow.name)) workflows.set(workflow.name, workflow);
      }
      return [...workflows.values()];
    },

    async startRun(start) {
      const wire = await request(
        {
          method: "POST",
          path: `${API}/run/${toSegment(start.workflowName)}`,
          // Query parameters on purpose: in the body the API ignores them without a word.
          query: {
            persistent: start.persistent,
            auto_merge: start.autoMerge,
            temp_workspace: start.tempWorkspace,
          },
          body: withoutUndefined({
            message: start.message,
            input_format: start.inputFormat,
            session_id: start.sessionId,
            session_name: start.sessionName,
            repository_url: start.repositoryUrl,
            git_branch: start.gitBranch,
            user_id: start.userId,
            max_turns: start.maxTurns,
            timeout: start.timeoutS,
          }),
          limitBytes: BODY_LIMITS.act,
          doing: `start workflow ${start.workflowName}`,
          acts: true,
          starts: true,
        },
        startWire,
      );
      return startToRun(wire, start.workflowName);
    },

    async getRun(runId, read = {}) {
      const wire = await request(
        {
          method: "GET",
          path: `${runPath(runId)}/status`,
          query: { debug: true },
          limitBytes: BODY_LIMITS.status,
          cutsTexts: true,
          doing: `read the status of run ${runId}`,
          ...read,
        },
        statusWire,
      );
      return statusToRun(runId, wire);
    },

    async listRuns({ page = 1, pageSize = 100, workflowName, status, ...read } = {}) {
      const wire = await request(
        {
          method: "GET",
          path: `${API}/runs`,
          query: { page, page_size: pageSize, workflow_name: workflowName, status },
          limitBytes: BODY_LIMITS.list,
          cutsTexts: true,
          doing: "list the runs",
          ...read,
        },
        runListWire,
      );
      return {
        runs: wire.runs.map(listItemToRun).filter((run) => run !== undefined),
        last: wire.runs.length < pageSize,
      };
    },

    async addMessage(runId, type, content) {
      const wire = await request(
        {
          method: "POST",
          path: `${runPath(runId)}/add-message`,
          body: { message_type: type, content },
          limitBytes: BODY_LIMITS.act,
          doing: `queue a message for run ${runId}`,
          acts: true,
        },
        queueWire,
      );
      return toQueueCounters(runId, wire);
    },

    async getQueue(runId, read = {}) {
      try {
        const wire = await request(
          {
            method: "GET",
            path: `${runPath(runId)}/message-queue`,
            limitBytes: BODY_LIMITS.queue,
            doing: `read the message queue of run ${runId}`,
            ...read,
          },
          queueWire,
        );
        return toQueueCounters(runId, wire);
      } catch (error) {
        if ((error as ApiError).kind === "not_found") return undefined;
        throw error;
      }
    },

    async killRun(runId, force) {
      const wire = await request(
        {
          method: "POST",
          path: `${runPath(runId)}/kill`,
          query: { force },
          limitBytes: BODY_LIMITS.act,
          doing: `kill run ${runId}`,
          acts: true,
        },
        killWire,
      );
      return toKillReport(runId, wire);
    },

    async describe(read = {}) {
      try {
        const wire = await request(
          {
            method: "GET",
            path: "/api/v1/openapi.json",
            limitBytes: BODY_LIMITS.description,
            doing: "read the API's description",
            retries: 0,
            ...read,
          },
          descriptionWire,
        );
        const { apiKey } = options;
        const hide = (words: string) => (apiKey ? words.replaceAll(apiKey, "<key>") : words);
        return { description: toDescription(wire, hide) };
      } catch (error) {
        if (isPassing(error as ApiError) || (error as ApiError).kind === "aborted") throw error;
        return { error: error as ApiError };
      }
    },

    async streamRuns({ signal, lastEventId, onOpen, onRun }) {
      let unread = 0;
      const parser = createParser({
        onEvent({ id, event, data }) {
          const news = parseNews(event, hideSecret(data, options.apiKey) as string);
          if (news?.kind === "open") onOpen(news.gap, id);
          else if (news?.kind === "run" && id !== undefined) onRun(id, news.run);
        },
      });
      const call = {
        method: "GET" as const,
        path: `${API}/events`,
        doing: "listen to the API's events",
        background: true,
        signal,
        ...(lastEventId === undefined ? {} : { headers: { "last-event-id": lastEventId } }),
      };
      function feed(text: string): void {
        // What belongs to no finished event yet is kept until it does.
        const end = Math.max(text.lastIndexOf("\n\n"), text.lastIndexOf("\n\r\n"));
        unread = end < 0 ? unread + text.length : text.length - end;
        if (unread > EVENT_LIMIT) throw tooLongEvent();
        parser.feed(text);
      }
      await underWay(call, (own) => http.stream({ ...call, signal: own }, feed));
    },

    async answerQuestion(runId, questionId, answer) {
      await request(
        {
          method: "POST",
          path: `${runPath(runId)}/questions/${toSegment(questionId)}/answer`,
          body: { answer },
          limitBytes: BODY_LIMITS.act,
          doing: `answer question ${questionId} of run ${runId}`,
          acts: true,
        },
        answerWire,
      );
    },

    async cleanupRun(runId, force) {
      const wire = await request(
        {
          method: "POST",
          path: `${runPath(runId)}/cleanup`,
          query: { force },
          limitBytes: BODY_LIMITS.act,
          doing: `clean up run ${runId}`,
          acts: true,
        },
        cleanupWire,
      );
      return toCleanupReport(runId, wire);
    },

    async close() {
      closed = true;
      const left = [...inFlight.values()];
      for (const own of inFlight.keys()) own.abort();
      const over = new AbortController();
      const all = Promise.allSettled(left).then(() => over.abort());
      // An engine that is being started does not stop starting for this.
      await Promise.race([all, sleep(options.clock, CLOSE_MS, over.signal)]);
    },
  };
}

/** What is given up ends within moments; closing waits no longer for it, in ms. */
const CLOSE_MS = 500;

/** The names are part of every model's context; honest servers have some dozens. */
const MOST_WORKFLOWS = 500;
/** An event is read up to so many characters; it holds one run with its result. */
const EVENT_LIMIT = 8 * 1024 * 1024;

function tooLongEvent(): ApiError {
  return new ApiError(
    "unexpected",
    `Could not listen to the API's events: one of them is longer than ${EVENT_LIMIT} characters. ` +
      "Nothing was changed. Runs are asked for instead.",
  );
}

/**
 * An address takes `.` and `..` for steps in its path, encoded or not: `/run/./kill` would be the start of a
 * workflow named kill.
 */
function toSegment(name: string): string {
  if (!/^\.{0,2}$/.test(name)) return encodeURIComponent(name);
  throw new ApiError(
    "not_found",
    `"${name}" can be no name or id at the workflows API. Nothing was sent. Check it.`,
  );
}

function isMissing(error: ApiError): boolean {
  return error.kind === "not_found" || error.status === 405;
}

function withoutUndefined(object: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined));
}
