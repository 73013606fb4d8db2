import { isFinal, type Run } from "../../api/types.js";
import { commandsOf, type PlanCommand } from "../../plans/machine/commands.js";
import { describePlan } from "../../plans/machine/describe-plan.js";
import { workBehind } from "../../plans/machine/sources.js";
import type { PlanState } from "../../plans/machine/state.js";
import { withDeadline } from "../../shared/deadline.js";
import { asSentence, cleanLine, cleanText } from "../../shared/text.js";
import type { Call, Services } from "../define-action.js";
import { describeWork, listCommits, tellBriefly } from "../describe-work.js";

/** What a person decides on at a gate, as it is open now: the decision is bound to it. */
export type OpenGate = Omit<Extract<PlanCommand, { type: "open-gate" }>, "id" | "type">;

/** What a gate shows of its own, and what agents have said before it: enough for a design. */
const TEXT_LIMIT = 8_000;
const RESULT_LIMIT = 3_000;
/** The work of so many runs is looked at; each is a request. */
const LOOKED_AT = 3;
/** Of a line some clients show so much. */
const FACT_CHARS = 118;
/** Commits that are named where each is of another branch; of more the number is told. */
const SHOWN_COMMITS = 10;
/** How long a gate waits for that, in ms. */
const LOOK_MS = 3_000;

/** Undefined where the gate is not open. */
export function lookAtGate(state: PlanState, step: string): OpenGate | undefined {
  const open = commandsOf(state).find((one) => one.type === "open-gate" && one.step === step);
  if (open?.type !== "open-gate") return undefined;
  const { id: _id, type: _type, ...gate } = open;
  return { ...gate, text: cleanText(gate.text, TEXT_LIMIT) };
}

/**
 * What a gate is about, in lines for a person: what it shows; what has come of the steps before it (results, tests,
 * merges) and how much their branches change. Everything that agents have written is bounded, and named as theirs.
 */
export async function describeGate(
  state: PlanState,
  gate: OpenGate,
  call: Call,
  services: Services,
): Promise<string> {
  const needs = state.plan.steps.find(({ id }) => id === gate.step)?.needs ?? [];
  const views = describePlan(state).steps.filter(({ id }) => needs.includes(id));
  const results = gate.text ? [] : tellResults(state, needs);
  const before = views.map(({ id, kind, status, outcome, items, reason }) => {
    const isTold = kind === "run" && (results.length > 0 || isShown(state, id, gate.text));
    const came = outcome && !isTold ? `: ${kind === "run" ? "its agent says: " : ""}${outcome}` : "";
    const why = reason && status !== "succeeded" ? ` (${cleanLine(reason, 200)})` : "";
    return `- ${id} ${status}${items ? ` ${items.done}/${items.of}` : ""}${why}${came}`;
  });
  const works = await describeWorks(state, needs, call, services);
  const again =
    gate.opening.attempt > 1 ? [`It is asked for the ${ordinal(gate.opening.attempt)} time.`] : [];
  const [first = "", ...rest] = [
    quote(gate.text),
    ...results,
    ...(before.length > 0 ? [["Before it:", ...before].join("\n")] : []),
    ...works.map(({ text }) => text),
    ...again,
  ].filter(Boolean);
  // Of a long form some clients show three lines: how much there is to decide on stands before what is said of it.
  const fact = cleanLine(works.flatMap((work) => work.fact ?? []).join("; "), FACT_CHARS);
  return [[fact, first].filter(Boolean).join("\n"), ...rest].join("\n\n");
}

/**
 * What a gate is about as far as the plan itself knows it, for where nothing is asked of the API: the branches with their
 * newest commits, then what the gate shows, or without that the words of the agents before it, bounded and quoted.
 */
export function tellGate(state: PlanState, { step, text, opening }: OpenGate): string {
  const needs = state.plan.steps.find(({ id }) => id === step)?.needs ?? [];
  const branches = new Map(workBehind(state, step).map(({ commit, branch }) => [commit, branch]));
  for (const { commit, branch } of Object.values(state.steps))
    if (commit !== undefined && branch !== undefined) branches.set(commit, branch);
  const commits = opening.commits.map((commit) => {
    const branch = branches.get(commit);
    return `- ${commit.slice(0, 10)}${branch ? ` on ${cleanLine(branch, 200)}` : ""}`;
  });
  const left = commits.length - SHOWN_COMMITS;
  return [
    commits.length === 0
      ? ""
      : ["Decided on:", ...commits.slice(0, SHOWN_COMMITS), ...(left > 0 ? [`- and ${left} more`] : [])].join(
          "\n",
        ),
    ...(text ? [quote(text)] : tellResults(state, needs)),
  ]
    .filter(Boolean)
    .join("\n\n");
}

/** True when what the step's agent has said is what the gate shows. */
function isShown({ steps }: PlanState, id: string, shown: string): boolean {
  const result = steps[id]?.attempts.findLast((attempt) => attempt.result !== undefined)?.result;
  const begin = cleanText(result ?? "", RESULT_LIMIT).slice(0, 100);
  return begin !== "" && shown.includes(begin);
}

/** What agents have said at their end, for a gate that shows nothing of its own. */
function tellResults({ steps }: PlanState, needs: readonly string[]): string[] {
  return needs.flatMap((id) => {
    const result = steps[id]?.attempts.findLast((attempt) => attempt.result !== undefined)?.result;
    return result === undefined
      ? []
      : [`${id}, its agent's words:\n${quote(cleanText(result, RESULT_LIMIT))}`];
  });
}

async function describeWorks(
  { steps }: PlanState,
  needs: readonly string[],
  call: Call,
  services: Services,
): Promise<{ fact?: string; text: string }[]> {
  const runIds = needs.flatMap((id) => {
    const now = steps[id];
    const attempts = now?.attempts.filter((one) => one.round === now.round && one.runId && one.branch) ?? [];
    // The newest run of each branch.
    return [...new Map(attempts.map((attempt) => [attempt.branch, attempt.runId as string])).values()];
  });
  const merged = needs.flatMap((id) => {
    const { branch, commit } = steps[id] ?? {};
    const where = `${cleanLine(branch ?? "", 200)}${commit ? ` (${commit.slice(0, 10)})` : ""}`;
    return branch ? [{ fact: `Merged on ${where}`, text: `Merged on ${where}.` }] : [];
  });
  const runs = await Promise.all(runIds.slice(-LOOKED_AT).map((runId) => readRun(runId, call, services)));
  const count = merged.length + runs.length;
  // Where there are several, how large each is comes before what is in one of them.
  const chars = count > 1 ? 0 : FACT_CHARS;
  return [...merged, ...runs.flatMap((run) => (run ? [tellWorkOf(run, chars)] : []))];
}

function readRun(runId: string, call: Call, { runs, clock }: Services): Promise<Run | undefined> {
  const read = (signal: AbortSignal) => runs.read(runId, signal);
  return withDeadline(clock, LOOK_MS, read, call.signal).catch(() => undefined);
}

/** @param chars the room for what stands first */
function tellWorkOf(run: Run, chars: number): { fact?: string; text: string } {
  const { work } = run;
  if (!work || !isFinal(run.status)) return { text: "" };
  if (work.commitCount === 0)
    return { text: work.problem ? asSentence(work.problem) : "Nothing is committed." };
  const look = describeWork(run)?.look;
  return {
    fact: tellBriefly(work, chars),
    text: [...listCommits(work), ...(look ? [`Look: ${look}`] : [])].join("\n"),
  };
}

/** What may be an agent's, set off from what this server says. */
function quote(text: string): string {
  return text.replace(/^/gm, text ? "> " : "");
}

function ordinal(number: number): string {
  return number === 2 ? "second" : number === 3 ? "third" : `${number}th`;
}
