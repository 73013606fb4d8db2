import type { GateView, PlanVersion } from "../../views/plan.js";
import { isoTime, moment } from "../format.js";
import { now } from "../now.js";
import { Status } from "./status.js";
import { TableFrame } from "./table-frame.js";

const DECIDED = { approve: "approved", "send-back": "sent back", stop: "stopped" } as const;

/** Each opening of a gate: who decided what, and when. */
export function Gates({ gates }: { gates: readonly GateView[] }) {
  if (gates.length === 0) return null;
  return (
    <section aria-labelledby="gates">
      <h2 id="gates">Gates</h2>
      <TableFrame label="Decisions at gates">
        <table class="table gates">
          <thead>
            <tr>
              <th scope="col">Gate</th>
              <th scope="col">Question</th>
              <th scope="col">Decision</th>
              <th scope="col">By</th>
              <th scope="col">When</th>
              <th scope="col">Commits</th>
            </tr>
          </thead>
          <tbody>
            {gates.map((gate) => (
              <tr key={`${gate.step} ${gate.attempt}`}>
                <th scope="row">
                  {gate.step}
                  {gate.attempt > 1 && <small class="muted"> opening {gate.attempt}</small>}
                </th>
                <td class="question">{gate.question}</td>
                <td class="decision">
                  {gate.decision ? DECIDED[gate.decision] : <Status status="waiting" />}
                  {gate.words && <q class="words">{gate.words}</q>}
                </td>
                <td>{gate.decision && (gate.decider || "not noted")}</td>
                <td class="number">
                  <When at={gate.decidedAt ?? gate.openedAt} />
                </td>
                <td>
                  {gate.commits.map((commit) => (
                    <div key={commit}>
                      <code>{commit.slice(0, 7)}</code>
                    </div>
                  ))}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </TableFrame>
    </section>
  );
}

function When({ at }: { at: number | undefined }) {
  return at === undefined ? null : <time dateTime={isoTime(at)}>{moment(at, now.value)}</time>;
}

/** How the plan was changed while it went on. */
export function Versions({ versions }: { versions: readonly PlanVersion[] }) {
  const newestFirst = [...versions].reverse();
  return (
    <section aria-labelledby="versions">
      <h2 id="versions">Versions</h2>
      <ol class="plain versions">
        {newestFirst.map((version) => (
          <li key={version.version}>
            <strong>{version.version}</strong>
            <When at={version.from} />
            <span>{changesOf(version)}</span>
          </li>
        ))}
      </ol>
    </section>
  );
}

function changesOf({ version, added, removed, changed }: PlanVersion): string {
  const parts = [
    added.length > 0 && `added ${added.join(", ")}`,
    removed.length > 0 && `removed ${removed.join(", ")}`,
    changed.length > 0 && `changed ${changed.join(", ")}`,
  ].filter(Boolean);
  return parts.join("; ") || (version === 1 ? "as it began" : "no step was changed");
}
