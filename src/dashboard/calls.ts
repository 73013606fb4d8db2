import { randomBytes } from "node:crypto";
import { ActionError, type Answer } from "../actions/answer.js";
import type { Call, Services } from "../actions/define-action.js";
import type { FormAnswer, FormClient, Question } from "../actions/forms/form-client.js";
import { requireEndpoint } from "../actions/require-endpoint.js";
import type { Log } from "../shared/log.js";
import { cleanText } from "../shared/text.js";
import { type ReadRequest, readFormValues } from "./action-request.js";
import type { CallView, FormReply, FormView } from "./views/calls.js";

/** A form waits for so long, in ms: a person reads what they decide on. */
const FORM_MS = 15 * 60_000;
/** An answer is waited for so long before it is told that it takes longer, in ms: some proxies cut at 30 s. */
const WAIT_MS = 20_000;
/** Calls of one session that go on, and those whose answer is kept. */
const MOST_GOING = 8;
const MOST_KEPT = 100;
const MESSAGE_CHARS = 30_000;

interface OpenCall {
  id: string;
  form: (FormView & { settle: (answer: FormAnswer) => void; questions: readonly Question[] }) | undefined;
  message: string | undefined;
  end: Extract<CallView, { state: "done" | "failed" }> | undefined;
  /** The form that was answered last. */
  answered: string | undefined;
  changed: Set<() => void>;
}

/** A call cannot be taken up. The message is fit to be shown. */
export class CallRefused extends Error {
  override name = "CallRefused";
}

/** The calls of one session of the dashboard: each by its id, once, however often it is sent. */
export interface Calls {
  /** @throws CallRefused when too many go on */
  begin(request: ReadRequest): Promise<CallView>;
  /** How it stands, as soon as that is something to tell; undefined for no such call. */
  look(id: string): Promise<CallView | undefined>;
  /** Hands over what the person has put into a form. @throws CallRefused when it is not open (any more) */
  reply(id: string, reply: FormReply): Promise<CallView | undefined>;
}

/**
 * Carries actions out as the chat's client does: what the person has to agree to comes as a form, and only what comes
 * back from that form counts as agreed.
 * @param options.signal ends with the session: open forms are closed, and nothing that they ask for is done
 * @param options.person whose session it is, where that is known
 * @param options.onDone told of each call that has ended
 */
export function createCalls(options: {
  services: Services;
  log: Log;
  signal: AbortSignal;
  person?: string | undefined;
  onDone: () => void;
}): Calls {
  const { services, log, signal, person, onDone } = options;
  const { clock } = services;
  const calls = new Map<string, OpenCall>();

  function change(call: OpenCall): void {
    for (const tell of [...call.changed]) tell();
  }

  function ask(call: OpenCall, ...[message, questions, withdrawn]: Parameters<FormClient["ask"]>) {
    return new Promise<FormAnswer>((resolve) => {
      const cancelled = (why: "timeout" | "call_cancelled") => () => settle({ kind: "cancelled", why });
      const cancel = clock.after(FORM_MS, cancelled("timeout"));
      const withdraw = cancelled("call_cancelled");
      const signals = [signal, ...(withdrawn ? [withdrawn] : [])];
      function settle(answer: FormAnswer): void {
        cancel();
        for (const one of signals) one.removeEventListener("abort", withdraw);
        call.form = undefined;
        change(call);
        resolve(answer);
      }
      const id = randomBytes(12).toString("base64url");
      call.form = {
        id,
        message: cleanText(message, MESSAGE_CHARS),
        fields: questions.map(toField),
        questions,
        settle,
      };
      for (const one of signals) one.addEventListener("abort", withdraw, { once: true });
      if (signals.some((one) => one.aborted)) withdraw();
      change(call);
    });
  }

  async function carryOut(call: OpenCall, { action, args }: ReadRequest): Promise<void> {
    const context: Call = {
      forms: { supported: true, ask: (...form) => ask(call, ...form) },
      signal,
      isStopping: () => signal.aborted,
      wantsProgress: true,
      progress({ message }) {
        call.message = message;
      },
      clientName: "dashboard",
      inDashboard: true,
      person,
      follows: () => {},
      localFolders: async () => [],
    };
    try {
      const { name, endpoint, instead } = action;
      // A plan's own decisions need nothing of the API.
      if (endpoint && args.plan_id === undefined)
        await requireEndpoint({ name, endpoint, instead }, services);
      call.end = toEnd(call.id, await action.handle(args, context, services));
    } catch (error) {
      call.end = { id: call.id, state: "failed", message: tell(error, log) };
    }
    change(call);
    onDone();
  }

  /** Waits until there is something to tell. */
  async function settled(call: OpenCall): Promise<CallView> {
    const until = clock.elapsed() + WAIT_MS;
    while (!call.form && !call.end && clock.elapsed() < until)
      await new Promise<void>((resolve) => {
        const cancel = clock.after(until - clock.elapsed(), done);
        function done(): void {
          call.changed.delete(done);
          cancel();
          resolve();
        }
        call.changed.add(done);
      });
    const { id, form, end, message } = call;
    if (end) return end;
    if (!form)
      return { id, state: "working", ...(message === undefined ? {} : { message: cleanText(message, 500) }) };
    return { id, state: "form", form: { id: form.id, message: form.message, fields: form.fields } };
  }

  function makeRoom(): void {
    const going = [...calls.values()].filter(({ end }) => !end).length;
    if (going >= MOST_GOING)
      throw new CallRefused(
        `${going} actions of this page go on already. Nothing was done. Answer or close their forms first.`,
      );
    for (const [id, { end }] of calls) if (end && calls.size >= MOST_KEPT) calls.delete(id);
  }

  return {
    async begin(request) {
      const known = calls.get(request.id);
      if (known) return settled(known);
      makeRoom();
      const call: OpenCall = {
        id: request.id,
        form: undefined,
        message: undefined,
        end: undefined,
        answered: undefined,
        changed: new Set(),
      };
      calls.set(request.id, call);
      void carryOut(call, request);
      return settled(call);
    },
    async look(id) {
      const call = calls.get(id);
      return call && settled(call);
    },
    async reply(id, { formId, values }) {
      const call = calls.get(id);
      if (!call) return undefined;
      // Sent twice, the first one counts, and both are told what has come of it.
      if (call.end) return call.end;
      if (call.answered === formId) return settled(call);
      if (call.form?.id !== formId)
        throw new CallRefused(
          "This form is not open any more. What was put into it now has changed nothing.",
        );
      const answer: FormAnswer = values
        ? { kind: "accepted", values: readFormValues(values, call.form.questions) }
        : { kind: "declined" };
      call.answered = formId;
      call.form.settle(answer);
      return settled(call);
    },
  };
}

function toField({
  name,
  title,
  description,
  required,
  suggestion,
  choices,
  several,
  lines,
  type,
}: Question) {
  return {
    ...{ name, required },
    title: cleanText(title, 500),
    description: cleanText(description, 5_000),
    ...(suggestion === undefined ? {} : { suggestion }),
    ...(choices
      ? { choices: choices.map(({ value, title }) => ({ value, title: cleanText(title, 500) })) }
      : {}),
    ...(several ? { several } : {}),
    ...(lines ? { lines } : {}),
    ...(type ? { type } : {}),
  };
}

function toEnd(
  id: string,
  { outcome, summary, happened, check, missing }: Answer,
): Extract<CallView, { state: "done" }> {
  const needs = missing?.map(({ description }) => description).join(" ");
  return {
    id,
    state: "done",
    outcome,
    summary: cleanText([happened ?? summary, needs].filter(Boolean).join("\n\n"), MESSAGE_CHARS),
    ...(check ? { check: { passed: check.passed, output: cleanText(check.output, MESSAGE_CHARS) } } : {}),
  };
}

function tell(error: unknown, log: Log): string {
  const { name, message } = error as Error;
  if (error instanceof ActionError || ["ApiError", "StoreError", "PlansUnavailable"].includes(name))
    return cleanText(message, MESSAGE_CHARS);
  log.error("An action of the dashboard failed:", error);
  return "Internal error in this server. It is not known what was done: look before you try it again.";
}
