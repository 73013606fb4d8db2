import { setMaxListeners } from "node:events";
import { actions } from "../../src/actions/index.js";
import { SUPER_TOOL } from "../../src/server/tools/registry.js";
import type { Settings } from "../../src/settings/settings.js";
import { boundOfCall } from "./bounds.js";
import type { Asked, Chat, Told } from "./chat.js";
import type { FaultyApi } from "./faulty-api.js";
import type { SeenCall } from "./observed.js";
import { MARK } from "./plan-calls.js";
import type { Random } from "./random.js";
import type { CallStep, Sequence } from "./sequence.js";
import type { SteadyTime } from "./steady-time.js";

/** The client gives up after so many times the bound, by the real clock. */
const PATIENCE = 2;
/** Begins as every message does: the API's list, which tells the beginning only, cannot tell them apart. */
export const MESSAGE = `Make the login work with ${"as much care as there is, and ".repeat(8)}then say so.`;

/** Makes the calls of a sequence, and keeps what came of them. */
export interface Caller {
  readonly calls: SeenCall[];
  /** Resolves when the client is through with it. @param startsBefore starts that it may have to wait for */
  make(step: CallStep, startsBefore?: number): Promise<void>;
  /** The server ends under the calls that have no answer yet. */
  cutOff(): void;
}

export function createCaller(options: {
  number: number;
  sequence: Sequence;
  chat: Chat;
  api: FaultyApi;
  settings: Settings;
  random: Random;
  time: SteadyTime;
  /** How much faster than real the product's clock goes. */
  speed: number;
  /** What a busy machine may add to a bound, in real ms. */
  slackMs: number;
  formTimeMs: number;
  trace(line: string): void;
}): Caller {
  const { sequence, chat, api, random, time, formTimeMs, trace } = options;
  const { world } = api.api;
  const workflows = world.workflows.list().map((workflow) => workflow.name);
  const calls: SeenCall[] = [];

  function fillIn(step: CallStep, mark: string): Record<string, unknown> {
    const args = { ...step.args };
    const runs = world.runs();
    const run = runs.length > 0 ? random.pick(runs) : undefined;
    const isRun = step.action === "run";
    if (isRun || step.action === "feedback") args.message = `${MESSAGE} ${mark}`;
    if (args.workflow_name === "a known one") args.workflow_name = random.pick(workflows);
    const unknown = "00000000-0000-4000-8000-000000000000";
    if (step.target === "run" && !isRun) args.run_id = run?.runId ?? unknown;
    if (step.target === "session" && run) args[isRun ? "continue_session" : "session_name"] = run.sessionName;
    if (step.target === "conversation" && run) args.session_id = run.sessionId;
    if (step.target === "unknown") args[isRun ? "continue_session" : "run_id"] = isRun ? "nowhere" : unknown;
    if (isRun && (args.continue_session || args.session_id)) delete args.session_name;
    if (args.plan === undefined) return args;
    const plan = JSON.stringify(args.plan).replaceAll(MARK, mark);
    return { ...args, plan: JSON.parse(plan) };
  }

  function toAsked(action: string, args: Record<string, unknown>): Asked {
    if (sequence.toolset === "super") return { name: SUPER_TOOL, arguments: { action, ...args } };
    return { name: actions.find((one) => one.name === action)?.toolName ?? action, arguments: args };
  }

  async function make(step: CallStep, startsBefore = 0): Promise<void> {
    const mark = `[s${options.number}c${calls.length + 1}]`;
    const args = fillIn(step, mark);
    const boundMs =
      boundOfCall(step.action, args, options.settings, startsBefore) / options.speed + options.slackMs;
    const call: SeenCall = {
      ...{ action: step.action, number: calls.length + 1, mark, args },
      ...{ beganAt: time.now(), forms: [], boundMs },
    };
    calls.push(call);
    trace(`call ${call.number}: ${step.action} ${JSON.stringify(args).replace(MESSAGE, "…")} ${step.form}`);
    const stop = new AbortController();
    // An answer to a form may be sent ten times at once.
    setMaxListeners(0, stop.signal);
    const timer =
      step.cancelAfterMs === undefined
        ? undefined
        : setTimeout(() => {
            call.cancelledAt = time.now();
            stop.abort();
          }, step.cancelAfterMs);
    try {
      // The forms of a call are the person's own time; more than a few has none.
      const timeoutMs = PATIENCE * boundMs + 10 * formTimeMs;
      const told = await chat.call(toAsked(step.action, args), {
        call,
        step,
        signal: stop.signal,
        timeoutMs,
      });
      if (told) call.answer = read(told);
    } catch (error) {
      call.error = (error as Error).message;
    } finally {
      clearTimeout(timer);
      call.endedAt = time.now();
      call.boundMs += call.forms.length * formTimeMs;
      const { answer, error = "left going on" } = call;
      trace(`  ${call.number} -> ${answer ? `${answer.data?.outcome}: ${answer.data?.summary}` : error}`);
    }
  }

  return {
    calls,
    make,
    cutOff() {
      for (const call of calls) if (call.endedAt === undefined) call.outlived = true;
    },
  };
}

function read({ content, structuredContent, isError }: Told): NonNullable<SeenCall["answer"]> {
  const [block] = (content ?? []) as { text?: string }[];
  return { text: block?.text ?? "", data: structuredContent, isError: isError === true };
}
