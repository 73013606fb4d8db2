import { createHash, randomBytes } from "node:crypto";
import type { Call, Followed } from "../../actions/define-action.js";
import { follow } from "../../shared/abort.js";
import type { Clock } from "../../shared/clock.js";
import { createFormClient, type FormSchema } from "../tools/form-client.js";
import type { ToolResult } from "../tools/output.js";
import { createProgress } from "../tools/progress.js";

/*
 * On this protocol a server asks nothing while a call goes on: it answers the call with a form, and the same call comes
 * again with what the person has said. The handler of the call knows nothing of it: it is held where it asks, and goes
 * on with the call that brings the answer. So a call is carried out once, however often it comes.
 */

/** A form as the client is to show it. */
export interface OpenForm {
  /** Names it within its call. */
  key: string;
  message: string;
  requestedSchema: FormSchema;
}

/** What a client says to a form; what is in it is read field by field. */
export interface FormReply {
  action: string;
  content?: Record<string, unknown> | undefined;
}

/** One request of the client for a call: the first one, or one that brings an answer. */
export interface Round {
  /** Who calls: states and tasks are theirs alone. */
  caller: string;
  tool: string;
  args: unknown;
  /** What the answer with the form has given; with the person's answers. */
  state?: string | undefined;
  replies?: Readonly<Record<string, FormReply>> | undefined;
  /** Ends when the client cancels this request or goes away. */
  signal: AbortSignal;
  /** Undefined when the client has not asked for progress. */
  progress?: ((update: ProgressUpdate) => Promise<void>) | undefined;
  supportsForms: boolean;
  clientName: string | undefined;
  /** So long it is answered with progress before it becomes a task, in ms; undefined: never. */
  taskAfterMs?: number | undefined;
}

type ProgressUpdate = Parameters<Call["progress"]>[0] & { progress: number };

/** What a round is answered with. */
export type RoundEnd =
  | { kind: "result"; result: ToolResult }
  | { kind: "form"; form: OpenForm; state: string }
  | { kind: "task"; call: HeldCall; followed: Followed }
  /** The state is nobody's, or another call's: nothing was done. */
  | { kind: "refused"; why: "unknown" | "foreign" };

/** A call that goes on without a request of the client, as a task or between two rounds. */
export interface HeldCall {
  readonly caller: string;
  readonly startedAt: number;
  /** When something about it has changed last, epoch ms. */
  readonly changedAt: number;
  /** The newest progress, as a person reads it. */
  readonly message: string | undefined;
  readonly form: OpenForm | undefined;
  readonly result: ToolResult | undefined;
  /** Hands over what the person said to the form of that key; what comes late, or again, has no effect. */
  reply(key: string, reply: FormReply): void;
  /** Makes it answer now, as when its client has gone. */
  abort(): void;
}

export interface HeldCalls {
  /** Serves one request for a call. */
  serve(round: Round, handle: (call: Call) => Promise<ToolResult>): Promise<RoundEnd>;
  /** Carries a call out that nobody waits for. */
  hold(
    how: Pick<Round, "caller" | "supportsForms" | "clientName">,
    handle: (call: Call) => Promise<ToolResult>,
  ): HeldCall;
  /** Makes every call answer now. Resolves when they have. */
  stop(): Promise<void>;
  /** Calls that go on. */
  count(): number;
}

/** A client asks for no more rounds of one call than ten: the last ones are kept for the answer itself. */
const MOST_FORMS = 8;
/** A call whose form was answered, or is over, is remembered so long for a request that comes late, in ms. */
const REMEMBERED_MS = 10 * 60_000;
/** Calls that wait for an answer, and those that are over and remembered; the oldest go first. */
const MOST_STATES = 1_000;

/** A form was not answered in its time, or can be shown no more. */
class NotAnswered extends Error {
  constructor(readonly why: "timeout" | "not_shown") {
    super(why);
  }
}

export function createHeldCalls(options: { clock: Clock; elicitationTimeoutMs: number }): HeldCalls {
  const { clock } = options;
  const stopping = new AbortController();
  const going = new Set<Promise<unknown>>();
  const states = new Map<string, { held: Held; key: string; digest: string; tool: string; at: number }>();

  type Held = ReturnType<typeof begin>;

  function begin(
    how: Pick<Round, "caller" | "supportsForms" | "clientName"> & { wantsProgress: boolean },
    handle: (call: Call) => Promise<ToolResult>,
  ) {
    const aborting = new AbortController();
    const stopFollowing = follow(stopping.signal, aborting);
    const listeners = new Set<() => void>();
    let forms = 0;
    let waiting: { form: OpenForm; settle: (reply: FormReply) => void } | undefined;
    const held = {
      caller: how.caller,
      startedAt: clock.now(),
      changedAt: clock.now(),
      message: undefined as string | undefined,
      form: undefined as OpenForm | undefined,
      state: undefined as string | undefined,
      result: undefined as ToolResult | undefined,
      followed: undefined as Followed | undefined,
      followedAt: 0,
      isTask: false,
      abort: () => aborting.abort(),
      reply(key: string, reply: FormReply) {
        if (waiting?.form.key === key) waiting.settle(reply);
      },
      /** Where the request that is being served gets its progress. */
      sink: undefined as Round["progress"],
      changed() {
        held.changedAt = clock.now();
        for (const listener of [...listeners]) listener();
      },
      /** Resolves with the next change, or when the signal ends or the time is over. */
      nextChange(signal: AbortSignal, withinMs: number | undefined): Promise<void> {
        return new Promise((resolve) => {
          const cancel = withinMs === undefined ? () => {} : clock.after(withinMs, done);
          function done(): void {
            listeners.delete(done);
            signal.removeEventListener("abort", done);
            cancel();
            resolve();
          }
          listeners.add(done);
          signal.addEventListener("abort", done, { once: true });
          if (signal.aborted) done();
        });
      },
    };

    const progress = createProgress(async (update) => held.sink?.(update), clock);
    const report: Call["progress"] = (update) => {
      held.message = update.message;
      held.changed();
      progress.report(update);
    };
    const channel = {
      supportsForms: how.supportsForms,
      send(shown: Omit<OpenForm, "key">, { timeout, signal }: { timeout: number; signal: AbortSignal }) {
        // As a task it is asked as often as need be.
        if (!held.isTask && forms >= MOST_FORMS) return Promise.reject(new NotAnswered("not_shown"));
        const form = { key: `form_${++forms}`, ...shown };
        return new Promise<FormReply>((resolve, reject) => {
          const cancel = clock.after(timeout, () => end(() => reject(new NotAnswered("timeout"))));
          const withdraw = () => end(() => reject(new NotAnswered("not_shown")));
          function end(settle: () => void): void {
            cancel();
            signal.removeEventListener("abort", withdraw);
            if (waiting?.form !== form) return;
            waiting = undefined;
            held.form = undefined;
            settle();
            held.changed();
          }
          waiting = { form, settle: (reply) => end(() => resolve(reply)) };
          held.form = form;
          held.state = undefined;
          signal.addEventListener("abort", withdraw, { once: true });
          held.changed();
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
      isStopping: () => stopping.signal.aborted,
      wantsProgress: how.wantsProgress,
      progress: report,
      clientName: how.clientName,
      // Asking for them costs a round of the call; where the server stands is known without.
      localFolders: async () => [],
      follows(what) {
        held.followed = what;
        held.followedAt = clock.elapsed();
        held.changed();
      },
    };
    const work = handle(call)
      .then((result) => {
        held.result = result;
      })
      .finally(async () => {
        stopFollowing();
        going.delete(work);
        await progress.finish();
        held.changed();
      });
    going.add(work);
    work.catch(() => {});
    return Object.assign(held, { work });
  }

  /** Waits until there is something to answer a round with. */
  async function answer(held: Held, round: Round, digest: string): Promise<RoundEnd> {
    // A request that is given up gives up its call, but not one that was answered by then.
    const unfollow = follow(round.signal, { abort: () => held.isTask || held.abort() } as AbortController);
    held.sink = round.progress;
    try {
      for (;;) {
        if (held.result) {
          await held.work;
          return { kind: "result", result: held.result };
        }
        if (held.form) return { kind: "form", form: held.form, state: stateOf(held, round, digest) };
        const { followed, followedAt } = held;
        const dueInMs =
          followed && round.taskAfterMs !== undefined
            ? followedAt + round.taskAfterMs - clock.elapsed()
            : undefined;
        if (followed && dueInMs !== undefined && dueInMs <= 0) {
          held.isTask = true;
          return { kind: "task", call: held, followed };
        }
        await Promise.race([held.nextChange(round.signal, dueInMs), held.work]);
        if (round.signal.aborted && !held.result && !held.isTask) await held.work;
      }
    } finally {
      unfollow();
      if (held.sink === round.progress) held.sink = undefined;
    }
  }

  /** The same for the same form, however often it is told. */
  function stateOf(held: Held, { tool }: Round, digest: string): string {
    if (held.state !== undefined) return held.state;
    const state = randomBytes(32).toString("base64url");
    held.state = state;
    const now = clock.elapsed();
    states.set(state, { held, key: held.form?.key ?? "", digest, tool, at: now });
    for (const [old, { at, held: its }] of states) {
      const isOver = now - at > options.elicitationTimeoutMs + REMEMBERED_MS;
      if (!isOver && states.size <= MOST_STATES) break;
      states.delete(old);
      // Nobody can answer it any more.
      if (its.state === old && its.form) its.abort();
    }
    return state;
  }

  return {
    async serve(round, handle) {
      const digest = digestOf(round.args);
      if (round.state === undefined) {
        const held = begin({ ...round, wantsProgress: round.progress !== undefined }, handle);
        return answer(held, round, digest);
      }
      const known = states.get(round.state);
      if (!known) return { kind: "refused", why: "unknown" };
      const { held, key, tool } = known;
      if (held.caller !== round.caller || tool !== round.tool || known.digest !== digest)
        return { kind: "refused", why: "foreign" };
      const reply = round.replies?.[key];
      if (reply) held.reply(key, reply);
      return answer(held, round, digest);
    },
    hold(how, handle) {
      const held = begin({ ...how, wantsProgress: true }, handle);
      held.isTask = true;
      return held;
    },
    async stop() {
      stopping.abort(new Error("The server is stopping."));
      await Promise.allSettled(going);
    },
    count: () => going.size,
  };
}

/** The same for the same arguments, in whatever order a client writes them. */
function digestOf(args: unknown): string {
  return createHash("sha256")
    .update(JSON.stringify(sorted(args)) ?? "")
    .digest("hex");
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(entries.map(([key, one]) => [key, sorted(one)]));
}
