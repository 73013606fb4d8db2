import { useMemo, useState } from "preact/hooks";
import type { DiffView } from "../../views/run.js";
import { plural } from "../format.js";
import { type DiffLine, readDiff } from "./read-diff.js";
import { VirtualList } from "./virtual-list.js";

const ROW_PX = 21;
const SIGNS = { add: "+", remove: "−", same: "", file: "", hunk: "", note: "" } as const;
/** For screen readers, which do not say signs. */
const SPOKEN = { add: "added: ", remove: "removed: ", same: "", file: "", hunk: "", note: "" } as const;

/** What a session has changed. */
export function DiffText({ diff }: { diff: DiffView }) {
  const { lines, files } = useMemo(() => readDiff(diff.text), [diff.text]);
  const [jump, setJump] = useState<{ index: number }>();
  if (diff.text.trim() === "") return <p class="muted">Nothing has changed.</p>;
  const names = diff.branch && diff.baseBranch ? ` of ${diff.branch} against ${diff.baseBranch}` : "";
  return (
    <div class="diff">
      <p class="muted">
        {plural(files.length, "file")}
        {names}
      </p>
      <ul class="diff-files">
        {files.map((file) => (
          <li key={file.index}>
            <button type="button" class="link" onClick={() => setJump({ index: file.index })}>
              {file.path}
            </button>
            <span class="number">
              {file.added > 0 && <span class="tone-ok">+{file.added} </span>}
              {file.removed > 0 && <span class="tone-bad">−{file.removed}</span>}
            </span>
          </li>
        ))}
      </ul>
      <div class="diff-lines">
        <VirtualList
          label="Lines of the difference"
          count={lines.length}
          estimate={ROW_PX}
          jump={jump}
          keyOf={(index) => index}
          row={(index) => lines[index] && <Line line={lines[index]} />}
        />
      </div>
      {diff.cut && <p class="muted">There is more than can be shown; git on its branch has all of it.</p>}
    </div>
  );
}

function Line({ line }: { line: DiffLine }) {
  const { kind, text, before, after } = line;
  if (kind === "file" || kind === "hunk" || kind === "note")
    return <div class={`diff-line diff-${kind}`}>{text}</div>;
  return (
    <div class={`diff-line diff-${kind}`}>
      <span class="diff-number">{before}</span>
      <span class="diff-number">{after}</span>
      <span class="diff-sign" aria-hidden="true">
        {SIGNS[kind]}
      </span>
      <code>
        <span class="hidden">{SPOKEN[kind]}</span>
        {text}
      </code>
    </div>
  );
}
