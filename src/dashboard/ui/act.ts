import { computed, signal } from "@preact/signals";
import type { ActionName, CallView, FormReply, FormView } from "../views/calls.js";
import { type Act, type Ask, endsSomething, type FormLook, type Outcome } from "./parts/doing.js";
import { get, post, Refused } from "./requests.js";

/** A form of an action that a person has to answer before it goes on. */
export interface OpenForm {
  form: FormView;
  look: FormLook;
  /** Without values: declined. */
  reply(values?: Record<string, string>): void;
}
/** One after the other: none takes the place of another that is being read. */
const forms = signal<readonly OpenForm[]>([]);
export const openForm = computed(() => forms.value[0]);

/** What came of the last action, for those who see it and those who hear it. */
export interface Notice extends Outcome {
  id: number;
}
export const notices = signal<Notice[]>([]);

/** How often a request is sent again when no answer came: with the same id, so that nothing is done twice. */
const TRIES = 3;
const RETRY_MS = 800;
/** Outcomes of calls that have come to their end and have changed nothing, as far as is known. */
const NOT_DONE = new Set(["declined", "cancelled", "input_required", "failed", "timeout", "unknown"]);
let told = 0;

/** Does it by the server, with what forms it shows, and tells the outcome. Never throws. */
export const act: Act = async (action, given) => {
  const outcome = await carryOut(action, given).catch(
    (error: unknown): Outcome => ({
      ok: false,
      text:
        error instanceof Refused
          ? error.message
          : "The server does not answer, so it is not known whether this was done. Look at the state before you try again.",
    }),
  );
  tell(outcome);
  return outcome;
};

export function tell(outcome: Outcome): void {
  told += 1;
  notices.value = [...notices.value.slice(-2), { ...outcome, id: told }];
}

export function dismiss(id: number): void {
  notices.value = notices.value.filter((notice) => notice.id !== id);
}

async function carryOut(action: ActionName, given: Record<string, unknown>): Promise<Outcome> {
  const id = newId();
  let call = await patiently(() => post<CallView>("api/actions", { id, action, arguments: given }));
  for (;;) {
    if (call.state === "done") return { ...tellDone(action, call), ...check(call) };
    if (call.state === "failed") return { ok: false, text: call.message };
    if (call.state === "working") {
      call = await patiently(() => get<CallView>(`api/actions/${id}`));
      continue;
    }
    const values = await askPerson(call.form, { ends: endsSomething(action, given) });
    const body: FormReply = { formId: call.form.id, ...(values ? { values } : {}) };
    call = await patiently(() => post<CallView>(`api/actions/${id}/form`, body));
  }
}

/** Not `randomUUID`, which browsers have over HTTPS and on this machine only. */
function newId(): string {
  return [...crypto.getRandomValues(new Uint8Array(16))]
    .map((byte) => byte.toString(16).padStart(2, "0"))
    .join("");
}

function tellDone(action: ActionName, { outcome, summary }: CallView & { state: "done" }): Outcome {
  // A run that still goes on is neither taken nor thrown away.
  const isTooEarly = outcome === "running" && (action === "take" || action === "discard");
  return { ok: !NOT_DONE.has(outcome) && !isTooEarly, text: summary };
}

function check(call: CallView & { state: "done" }): { detail?: string } {
  return call.check ? { detail: call.check.output } : {};
}

export const askPerson: Ask = (form, look = {}) =>
  new Promise((resolve) => {
    const open: OpenForm = {
      form,
      look,
      reply: (values) => {
        forms.value = forms.value.filter((one) => one !== open);
        resolve(values);
      },
    };
    forms.value = [...forms.value, open];
  });

async function patiently<Answer>(request: () => Promise<Answer>): Promise<Answer> {
  for (let left = TRIES - 1; ; left -= 1) {
    try {
      return await request();
    } catch (error) {
      if (error instanceof Refused || left === 0) throw error;
      await new Promise((resolve) => window.setTimeout(resolve, RETRY_MS));
    }
  }
}
