import type { WidgetRun } from "../../views/widget.js";
import { costText, duration, repositoryName } from "../format.js";
import { now } from "../now.js";
import { useAct } from "../parts/doing.js";
import { Facts } from "../parts/facts.js";
import { FeedbackBox } from "../parts/feedback-box.js";
import { NeedCard } from "../parts/need-card.js";
import { statusOf, Turns } from "../parts/run-line.js";
import { Status } from "../parts/status.js";

/** A run in the chat: how it stands, what it asks, and what can be said to it. */
export function RunCard({ run }: { run: WidgetRun }) {
  const act = useAct();
  const { runId, may, error, result, work } = run;
  const isLive = run.endedAt === undefined && !["completed", "failed", "killed"].includes(run.status);
  return (
    <article aria-label={`Run ${run.session}`} class="card">
      <header class="card-head">
        <Status status={statusOf(run)} />
        <h1>{run.session}</h1>
        <span class="muted">{run.workflow}</span>
        {may.includes("kill") && (
          <button type="button" class="button danger" onClick={() => void act("kill", { run_id: runId })}>
            Kill…
          </button>
        )}
      </header>
      {run.action && <p class="card-action">{run.action}</p>}
      <Facts
        facts={[
          ["Progress", run.turn === undefined ? undefined : <Turns run={run} />],
          ["Cost", costText(run)],
          ["Time", timeOf(run)],
          ["Repository", run.repository && repositoryName(run.repository)],
          ["Branch", run.branch && <code>{run.branch}</code>],
          ["Changes", work && changesOf(work)],
        ]}
      />
      {error && <p class="problem banner told">{error}</p>}
      {run.needs.map((need) => (
        <NeedCard key={need.id} need={need} />
      ))}
      {result && !isLive && <pre class="detail">{result}</pre>}
      {may.includes("feedback") && <FeedbackBox runId={runId} />}
    </article>
  );
}

function timeOf({ durationS, startedAt, endedAt }: WidgetRun): string | undefined {
  if (durationS !== undefined && endedAt !== undefined) return duration(durationS);
  return startedAt === undefined ? undefined : duration(((endedAt ?? now.value) - startedAt) / 1_000);
}

function changesOf({ commitCount, insertions, deletions }: NonNullable<WidgetRun["work"]>): string {
  const commits = `${commitCount} ${commitCount === 1 ? "commit" : "commits"}`;
  return insertions === undefined ? commits : `${commits}, +${insertions} −${deletions ?? 0}`;
}
