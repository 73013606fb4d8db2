import { useId, useState } from "preact/hooks";
import type { ChoiceView, NeedView } from "../../views/needs.js";
import { useAct } from "./doing.js";

/** The form that answers what waits for a person: its choices, and a field where own words are taken. */
export function NeedAnswer({ need }: { need: NeedView }) {
  const act = useAct();
  const [words, setWords] = useState("");
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
  const isAlone = need.words?.alone === true;
  const choices = need.several ? (
    <Several key="choices" choices={need.choices} busy={busy} onSend={(answer) => void send(answer)} />
  ) : (
    need.choices.length > 0 && <Choices key="choices" choices={need.choices} busy={busy} onChoose={choose} />
  );
  const box = need.words && (
    <div key="words" class="field">
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
  );
  return (
    <div class="answer" aria-busy={busy} data-send>
      {/* Words that stand for themselves come after what can be chosen, words behind a choice before it. */}
      {isAlone ? [choices, box] : [box, choices]}
      {(isAlone || busy) && (
        <div class="buttons">
          {isAlone && (
            <button
              type="button"
              data-sends
              class="button primary"
              disabled={busy || words.trim() === ""}
              onClick={() => void send(words.trim())}
            >
              Send my answer
            </button>
          )}
          {busy && <span class="muted">Sending…</span>}
        </div>
      )}
    </div>
  );
}

function Choices(props: {
  choices: readonly ChoiceView[];
  busy: boolean;
  onChoose(choice: ChoiceView): void;
}) {
  const { choices, busy, onChoose } = props;
  return (
    <div class="buttons">
      {choices.map((choice) => (
        <button
          key={choice.value}
          type="button"
          class={`button ${choice.value === "stop" ? "danger" : choice.weighty ? "strong" : ""}`}
          data-weighty={choice.weighty}
          data-sends={choice.takesWords}
          disabled={busy}
          title={choice.description}
          onClick={() => onChoose(choice)}
        >
          {choice.title}
        </button>
      ))}
    </div>
  );
}

/** Several of them may be given at once. */
function Several(props: { choices: readonly ChoiceView[]; busy: boolean; onSend(answer: string): void }) {
  const { choices, busy, onSend } = props;
  const [chosen, setChosen] = useState<readonly string[]>([]);
  return (
    <>
      <fieldset class="field">
        <legend>Choose one or more</legend>
        {choices.map(({ value, title, description }) => (
          <label key={value} class="choice">
            <input
              type="checkbox"
              checked={chosen.includes(value)}
              onChange={(event) =>
                setChosen(
                  event.currentTarget.checked ? [...chosen, value] : chosen.filter((one) => one !== value),
                )
              }
            />
            <span>
              {title}
              {description && <small class="muted">{description}</small>}
            </span>
          </label>
        ))}
      </fieldset>
      <div class="buttons">
        <button
          type="button"
          class="button primary"
          disabled={busy || chosen.length === 0}
          onClick={() => onSend(chosen.join(", "))}
        >
          Send the choice
        </button>
      </div>
    </>
  );
}
