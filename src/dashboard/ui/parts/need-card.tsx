import { useId, useState } from "preact/hooks";
import type { ChoiceView, NeedView } from "../../views/needs.js";
import { duration, isoTime } from "../format.js";
import { now } from "../now.js";
import { useAct, useLinks } from "./doing.js";
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
      {detail && <pre class="detail">{detail}</pre>}
      {cut && <p class="muted">Not all of it can be shown here, so it cannot be allowed from here.</p>}
      {need.call && <Answer need={need} />}
      {need.change && <StepChangeBox need={need} change={need.change} />}
    </article>
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

function Answer({ need }: { need: NeedView }) {
  const act = useAct();
  const [words, setWords] = useState("");
  const [chosen, setChosen] = useState<string[]>([]);
  const [busy, setBusy] = useState(false);
  const [missing, setMissing] = useState(false);
  const field = useId();

  const send = async (answer: string) => {
    if (!need.call || busy) return;
    setBusy(true);
    const outcome = await act(need.call.action, { ...need.call.arguments, answer });
    // What was answered goes away by itself; what was refused can be tried again.
    if (!outcome.ok) setBusy(false);
    else setTimeout(() => setBusy(false), 5_000);
  };
  const choose = ({ value, takesWords }: ChoiceView) => {
    if (takesWords && words.trim() === "") {
      setMissing(true);
      document.getElementById(field)?.focus();
      return;
    }
    void send(takesWords ? value + words.trim() : value);
  };
  const hasOwn = need.words?.alone && words.trim() !== "";
  return (
    <div class="answer" aria-busy={busy} data-send>
      {need.several && (
        <fieldset class="field">
          <legend class="muted">Choose one or more</legend>
          {need.choices.map((choice) => (
            <label key={choice.value} class="choice">
              <input
                type="checkbox"
                checked={chosen.includes(choice.value)}
                onChange={(event) =>
                  setChosen(
                    event.currentTarget.checked
                      ? [...chosen, choice.value]
                      : chosen.filter((value) => value !== choice.value),
                  )
                }
              />
              <span>
                {choice.title}
                {choice.description && <small class="muted">{choice.description}</small>}
              </span>
            </label>
          ))}
        </fieldset>
      )}
      {need.words && (
        <div class="field">
          <label for={field}>{need.words.label}</label>
          <textarea
            id={field}
            rows={2}
            value={words}
            aria-invalid={missing}
            onInput={(event) => {
              setWords(event.currentTarget.value);
              setMissing(false);
            }}
          />
          {missing && (
            <p class="problem" role="alert">
              Say what is to be changed first.
            </p>
          )}
        </div>
      )}
      <div class="buttons">
        {need.several ? (
          <button
            type="button"
            class="button primary"
            disabled={busy || chosen.length === 0}
            onClick={() => void send(chosen.join(", "))}
          >
            Send the choice
          </button>
        ) : (
          need.choices.map((choice) => (
            <button
              key={choice.value}
              type="button"
              class={`button ${choice.value === "stop" ? "danger" : choice.weighty ? "strong" : ""}`}
              disabled={busy}
              title={choice.description}
              onClick={() => choose(choice)}
            >
              {choice.title}
            </button>
          ))
        )}
        {need.words?.alone && (
          <button
            type="button"
            data-sends
            class="button primary"
            disabled={busy || !hasOwn}
            onClick={() => void send(words.trim())}
          >
            Send my answer
          </button>
        )}
        {busy && <span class="muted">Sending…</span>}
      </div>
    </div>
  );
}
