import type { Plans } from "../../plan-runner/plans.js";
import { PlanNameTaken } from "../../plan-runner/plans-access.js";
import type { Plan } from "../../plans/plan.js";
import { suggestSessionName } from "../../sessions/session-name.js";
import { cleanLine, visibleName } from "../../shared/text.js";
import { ActionError, type Answer, type NextStep } from "../answer.js";
import type { Call, Services } from "../define-action.js";
import { askToChoose, tellNobody, toMissing } from "../forms/ask-to-choose.js";
import type { Question } from "../forms/form-client.js";
import { telling } from "./open-plans.js";

/** What `checkPlan` calls a plan that has no name. */
const UNNAMED = "plan";
/** The sessions of its runs are named after it, with the step behind it. */
const MAX_NAME = 60;
const FOLLOW = "follow";

/** The name that the plan's text gives it; undefined when it gives none. */
export function ownName({ name }: Plan): string | undefined {
  return name === UNNAMED ? undefined : name;
}

/** Names for a plan that no plan has, and no session: both are found by name. */
export interface PlanNamer {
  suggest(isTaken: (name: string) => boolean): string;
  /** The name with a number behind it. */
  free(name: string): string;
}

/** @throws ActionError when the plans cannot be read */
export async function createNamer(plan: Plan, plans: Plans, { sessions }: Services): Promise<PlanNamer> {
  const all = await telling("Nothing was begun.", () => plans.list());
  const taken = new Set(all.map(({ name }) => visibleName(name)));
  const isKnown = (name: string) => taken.has(visibleName(name)) || sessions.knownNames().includes(name);
  const first = plan.steps.find((step) => step.kind === "run");
  const task = first?.kind === "run" ? first.task : undefined;
  const base = ownName(plan) ?? suggestSessionName(plan.description ?? task ?? UNNAMED, () => false);
  return {
    suggest: (isTaken) => freeName(base, (name) => isTaken(name) || isKnown(name)),
    free: (name) => freeName(name, (one) => one === name || isKnown(one)),
  };
}

function freeName(base: string, isTaken: (name: string) => boolean): string {
  if (!isTaken(base)) return base;
  for (let number = 2; ; number++) if (!isTaken(`${base}-${number}`)) return `${base}-${number}`;
}

/** @throws ActionError for a name from which no names of sessions can be made */
export function checkPlanName(name: string): void {
  if (name.length > MAX_NAME)
    throw new ActionError(
      `\`session_name\` ${JSON.stringify(name.slice(0, 80))}: at most ${MAX_NAME} characters, since the sessions of its runs are named after it. Nothing was begun.`,
    );
}

/**
 * Makes sure that no open plan has the name, and no session that is known here.
 * @param wanted.startAgain the same call with another name
 * @returns the name to be used, or the answer that the call ends with
 */
export async function settleName(
  name: string,
  wanted: { free: string; plans: Plans; startAgain: (name: string, reason: string) => NextStep },
  call: Call,
  { sessions }: Services,
): Promise<{ name: string } | { follow: string } | Answer> {
  const { free, plans } = wanted;
  const isPlan = await telling("Nothing was begun.", () => plans.isTaken(name));
  const isSession = !isPlan && (await sessions.named(name)).length > 0;
  if (!isPlan && !isSession) return { name };
  const question: Question = {
    name: "session_name",
    title: "Name",
    description: isPlan
      ? `A plan "${name}" goes on already.`
      : `There is a session "${name}" already, and a plan is found by its name as a session is.`,
    required: true,
    choices: [
      ...(isPlan ? [{ value: FOLLOW, title: `Follow ${name}: nothing new is begun` }] : []),
      { value: free, title: `Begin ${isPlan ? "a second plan" : "the plan"}, named ${free}` },
    ],
  };
  const reply = await askToChoose(question, call);
  if (reply.kind === "ended") return reply.answer;
  if (reply.kind === "chosen" && reply.value === free) return { name: free };
  if (reply.kind === "chosen") return { follow: name };
  return {
    outcome: "input_required",
    summary: `${question.description}${tellNobody(reply)} Nothing was begun. Another session_name begins the plan, such as ${free}.`,
    missing: [
      {
        ...toMissing(question),
        suggestion: free,
        choices: [{ value: free, title: `Begin the plan, named ${free}` }],
      },
    ],
    next: wanted.startAgain(
      free,
      "Ask the person first: this begins a plan of another name, which is paid for.",
    ),
  };
}

/**
 * Begins a plan. Its name may have been taken while the person was asked, by another process as well.
 * @throws ActionError when it was; nothing was begun then
 */
export async function beginNamed<T>(name: string, begin: () => Promise<T>): Promise<T> {
  try {
    return await telling("Nothing was begun.", begin);
  } catch (error) {
    if (!(error instanceof PlanNameTaken)) throw error;
    throw new ActionError(
      `Another plan "${cleanLine(name, 60)}" has been begun meanwhile. Nothing was begun. Follow that one, or call again.`,
      { action: "status", arguments: { session_name: name }, reason: "See the plan of that name." },
    );
  }
}
