import type { Call, Followed } from "../../actions/define-action.js";
import type { Clock } from "../../shared/clock.js";
import type { ToolResult } from "../tools/output.js";
import type { FormReply, HeldCall, OpenForm } from "./held-call.js";
import type { HeldCalls } from "./held-calls.js";
import type { TaskIds } from "./task-ids.js";
import { hasFailedToEnd, hasOnlyStoppedFollowing, isKilled, lineOf, summaryOf } from "./task-outcomes.js";

/** A task as it stands, in the protocol's words. Times are epoch ms. */
export interface TaskView {
  taskId: string;
  status: "working" | "input_required" | "completed" | "cancelled";
  statusMessage: string;
  createdAt: number;
  changedAt: number;
  /** How long its client is to wait before it asks again, in ms. */
  pollMs: number;
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
  /** The name of their token, where there is one. */
  person?: string | undefined;
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
const TRIES_AGAIN = "could not be ended, tried again";
/** A client asks at least every 30 s. */
const STILL_ASKED_MS = 60_000;

interface Task {
  followed: Followed;
  call: HeldCall;
  createdAt: number;
  /** Since when its calls have ended with errors only, by the clock's `elapsed`. */
  failingSince?: number | undefined;
  cancelling?: Promise<void> | undefined;
  /** What came of the last attempt to cancel it, and when, by the clock's `elapsed`. */
  cancelled?: { result: ToolResult; at: number };
  /** When its client has asked for it last, by the clock's `elapsed`. */
  askedAt: number;
  /** Gives up the next try to end it; undefined when there is none to come. */
  stopTrying?: (() => void) | undefined;
}

function giveUpTrying(task: Task): void {
  task.stopTrying?.();
  task.stopTrying = undefined;
}

/** @param options.pollMs how long a client waits before it asks again, by the number of its caller's tasks that go on */
export function createTasks(options: {
  calls: HeldCalls;
  work: TaskWork;
  ids: TaskIds;
  clock: Clock;
  pollMs: (tasks: number) => number;
}): Tasks {
  const { calls, work, ids, clock } = options;
  const tasks = new Map<string, Task>();

  function find(taskId: string, who: TaskCaller): Task | undefined {
    const followed = ids.read(taskId, who.caller);
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
    for (const [oldest, old] of tasks) {
      if (tasks.size <= TASKS_KEPT) break;
      tasks.delete(oldest);
      giveUpTrying(old);
      // What it asks can be asked by whoever follows the same then.
      old.call.abort();
    }
    return task;
  }

  /** Whether the task has not come to its end, though its call may have. */
  function goesOn({ call: { result }, cancelled, failingSince }: Task): boolean {
    if (cancelled && isKilled(cancelled.result)) return false;
    if (!result) return true;
    if (result.isError) return clock.elapsed() - (failingSince ?? clock.elapsed()) < ERRORS_FOR_MS;
    return hasOnlyStoppedFollowing(result);
  }

  function view(taskId: string, task: Task): TaskView {
    const { followed, call, createdAt, cancelled } = task;
    const name = call.followed?.name ?? work.nameOf(followed);
    const told = call.result?.isError ? summaryOf(call.result) : call.message;
    const common = {
      taskId,
      statusMessage: lineOf(name, call.lateReply(), told),
      createdAt,
      changedAt: call.changedAt,
      pollMs: options.pollMs(countOpen(call.caller)),
    };
    const killed = [cancelled?.result, task.cancelling && call.result].find((one) => one && isKilled(one));
    if (killed) return { ...common, status: "cancelled", statusMessage: summaryOf(killed) };
    if (call.result && !goesOn(task)) return { ...common, status: "completed", result: call.result };
    if (call.form) return { ...common, status: "input_required", form: call.form };
    if (!cancelled) return { ...common, status: "working" };
    // That it could not be cancelled is told until there is something newer.
    const newest = clock.elapsed() - cancelled.at <= call.quietMs() ? summaryOf(cancelled.result) : told;
    const again = (task.stopTrying ?? task.cancelling) && TRIES_AGAIN;
    return {
      ...common,
      status: "working",
      statusMessage: lineOf(name, again, call.lateReply(), newest),
    };
  }

  /** The tasks of a caller that go on, and for which its clients still ask. */
  function countOpen(caller: string): number {
    const since = clock.elapsed() - STILL_ASKED_MS;
    return [...tasks.values()].filter(
      (task) => task.call.caller === caller && task.askedAt >= since && goesOn(task),
    ).length;
  }

  /** @param tries that have failed before this one */
  async function end(task: Task, who: TaskCaller, tries: number): Promise<void> {
    giveUpTrying(task);
    // Nobody is asked again: no form could be shown for it.
    await new Promise<void>((resolve) => {
      calls.hold({ ...who, supportsForms: false }, async (own) => {
        try {
          const result = await work.end(task.followed, own);
          task.cancelled = { result, at: clock.elapsed() };
          return result;
        } finally {
          resolve();
        }
      });
    });
    task.cancelling = undefined;
    const pause = END_AGAIN_MS[tries];
    if (pause === undefined || !task.cancelled || !hasFailedToEnd(task.cancelled.result)) return;
    const failedAt = clock.elapsed();
    task.stopTrying = clock.after(pause, () => {
      task.stopTrying = undefined;
      // To a client that does not ask any more this process tells nothing: the run's notices are to reach the person.
      if (task.askedAt < failedAt) task.call.abort();
      if (goesOn(task)) task.cancelling ??= end(task, who, tries + 1);
    });
  }

  return {
    begin(call, followed) {
      const taskId = ids.of(followed, call.caller);
      const known = tasks.get(taskId);
      const askedAt = clock.elapsed();
      if (!known || (known.call !== call && known.call.result && !goesOn(known))) {
        if (known) giveUpTrying(known);
        const createdAt = known?.createdAt ?? call.startedAt;
        return view(taskId, keep(taskId, { followed, call, createdAt, askedAt }));
      }
      known.askedAt = askedAt;
      if (known.call !== call) {
        // The first one goes on: its client may have a form of it open.
        if (!known.call.result) call.abort();
        // Who has asked for the run's end still wants it: it is tried again, and the task says so.
        else Object.assign(known, { call, failingSince: undefined });
      }
      return view(taskId, known);
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
      for (const task of tasks.values()) giveUpTrying(task);
    },
  };
}
