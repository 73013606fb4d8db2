import { useState } from "preact/hooks";
import type { NeedView } from "../../views/needs.js";
import type { PlanDetail } from "../../views/plan.js";
import { duration, isoTime, moment, money, repositoryName, runsText } from "../format.js";
import { board, gone, plan } from "../live.js";
import { now } from "../now.js";
import { useAct } from "../parts/doing.js";
import { Facts, Meter } from "../parts/facts.js";
import { Gates, Versions } from "../parts/gates.js";
import { NeedCard } from "../parts/need-card.js";
import { PlanGraph } from "../parts/plan-graph.js";
import { PlanStep } from "../parts/plan-step.js";
import { Status } from "../parts/status.js";
import { Timeline } from "../parts/timeline.js";

const ENDED = ["completed", "failed", "killed"];

/** One plan: its graph, when what was done, what it has cost, who decided, and what can be done with it. */
export function PlanPage({ id }: { id: string }) {
  const told = plan.value;
  if (gone.value !== undefined) return <p class="page">{gone.value}</p>;
  if (!told || (told.planId !== id && told.name !== id))
    return <p class="page muted">Looking for the plan…</p>;
  return <Plan plan={told} />;
}

function Plan({ plan: told }: { plan: PlanDetail }) {
  const { nodes, edges, nearLimits } = told;
  const needs = told.needs.flatMap(withAnswers);
  const [chosen, setChosen] = useState<string>();
  const step =
    nodes.find(({ id }) => id === (chosen ?? needs[0]?.step)) ??
    nodes.find(({ status }) => status === "running");
  return (
    <div class="page">
      <header class="title">
        <div class="title-name">
          <Status status={told.status} />
          <h1>{told.name}</h1>
          <p class="muted">{told.line}</p>
        </div>
        <PlanActions plan={told} />
      </header>
      <Limits plan={told} />
      {nearLimits.map((sentence) => (
        <p key={sentence} class="banner warning" role="status">
          {sentence}
        </p>
      ))}
      {needs.length > 0 && (
        <section aria-label="Needs you" class="needs">
          {needs.map((need) => (
            <NeedCard key={need.id} need={need} />
          ))}
        </section>
      )}
      <section aria-labelledby="graph">
        <h2 id="graph">Steps</h2>
        <PlanGraph nodes={nodes} edges={edges} chosen={step?.id} onChoose={setChosen} />
        {step && <PlanStep key={step.id} planId={told.planId} node={step} />}
      </section>
      <section aria-labelledby="timeline">
        <h2 id="timeline">Timeline</h2>
        <Timeline
          steps={nodes.map(({ id }) => id)}
          entries={told.timeline}
          from={told.startedAt}
          to={ENDED.includes(told.status) ? told.changedAt : undefined}
        />
      </section>
      <Gates gates={told.gates} />
      <div class="pair">
        <Versions versions={told.versions} />
        <Inputs plan={told} />
      </div>
    </div>
  );
}

/** What an agent asks is told on the board with what answers it. */
function withAnswers(need: NeedView): NeedView[] {
  if (need.kind !== "question" || !need.runId) return [need];
  const asked = board.value?.needs.filter(({ runId }) => runId === need.runId) ?? [];
  return asked.length > 0 ? asked : [need];
}

function PlanActions({ plan: { planId, may } }: { plan: PlanDetail }) {
  const act = useAct();
  const change = (what: "pause" | "resume") => void act("plan", { plan_id: planId, change: what });
  return (
    <div class="buttons">
      {may.includes("pause") && (
        <button type="button" class="button" onClick={() => change("pause")}>
          Pause
        </button>
      )}
      {may.includes("resume") && (
        <button type="button" class="button primary" onClick={() => change("resume")}>
          Resume
        </button>
      )}
      {may.includes("kill") && (
        <button type="button" class="button danger" onClick={() => void act("kill", { plan_id: planId })}>
          Kill…
        </button>
      )}
    </div>
  );
}

function Limits({ plan: told }: { plan: PlanDetail }) {
  const { runs, knownCostUsd, costUsd, heldUsd, costLimitUsd, workMs, limitMinutes } = told;
  const spent = `${costUsd === undefined ? "more than " : ""}${money(knownCostUsd)}`;
  const held = heldUsd > 0 ? `, ${money(heldUsd)} held for runs that go on` : "";
  return (
    <div class="meters">
      <Meter
        name="Cost"
        text={`${spent}${costLimitUsd === undefined ? ", no limit" : ` of ${money(costLimitUsd)}`}${held}`}
        value={knownCostUsd}
        held={heldUsd}
        limit={costLimitUsd}
      />
      <Meter name="Runs" text={runsText(runs)} value={runs.started} limit={runs.limit} />
      <Meter
        name="Work"
        text={`${duration(workMs / 1_000)} of ${duration(limitMinutes * 60)}`}
        value={workMs / 60_000}
        limit={limitMinutes}
      />
    </div>
  );
}

function Inputs({ plan: told }: { plan: PlanDetail }) {
  return (
    <section aria-labelledby="inputs">
      <h2 id="inputs">Begun with</h2>
      <Facts
        facts={[
          [
            "Started",
            <time key="at" dateTime={isoTime(told.startedAt)}>
              {moment(told.startedAt, now.value)}
            </time>,
          ],
          ["Repository", told.repository && repositoryName(told.repository)],
          ["Branch", told.branch && <code>{told.branch}</code>],
        ]}
      />
      <dl class="inputs">
        {told.inputs.map(({ name, value }) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd class="told">{value}</dd>
          </div>
        ))}
      </dl>
    </section>
  );
}
