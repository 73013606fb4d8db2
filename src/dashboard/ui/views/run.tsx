import type { ComponentChildren } from "preact";
import { useEffect, useState } from "preact/hooks";
import type { FormView } from "../../views/calls.js";
import type { DiffView, RunDetail } from "../../views/run.js";
import { costText, count, duration, isoTime, moment, repositoryName } from "../format.js";
import { gone, log, run } from "../live.js";
import { now } from "../now.js";
import { ActionForm } from "../parts/action-form.js";
import { DiffText } from "../parts/diff-text.js";
import { useAct, useLinks } from "../parts/doing.js";
import { Facts } from "../parts/facts.js";
import { FeedbackBox } from "../parts/feedback-box.js";
import { LogList } from "../parts/log-list.js";
import { NeedCard } from "../parts/need-card.js";
import { ScrollFrame } from "../parts/overflow.js";
import { statusOf } from "../parts/run-line.js";
import { Status } from "../parts/status.js";
import { Tabs } from "../parts/tabs.js";
import { get } from "../requests.js";

/** One run: its log as it goes on, what it has changed, and what can be done with it. */
export function RunPage({ id }: { id: string }) {
  const told = run.value;
  if (gone.value !== undefined) return <p class="page">{gone.value}</p>;
  if (!told || told.runId !== id) return <p class="page muted">Looking for the run…</p>;
  return <Run run={told} />;
}

function Run({ run: told }: { run: RunDetail }) {
  const [tab, setTab] = useState("log");
  const isLive = told.endedAt === undefined;
  return (
    <div class="page">
      <header class="title">
        <div class="title-name">
          <Status status={statusOf(told)} />
          <h1>{told.session}</h1>
          <Where run={told} />
        </div>
        <RunActions run={told} />
      </header>
      <RunFacts run={told} />
      {told.error && <p class="problem banner told">{told.error}</p>}
      {told.needs.map((need) => (
        <NeedCard key={need.id} need={need} />
      ))}
      <div class="columns">
        <Tabs
          label="Parts of the run"
          shown={tab}
          onShow={setTab}
          tabs={[
            {
              name: "log",
              title: "Log",
              body: () => (
                <>
                  {told.logNote && <p class="muted">{told.logNote}</p>}
                  <LogList log={log.value} isLive={isLive} />
                </>
              ),
            },
            ...(told.may.includes("diff")
              ? [{ name: "diff", title: <DiffTitle run={told} />, body: () => <Diff run={told} /> }]
              : []),
          ]}
        />
        <aside class="side">
          {told.may.includes("feedback") && <FeedbackBox runId={told.runId} />}
          <Side title="Task" text={told.task} />
          <Side title="Result" text={told.result} />
          <Work run={told} />
        </aside>
      </div>
    </div>
  );
}

function Where({ run: told }: { run: RunDetail }) {
  const links = useLinks();
  const plan = told.planId && links.plan?.(told.planId);
  return (
    <p class="muted where">
      {told.workflow}
      {told.plan && (
        <>
          {" · plan "}
          {plan ? <a href={plan}>{told.plan}</a> : told.plan}
          {told.step && ` / ${told.step}`}
        </>
      )}
      {told.action && told.endedAt === undefined && ` · ${told.action}`}
    </p>
  );
}

function RunFacts({ run: told }: { run: RunDetail }) {
  const { turn, expectedTurns, maxTurns, startedAt, endedAt, lastSeenAt, tokens, mergedInto } = told;
  const seconds =
    told.durationS ?? (startedAt === undefined ? undefined : ((endedAt ?? now.value) - startedAt) / 1_000);
  const usual = [
    expectedTurns !== undefined && `usually about ${expectedTurns}`,
    maxTurns !== undefined && `at most ${maxTurns}`,
  ].filter(Boolean);
  return (
    <Facts
      facts={[
        [
          "Turns",
          turn === undefined ? undefined : (
            <>
              {turn}
              {usual.length > 0 && <small class="muted">{usual.join(", ")}</small>}
            </>
          ),
        ],
        ["Cost", costText(told)],
        ["Time", seconds === undefined ? undefined : duration(seconds)],
        ["Tokens", tokens === undefined ? undefined : count(tokens)],
        [endedAt === undefined ? "Last seen" : "Ended", sinceText(endedAt, lastSeenAt)],
        ["Agent", told.agent],
        ["Model", told.model],
        [
          "Repository",
          told.repository && <span title={told.repository}>{repositoryName(told.repository)}</span>,
        ],
        ["Branch", told.branch && <code>{told.branch}</code>],
        ["Merged into", mergedInto && <code>{mergedInto}</code>],
      ]}
    />
  );
}

function sinceText(endedAt: number | undefined, lastSeenAt: number | undefined): ComponentChildren {
  if (endedAt !== undefined) return <time dateTime={isoTime(endedAt)}>{moment(endedAt, now.value)}</time>;
  return lastSeenAt === undefined ? undefined : `${duration((now.value - lastSeenAt) / 1_000)} ago`;
}

function RunActions({ run: told }: { run: RunDetail }) {
  const act = useAct();
  const [taking, setTaking] = useState(false);
  const { runId, may } = told;
  return (
    <div class="buttons">
      {may.includes("take") && (
        <button type="button" class="button primary" onClick={() => setTaking(true)}>
          Take…
        </button>
      )}
      {may.includes("discard") && (
        <button type="button" class="button danger" onClick={() => void act("discard", { run_id: runId })}>
          Discard…
        </button>
      )}
      {may.includes("kill") && (
        <button type="button" class="button danger" onClick={() => void act("kill", { run_id: runId })}>
          Kill…
        </button>
      )}
      {taking && (
        <ActionForm
          form={takeForm(told)}
          look={{ send: "Go on…" }}
          reply={(values) => {
            setTaking(false);
            if (!values) return;
            const { squash, ...rest } = values;
            void act("take", { run_id: runId, ...rest, ...(squash === "true" ? { squash: true } : {}) });
          }}
        />
      )}
    </div>
  );
}

/** How the work is to be taken; whether it is, the server asks after that. */
function takeForm({ session, work }: RunDetail): FormView {
  return {
    id: "take",
    message: `Take the work of ${session}\nIts commits are merged into a branch of the repository, after you have agreed.`,
    fields: [
      {
        name: "into",
        title: "Into the branch",
        description: work?.baseBranch
          ? `Left empty: ${work.baseBranch}`
          : "Left empty: the branch it began from",
        required: false,
      },
      {
        name: "check",
        title: "Only if this command passes on the merge",
        description: "For example: npm test",
        required: false,
      },
      { name: "squash", title: "As one commit", description: "", required: false, type: "boolean" },
    ],
  };
}

function DiffTitle({
  run: { work, insertions = work?.insertions, deletions = work?.deletions },
}: {
  run: RunDetail;
}) {
  return (
    <>
      Diff
      {insertions !== undefined && <small class="tone-ok"> +{insertions}</small>}
      {deletions !== undefined && <small class="tone-bad"> −{deletions}</small>}
    </>
  );
}

/** Asked for when it is looked at, and again when the run has changed its files since. */
function Diff({ run: told }: { run: RunDetail }) {
  const [diff, setDiff] = useState<DiffView>();
  const [problem, setProblem] = useState<string>();
  const stand = `${told.work?.commitCount ?? 0} ${told.filesChanged.length} ${told.endedAt ?? ""}`;
  useEffect(() => {
    const asking = new AbortController();
    get<DiffView>(`api/runs/${encodeURIComponent(told.runId)}/diff`, asking.signal).then(
      (answer) => {
        setDiff(answer);
        setProblem(undefined);
      },
      (error: Error) => asking.signal.aborted || setProblem(error.message),
    );
    return () => asking.abort();
  }, [told.runId, stand]);
  if (problem !== undefined) return <p class="problem">{problem}</p>;
  return diff ? <DiffText diff={diff} /> : <p class="muted">Reading the difference…</p>;
}

function Side({ title, text }: { title: string; text: string | undefined }) {
  if (!text) return null;
  return (
    <section>
      <h2>{title}</h2>
      <ScrollFrame class="side-text" label={title}>
        <p class="told">{text}</p>
      </ScrollFrame>
    </section>
  );
}

function Work({ run: { work, filesChanged } }: { run: RunDetail }) {
  return (
    <>
      {work && work.commits.length > 0 && (
        <section>
          <h2>
            Commits <span class="of">{work.commitCount}</span>
          </h2>
          <ul class="plain">
            {work.commits.map(({ id, title }) => (
              <li key={id}>
                <code class="muted">{id.slice(0, 7)}</code> {title}
              </li>
            ))}
          </ul>
          {work.problem && <p class="problem">{work.problem}</p>}
          {work.uncommitted && <p class="muted">There are changes that are in no commit.</p>}
        </section>
      )}
      {filesChanged.length > 0 && (
        <section>
          <h2>
            Files <span class="of">{filesChanged.length}</span>
          </h2>
          <ul class="plain">
            {filesChanged.slice(0, 40).map((path) => (
              <li key={path}>
                <code>{path}</code>
              </li>
            ))}
            {filesChanged.length > 40 && <li class="muted">and {filesChanged.length - 40} more</li>}
          </ul>
        </section>
      )}
    </>
  );
}
