import type { RunRow } from "../../views/run.js";
import { costText, duration, isoTime, moment, repositoryName } from "../format.js";
import { now } from "../now.js";
import { useLinks } from "./doing.js";
import { Status } from "./status.js";

/** The state of a run in the words of the page. */
export function statusOf(run: RunRow): string {
  if (run.waits) return "waiting";
  if (run.queue) return "queued";
  return run.stalledMs !== undefined ? "stalled" : run.status;
}

/** A run as one row of a list. */
export function RunLine({ run }: { run: RunRow }) {
  const href = useLinks().run?.(run.runId);
  return (
    <div class="run-line">
      <Status status={statusOf(run)} />
      <span class="run-name">
        {href ? <a href={href}>{run.session}</a> : <span>{run.session}</span>}
        <small class="muted">
          {run.workflow}
          {run.plan && ` · ${run.plan}${run.step ? ` / ${run.step}` : ""}`}
        </small>
      </span>
      <span class="run-action" title={run.error ?? run.action ?? run.about}>
        {run.error ?? run.action ?? run.about ?? (run.queue ? queueText(run.queue) : "")}
      </span>
      <Turns run={run} />
      <span class="run-branch muted" title={run.branch}>
        {run.branch ?? (run.repository ? repositoryName(run.repository) : "")}
      </span>
      <span class="number">{costText(run)}</span>
      <Age run={run} />
    </div>
  );
}

function queueText({ position, inS }: NonNullable<RunRow["queue"]>): string {
  const place = position === undefined ? "waits for a free slot" : `number ${position} in the queue`;
  return inS === undefined ? place : `${place}, in about ${duration(inS)}`;
}

/** The turn, and how far that is of what is usual or allowed. */
export function Turns({ run }: { run: RunRow }) {
  const { turn, maxTurns, expectedTurns, endedAt } = run;
  if (turn === undefined) return <span class="turns" />;
  if (endedAt !== undefined) return <span class="turns number">{turn} turns</span>;
  const usual = expectedTurns ?? maxTurns;
  return (
    <span class="turns number">
      <span>
        turn {turn}
        {expectedTurns !== undefined ? (
          <>
            {" of "}
            <span aria-hidden="true">~</span>
            <span class="hidden">about </span>
            {expectedTurns}
          </>
        ) : (
          maxTurns !== undefined && ` of ${maxTurns}`
        )}
      </span>
      {usual !== undefined && <progress max={usual} value={Math.min(turn, usual)} aria-hidden="true" />}
    </span>
  );
}

/** Of a run that goes on its age and last sign of life, else when it ended and how long it took. */
function Age({ run }: { run: RunRow }) {
  const { startedAt, endedAt, lastSeenAt } = run;
  if (endedAt !== undefined) {
    return (
      <span class="age number">
        <time dateTime={isoTime(endedAt)}>{moment(endedAt, now.value)}</time>
        {startedAt !== undefined && <small class="muted">{duration((endedAt - startedAt) / 1_000)}</small>}
      </span>
    );
  }
  return (
    <span class="age number">
      {startedAt !== undefined && (
        <time dateTime={isoTime(startedAt)}>{duration((now.value - startedAt) / 1_000)}</time>
      )}
      {lastSeenAt !== undefined && (
        <small class="muted">seen {duration((now.value - lastSeenAt) / 1_000)} ago</small>
      )}
    </span>
  );
}
