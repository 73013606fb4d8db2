import type { PlanNode } from "../../views/plan.js";
import type { WidgetPlan } from "../../views/widget.js";
import { duration, money, runsText } from "../format.js";
import { now } from "../now.js";
import { useAct } from "../parts/doing.js";
import { Meter } from "../parts/facts.js";
import { FeedbackBox } from "../parts/feedback-box.js";
import { NeedCard } from "../parts/need-card.js";
import { Status } from "../parts/status.js";

/** A plan in the chat: what waits for the person, its steps, and what they have cost. */
export function PlanCard({ plan }: { plan: WidgetPlan }) {
  const act = useAct();
  const going = plan.nodes.filter(
    ({ kind, status, runId }) => kind === "run" && status === "running" && runId,
  );
  const [only] = going;
  return (
    <article aria-label={`Plan ${plan.name}`} class="card">
      <header class="card-head">
        <Status status={plan.status} />
        <h1>{plan.name}</h1>
        {plan.may.includes("kill") && (
          <button
            type="button"
            class="button danger"
            onClick={() => void act("kill", { plan_id: plan.planId })}
          >
            Kill…
          </button>
        )}
      </header>
      <p class="card-action">{plan.line}</p>
      {plan.needs.map((need) => (
        <NeedCard key={need.id} need={need} />
      ))}
      <ol class="plain steps">
        {plan.nodes.map((node) => (
          <Step key={node.id} node={node} />
        ))}
      </ol>
      <div class="meters">
        <Meter name="Runs" text={runsText(plan.runs)} value={plan.runs.started} limit={plan.runs.limit} />
        <Meter name="Cost" text={costOf(plan)} value={plan.knownCostUsd} limit={plan.costLimitUsd} />
      </div>
      {plan.nearLimits.map((sentence) => (
        <p key={sentence} class="warning banner">
          {sentence}
        </p>
      ))}
      {/* Of several runs nobody could tell which one the words are for. */}
      {going.length === 1 && only?.runId && <FeedbackBox runId={only.runId} />}
    </article>
  );
}

function costOf({ costUsd, knownCostUsd, costLimitUsd }: WidgetPlan): string {
  const spent = `${costUsd === undefined ? "at least " : ""}${money(costUsd ?? knownCostUsd)}`;
  return costLimitUsd === undefined ? spent : `${spent} of ${money(costLimitUsd)}`;
}

function Step({ node }: { node: PlanNode }) {
  const { id, about, status, since, turns, costUsd, items } = node;
  const text = node.action ?? node.reason ?? node.outcome ?? about;
  const figures = [
    items && `${items.done} of ${items.of}`,
    turns === undefined ? undefined : `${turns} ${turns === 1 ? "turn" : "turns"}`,
    costUsd === undefined ? undefined : money(costUsd),
    status === "running" || status === "waiting" ? duration((now.value - since) / 1_000) : undefined,
  ].filter(Boolean);
  return (
    <li>
      <Status status={status} />
      <strong>{id}</strong>
      <span class="step-text" title={text}>
        {text}
      </span>
      <span class="muted number">{figures.join(" · ")}</span>
    </li>
  );
}
