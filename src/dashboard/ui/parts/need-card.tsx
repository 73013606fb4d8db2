import { useId } from "preact/hooks";
import type { NeedView } from "../../views/needs.js";
import { duration, isoTime } from "../format.js";
import { now } from "../now.js";
import { useLinks } from "./doing.js";
import { NeedAnswer } from "./need-answer.js";
import { ScrollFrame } from "./overflow.js";
import { QuotedText } from "./quoted-text.js";
import { StepChangeBox } from "./step-change.js";

const KINDS: Record<NeedView["kind"], string> = {
  question: "Question",
  permission: "Permission",
  gate: "Gate",
  agreement: "Agreement",
  lost: "Lost run",
  blocked: "Blocked",
};

/** Something that waits for a person, and the form that answers it. */
export function NeedCard({ need }: { need: NeedView }) {
  const heading = useId();
  const { title, detail, kind, cut } = need;
  return (
    <article class={`need need-${kind}`} aria-labelledby={heading} data-need={need.id}>
      <header class="need-head">
        <span class="tag tag-warn">{KINDS[kind]}</span>
        <Origin need={need} />
        <Since since={need.since} />
      </header>
      <h3 id={heading}>{title}</h3>
      {detail && <Detail kind={kind} text={detail} />}
      {cut && <p class="muted">Not all of it can be shown here, so it cannot be allowed from here.</p>}
      {need.call && <NeedAnswer need={need} />}
      {need.change && <StepChangeBox need={need} change={need.change} />}
    </article>
  );
}

/** What a gate is about has others' words in it; all else is shown as it is. */
function Detail({ kind, text }: { kind: NeedView["kind"]; text: string }) {
  if (kind === "gate")
    return (
      <ScrollFrame class="detail about-gate" label="What is decided on">
        <QuotedText text={text} />
      </ScrollFrame>
    );
  return (
    <ScrollFrame class="detail" label="What is needed to decide">
      <pre>{text}</pre>
    </ScrollFrame>
  );
}

function Origin({ need }: { need: NeedView }) {
  const links = useLinks();
  const { runId, planId } = need;
  const runName = need.session ?? need.workflow;
  return (
    <span class="origin">
      {planId && <Name text={need.plan ?? planId} href={links.plan?.(planId)} />}
      {need.step && <span class="muted">{need.step}</span>}
      {runId && runName && <Name text={runName} href={links.run?.(runId)} />}
      {runId && need.workflow && need.session && <span class="muted">{need.workflow}</span>}
    </span>
  );
}

function Name({ text, href }: { text: string; href: string | undefined }) {
  return href ? <a href={href}>{text}</a> : <span>{text}</span>;
}

function Since({ since }: { since: number | undefined }) {
  if (since === undefined) return null;
  return (
    <time class="since" dateTime={isoTime(since)}>
      waiting for {duration((now.value - since) / 1_000)}
    </time>
  );
}
