import { useState } from "preact/hooks";
import type { PlanNode } from "../../views.js";
import { duration, money } from "../format.js";
import { now } from "../now.js";
import { ActionForm } from "./action-form.js";
import { useAct, useLinks } from "./doing.js";
import { Facts } from "./facts.js";
import { Status } from "./status.js";

/** One step of a plan: how it stands, and what can be done with it. */
export function PlanStep({ planId, node }: { planId: string; node: PlanNode }) {
  const act = useAct();
  const links = useLinks();
  const [asked, setAsked] = useState<"skip" | "redo">();
  const run = node.runId && links.run?.(node.runId);
  const change = (values?: Record<string, string>) => {
    const what = asked;
    setAsked(undefined);
    if (!values || !what || values.confirm === "no") return;
    const message = values.message ? { message: values.message } : {};
    void act("plan", { plan_id: planId, change: what, step: node.id, ...message });
  };
  return (
    <section class="step" aria-label={`Step ${node.id}`}>
      <header class="step-head">
        <h3>{node.id}</h3>
        <Status status={node.status} note={` for ${duration((now.value - node.since) / 1_000)}`} />
        <div class="buttons">
          {node.may.includes("redo") && (
            <button type="button" class="button" onClick={() => setAsked("redo")}>
              Do again…
            </button>
          )}
          {node.may.includes("skip") && (
            <button type="button" class="button" onClick={() => setAsked("skip")}>
              Skip…
            </button>
          )}
        </div>
      </header>
      <p>{node.about}</p>
      {(node.outcome ?? node.reason ?? node.action) && (
        <p class="told">{node.outcome ?? node.reason ?? node.action}</p>
      )}
      <Facts
        facts={[
          ["Run", node.runId && (run ? <a href={run}>{node.session ?? node.runId}</a> : node.session)],
          ["Branch", node.branch && <code>{node.branch}</code>],
          ["Attempt", node.attempt > 1 ? String(node.attempt) : undefined],
          ["Items done", node.items && `${node.items.done} of ${node.items.of}`],
          ["Turns", node.turns === undefined ? undefined : String(node.turns)],
          ["Cost", node.costUsd === undefined ? undefined : money(node.costUsd)],
        ]}
      />
      {asked === "skip" && <ActionForm form={skipForm(node.id)} reply={change} />}
      {asked === "redo" && <ActionForm form={redoForm(node.id)} reply={change} />}
    </section>
  );
}

const skipForm = (step: string) => ({
  id: "skip",
  message: `Skip step ${step}?\nIt is not done, and what needs it goes on without it.`,
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

const redoForm = (step: string) => ({
  id: "redo",
  message: `Do step ${step} again\nEverything behind it is done again, too. You are asked once more before anything is paid.`,
  fields: [
    {
      name: "message",
      title: "What is to be different",
      description: "",
      required: false,
      lines: true as const,
    },
  ],
});
