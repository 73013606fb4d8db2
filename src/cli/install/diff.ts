/** Lines around a change that are shown with it. */
const CONTEXT = 2;
/** Beyond so many comparisons the changed middle is shown whole. */
const MAX_CELLS = 4_000_000;

interface Line {
  sign: " " | "-" | "+";
  text: string;
}

/**
 * What changes from one text to another, line by line, as in `diff -u`. Values of names like `token` are not shown,
 * nor what looks like one in the lines around: who helps with an installation must not get to see them.
 */
export function renderDiff(before: string, after: string): string {
  const lines = compare(split(before), split(after));
  const near = lines.map((_, index) =>
    lines.slice(Math.max(0, index - CONTEXT), index + CONTEXT + 1).some(({ sign }) => sign !== " "),
  );
  const old = squeeze(before);
  const shown: string[] = [];
  for (const [index, { sign, text }] of lines.entries()) {
    if (near[index])
      shown.push(`${sign} ${conceal(text, sign === "+" && !old.includes(squeeze(text)))}`.trimEnd());
    else if (near[index - 1]) shown.push("  …");
  }
  if (shown.at(-1) === "  …") shown.pop();
  return shown.map((line) => `${line}\n`).join("");
}

function split(text: string): string[] {
  const lines = text.split(/\r?\n/);
  if (lines.at(-1) === "") lines.pop();
  return lines;
}

function compare(before: string[], after: string[]): Line[] {
  let start = 0;
  while (start < before.length && start < after.length && before[start] === after[start]) start++;
  let tail = 0;
  const most = Math.min(before.length, after.length) - start;
  while (tail < most && before.at(-1 - tail) === after.at(-1 - tail)) tail++;
  const same = (text: string): Line => ({ sign: " ", text });
  return [
    ...before.slice(0, start).map(same),
    ...compareMiddle(before.slice(start, before.length - tail), after.slice(start, after.length - tail)),
    ...before.slice(before.length - tail).map(same),
  ];
}

/** By the longest common subsequence. */
function compareMiddle(before: string[], after: string[]): Line[] {
  const removed = before.map((text): Line => ({ sign: "-", text }));
  const added = after.map((text): Line => ({ sign: "+", text }));
  if (before.length * after.length > MAX_CELLS) return [...removed, ...added];
  const width = after.length + 1;
  const lengths = new Uint32Array((before.length + 1) * width);
  const cell = (i: number, j: number) => lengths[i * width + j] ?? 0;
  for (let i = before.length - 1; i >= 0; i--) {
    for (let j = after.length - 1; j >= 0; j--) {
      lengths[i * width + j] =
        before[i] === after[j] ? cell(i + 1, j + 1) + 1 : Math.max(cell(i + 1, j), cell(i, j + 1));
    }
  }
  const lines: Line[] = [];
  let [i, j] = [0, 0];
  while (i < before.length && j < after.length) {
    if (before[i] === after[j]) {
      lines.push({ sign: " ", text: before[i] as string });
      i++;
      j++;
    } else lines.push(cell(i + 1, j) >= cell(i, j + 1) ? (removed[i++] as Line) : (added[j++] as Line));
  }
  return [...lines, ...removed.slice(i), ...added.slice(j)];
}

/** A name that sounds secret, and its value in JSON, TOML, YAML or a flag; references to variables are none, nor is yes or no. */
const NAMED =
  /(?<![\w.-]|\$\{)([\w.-]*(?:key|token|secret|passw|auth|credential)[\w.-]*["']?\s*[:=]\s*)(?!["']?\$\{|(?:true|false|null)\s*(?:[,}]|$))("(?:[^"\\]|\\.)*"|'[^']*'|[^\s,{}[\]"']+)/gi;
/** Letters and digits without an end. */
const RANDOM = /(?=[\w-]*\d)(?=[\w-]*[A-Za-z])[\w-]{20,}/g;
const CREDENTIALS = /\/\/[^/@\s"']+@/g;

/** What was only laid out anew is not new. */
function squeeze(text: string): string {
  return text.replace(/\s+|,\s*$/g, "");
}

function conceal(text: string, isNew: boolean): string {
  const named = text.replace(NAMED, '$1"…"');
  if (isNew) return named;
  return named.replace(RANDOM, "…").replace(CREDENTIALS, "//…@");
}
