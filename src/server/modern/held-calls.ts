import { createHash } from "node:crypto";
import { setMaxListeners } from "node:events";
import type { Call, Followed } from "../../actions/define-action.js";
import type { Clock } from "../../shared/clock.js";
import type { ToolResult } from "../tools/output.js";
import { createFormStates } from "./form-states.js";
import {
  beginHeldCall,
  type FormReply,
  type Held,
  type HeldCall,
  type Listener,
  type OpenForm,
} from "./held-call.js";

/*
 * On this protocol a server asks nothing while a call goes on: it answers the call with a form, and the same call comes
 * again with what the person has said. The handler of the call knows nothing of it: it is held where it asks, and goes
 * on with the call that brings the answer. So a call is carried out once, however often it comes.
 */

/** One request of the client for a call: the first one, or one that brings an answer. */
export interface Round extends Listener {
  /** Who calls: states and tasks are theirs alone. */
  caller: string;
  /** The name of their token, where there is one. */
  person?: string | undefined;
  tool: string;
  args: unknown;
  /** What the answer with the form has given; with the person's answers. */
  state?: string | undefined;
  replies?: Readonly<Record<string, FormReply>> | undefined;
  supportsForms: boolean;
  clientName: string | undefined;
  /** So long it is answered with progress before it becomes a task, in ms; undefined: never. */
  taskAfterMs?: number | undefined;
}

/** What a round is answered with. */
export type RoundEnd =
  | { kind: "result"; result: ToolResult }
  | { kind: "form"; form: OpenForm; state: string }
  | { kind: "task"; call: HeldCall; followed: Followed }
  /** The state is nobody's any more, or another call's: this round has done nothing. */
  | { kind: "refused"; why: "unknown" | "foreign" }
  /** Its client has given it up. */
  | { kind: "gone" };

export interface HeldCalls {
  /** Serves one request for a call. */
  serve(round: Round, handle: (call: Call) => Promise<ToolResult>): Promise<RoundEnd>;
  /** Carries a call out that nobody waits for. */
  hold(
    how: Pick<Round, "caller" | "person" | "supportsForms" | "clientName">,
    handle: (call: Call) => Promise<ToolResult>,
  ): HeldCall;
  /** Makes every call answer now. Resolves when they have. */
  stop(): Promise<void>;
  /** Whether a call goes on that can be found again in this process only, as one that waits for a form. */
  isHolding(): boolean;
}

/** Without a progress token nothing resets a client's clock, and the SDK's default is 60 s: then it is a task by now. */
const SILENT_MS = 45_000;

export function createHeldCalls(options: { clock: Clock; elicitationTimeoutMs: number }): HeldCalls {
  const { clock } = options;
  const stopping = new AbortController();
  // Each call that goes on hears of it, however many there are.
  setMaxListeners(0, stopping.signal);
  const going = new Set<Held>();
  const states = createFormStates(options);

  function begin(
    how: Pick<Round, "caller" | "person" | "supportsForms" | "clientName"> & { isTask: boolean },
    handle: (call: Call) => Promise<ToolResult>,
  ): Held {
    const held = beginHeldCall(how, handle, { ...options, stopping: stopping.signal });
    going.add(held);
    const forget = () => void going.delete(held);
    held.work.then(forget, forget);
    return held;
  }

  /** Waits until there is something to answer a round with. */
  async function answer(held: Held, round: Round, digest: string): Promise<RoundEnd> {
    const { signal, taskAfterMs } = round;
    const begun = clock.elapsed();
    held.listen(round);
    held.wantsProgress = round.progress !== undefined || taskAfterMs !== undefined;
    // The last request that is given up gives up its call, but not one that was answered by then.
    const onGone = () => {
      held.stopListening(round);
      if (!held.isTask && held.listeners.size === 0) held.abort();
    };
    signal.addEventListener("abort", onGone, { once: true });
    if (signal.aborted) onGone();
    const dueInMs = () => {
      if (!held.followed || taskAfterMs === undefined) return undefined;
      const due = held.followedAt + taskAfterMs;
      return (round.progress ? due : Math.min(due, begun + SILENT_MS)) - clock.elapsed();
    };
    try {
      for (;;) {
        if (signal.aborted) {
          if (held.listeners.size === 0 && !held.isTask) await held.work;
          return { kind: "gone" };
        }
        const { followed } = held;
        if (held.isTask && followed && taskAfterMs !== undefined)
          return { kind: "task", call: held, followed };
        if (held.result) {
          await held.work;
          return { kind: "result", result: withLate(held.result, held.lateAnswers) };
        }
        if (held.form) return { kind: "form", form: held.form, state: states.tell(held, round.tool, digest) };
        const due = dueInMs();
        if (followed && due !== undefined && due <= 0) {
          held.isTask = true;
          return { kind: "task", call: held, followed };
        }
        await Promise.race([held.nextChange(signal, due), held.work]);
      }
    } finally {
      signal.removeEventListener("abort", onGone);
      held.stopListening(round);
    }
  }

  return {
    async serve(round, handle) {
      const digest = digestOf(round.args);
      if (round.state === undefined) {
        const { caller, person, supportsForms, clientName } = round;
        const held = begin({ caller, person, supportsForms, clientName, isTask: false }, handle);
        return answer(held, round, digest);
      }
      const known = states.find(round.state);
      if (!known) return { kind: "refused", why: "unknown" };
      const { held, key, tool } = known;
      if (held.caller !== round.caller || tool !== round.tool || known.digest !== digest)
        return { kind: "refused", why: "foreign" };
      const reply = round.replies?.[key];
      if (reply) held.reply(key, reply);
      return answer(held, round, digest);
    },
    hold: (how, handle) => begin({ ...how, isTask: true }, handle),
    async stop() {
      stopping.abort(new Error("The server is stopping."));
      await Promise.allSettled([...going].map(({ work }) => work));
    },
    isHolding: () => [...going].some(({ isTask }) => !isTask),
  };
}

/** The result with what is to be said of answers that were not used, behind its summary. */
function withLate(result: ToolResult, late: readonly string[]): ToolResult {
  if (late.length === 0) return result;
  const { summary } = result.structuredContent;
  const [first, ...others] = result.content;
  if (typeof summary !== "string" || !first?.text.startsWith(summary)) return result;
  const told = [summary, ...late].join(" ");
  const text = `${told}${first.text.slice(summary.length)}`;
  return {
    ...result,
    content: [{ ...first, text }, ...others],
    structuredContent: { ...result.structuredContent, summary: told },
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
