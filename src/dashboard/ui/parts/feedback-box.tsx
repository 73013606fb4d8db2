import { useId, useState } from "preact/hooks";
import { useAct } from "./doing.js";

/** Words to a run that goes on. */
export function FeedbackBox({ runId }: { runId: string }) {
  const act = useAct();
  const id = useId();
  const [words, setWords] = useState("");
  const [busy, setBusy] = useState(false);
  const send = async (event: Event) => {
    event.preventDefault();
    if (words.trim() === "" || busy) return;
    setBusy(true);
    const { ok } = await act("feedback", { run_id: runId, message: words.trim() });
    setBusy(false);
    if (ok) setWords("");
  };
  return (
    <form class="feedback" data-send onSubmit={(event) => void send(event)}>
      <label for={id}>
        <h2>Feedback</h2>
      </label>
      <textarea
        id={id}
        data-feedback
        rows={3}
        placeholder="Reaches the agent with its next turn"
        value={words}
        onInput={(event) => setWords(event.currentTarget.value)}
      />
      <button type="submit" data-sends class="button primary" disabled={busy || words.trim() === ""}>
        {busy ? "Sending…" : "Send feedback"}
      </button>
    </form>
  );
}
