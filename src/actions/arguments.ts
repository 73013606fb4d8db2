import * as z from "zod";
import { GROUPINGS } from "../history/group-figures.js";
import { withoutInvisible } from "../shared/text.js";
import { MEASURES } from "./figure-choice.js";

const name = (about: string) => z.string().overwrite(withoutInvisible).trim().max(200).describe(about);

/** A structure as a text: an object type without properties is refused by some models. */
const document = (about: string) => z.string().max(1_000_000).describe(about);

/**
 * Every argument that any action takes, once: flat, optional, and of plain types, because clients and models
 * refuse more (unions, references, exclusive bounds). Descriptions are part of every model's context, so they
 * are short.
 */
export const parameters = {
  workflow_name: name("Workflow to run."),
  message: z
    .string()
    .max(200_000)
    .describe("run: the task, complete and self-contained. feedback: the text."),
  session_name: name("Name of the session; one is suggested."),
  session_id: name("Id of a conversation to continue or look at."),
  run_id: name("Id of a run."),
  continue_session: name(
    'Name of the session to continue; "" begins another one under a session_name that is taken.',
  ),
  repository_url: z
    .string()
    .trim()
    .max(2000)
    .describe(
      'Git repository (https, ssh, local path for a local engine); "" for the server\'s own workspace.',
    ),
  git_branch: z.string().trim().max(250).describe('Branch; "" for the default one.'),
  agent: z.enum(["claude", "codex"]).describe("Other agent."),
  model: name("Model (sonnet, opus, …)"),
  issue: name("Linear issue to update (ENG-1), or new."),
  uncommitted: z.boolean().describe("Take uncommitted changes along, once the person agreed."),
  max_turns: z.number().int().min(1).max(200).describe("Turn limit."),
  timeout: z.number().int().min(60).max(14_400).describe("Time limit in seconds."),
  persistent: z.boolean().describe("Keep the workspace afterwards."),
  auto_merge: z.boolean().describe("Merge the work when the run succeeds."),
  finish: z.enum(["branch", "merge", "pull_request"]).describe("merge: into the base branch on success."),
  temp_workspace: z.boolean().describe("Temporary workspace, no repository."),
  wait_seconds: z
    .number()
    .min(0)
    .max(14_400)
    .describe("Seconds to wait; 0 answers at once, and the run goes on."),
  detailed: z.boolean().describe("Give all details."),
  message_type: z.enum(["user", "system"]).describe("Who it comes from."),
  question_id: name("answer: which, when several are open."),
  answer: z.string().trim().max(10_000).describe("answer: a choice's value, or the person's own words."),
  into: z.string().trim().max(250).describe("take: the branch (default: base)."),
  squash: z.boolean().describe("take: as one commit."),
  check: z.string().trim().max(10_000).describe("take: a command that must pass first."),
  force: z.boolean().describe("kill: at once. cleanup: also while running."),
  confirm: z.boolean().describe("true only after the person agreed."),
  active_only: z.boolean().describe("Only with a run going on (default true)."),
  limit: z.number().int().min(1).max(200).describe("Maximum entries."),
  plan: document(
    "A template's name, or the plan (JSON or YAML): steps of {id, run: workflow, task} or {id, gate: question, show} or {id, merge: step, check}, ordered by needs.",
  ),
  inputs: document("Values of its inputs (JSON)."),
  dry_run: z.boolean().describe("Only foresee it."),
  plan_id: name("Id of a plan; session_name takes its name."),
  change: z.enum(["pause", "resume", "skip", "redo", "edit"]).describe("Change the plan plan_id."),
  step: name("Its step."),
  steps: document("edit: steps to add or to replace (JSON)."),
  limits: document("{parallel, runs, cost_usd, minutes} (JSON)."),
  by: z.enum(GROUPINGS).describe("How figures are grouped."),
  days: z.number().int().min(0).max(3_650).describe("Of the last days; 0: all."),
  figure: z.enum(MEASURES).describe("Which figures."),
};

/** Those that hold a structure: clients and models send them as it is or as a text, and a text is published. */
export const DOCUMENTS: readonly string[] = ["plan", "inputs", "steps", "limits"];

export type ParameterName = keyof typeof parameters;

/** The parsed arguments of an action that takes the given parameters, all of them optional. */
export type Arguments<Names extends ParameterName> = {
  [Name in Names]?: z.output<(typeof parameters)[Name]> | undefined;
};
