import { findNearest } from "../../shared/nearest.js";
import { cutText } from "../../shared/text.js";
import { showUnseen } from "../../shared/visible-text.js";

/** One mistake in a plan. */
export interface PlanProblem {
  /** Where: `steps[2].needs[0]`. Empty for the plan as a whole. */
  path: string;
  /** The step's id, where it has one. */
  step?: string;
  /** What is wrong; a sentence. */
  message: string;
  /** The known name that may be meant. */
  nearest?: string;
  /** The line as it could be written instead. */
  correction?: string;
  /** The line in the text, counted from 1, where the plan came as YAML. */
  line?: number;
}

/** More are counted, not told: whoever has made so many has made one mistake many times. */
const MAX_PROBLEMS = 500;
/** Names that are compared to find the nearest one, over all problems: comparing takes microseconds each. */
const MAX_COMPARISONS = 10_000;
const MAX_NAME_CHARS = 64;

export interface Problems {
  /** Notes a mistake. */
  add(problem: PlanProblem): void;
  /** The most similar of the names, if any is near enough. */
  nearest(wanted: string, names: readonly string[]): string | undefined;
  /** In the order of the text. */
  all(): PlanProblem[];
}

/** Collects what is wrong, so that all of it can be told at once. */
export function collectProblems(): Problems {
  const found: PlanProblem[] = [];
  let comparisons = 0;
  let left = 0;
  return {
    add(problem) {
      if (found.length < MAX_PROBLEMS) found.push(problem);
      else left++;
    },
    nearest(wanted, names) {
      if (wanted.length > MAX_NAME_CHARS || comparisons + names.length > MAX_COMPARISONS) return undefined;
      comparisons += names.length;
      return findNearest(wanted, names, 1)[0];
    },
    all: () =>
      left === 0
        ? found
        : [...found, { path: "", message: `There are ${left} mistakes more, which are not listed.` }],
  };
}

/** A problem as one or two lines for a person: where, what, and how it could be written. */
export function describeProblem({ path, step, line, message, correction }: PlanProblem): string {
  const where = [path || "The plan", step && `step ${step}`, line && `line ${line}`].filter(Boolean);
  const [first, ...rest] = where;
  const place = rest.length > 0 ? `${first} (${rest.join(", ")})` : first;
  return `${place}: ${message}${correction ? `\n  Write: ${correction}` : ""}`;
}

/** A value from the plan, as it is quoted in a message. */
export function quote(value: unknown): string {
  return `"${onOneLine(typeof value === "string" ? value : (JSON.stringify(value) ?? String(value)), 80)}"`;
}

/** A text of the plan as it is shown: on one line, with what nobody would see named, and no longer than it may be. */
export function onOneLine(text: string, limit: number): string {
  const line = showUnseen(cutText(text, limit).replace(/\s+/g, " ")).trim();
  return text.length > limit ? `${line}…` : line;
}

/** A line of the plan: `needs: [design, ok]`. What holds characters that YAML reads as signs is put in quotes. */
export function planLine(key: string, value: unknown): string {
  return `${onOneLine(key, 64)}: ${inline(value)}`;
}

function inline(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(inline).join(", ")}]`;
  if (typeof value === "object" && value !== null)
    return `{ ${Object.entries(value)
      .map(([key, part]) => planLine(key, part))
      .join(", ")} }`;
  if (typeof value !== "string") return String(value);
  const text = onOneLine(value, 120);
  const isPlain = /^[A-Za-z][\w./ -]*$/.test(text) && !/^(?:true|false|null|yes|no|on|off)$/i.test(text);
  return isPlain ? text : JSON.stringify(text);
}
