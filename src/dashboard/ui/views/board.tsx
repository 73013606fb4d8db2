import { useMemo, useState } from "preact/hooks";
import type { BoardView } from "../../views/board.js";
import type { RunRow } from "../../views/run.js";
import { count, money, plural } from "../format.js";
import { board } from "../live.js";
import { NeedCard } from "../parts/need-card.js";
import { PlanLine } from "../parts/plan-line.js";
import { RunLine } from "../parts/run-line.js";
import { VirtualList } from "../parts/virtual-list.js";

/** From so many runs on there is a field to filter them. */
const FILTER_FROM = 8;
const ROW_PX = 49;

/** First what needs a person, then what is going on, then what has ended today. */
export function BoardPage() {
  const told = board.value;
  if (!told)
    return (
      <p class="page muted" role="status">
        Loading the board…
      </p>
    );
  return <Board board={told} />;
}

function Board({ board: told }: { board: BoardView }) {
  const [filter, setFilter] = useState("");
  const { needs, plans, running, queue, ended, endedLeft, problem, unread } = told;
  const open = useMemo(
    () => plans.filter(({ status }) => !["completed", "failed", "killed"].includes(status)),
    [plans],
  );
  const closed = useMemo(() => plans.filter((one) => !open.includes(one)), [plans, open]);
  const isLong = running.length + queue.length + ended.length >= FILTER_FROM;
  const isQuiet = [needs, plans, running, queue, ended].every((list) => list.length === 0);
  return (
    <div class="page">
      <h1 class="hidden">Board</h1>
      {!unread && <Totals board={told} />}
      {problem && (
        <p class="problem banner" role="status">
          {problem}
        </p>
      )}
      {unread && (
        <p class="muted" role="status">
          What goes on could not be read yet. It is shown here as soon as it can be.
        </p>
      )}
      {(!unread || needs.length > 0) && <Needs board={told} />}
      {!unread && isQuiet && (
        <p class="muted empty">
          Nothing is running, and nothing has ended today. Runs and plans that are started in the chat or in
          the terminal appear here.
        </p>
      )}
      {open.length > 0 && (
        <section aria-labelledby="plans">
          <Heading id="plans" text="Plans" of={open.length} />
          <div class="rows">
            <VirtualList
              label="Plans"
              count={open.length}
              estimate={ROW_PX}
              keyOf={(index) => open[index]?.planId ?? index}
              row={(index) => open[index] && <PlanLine plan={open[index]} />}
            />
          </div>
        </section>
      )}
      {isLong && (
        <div class="filter">
          <label for="filter">Filter the runs</label>
          <input
            id="filter"
            data-filter
            type="search"
            placeholder="session, workflow, branch, repository"
            value={filter}
            onInput={(event) => setFilter(event.currentTarget.value)}
          />
        </div>
      )}
      <Runs id="running" title="Running" runs={running} filter={filter} />
      <Runs id="queue" title="Queue" runs={queue} filter={filter} />
      <Runs id="ended" title="Ended today" runs={ended} filter={filter} left={endedLeft} />
      {closed.length > 0 && (
        <section aria-labelledby="closed">
          <Heading id="closed" text="Plans that have ended" of={closed.length} />
          <div class="rows">
            <VirtualList
              label="Plans that have ended"
              count={closed.length}
              estimate={ROW_PX}
              keyOf={(index) => closed[index]?.planId ?? index}
              row={(index) => closed[index] && <PlanLine plan={closed[index]} />}
            />
          </div>
        </section>
      )}
    </div>
  );
}

function Needs({ board: { needs } }: { board: BoardView }) {
  return (
    <section aria-labelledby="needs">
      <Heading id="needs" text="Needs you" of={needs.length} />
      <p class="hidden" role="status">
        {needs.length === 0 ? "Nothing waits for you." : `${plural(needs.length, "thing")} waiting for you.`}
      </p>
      {needs.length === 0 ? (
        <p class="muted calm">Nothing waits for you.</p>
      ) : (
        <div class="needs">
          {needs.map((need) => (
            <NeedCard key={need.id} need={need} />
          ))}
        </div>
      )}
    </section>
  );
}

function Totals({ board: { totals, queue } }: { board: BoardView }) {
  const facts: [name: string, value: string, note?: string][] = [
    ["need you", count(totals.needs)],
    ["running", count(totals.running)],
    ["in the queue", count(queue.length)],
    [
      "ended today",
      count(totals.endedToday),
      totals.failedToday > 0 ? `${count(totals.failedToday)} failed` : undefined,
    ].filter((one) => one !== undefined) as [string, string, string?],
    ["spent today", `${totals.costTodayAtLeast ? "> " : ""}${money(totals.costTodayUsd)}`],
  ];
  return (
    <dl class="totals">
      {facts.map(([name, value, note]) => (
        <div key={name} class={name === "need you" && totals.needs > 0 ? "total total-warn" : "total"}>
          <dt>{name}</dt>
          <dd>
            {value}
            {note && <small>{note}</small>}
          </dd>
        </div>
      ))}
    </dl>
  );
}

function Runs(props: { id: string; title: string; runs: RunRow[]; filter: string; left?: number }) {
  const { id, title, runs, filter, left = 0 } = props;
  const shown = useMemo(() => runs.filter((run) => fits(run, filter)), [runs, filter]);
  if (runs.length === 0) return null;
  return (
    <section aria-labelledby={id}>
      <Heading id={id} text={title} of={runs.length + left} shown={filter ? shown.length : undefined} />
      {shown.length === 0 ? (
        <p class="muted">None of them fits the filter.</p>
      ) : (
        <div class="rows">
          <VirtualList
            label={title}
            count={shown.length}
            estimate={ROW_PX}
            keyOf={(index) => shown[index]?.runId ?? index}
            row={(index) => shown[index] && <RunLine run={shown[index]} />}
          />
        </div>
      )}
      {left > 0 && <p class="muted">{plural(left, "more run")} ended today; the figures have them.</p>}
    </section>
  );
}

function fits(run: RunRow, filter: string): boolean {
  const words = filter.toLowerCase().split(/\s+/).filter(Boolean);
  const text = [run.session, run.workflow, run.branch, run.repository, run.plan, run.step, run.status]
    .join(" ")
    .toLowerCase();
  return words.every((word) => text.includes(word));
}

/** @param shown how many of them, where not all are */
function Heading({
  id,
  text,
  of,
  shown,
}: {
  id: string;
  text: string;
  of: number;
  shown?: number | undefined;
}) {
  const told = shown === undefined ? count(of) : `${count(shown)} of ${count(of)}`;
  return (
    <h2 id={id}>
      {text} {of > 0 && <span class="of">{told}</span>}
    </h2>
  );
}
