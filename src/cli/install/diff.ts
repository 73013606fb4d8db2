import { diffArrays } from "diff";
import { applyEdits, format } from "jsonc-parser";

/** How many lines around a change are shown. */
const CONTEXT = 2;
/** With more changed lines than these, one file is shown as removed and the other as added. */
const MAX_CHANGES = 2_000;

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

/**
 * The same for JSON: what stands all on one line is shown on several, since nobody would see there what changes.
 * Layout alone is no change then.
 */
export function renderJsonDiff(before: string, after: string): string {
  const isOneLine = before.trim() !== "" && !before.trim().includes("\n");
  if (!isOneLine) return renderDiff(before, after);
  const shown = renderDiff(onLines(before), onLines(after));
  return `(The file is on one line; here it is shown on several.)\n${shown}`;
}

function onLines(text: string): string {
  return applyEdits(text, format(text, undefined, { insertSpaces: true, tabSize: 2, eol: "\n" }));
}

function split(text: string): string[] {
  const lines = text.split(/\r?\n/);
  if (lines.at(-1) === "") lines.pop();
  return lines;
}

function compare(before: string[], after: string[]): Line[] {
  const parts = diffArrays(before, after, { maxEditLength: MAX_CHANGES }) ?? [
    { value: before, removed: true, added: false },
    { value: after, removed: false, added: true },
  ];
  return parts.flatMap(({ value, removed, added }) =>
    value.map((text): Line => ({ sign: removed ? "-" : added ? "+" : " ", text })),
  );
}

/** A name that sounds secret, and its value in JSON, TOML, YAML or a flag; references to variables are none, nor is yes or no. */
const NAMED =
  /(?<![\w.-]|\$\{)([\w.-]*(?:key|token|secret|passw|auth|credential)[\w.-]*["']?\s*[:=]\s*)(?!["']?\$\{|(?:true|false|null)\s*(?:[,}]|$))("(?:[^"\\]|\\.)*"|'[^']*'|[^\s,{}[\]"']+)/gi;
/** Letters and digits without an end. */
const RANDOM = /(?=[\w-]*\d)(?=[\w-]*[A-Za-z])[\w-]{20,}/g;
const CREDENTIALS = /\/\/[^/@\s"']+@/g;

/** A line without its layout: one that was only formatted anew has not changed. */
function squeeze(text: string): string {
  return text.replace(/\s+|,\s*$/g, "");
}

function conceal(text: string, isNew: boolean): string {
  const named = text.replace(NAMED, '$1"…"');
  if (isNew) return named;
  return named.replace(RANDOM, "…").replace(CREDENTIALS, "//…@");
}
