import type { FormView } from "../../views/calls.js";
import { type Act, endsSomething, type Outcome } from "../parts/doing.js";
import type { Host } from "./host.js";
import { askPerson, told, view } from "./state.js";
import { readToolAnswer } from "./tool-answer.js";

/** Outcomes of calls that have come to their end and have changed nothing. */
const NOT_DONE = ["declined", "cancelled", "input_required", "failed", "unknown"];
/** Arguments that keep a call from following the run: the widget looks by itself. */
const AT_ONCE = { feedback: { wait_seconds: 0 } } as Record<string, Record<string, unknown>>;

/**
 * Does it by the tool that the chat has for it, so that the server checks the same and asks the person by the same form.
 * Where the client shows no forms, the agreement is asked for here, in the server's words.
 * @param afterwards called when something may have changed
 */
export function createAct(host: Host, afterwards: () => void): Act {
  async function carryOut(action: Parameters<Act>[0], given: Record<string, unknown>): Promise<Outcome> {
    const by = view.value?.calls[action];
    if (!by) return { ok: false, text: "This cannot be done from here. Nothing was sent." };
    const fixed = { ...by.arguments, ...AT_ONCE[action] };
    let answer = readToolAnswer(await host.callTool(by.tool, { ...fixed, ...given }));
    if (answer.agreement) {
      const values = await askPerson(agreementForm(answer.agreement.deed), {
        ends: endsSomething(action, given),
      });
      if (values?.confirm !== "yes") return { ok: false, text: "You did not agree. Nothing was sent." };
      answer = readToolAnswer(await host.callTool(by.tool, { ...fixed, ...answer.agreement.arguments }));
    }
    const ok = !answer.isError && !NOT_DONE.includes(answer.outcome);
    // How it stands now is shown beside it, and newer.
    return { ok, text: ok ? (answer.text.split("\n")[0] ?? "") : answer.text };
  }

  return async (action, given) => {
    told.value = undefined;
    const outcome = await carryOut(action, given).catch(
      (error: unknown): Outcome => ({
        ok: false,
        text: `The client did not carry this out, or its answer was lost: ${(error as Error).message} Look at the state before you try again.`,
      }),
    );
    told.value = outcome;
    if (outcome.ok) host.tellModel(`In the widget the person has done this (${action}): ${outcome.text}`);
    afterwards();
    return outcome;
  };
}

const agreementForm = (deed: string): FormView => ({
  id: "agreement",
  message: `Are you sure?\n${deed}`,
  fields: [
    {
      name: "confirm",
      title: "Are you sure?",
      description: "",
      required: true,
      choices: [
        { value: "no", title: "No" },
        { value: "yes", title: "Yes, do it" },
      ],
    },
  ],
});
