import { createHmac, timingSafeEqual } from "node:crypto";
import type { Call, Followed } from "../../actions/define-action.js";
import type { Clock } from "../../shared/clock.js";
import { cleanLine } from "../../shared/text.js";
import type { ToolResult } from "../tools/output.js";
import type { FormReply, HeldCall, OpenForm } from "./held-call.js";
import type { HeldCalls } from "./held-calls.js";

/** A task as it stands, in the protocol's words. Times are epoch ms. */
export interface TaskView {
  taskId: string;
  status: "working" | "input_required" | "completed" | "cancelled";
  statusMessage: string;
  createdAt: number;
  changedAt: number;
  /** What the person is to be asked. */
  form?: OpenForm;
  /** Of one that has ended. */
  result?: ToolResult;
}

/** What tasks are made of besides the calls: the tools, without the protocol. */
export interface TaskWork {
  /** Follows what the task is about to its end, as `status` does. */
  follow(followed: Followed, call: Call): Promise<ToolResult>;
  /** Ends what the task is about, since a person or a model has asked for that. */
  end(followed: Followed, call: Call): Promise<ToolResult>;
  /** What is known of it without asking: the name of its session or plan. */
  nameOf(followed: Followed): string | undefined;
}

/**
 * Runs and plans as tasks. A task is no record of ours: its id names what it follows and its caller, so that it is
 * known after a restart, and the API's run or the plan's journal tells how it stands.
 */
export interface Tasks {
  /** Makes a task of a call that follows something. */
  begin(call: HeldCall, followed: Followed): TaskView;
  /** Undefined for an id that is not this caller's. */
  get(taskId: string, who: TaskCaller): TaskView | undefined;
  /** Hands over what the person said; what comes late has no effect. False for an id that is not this caller's. */
  update(taskId: string, who: TaskCaller, replies: Readonly<Record<string, FormReply>>): boolean;
  /**
   * Ends what it follows, once, however often it is asked for; where that has failed, the task tells it and goes on, it
   * is tried again for some minutes, and may be cancelled again. Resolves when the first try is over; false as in
   * `update`.
   */
  cancel(taskId: string, who: TaskCaller): Promise<boolean>;
  /** Tries nothing again any more. */
  close(): void;
}

export interface TaskCaller {
  caller: string;
  supportsForms: boolean;
  clientName: string | undefined;
}

/** Tasks that are followed; of others the id is enough to begin anew. */
const TASKS_KEPT = 500;
/** A call that has ended before what it follows is followed again after this, in ms, at the next question. */
const FOLLOW_AGAIN_MS = 5_000;
/** An API that cannot be asked is asked again for so long, in ms, before the task ends with what is wrong. */
const ERRORS_FOR_MS = 300_000;
/**
 * What could not be ended is tried again after these pauses, in ms: Claude Code 2.1 takes a task for ended as soon as it
 * has cancelled it, asks no more, and shows neither an error nor what the task says since.
 */
const END_AGAIN_MS = [5_000, 10_000, 20_000, 40_000, 80_000, 160_000];
/** Outcomes of a call that has stopped following while what it follows goes on. */
const GOES_ON = ["running", "started", "stalled"];
const MESSAGE_CHARS = 300;
const MAC_CHARS = 22;

interface Task {
  followed: Followed;
  call: HeldCall;
  createdAt: number;
  /** Since when its calls have ended with errors only, by the clock's `elapsed`. */
  failingSince?: number | undefined;
  cancelling?: Promise<void> | undefined;
  /** What came of the last attempt to cancel it, and when, epoch ms. */
  cancelled?: { result: ToolResult; at: number };
  /** When its client has asked for it last, by the clock's `elapsed`. */
  askedAt: number;
  /** Gives up the next try to end it. */
  stopTrying?: () => void;
}

/** @param options.secret the same in every process that may be asked for the tasks of another one */
export function createTasks(options: {
  calls: HeldCalls;
  work: TaskWork;
  secret: string;
  clock: Clock;
}): Tasks {
  const { calls, work, clock } = options;
  const tasks = new Map<string, Task>();

  function macOf(followed: Followed, caller: string): string {
    const text = JSON.stringify([caller, followed.kind, followed.id]);
    return createHmac("sha256", options.secret).update(text).digest("base64url").slice(0, MAC_CHARS);
  }

  function idOf(followed: Followed, caller: string): string {
    const kind = followed.kind === "run" ? "" : `${followed.kind}:`;
    return `${kind}${followed.id}.${macOf(followed, caller)}`;
  }

  /** What the id names, when it was given to this caller. */
  function read(taskId: string, caller: string): Followed | undefined {
    const end = taskId.lastIndexOf(".");
    if (end <= 0) return undefined;
    const [kind, id] = taskId.startsWith("plan:")
      ? (["plan", taskId.slice("plan:".length, end)] as const)
      : (["run", taskId.slice(0, end)] as const);
    const followed = { kind, id };
    const given = Buffer.from(taskId.slice(end + 1));
    const right = Buffer.from(macOf(followed, caller));
    return given.length === right.length && timingSafeEqual(given, right) ? followed : undefined;
  }

  function find(taskId: string, who: TaskCaller): Task | undefined {
    const followed = read(taskId, who.caller);
    if (!followed) return undefined;
    const known = tasks.get(taskId);
    if (known && (!goesOn(known) || !known.call.result || known.call.quietMs() < FOLLOW_AGAIN_MS))
      return known;
    const call = calls.hold(who, (own) => work.follow(followed, own));
    if (known) {
      known.failingSince = known.call.result?.isError
        ? (known.failingSince ?? clock.elapsed() - known.call.quietMs())
        : undefined;
      known.call = call;
      return known;
    }
    return keep(taskId, { followed, call, createdAt: call.startedAt, askedAt: clock.elapsed() });
  }

  function keep(taskId: string, task: Task): Task {
    tasks.set(taskId, task);
    for (const [oldest, { call, stopTrying }] of tasks) {
      if (tasks.size <= TASKS_KEPT) break;
      tasks.delete(oldest);
      stopTrying?.();
      // What it asks can be asked by whoever follows the same then.
      call.abort();
    }
    return task;
  }

  /** Whether the task has not come to its end, though its call may have. */
  function goesOn({ call: { result }, cancelled, failingSince }: Task): boolean {
    if (cancelled && isKilled(cancelled.result)) return false;
    if (!result) return true;
    if (result.isError) return clock.elapsed() - (failingSince ?? clock.elapsed()) < ERRORS_FOR_MS;
    return GOES_ON.includes(outcomeOf(result));
  }

  function view(taskId: string, task: Task): TaskView {
    const { followed, call, createdAt, cancelled } = task;
    const name = call.followed?.name ?? work.nameOf(followed);
    const told = call.result?.isError ? summaryOf(call.result) : (call.message ?? "");
    const message = cleanLine([name, call.lateReply(), told].filter(Boolean).join(" · "), MESSAGE_CHARS);
    const common = { taskId, statusMessage: message, createdAt, changedAt: call.changedAt };
    const killed = [cancelled?.result, task.cancelling && call.result].find((one) => one && isKilled(one));
    if (killed) return { ...common, status: "cancelled", statusMessage: summaryOf(killed) };
    if (call.result && !goesOn(task)) return { ...common, status: "completed", result: call.result };
    if (call.form) return { ...common, status: "input_required", form: call.form };
    // That it could not be cancelled is told until there is something newer.
    const isNews = cancelled !== undefined && cancelled.at >= call.changedAt;
    return {
      ...common,
      status: "working",
      ...(isNews ? { statusMessage: summaryOf(cancelled.result) } : {}),
    };
  }

  /** @param tries that have failed before this one */
  async function end(task: Task, who: TaskCaller, tries: number): Promise<void> {
    task.stopTrying?.();
    // Nobody is asked again: no form could be shown for it.
    await new Promise<void>((resolve) => {
      calls.hold({ ...who, supportsForms: false }, async (own) => {
        try {
          const result = await work.end(task.followed, own);
          task.cancelled = { result, at: clock.now() };
          return result;
        } finally {
          resolve();
        }
      });
    });
    task.cancelling = undefined;
    const pause = END_AGAIN_MS[tries];
    if (pause === undefined || !task.cancelled || !hasFailed(task.cancelled.result)) return;
    const failedAt = clock.elapsed();
    task.stopTrying = clock.after(pause, () => {
      // To a client that does not ask any more this process tells nothing: the run's notices are to reach the person.
      if (task.askedAt < failedAt) task.call.abort();
      if (goesOn(task)) task.cancelling ??= end(task, who, tries + 1);
    });
  }

  return {
    begin(call, followed) {
      const taskId = idOf(followed, call.caller);
      const known = tasks.get(taskId);
      if (known && known.call !== call && !known.call.result) {
        // The first one goes on: its client may have a form of it open.
        call.abort();
        return view(taskId, known);
      }
      if (known?.call === call) return view(taskId, known);
      const createdAt = known?.createdAt ?? call.startedAt;
      known?.stopTrying?.();
      return view(taskId, keep(taskId, { followed, call, createdAt, askedAt: clock.elapsed() }));
    },
    get(taskId, who) {
      const task = find(taskId, who);
      if (task) task.askedAt = clock.elapsed();
      return task && view(taskId, task);
    },
    update(taskId, who, replies) {
      const task = find(taskId, who);
      for (const [key, reply] of Object.entries(replies)) task?.call.reply(key, reply);
      return task !== undefined;
    },
    async cancel(taskId, who) {
      const task = find(taskId, who);
      if (!task) return false;
      if (goesOn(task)) {
        task.cancelling ??= end(task, who, 0);
        await task.cancelling;
      }
      return true;
    },
    close() {
      for (const { stopTrying } of tasks.values()) stopTrying?.();
    },
  };
}

const outcomeOf = ({ structuredContent }: ToolResult) => String(structuredContent.outcome);
/** Whether a kill has come to nothing, as far as is known. */
const hasFailed = (result: ToolResult) => result.isError === true || outcomeOf(result) === "unknown";
const isKilled = (result: ToolResult) => outcomeOf(result) === "killed";

function summaryOf({ structuredContent }: ToolResult): string {
  return cleanLine(String(structuredContent.summary ?? ""), MESSAGE_CHARS);
}
