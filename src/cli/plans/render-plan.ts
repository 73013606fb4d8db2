import type { PlanSight } from "../../plan-runner/runner.js";
import { tellUnsure } from "../../plans/machine/count-runs.js";
import { describePlan, type PlanView, type StepView } from "../../plans/machine/describe-plan.js";
import { branchesOf } from "../../plans/machine/plan-branches.js";
import type { WaitingFor } from "../../plans/machine/plan-status.js";
import { isGoing, type PlanState } from "../../plans/machine/state.js";
import { isLocalRepository } from "../../shared/git/repository-address.js";
import { shellWord } from "../../shared/shell-word.js";
import { asSentence, cleanLine } from "../../shared/text.js";
import { tellSpan, wrapWords } from "../sessions/fit-text.js";
import { renderRows } from "../table.js";
import { type PaintOptions, tellCost, toneOf } from "./render-plans.js";

const BIN = "automagik-workflows-mcp";

const COLUMNS = ["step", "kind", "state", "try", "turns", "cost", "branch"] as const;
type Column = (typeof COLUMNS)[number];

const SHRINK: readonly (readonly [Column, number])[] = [
  ["state", 40],
  ["branch", 20],
  ["step", 24],
  ["branch", 0],
  ["kind", 0],
  ["state", 24],
  ["turns", 0],
  ["try", 0],
  ["cost", 0],
  ["step", 12],
];

/** Items of one step that are shown; a step may have a thousand. */
const MAX_ITEMS = 40;

/**
 * How a plan stands: what needs the person first, then a table of its steps, what it has cost, and what is next. No
 * line break at the end.
 */
export function renderPlan(sight: PlanSight, options: PaintOptions): string {
  const view = describePlan(sight.state);
  const groups = [
    [renderHead(view)],
    renderWaiting(view, options),
    renderTroubles(sight, options),
    [renderSteps(view, sight, options)],
    renderFailures(view, options),
    renderTotals(view, options),
    renderNext(view, sight),
  ];
  return groups
    .filter((lines) => lines.length > 0)
    .map((lines) => lines.join("\n"))
    .join("\n\n");
}

function renderHead({ name, planId, status, version }: PlanView): string {
  const changed = version > 1 ? `, version ${version}` : "";
  return `Plan ${cleanLine(name, 100)} (${planId})${changed}: ${status}`;
}

function renderWaiting(view: PlanView, { now, paint, width }: PaintOptions): string[] {
  if (view.waitingFor.length === 0) return [];
  const lines = view.waitingFor.flatMap((one) => {
    const text = `  ${one.step}, ${tellSpan(now - one.since)}: ${cleanLine(one.what, 400)}`;
    return [paint(wrapWords(text, width), "waiting"), ...howToAnswer(one, view).map((way) => `    ${way}`)];
  });
  return ["Needs you:", ...lines];
}

/** The commands with which the person goes on. */
export function howToAnswer({ kind, step }: WaitingFor, { name, planId, steps }: PlanView): string[] {
  const plan = nameForShell(name, planId);
  const of = steps.find(({ id }) => id === step);
  switch (kind) {
    case "gate":
      return [
        `${BIN} plan approve ${plan} ${step}`,
        `${BIN} plan send-back ${plan} ${step} "what should change"`,
      ];
    case "agreement":
      return [`${BIN} plan approve ${plan} ${step}`, `${BIN} plan stop ${plan} ${step}`];
    case "question":
      return [`${BIN} plan show ${plan} --follow`, "or in the chat client: ask it how the plan is"];
    case "lost":
      return [`${BIN} sessions`, `${BIN} plan redo ${plan} ${step}`];
    case "blocked":
      return of?.kind === "gate"
        ? []
        : [`${BIN} plan redo ${plan} ${step}`, `${BIN} plan skip ${plan} ${step}`];
  }
}

/** What is said when nobody follows it any more, with a line break at the end. */
export function tellLeft({ state }: PlanSight, { width }: Pick<PaintOptions, "width">): string {
  const { name, planId, status, waitingFor } = describePlan(state);
  const shown = cleanLine(name, 100);
  const follow = `\`${BIN} plan show ${nameForShell(name, planId)} --follow\` follows it again.`;
  const steps = [...new Set(waitingFor.map(({ step }) => step))].slice(0, 5).join(", ");
  const waits = steps ? `waits for you at ${steps}` : "";
  if (status === "paused" && !waits) {
    const resume = `\`${BIN} plan resume ${nameForShell(name, planId)}\` lets it go on.`;
    return `${wrapWords(`The plan ${shown} is paused. ${resume}`, width)}\n`;
  }
  if (status !== "running" && !waits) return `The plan ${shown} is ${status}.\n`;
  const how = status === "running" ? ["goes on by itself", waits].filter(Boolean).join(", and ") : waits;
  return `${wrapWords(`The plan ${shown} ${how}. ${follow}`, width)}\n`;
}

/** A name that a shell takes as it is; else the id, which any does. */
export function nameForShell(name: string, planId: string): string {
  return cleanLine(name, 100) === name ? shellWord(name) : planId;
}

function renderTroubles({ troubles }: PlanSight, { now, paint, width }: PaintOptions): string[] {
  if (troubles.length === 0) return [];
  return [
    "Does not work at the moment, and is tried again:",
    ...troubles.map(({ step, reason, since }) => {
      const text = `  ${step ? `${step}, ` : ""}${tellSpan(now - since)}: ${cleanLine(reason, 400)}`;
      return paint(wrapWords(text, width), "failed");
    }),
  ];
}

/** The reasons in full, where the table has cut them off. What waits for the person stands above, with its reason. */
function renderFailures({ steps, waitingFor }: PlanView, { paint, width }: PaintOptions): string[] {
  if (width === undefined) return [];
  return steps.flatMap(({ id, status, reason }) =>
    status === "failed" && reason && !waitingFor.some(({ step }) => step === id)
      ? [paint(wrapWords(`${id} has failed: ${asSentence(cleanLine(reason, 400))}`, width), "failed")]
      : [],
  );
}

function renderSteps(view: PlanView, sight: PlanSight, options: PaintOptions): string {
  const rows = view.steps.flatMap((step) => [
    { cells: stepCells(step, sight), tone: toneOf(step.status) },
    ...itemRows(step, sight),
  ]);
  return renderRows(rows, { columns: COLUMNS, shrink: SHRINK, toned: "state", ...options });
}

function stepCells(step: StepView, sight: PlanSight): Record<Column, string> {
  const { id, kind, attempt, turns, costUsd, branch, items } = step;
  return {
    step: items ? `${id} ${items.done}/${items.of}` : id,
    kind,
    state: tellStep(step, sight),
    try: attempt > 0 ? String(attempt) : "",
    turns: turns === undefined ? "" : String(turns),
    cost: costUsd === undefined ? "" : `$${costUsd.toFixed(2)}`,
    branch: cleanLine(branch ?? "", 200),
  };
}

/** The status, and what it does at the moment, why it is so, or what has come of it. */
function tellStep({ id, status, reason, outcome, items }: StepView, { state, actions }: PlanSight): string {
  const going = items ? undefined : state.steps[id]?.attempts.find(isGoing);
  const doing = going && (going.asks ?? actions.get(going.key));
  const more = doing ?? reason ?? (status === "pending" ? undefined : outcome);
  return more ? `${status}: ${cleanLine(more, 200)}` : status;
}

function itemRows({ id, runs = [] }: StepView, { state, actions }: PlanSight) {
  const round = state.steps[id]?.round;
  const shown = runs.slice(0, MAX_ITEMS).map((run, at) => {
    const going = state.steps[id]?.attempts.findLast((one) => one.item === at && one.round === round);
    const doing = going && isGoing(going) ? (going.asks ?? actions.get(going.key)) : undefined;
    const more = doing ?? run.reason;
    const cells: Record<Column, string> = {
      step: `  ${cleanLine(run.item, 60)}`,
      kind: "",
      state: more ? `${run.status}: ${cleanLine(more, 200)}` : run.status,
      try: run.attempt > 0 ? String(run.attempt) : "",
      turns: run.turns === undefined ? "" : String(run.turns),
      cost: run.costUsd === undefined ? "" : `$${run.costUsd.toFixed(2)}`,
      branch: cleanLine(run.branch ?? "", 200),
    };
    return { cells, tone: toneOf(run.status) };
  });
  const left = runs.length - shown.length;
  if (left <= 0) return shown;
  const empty = Object.fromEntries(COLUMNS.map((name) => [name, ""])) as Record<Column, string>;
  return [...shown, { cells: { ...empty, step: `  and ${left} more` }, tone: undefined }];
}

function renderTotals(view: PlanView, { width }: PaintOptions): string[] {
  const { runs } = view;
  return [
    `Runs started: ${runs.started} of ${runs.limit}${tellUnsure(runs)}. Cost: ${tellCost(view)}.`,
    ...view.nearLimits.map((text) => wrapWords(asSentence(text), width)),
  ];
}

/** The step that has failed, where it is one. */
function failedStep({ steps }: PlanView): string | undefined {
  const failed = steps.filter(({ status }) => status === "failed");
  return failed.length === 1 ? failed[0]?.id : undefined;
}

/** What can be done now, where nothing of it stands above. */
function renderNext(view: PlanView, { state, place }: PlanSight): string[] {
  const plan = nameForShell(view.name, view.planId);
  switch (view.status) {
    case "running":
      return [`Next: ${BIN} plan show ${plan} --follow`];
    case "paused":
      return [`Next: ${BIN} plan resume ${plan}`];
    case "completed":
      return tellWork(state, place);
    case "failed":
      return [
        `Next: ${BIN} plan redo ${plan} ${failedStep(view) ?? "STEP"} does the step again, and what is behind it.`,
      ];
    default:
      return [];
  }
}

/** How the newest work is looked at and taken: its branch has what the steps before it have left, too. */
function tellWork(state: PlanState, place: PlanSight["place"]): string[] {
  const left = branchesOf(state);
  const last = left.at(-1);
  if (!last) return [];
  const attempts = state.steps[last.step]?.attempts ?? [];
  const name = attempts.find(({ runId }) => runId !== undefined && runId === last.run_id)?.sessionName;
  if (name === undefined) return tellMerged(cleanLine(last.branch, 200), place);
  const into = place.gitBranch ? shellWord(place.gitBranch) : "BRANCH";
  const session = shellWord(name);
  return [
    `Next: ${BIN} sessions diff ${session} shows what step ${last.step} has changed.`,
    `${BIN} sessions take ${session} --into ${into} merges all that its branch has, after asking.`,
  ];
}

/** The plan's own branch, which its merges have made, is no session's: git takes it. */
function tellMerged(branch: string, { repositoryUrl = "" }: PlanSight["place"]): string[] {
  const there = `The work is on the branch ${branch}`;
  if (!repositoryUrl) return [`${there}.`];
  const isHere = isLocalRepository(repositoryUrl);
  const has = shellWord(isHere ? branch : `origin/${branch}`);
  const command = `${isHere ? "" : "git fetch origin && "}git merge ${has}`;
  return [`${there}. In your repository, on the branch that is to have it:`, `  ${command}`];
}
