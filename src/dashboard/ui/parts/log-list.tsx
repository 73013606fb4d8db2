import { useCallback, useRef, useState } from "preact/hooks";
import type { LogEntry } from "../../views/run.js";
import { clockTime, count, isoTime } from "../format.js";
import { VirtualList } from "./virtual-list.js";

/** Of a longer detail the first lines are shown, until the reader wants all of it. */
const SHOWN_LINES = 8;
const ROW_PX = 30;

const WORDS: Record<LogEntry["kind"], string> = {
  turn: "turn",
  action: "action",
  command: "command",
  output: "output",
  file: "file",
  question: "question",
  answer: "answer",
  message: "says",
  status: "status",
  end: "end",
  other: "note",
};

export interface LogListProps {
  /** Its entries, which may grow in place, and how many older ones nobody has told; a new object comes with each growth. */
  log: { readonly entries: readonly LogEntry[]; readonly left: number };
  /** More may come. */
  isLive: boolean;
}

/** The log of a run, whose end stays in sight until the reader scrolls back. */
export function LogList({ log: { entries, left }, isLive }: LogListProps) {
  const frame = useRef<HTMLElement>(null);
  const [follows, setFollows] = useState(true);
  const [whole, setWhole] = useState<ReadonlySet<number>>(new Set());
  const onFollow = useCallback((value: boolean) => setFollows(value), []);
  const last = entries.at(-1);
  const toEnd = () => {
    setFollows(true);
    if (frame.current) frame.current.scrollTop = frame.current.scrollHeight;
  };
  return (
    <div class="log">
      {left > 0 && <p class="muted log-left">{count(left)} earlier entries are not shown.</p>}
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls has to be reached by the keyboard */}
      <section ref={frame} class="log-frame" tabIndex={0} aria-label="Log">
        {entries.length === 0 && <p class="muted log-left">Nothing has been told yet.</p>}
        <VirtualList
          label="Entries of the log"
          count={entries.length}
          estimate={ROW_PX}
          scroller={frame}
          follow={follows}
          onFollow={onFollow}
          keyOf={(index) => entries[index]?.key ?? index}
          row={(index) => {
            const entry = entries[index];
            return (
              entry && (
                <Entry
                  entry={entry}
                  isWhole={whole.has(entry.key)}
                  onWhole={() => setWhole(new Set([...whole, entry.key]))}
                />
              )
            );
          }}
        />
      </section>
      {!follows && (
        <button type="button" class="button log-end" onClick={toEnd}>
          {isLive ? "Follow the end" : "To the end"}
        </button>
      )}
      <p class="hidden" role="status">
        {last && isLive && last.kind !== "command" && last.kind !== "output"
          ? `${WORDS[last.kind]}: ${last.text}`
          : ""}
      </p>
    </div>
  );
}

function Entry(props: { entry: LogEntry; isWhole: boolean; onWhole(): void }) {
  const { entry, isWhole, onWhole } = props;
  const { at, kind, text, detail, cut } = entry;
  const lines = detail?.split("\n") ?? [];
  const isLong = !isWhole && lines.length > SHOWN_LINES;
  return (
    <div class={`entry entry-${kind}`}>
      {at === undefined ? <span /> : <time dateTime={isoTime(at)}>{clockTime(at)}</time>}
      <span class="entry-kind">{WORDS[kind]}</span>
      <div class="entry-body">
        {kind === "command" ? <code>{text}</code> : <span>{text}</span>}
        {detail && <pre>{isLong ? lines.slice(0, SHOWN_LINES).join("\n") : detail}</pre>}
        {isLong && (
          <button type="button" class="link" onClick={onWhole}>
            {count(lines.length - SHOWN_LINES)} more lines
          </button>
        )}
        {cut && !isLong && <small class="muted">The rest of it was not kept.</small>}
      </div>
    </div>
  );
}
