import type { PlanNode } from "../../views/plan.js";
import { duration, money } from "../format.js";
import { now } from "../now.js";
import { useLinks } from "./doing.js";
import { Facts } from "./facts.js";
import { Status } from "./status.js";
import { useStepChange } from "./step-change.js";

/** One step of a plan: how it stands, and what can be done with it. */
export function PlanStep({ planId, node }: { planId: string; node: PlanNode }) {
  const links = useLinks();
  const change = useStepChange({ planId, step: node.id });
  const run = node.runId && links.run?.(node.runId);
  return (
    <section class="step" aria-label={`Step ${node.id}`}>
      <header class="step-head">
        <h3>{node.id}</h3>
        <Status status={node.status} note={sinceText(node)} />
        <div class="buttons">
          {node.may.includes("redo") && (
            <button
              type="button"
              class="button"
              onClick={() => void (node.kind === "run" ? change.redoByWords() : change.redo())}
            >
              Do again…
            </button>
          )}
          {node.may.includes("skip") && (
            <button type="button" class="button" onClick={() => void change.skip()}>
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
          [node.kind === "gate" ? "Opening" : "Attempt", node.attempt > 1 ? String(node.attempt) : undefined],
          ["Items done", node.items && `${node.items.done} of ${node.items.of}`],
          ["Turns", node.turns === undefined ? undefined : String(node.turns)],
          ["Cost", node.costUsd === undefined ? undefined : money(node.costUsd)],
        ]}
      />
    </section>
  );
}

const ENDED: readonly PlanNode["status"][] = ["succeeded", "failed", "skipped", "killed"];

function sinceText({ status, since }: PlanNode): string {
  const time = duration((now.value - since) / 1_000);
  return ENDED.includes(status) ? ` ${time} ago` : ` for ${time}`;
}
