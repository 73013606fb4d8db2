import { useEffect } from "preact/hooks";
import { dismiss, type Notice, notices } from "../act.js";

/** How long a good outcome stays, in ms; a bad one stays until it is closed. */
const STAYS_MS = 8_000;

/** What came of actions, in the corner; screen readers hear it. */
export function Notices() {
  return (
    <div class="notices" aria-live="polite">
      {notices.value.map((notice) => (
        <NoticeCard key={notice.id} notice={notice} />
      ))}
    </div>
  );
}

function NoticeCard({ notice }: { notice: Notice }) {
  const { id, ok, text, detail } = notice;
  useEffect(() => {
    if (!ok) return undefined;
    const timer = window.setTimeout(() => dismiss(id), STAYS_MS);
    return () => window.clearTimeout(timer);
  }, [id, ok]);
  return (
    <div class={`notice ${ok ? "" : "notice-bad"}`}>
      <p class="told">
        <strong>{ok ? "Done. " : "Not done. "}</strong>
        {text}
      </p>
      {detail && <pre class="detail">{detail}</pre>}
      <button type="button" class="button quiet" onClick={() => dismiss(id)}>
        Close
      </button>
    </div>
  );
}
