import { randomUUID } from "node:crypto";
import { Unknown } from "../../integrations/delivery-error.js";
import type { LinearClient } from "../../integrations/linear/client.js";
import { createIssueOnce, titleOf } from "../../integrations/linear/create-issue.js";
import { linkOf } from "../../integrations/linear/issue-task.js";
import type { LinearChoices } from "../../integrations/linear/linear-choices.js";
import type { LinearProject, LinearTeam } from "../../integrations/linear/types.js";
import type { Clock } from "../../shared/clock.js";
import { stopAtDeadline } from "../../shared/deadline.js";
import type { LinkedIssue } from "../../shared/linked-issue.js";
import { cleanLine } from "../../shared/text.js";
import { ActionError, type Answer, type NextStep } from "../answer.js";
import type { Call } from "../define-action.js";
import { askToChoose, tellNobody, toMissing } from "../forms/ask-to-choose.js";
import type { Question } from "../forms/form-client.js";

/** Where an issue is to be made, by Linear's own ids, which nobody guesses from names. */
export interface IssuePlace {
  teamId: string;
  projectId?: string;
}

/** What asking for it needs. */
interface Asking {
  linear: Pick<LinearClient, "teams" | "projects">;
  choices: LinearChoices;
  call: Call;
  /** Advice to call again with this in place of `issue`. */
  again: (issue: string, reason: string) => NextStep;
}

const NONE = "none";
const NAME_CHARS = 100;
const NOTHING = "Nothing was sent, and no issue was made.";
/** Making an issue may take so long, in ms: it may have to be looked for. */
const CREATE_MS = 30_000;

/** What `issue` says of an issue that is to be made: "new", behind it the ids of its team and its project, or "none". */
export function readNewIssue(wanted: string): { teamId?: string; projectId?: string } | undefined {
  const [word, teamId, projectId, ...rest] = wanted.trim().split(/\s+/);
  if (word?.toLowerCase() !== "new" || rest.length > 0) return undefined;
  return { ...(teamId ? { teamId } : {}), ...(projectId ? { projectId } : {}) };
}

/**
 * Asks the person in which team an issue is to be made, then in which of its projects; what they chose last is filled in.
 * @returns the place, or the answer with which the call ends
 * @throws ActionError when Linear cannot be asked, or has no such team or project
 */
export async function chooseIssuePlace(
  { teamId, projectId }: { teamId?: string; projectId?: string },
  asking: Asking,
): Promise<IssuePlace | Answer> {
  const { linear, choices, call } = asking;
  const last = await choices.last();
  const teams = await reading(linear.teams(call.signal));
  if (teams.length === 0) throw new ActionError(`The key of Linear sees no team. ${NOTHING}`);
  const team = await choose(askTeam(teams, last?.teamId), teamId, (id) => `new ${id}`, asking);
  if (typeof team === "object") return team;
  const projects = await reading(linear.projects(team, call.signal));
  const lastProject = last?.projects[team];
  const project =
    projects.length === 0
      ? NONE
      : await choose(askProject(projects, lastProject), projectId, (id) => `new ${team} ${id}`, asking);
  if (typeof project === "object") return project;
  await choices.keep(team, project === NONE ? "" : project);
  return { teamId: team, ...(project === NONE ? {} : { projectId: project }) };
}

function askTeam(teams: readonly LinearTeam[], last: string | undefined): Question {
  return {
    name: "team",
    title: "Team",
    description: "In which team of Linear the issue is made.",
    required: true,
    choices: teams.map(({ id, key, name }) => ({
      value: id,
      title: cleanLine(`${name} (${key})`, NAME_CHARS),
    })),
    ...(teams.some(({ id }) => id === last) ? { suggestion: last as string } : {}),
  };
}

function askProject(projects: readonly LinearProject[], last: string | undefined): Question {
  const suggestion = last === "" || !projects.some(({ id }) => id === last) ? NONE : (last as string);
  return {
    name: "project",
    title: "Project",
    description: "In which project of the team the issue is.",
    required: true,
    choices: [
      { value: NONE, title: "No project" },
      ...projects.map(({ id, name }) => ({ value: id, title: cleanLine(name, NAME_CHARS) })),
    ],
    suggestion,
  };
}

/** The id of what was named, or what the person chooses. */
async function choose(
  question: Question,
  given: string | undefined,
  spell: (id: string) => string,
  { call, again }: Asking,
): Promise<string | Answer> {
  const { choices = [] } = question;
  if (given !== undefined) {
    if (choices.some(({ value }) => value === given)) return given;
    throw new ActionError(
      `Linear has no such ${question.name} (${cleanLine(given, 60)}); its id is needed, not its name. ${NOTHING}`,
      again("new", `Ask the person for the ${question.name}.`),
    );
  }
  const reply = await askToChoose(question, call);
  if (reply.kind === "ended") return reply.answer;
  if (reply.kind === "chosen" && choices.some(({ value }) => value === reply.value)) return reply.value;
  const asked = {
    ...question,
    name: "issue",
    choices: choices.map(({ value, title }) => ({ value: spell(value), title })),
  };
  return {
    outcome: "input_required",
    summary: `${question.description} ${NOTHING}${tellNobody(reply)}`,
    missing: [toMissing(asked)],
    next: again("\u2026", "Fill in the choice of the person; never guess it from a name."),
  };
}

async function reading<T>(asked: Promise<T>): Promise<T> {
  try {
    return await asked;
  } catch (error) {
    throw new ActionError(`Linear could not be asked: ${(error as Error).message}. ${NOTHING}`);
  }
}

/**
 * Makes the issue of a task, right before the work is started.
 * @throws ActionError when there is none, or when nobody knows; no run was started
 */
export async function makeIssue(
  place: IssuePlace,
  task: string,
  tools: { linear: Pick<LinearClient, "createIssue" | "findIssue">; call: Call; clock: Clock },
): Promise<LinkedIssue> {
  const issue = { id: randomUUID(), ...place, title: titleOf(task), description: task };
  const { linear, call, clock } = tools;
  const create = (signal: AbortSignal) => createIssueOnce(linear, issue, signal);
  try {
    return linkOf(await stopAtDeadline(clock, CREATE_MS, create, call.signal));
  } catch (error) {
    const why = (error as Error).message;
    if (error instanceof Unknown)
      throw new ActionError(
        `Whether the issue "${issue.title}" was made in Linear is not known: ${why}. No run was started. Look for it there; ` +
          "where it is, call again with its identifier as `issue`.",
      );
    throw new ActionError(`The issue was not made in Linear: ${why}. No run was started.`);
  }
}
