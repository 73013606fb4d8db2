import { useId, useState } from "preact/hooks";
import type { FormView } from "../../views/calls.js";
import type { NeedView, StepChange } from "../../views/needs.js";
import { type Outcome, useAct, useAsk } from "./doing.js";

/** What has come of a change; undefined when the person does not want it after all. */
type Changed = Promise<Outcome | undefined>;

/** Changes a step of a plan, after the person has agreed: to a skip here, to what is paid for by the server's form. */
export interface ChangeStep {
  skip(): Changed;
  /** @param words what is to be different */
  redo(words?: string): Changed;
  /** Asks first what is to be different. */
  redoByWords(): Changed;
}

/** @param of.isLost nobody knows whether the step's run was started */
export function useStepChange(of: { planId: string; step: string; isLost?: boolean }): ChangeStep {
  const { planId, step, isLost } = of;
  const act = useAct();
  const ask = useAsk();
  const change = (what: StepChange, message = "") =>
    act("plan", { plan_id: planId, step, change: what, ...(message ? { message } : {}) });
  return {
    async skip() {
      const values = await ask(skipForm(step, isLost));
      return values?.confirm === "yes" ? change("skip") : undefined;
    },
    redo: (words) => change("redo", words?.trim()),
    async redoByWords() {
      const values = await ask(redoForm(step), { send: "Go on…" });
      return values && change("redo", values.message);
    },
  };
}

/** The form for a step that is lost or blocked, right where that is told. */
export function StepChangeBox({ need, change }: { need: NeedView; change: NonNullable<NeedView["change"]> }) {
  const { step, may, takesWords } = change;
  const deeds = useStepChange({ planId: need.planId ?? "", step, isLost: need.kind === "lost" });
  const [words, setWords] = useState("");
  const [busy, setBusy] = useState(false);
  const field = useId();
  const carryOut = async (deed: () => Promise<Outcome | undefined>) => {
    if (busy) return;
    setBusy(true);
    const outcome = await deed();
    // What was changed goes away by itself; what was refused can be tried again.
    if (outcome?.ok) setTimeout(() => setBusy(false), 5_000);
    else setBusy(false);
  };
  return (
    <div class="answer" aria-busy={busy} data-send>
      {takesWords && may.includes("redo") && (
        <div class="field">
          <label for={field}>What is to be different when it is done again (may be left empty)</label>
          <textarea
            id={field}
            rows={2}
            value={words}
            onInput={(event) => setWords(event.currentTarget.value)}
          />
        </div>
      )}
      <div class="buttons">
        {may.includes("redo") && (
          <button
            type="button"
            data-sends
            class="button strong"
            disabled={busy}
            onClick={() => void carryOut(() => deeds.redo(words))}
          >
            Do again…
          </button>
        )}
        {may.includes("skip") && (
          <button type="button" class="button" disabled={busy} onClick={() => void carryOut(deeds.skip)}>
            Skip…
          </button>
        )}
        {busy && <span class="muted">Sending…</span>}
      </div>
    </div>
  );
}

const skipForm = (step: string, isLost = false): FormView => ({
  id: "skip",
  message: [
    `Skip step ${step}?`,
    "It is not done, and what needs it goes on without it.",
    ...(isLost ? ["If its run was started after all, that goes on and costs: nothing here ends it."] : []),
  ].join("\n"),
  fields: [
    {
      name: "confirm",
      title: "Skip",
      description: "",
      required: true,
      choices: [
        { value: "no", title: "No, leave it" },
        { value: "yes", title: "Yes, skip it" },
      ],
    },
  ],
});

const redoForm = (step: string): FormView => ({
  id: "redo",
  message: `Do step ${step} again\nEverything behind it is done again, too. You are asked once more before anything is paid.`,
  fields: [
    {
      name: "message",
      title: "What is to be different",
      description: "",
      required: false,
      lines: true,
    },
  ],
});
