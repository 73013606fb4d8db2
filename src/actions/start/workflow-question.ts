import type { Workflow } from "../../api/types.js";
import { tellUsual } from "../../history/tell-usual.js";
import { cutText } from "../../shared/text.js";
import type { Fit } from "../../workflows/router.js";
import type { Services } from "../define-action.js";
import type { Question } from "../forms/form-client.js";
import type { Task } from "./draft.js";
import type { InTime } from "./form-questions.js";

const TITLE_CHARS = 160;

/**
 * The question for the workflow of a task: the best fit first and filled in beforehand, with the reason, and of each what
 * its runs usually take. What is not known in time is left out; then it is the order of the list.
 */
export async function askWorkflow(
  workflows: readonly Workflow[],
  task: Pick<Task, "rank" | "expect">,
  { findRouter, sessions }: Pick<Services, "findRouter" | "sessions">,
  repositoryUrl: string | undefined,
  inTime: InTime,
): Promise<Question> {
  const [router, past] = await Promise.all([
    inTime(() => findRouter()),
    inTime(() => sessions.history.read()),
  ]);
  const fits = (router && task.rank?.(router)) ?? [];
  const [best] = fits;
  const isClear = best?.why !== undefined;
  const usualOf = ({ name }: Workflow) => {
    const expected = past && task.expect?.(past, name, repositoryUrl);
    return expected && tellUsual(expected);
  };
  const sorted = isClear ? sortByFit(workflows, fits) : workflows;
  return {
    name: "workflow_name",
    title: "Workflow",
    description: isClear
      ? `Which workflow should do it? Suggested: ${best.name}, ${best.why}.`
      : "Which workflow should do it?",
    required: true,
    ...(isClear ? { suggestion: best.name } : {}),
    choices: sorted.map((workflow) => ({
      value: workflow.name,
      title: title(workflow, usualOf(workflow)),
    })),
  };
}

function sortByFit(workflows: readonly Workflow[], fits: readonly Fit[]): Workflow[] {
  const rank = new Map(fits.map(({ name }, at) => [name, at]));
  const rankOf = ({ name }: Workflow) => rank.get(name) ?? fits.length;
  return [...workflows].sort((one, other) => rankOf(one) - rankOf(other));
}

/** "Fix: Find the cause of a defect; usually 12–20 turns, about $0.40 (8 runs)" */
function title(workflow: Workflow, usual: string | undefined): string {
  const what = [workflow.displayName ?? workflow.name, workflow.description].filter(Boolean).join(": ");
  if (!usual) return cutText(what, 120);
  return `${cutText(what, TITLE_CHARS - usual.length)}; ${usual}`;
}
