import type { PlanRow } from "../../views/board.js";
import { duration, isoTime, money } from "../format.js";
import { now } from "../now.js";
import { useLinks } from "./doing.js";
import { Status } from "./status.js";

/** A plan as one row of a list. */
export function PlanLine({ plan }: { plan: PlanRow }) {
  const href = useLinks().plan?.(plan.planId);
  const spent = plan.costUsd ?? plan.knownCostUsd;
  return (
    <div class="plan-line">
      <Status status={plan.status} />
      <span class="run-name">{href ? <a href={href}>{plan.name}</a> : <span>{plan.name}</span>}</span>
      <span class="run-action" title={plan.line}>
        {plan.line}
      </span>
      <span class="number">
        {plan.runsStarted} of {plan.runsLimit} runs
      </span>
      <span class="number">
        {spent === undefined ? "" : `${plan.costUsd === undefined ? "> " : ""}${money(spent)}`}
        {plan.costLimitUsd !== undefined && <small class="muted">of {money(plan.costLimitUsd)}</small>}
      </span>
      <time class="age number" dateTime={isoTime(plan.changedAt)}>
        {duration((now.value - plan.changedAt) / 1_000)} ago
      </time>
    </div>
  );
}
