import type { ShownForm } from "../support/harness.js";
import { answerForm, isAgentsForm } from "./answer-forms.js";
import type { Asked, CallHow, ChatOptions, Told } from "./chat.js";
import { drawRoundManner } from "./modern-manner.js";
import { followTask } from "./modern-task.js";
import { isOfPlan, wordOfForm } from "./plan-words.js";
import { createRandom, mix } from "./random.js";
import { steadyPause } from "./waits.js";

/** What the server has answered; a task stands in a field of its own. */
export interface Reply extends Told {
  resultType?: string;
  inputRequests?: Record<string, { params: { message: string; requestedSchema: ShownForm["schema"] } }>;
  requestState?: string;
  task?: { taskId: string };
  [field: string]: unknown;
}

/** What a call on protocol 2026-07-28 is played over. */
export interface ModernLink {
  /** Sends one request. @throws what the client's library throws */
  request(
    method: string,
    params: object,
    how: { timeoutMs: number; signal?: AbortSignal; progress?: boolean },
  ): Promise<Reply>;
  /** The same as somebody else; undefined where there is nobody. */
  otherCaller: ModernLink["request"] | undefined;
  /** Counts the server's processes. */
  generation(): number;
  /** The last of them ends: what is refused from now on is no fault. */
  isOver(): boolean;
  hasTasks: boolean;
  /** The connection drops, the server's process ends, and the client comes back to another one. */
  anotherProcess(): Promise<void>;
  /** What is wrong with a tool's structured answer, by the tool's own schema. */
  complainOf(tool: string, structured: unknown): string | undefined;
}

const INVALID_PARAMS = -32602;
/** A client makes no more rounds of one call. */
const MOST_ROUNDS = 10;
/** After its time a form is sure to be closed, when so many times that has gone by. */
const SURELY_CLOSED = 1.3;

/** Plays a call with its forms, each answered by the same call again, and with the task that it may become. */
export async function playRounds(
  asked: Asked,
  how: CallHow,
  link: ModernLink,
  options: ChatOptions,
): Promise<Told | undefined> {
  const { note, time } = options;
  const { call } = how;
  const random = createRandom(mix(options.seed, "rounds", call.number));
  const manner = drawRoundManner(random);
  const wait = (ms: number, signal: AbortSignal) => steadyPause(time, ms, signal);
  const tell = (what: string) => note([`call ${call.number} (${call.action}) ${what}`]);
  let last: { brings: object; generation: number } | undefined;
  let reply = await sendCall({});

  for (let round = 1; reply.resultType === "input_required"; round++) {
    if (round > MOST_ROUNDS) {
      tell("wants more rounds than a client makes");
      break;
    }
    const brings = await answer(reply);
    if (round === 1) await before(brings);
    last = { brings, generation: link.generation() };
    reply = await sendTimes(brings);
  }
  if (reply.task && !link.hasTasks) tell("became a task, which its client does not know");
  const end = reply.task
    ? await followTask(reply.task, how, link, { ...options, random, tell })
    : check(reply);
  await after();
  return end;

  function sendCall(brings: object, signal = how.signal): Promise<Reply> {
    const { timeoutMs, step } = how;
    return link.request(
      "tools/call",
      { ...asked, ...brings },
      { timeoutMs, signal, progress: step.progress },
    );
  }

  function check(told: Reply): Reply {
    const wrong = told.isError ? undefined : link.complainOf(asked.name, told.structuredContent);
    if (wrong) tell(`does not answer by its own schema: ${wrong}`);
    return told;
  }

  /** What the person says to the form of that reply, as the next round brings it. */
  async function answer({ inputRequests = {}, requestState }: Reply): Promise<Brings> {
    const [asking] = Object.entries(inputRequests);
    if (!asking) throw new Error("The server wants input, and does not say which.");
    const [key, { params }] = asking;
    const form: ShownForm = { message: params.message, schema: params.requestedSchema };
    const isAgents = isAgentsForm(form);
    const says = isAgents ? random.pick(["accept", "accept", "decline", "cancel"] as const) : how.step.form;
    options.trace(`  form: ${form.message.slice(0, 120)} -> ${says}`);
    if (!isAgents)
      call.forms.push({
        ...{ message: form.message, answer: says, shownAt: time.now() },
        isWithin: isOfPlan(form),
      });
    if (says === "client fails") {
      await steadyPause(time, SURELY_CLOSED * options.formTimeMs);
      call.cancelledAt ??= time.now();
      throw new Error("The client has lost its window, and never answers.");
    }
    const brought = await answerForm(form, says, options.formTimeMs, how.signal, wait);
    if (how.signal.aborted) throw new Error("The call was called off while its form was open.");
    const word = wordOfForm(form, brought, call);
    if (word) options.words.push(word);
    return { inputResponses: { [key]: brought }, requestState: requestState ?? "" };
  }

  /** What does not belong to the form does nothing, and does not close it. */
  async function before(brings: Brings): Promise<void> {
    const { before: does } = manner;
    if (does === "nothing") return;
    count(
      does === "another process"
        ? "a form of an earlier process is answered"
        : `a form's answer with ${does}`,
    );
    if (does === "another process") return link.anotherProcess();
    const { timeoutMs, signal } = how;
    const send = does === "other caller" ? link.otherCaller : link.request;
    if (!send) return;
    const args = does === "other arguments" ? { ...asked.arguments, message: "Else" } : asked.arguments;
    const state = does === "made-up state" ? { requestState: "made-up" } : {};
    const params = { ...asked, arguments: args, ...brings, ...state };
    const code = await send("tools/call", params, { timeoutMs, signal }).then(
      () => "taken",
      (error: { code?: unknown }) => error.code,
    );
    if (code !== INVALID_PARAMS && !signal.aborted && !link.isOver())
      tell(`takes the answer of its form with ${does}`);
  }

  /** The same answer, as often as the client sends it; each is answered the same. */
  async function sendTimes(brings: Brings): Promise<Reply> {
    const { times, givesOneUp } = manner;
    const giveUp = new AbortController();
    const isGivenUp = givesOneUp && times > 1;
    if (times > 1) count(`an answer sent ${times} times${isGivenUp ? ", one given up" : ""}`);
    if (isGivenUp) sendCall(brings, AbortSignal.any([how.signal, giveUp.signal])).catch(() => {});
    const sent = Array.from({ length: isGivenUp ? times - 1 : times }, () => sendCall(brings));
    giveUp.abort(new Error("Given up."));
    const settled = await Promise.allSettled(sent);
    const replies = settled.map((one) => {
      if (one.status === "rejected") throw one.reason;
      return one.value;
    });
    const prints = new Set(replies.map(printOf));
    if (prints.size > 1)
      tell(`was answered differently at the same time: ${[...prints].join(" / ").slice(0, 600)}`);
    return replies[0] as Reply;
  }

  /** What comes to a form that is over is answered as the one that closed it. */
  async function after(): Promise<void> {
    if (manner.after === "nothing" || !last || !isSameProcess(last)) return;
    count(`when all is over, ${manner.after}`);
    const { brings } = last as { brings: Brings };
    const other = Object.fromEntries(
      Object.entries(brings.inputResponses).map(([key, { action }]) => [key, opposite(action)]),
    );
    const late = await sendCall(
      manner.after === "another answer" ? { ...brings, inputResponses: other } : brings,
    );
    if (printOf(late) !== printOf(reply) && isSameProcess(last))
      tell(`was answered differently when all was over: ${printOf(reply)} / ${printOf(late)}`.slice(0, 900));
  }

  function isSameProcess(then: { generation: number }): boolean {
    return then.generation === link.generation() && !link.isOver();
  }

  function count(what: string): void {
    options.deeds[what] = (options.deeds[what] ?? 0) + 1;
  }
}

interface Brings {
  inputResponses: Record<string, { action: string; content?: unknown }>;
  requestState: string;
}

/** What is the same in two answers to the same. */
function printOf({ task, requestState, structuredContent, content }: Reply): string {
  return JSON.stringify(task ? task.taskId : (requestState ?? structuredContent ?? content));
}

const opposite = (action: string) =>
  action === "accept" ? { action: "decline" } : { action: "accept", content: {} };
