import { createHash } from "node:crypto";
import type { Call, Followed } from "../../actions/define-action.js";
import { FormClosed } from "../../actions/forms/form-client.js";
import { follow } from "../../shared/abort.js";
import { setBounded } from "../../shared/bounded-map.js";
import type { Clock } from "../../shared/clock.js";
import { createFormClient, type FormSchema } from "../tools/form-client.js";
import type { ToolResult } from "../tools/output.js";
import { createProgress } from "../tools/progress.js";

/** A form as the client is to show it. */
export interface OpenForm {
  /** Names it within its call; of a question of an agent or a plan, the same in every call that asks it. */
  key: string;
  message: string;
  requestedSchema: FormSchema;
}

/** What a client says to a form; what is in it is read field by field. */
export interface FormReply {
  action: string;
  content?: Record<string, unknown> | undefined;
}

/** A call that goes on without a request of the client, as a task or between two rounds. */
export interface HeldCall {
  readonly caller: string;
  readonly startedAt: number;
  /** When something about it has changed last, epoch ms. */
  readonly changedAt: number;
  /** How long ago that was, in ms. */
  quietMs(): number;
  /** The newest progress, as a person reads it. */
  readonly message: string | undefined;
  /** Why the newest answer to a form was not used, for a while: it came when the form was closed already. */
  lateReply(): string | undefined;
  readonly form: OpenForm | undefined;
  readonly followed: Followed | undefined;
  readonly result: ToolResult | undefined;
  /**
   * Hands over what the person said to the form of that key. To a task the answer may come before its call asks, after
   * a restart; what comes to a form that was answered or is closed has no effect.
   */
  reply(key: string, reply: FormReply): void;
  /** Makes it answer now, as when its client has gone. */
  abort(): void;
}

export type ProgressUpdate = Parameters<Call["progress"]>[0] & { progress: number };

/** One request that waits for the call. */
export interface Listener {
  signal: AbortSignal;
  /** Undefined when the client has not asked for progress. */
  progress?: ((update: ProgressUpdate) => Promise<void>) | undefined;
  /** The same as messages of a log; undefined when the request wants none. */
  log?: ((update: ProgressUpdate) => Promise<void>) | undefined;
}

/** The same for those who serve its rounds. */
export interface Held extends HeldCall {
  /** What the form's answer has to come with; undefined until it was told. */
  state: string | undefined;
  /** By the clock's `elapsed`, when `followed` was told. */
  followedAt: number;
  isTask: boolean;
  wantsProgress: boolean;
  /** Sentences on all answers that were not used so, for the answer of a call. */
  readonly lateAnswers: readonly string[];
  /** Requests that wait for it now. */
  readonly listeners: ReadonlySet<Listener>;
  /** Has a request wait for it, until it is taken away again. */
  listen(listener: Listener): void;
  stopListening(listener: Listener): void;
  /** Ends with the call, and fails only by a defect. */
  readonly work: Promise<void>;
  /** Resolves with the next change, or when the signal ends or the time is over. */
  nextChange(signal: AbortSignal, withinMs: number | undefined): Promise<void>;
}

/** A client asks for no more rounds of one call than ten: the last ones are kept for the answer itself. */
const MOST_FORMS = 8;
/** Answers that are kept until the call asks. */
const MOST_EARLY = 20;
/** Forms of which it is known why they were closed. */
const MOST_CLOSED = 20;
/** So long it is told that an answer came too late, in ms: clients ask for a task every few seconds. */
const LATE_TOLD_MS = 60_000;
const QUESTION = "q_";

/** A form was not answered in its time, or can be shown no more. */
class NotAnswered extends Error {
  constructor(readonly why: "timeout" | "not_shown") {
    super(why);
  }
}

/** Begins a call that asks by `form` and goes on with `reply`. */
export function beginHeldCall(
  how: {
    caller: string;
    person?: string | undefined;
    supportsForms: boolean;
    clientName: string | undefined;
    isTask: boolean;
  },
  handle: (call: Call) => Promise<ToolResult>,
  options: { clock: Clock; elicitationTimeoutMs: number; stopping: AbortSignal },
): Held {
  const { clock, stopping } = options;
  const aborting = new AbortController();
  const stopFollowing = follow(stopping, aborting);
  const watchers = new Set<() => void>();
  /** Keys of forms that were asked, and answers to those that were not yet. */
  const asked = new Set<string>();
  const early = new Map<string, FormReply>();
  let changed = clock.elapsed();
  /** Why forms were closed that nobody had answered, by their keys. */
  const closed = new Map<string, string>();
  let late: { text: string; since: number } | undefined;
  let waiting: { form: OpenForm; settle: (reply: FormReply) => void } | undefined;

  const held = {
    caller: how.caller,
    isTask: how.isTask,
    wantsProgress: true,
    startedAt: clock.now(),
    changedAt: clock.now(),
    quietMs: () => clock.elapsed() - changed,
    message: undefined as string | undefined,
    form: undefined as OpenForm | undefined,
    state: undefined as string | undefined,
    result: undefined as ToolResult | undefined,
    followed: undefined as Followed | undefined,
    followedAt: 0,
    lateAnswers: [] as string[],
    listeners: new Set<Listener>(),
    listen(listener: Listener) {
      held.listeners.add(listener);
      // What was told between two rounds has reached nobody.
      progress.forget();
    },
    stopListening: (listener: Listener) => void held.listeners.delete(listener),
    abort: () => aborting.abort(),
    reply(key: string, reply: FormReply) {
      if (waiting?.form.key === key) waiting.settle(reply);
      else if (held.isTask && key.startsWith(QUESTION) && !asked.has(key) && early.size < MOST_EARLY)
        early.set(key, reply);
      // Who closes such a form has answered nothing.
      else if (reply.action !== "cancel") noteLate(closed.get(key));
    },
    lateReply: () => (late && clock.elapsed() - late.since < LATE_TOLD_MS ? late.text : undefined),
    nextChange(signal: AbortSignal, withinMs: number | undefined): Promise<void> {
      return new Promise((resolve) => {
        const cancel = withinMs === undefined ? () => {} : clock.after(withinMs, done);
        function done(): void {
          watchers.delete(done);
          signal.removeEventListener("abort", done);
          cancel();
          resolve();
        }
        watchers.add(done);
        signal.addEventListener("abort", done, { once: true });
        if (signal.aborted) done();
      });
    },
  };
  function noteLate(why: string | undefined): void {
    if (why === undefined) return;
    late = { text: `${why} Your answer was not used.`, since: clock.elapsed() };
    if (held.lateAnswers.length < MOST_CLOSED)
      held.lateAnswers.push(`${why} The answer that came to its form after that was not used.`);
    tellChange();
  }
  function tellChange(): void {
    held.changedAt = clock.now();
    changed = clock.elapsed();
    for (const watcher of [...watchers]) watcher();
  }

  const progress = createProgress(async (update) => {
    const told = [...held.listeners].flatMap((one) => [one.progress?.(update), one.log?.(update)]);
    await Promise.allSettled(told);
  }, clock);
  const channel = {
    supportsForms: how.supportsForms,
    send(
      shown: Omit<OpenForm, "key">,
      { timeout, signal, about }: { timeout: number; signal: AbortSignal; about?: string | undefined },
    ) {
      // As a task it is asked as often as need be.
      if (!held.isTask && asked.size >= MOST_FORMS) return Promise.reject(new NotAnswered("not_shown"));
      const known = about === undefined ? undefined : keyOf(about, shown);
      const key = known && !asked.has(known) ? known : `form_${asked.size + 1}`;
      asked.add(key);
      const earlier = early.get(key);
      early.delete(key);
      if (earlier) return Promise.resolve({ ...earlier, wasShownBefore: true });
      const form = { key, ...shown };
      return new Promise<FormReply>((resolve, reject) => {
        // A task's client keeps the form for later, however late that is, and nothing takes it away from there.
        const expire = () => held.isTask || end(() => reject(new NotAnswered("timeout")));
        const cancel = clock.after(timeout, expire);
        const withdraw = () => {
          if (signal.reason instanceof FormClosed)
            setBounded(closed, key, signal.reason.message, MOST_CLOSED);
          end(() => reject(new NotAnswered("not_shown")));
        };
        function end(settle: () => void): void {
          cancel();
          signal.removeEventListener("abort", withdraw);
          if (waiting?.form !== form) return;
          waiting = undefined;
          held.form = undefined;
          settle();
          tellChange();
        }
        waiting = { form, settle: (reply) => end(() => resolve(reply)) };
        held.form = form;
        held.state = undefined;
        signal.addEventListener("abort", withdraw, { once: true });
        tellChange();
      });
    },
    explain: (error: unknown) => (error instanceof NotAnswered ? error.why : "no_answer") as "timeout",
    // Nothing waits for a sign of life while a form is open.
    heartbeat: () => {},
  };
  const call: Call = {
    forms: createFormClient(channel, {
      timeoutMs: options.elicitationTimeoutMs,
      signal: aborting.signal,
      clock,
    }),
    signal: aborting.signal,
    isStopping: () => stopping.aborted,
    get wantsProgress() {
      return held.wantsProgress;
    },
    progress(update) {
      held.message = update.message;
      tellChange();
      progress.report(update);
    },
    clientName: how.clientName,
    person: how.person,
    // Asking for them costs a round of the call; where the server stands is known without.
    localFolders: async () => [],
    follows(what) {
      held.followed = what;
      held.followedAt = clock.elapsed();
      tellChange();
    },
  };
  // Begins when whoever holds it has it: what it asks at once belongs to it already.
  const work = Promise.resolve()
    .then(() => handle(call))
    .then((result) => {
      held.result = result;
    })
    .finally(async () => {
      stopFollowing();
      await progress.finish();
      tellChange();
    });
  work.catch(() => {});
  return Object.assign(held, { work });
}

/** Names a question by what it is about and all that it says, so that the answer to it fits no other one. */
function keyOf(about: string, { message, requestedSchema }: Omit<OpenForm, "key">): string {
  const text = JSON.stringify([about, message, requestedSchema]);
  return `${QUESTION}${createHash("sha256").update(text).digest("base64url").slice(0, 22)}`;
}
