import type { ShownForm } from "../support/harness.js";
import { answerForm, isAgentsForm } from "./answer-forms.js";
import type { CallHow, ChatOptions, Told } from "./chat.js";
import { drawTaskManner } from "./modern-manner.js";
import type { ModernLink, Reply } from "./modern-rounds.js";
import type { SeenTask } from "./observed.js";
import { isOfPlan, wordOfForm, wordOfTaskEnd } from "./plan-words.js";
import type { Random } from "./random.js";
import { pause, steadyPause } from "./waits.js";

const INVALID_PARAMS = -32602;
const METHODS = ["tasks/get", "tasks/update", "tasks/cancel"];
const STATUSES = ["working", "input_required", "completed", "cancelled"];

/**
 * Asks for a task as a client does, until it ends or the client has had enough of it.
 * @returns what the task has ended with; undefined where it goes on
 */
export async function followTask(
  { taskId }: { taskId: string },
  how: CallHow,
  link: ModernLink,
  options: ChatOptions & { random: Random; tell(what: string): void },
): Promise<Told | undefined> {
  const { random, tell, time, formTimeMs, words } = options;
  const { call, signal } = how;
  const manner = drawTaskManner(random);
  const task: SeenTask = { taskId, cancelsSent: 0 };
  call.task = task;
  const began = time.now();
  const answered = new Set<string>();
  count("a task");
  try {
    for (let look = 0; !signal.aborted && !link.isOver() && time.now() < began + manner.forMs; look++) {
      if (look === manner.afterLooks) await meanwhile();
      const told = await ask("tasks/get");
      if (told?.status === "completed" || told?.status === "cancelled") return await end(told);
      if (told?.status === "input_required") await answerForms(told);
      await pause(manner.everyMs);
    }
    return undefined;
  } finally {
    call.boundMs += time.now() - began;
  }

  /** One request about the task; undefined where the connection was cut under it. */
  async function ask(
    method: string,
    more: object = {},
    timeoutMs = options.slackMs,
  ): Promise<Reply | undefined> {
    const generation = link.generation();
    try {
      const told = await link.request(method, { taskId, ...more }, { timeoutMs });
      if (method === "tasks/get" && (told.taskId !== taskId || !STATUSES.includes(String(told.status))))
        tell(`has a task that is told as ${JSON.stringify(told).slice(0, 300)}`);
      return told;
    } catch (error) {
      if (generation === link.generation() && !link.isOver())
        tell(`was refused ${method} for its own task: ${(error as Error).message}`);
      return undefined;
    }
  }

  async function end(told: Reply): Promise<Told> {
    const result = told.result as Told | undefined;
    const { outcome, run, plan } = (result?.structuredContent ?? {}) as Record<string, never>;
    task.end = { status: String(told.status), outcome, isError: result?.isError === true, run, plan };
    options.trace(`  task of ${call.number}: ${told.status} ${outcome ?? ""}`);
    if (told.status === "cancelled") {
      const summary = String(told.statusMessage);
      return { content: [{ text: summary }], structuredContent: { outcome: "killed", summary } };
    }
    if (!result) tell("has a task that is completed without a result");
    const again = await ask("tasks/get");
    const later = (again?.result as Told | undefined)?.structuredContent as { outcome?: string } | undefined;
    if (again && (again.status !== told.status || later?.outcome !== outcome))
      tell(
        `has a task that was ${told.status} (${outcome}), and is ${again.status} (${later?.outcome}) later`,
      );
    return result ?? {};
  }

  async function answerForms({ inputRequests = {} }: Reply): Promise<void> {
    if (Object.keys(inputRequests).length === 0) tell("has a task that needs input, and does not say which");
    for (const [key, { params }] of Object.entries(inputRequests)) {
      if (answered.has(key) || manner.answers === "never" || how.step.form === "client fails") continue;
      answered.add(key);
      count(`a task's form, answered ${manner.answers}`);
      const form = { message: params.message, schema: params.requestedSchema } as ShownForm;
      const says = isAgentsForm(form)
        ? random.pick(["accept", "accept", "decline", "cancel"] as const)
        : how.step.form;
      if (isOfPlan(form))
        call.forms.push({ message: form.message, answer: says, shownAt: time.now(), isWithin: true });
      if (manner.answers === "late") await steadyPause(time, 2 * formTimeMs, signal);
      const brought = await answerForm(form, says, formTimeMs, signal, (ms, own) =>
        steadyPause(time, ms, own),
      );
      const word = wordOfForm(form, brought, call);
      if (word) words.push(word);
      if (manner.answers === "with a key of no form")
        await ask("tasks/update", { inputResponses: { q_nobody: brought } });
      await ask("tasks/update", { inputResponses: { [key]: brought } });
      // It counts no more.
      if (manner.answers === "twice")
        await ask("tasks/update", { inputResponses: { [key]: { action: "decline" } } });
    }
  }

  async function meanwhile(): Promise<void> {
    const { meanwhile: does } = manner;
    if (does === "nothing") return;
    count(`of a task, ${does}`);
    switch (does) {
      case "cancel":
        return void (await cancel());
      case "cancel twice":
        return void (await Promise.all([cancel(), cancel()]));
      case "another process":
        return link.anotherProcess();
      case "other caller":
        if (link.otherCaller) await refuses(link.otherCaller, taskId, "another caller");
        return;
      case "made-up id":
        return refuses(link.request, `${taskId.slice(0, -2)}-_`, "a made-up id");
    }
  }

  function cancel(): Promise<Reply | undefined> {
    task.cancelsSent++;
    const word = wordOfTaskEnd(call);
    if (word) words.push(word);
    return ask("tasks/cancel", {}, how.timeoutMs);
  }

  /** Whoever it does not belong to learns nothing of it, and does nothing to it. */
  async function refuses(request: ModernLink["request"], id: string, whose: string): Promise<void> {
    for (const method of METHODS) {
      const generation = link.generation();
      const refused = await request(method, { taskId: id }, { timeoutMs: options.slackMs }).catch(
        (error: { code?: number }) => error,
      );
      if (
        (refused as { code?: unknown }).code !== INVALID_PARAMS &&
        generation === link.generation() &&
        !link.isOver()
      )
        tell(`lets ${whose} do ${method} with its task: ${JSON.stringify(refused).slice(0, 200)}`);
    }
  }

  function count(what: string): void {
    options.deeds[what] = (options.deeds[what] ?? 0) + 1;
  }
}
