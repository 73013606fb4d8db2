import type { Fields, FieldValue } from "../../plans/plan.js";
import type { LinkedIssue } from "../../shared/linked-issue.js";
import type { Answer, NextStep } from "../answer.js";
import type { Call, Services } from "../define-action.js";
import { takeIssue, takeIssues } from "../start/issue-task.js";
import type { IssueOfWork } from "../start/linked-issue.js";

type Inputs = Readonly<Record<string, FieldValue>>;

/** The inputs of a plan, of which those that name an issue have become that issue, and what the plan is about. */
interface AboutIssue {
  inputs: Inputs;
  issue: IssueOfWork | undefined;
}

/**
 * Texts among the inputs that name an issue, and those in lists, become that issue, once the person has seen it; the first
 * that is an input of its own is what the plan is about, unless the call says what is.
 * @param options.again the same call again, without the person's agreement
 * @returns the answer with which the call ends when they do not agree; nothing was begun
 * @throws ActionError when an issue cannot be read; nothing was begun
 */
export async function findIssueOfPlan(
  {
    fields,
    inputs,
    issue,
    name,
  }: { fields: Fields; inputs: Inputs; issue: string | undefined; name: string },
  options: { repositoryUrl: string | undefined; confirm: boolean | undefined; again: NextStep },
  call: Call,
  services: Services,
): Promise<AboutIssue | Answer> {
  const { repositoryUrl, confirm, again } = options;
  const taken: Record<string, FieldValue> = { ...inputs };
  let ofTask: LinkedIssue | undefined;
  const asked = { repositoryUrl, confirm, again: { action: "plan" as const, arguments: again.arguments } };
  for (const [field, value] of Object.entries(inputs)) {
    if (Array.isArray(value)) {
      // Each of them is a task of its own, so that the plan is about none of them.
      const found = await takeIssues(value.map(String), asked, call, services);
      if ("outcome" in found) return found;
      taken[field] = value.map((one, index) => found[index]?.message ?? one);
      continue;
    }
    if (typeof value !== "string" || fields[field]?.enum) continue;
    const found = await takeIssue(value, asked, call, services);
    if (!found) continue;
    if ("outcome" in found) return found;
    taken[field] = found.message;
    ofTask ??= found.link;
  }
  if (!issue && !ofTask) return { inputs: taken, issue: undefined };
  const { findIssueOfWork } = await import("../start/linked-issue.js");
  const about = await findIssueOfWork(
    {
      issue,
      ofTask,
      task: taskOf(inputs, name),
      again: (wanted, reason) => ({
        action: "plan",
        arguments: { ...again.arguments, issue: wanted },
        reason,
      }),
    },
    call,
    services,
  );
  if (about && "outcome" in about) return about;
  return { inputs: taken, issue: about };
}

/** What a new issue is made of: the plan's texts, or its name. */
function taskOf(inputs: Inputs, name: string): string {
  const texts = Object.values(inputs).filter((value) => typeof value === "string" && value.includes(" "));
  return texts.join("\n\n") || name;
}

/** A sentence for the answer. */
export function tellIssueOfPlan({ identifier, url }: LinkedIssue, { issue }: AboutIssue): string {
  return `${identifier} in Linear${issue?.made() ? ` (${url}) was made and` : ""} is told how it goes.`;
}

/** Begins the plan. @throws what that throws, with the issue that was made before */
export async function withMadeIssue<T>({ issue }: AboutIssue, begin: () => Promise<T>): Promise<T> {
  try {
    return await begin();
  } catch (error) {
    if (!issue?.made()) throw error;
    const { tellWithIssue } = await import("../start/linked-issue.js");
    throw tellWithIssue(error, issue);
  }
}
