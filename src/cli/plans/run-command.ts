import type { Call } from "../../actions/define-action.js";
import { findObstacle } from "../../actions/plans/look-ahead.js";
import { startPlan } from "../../actions/plans/start-plan.js";
import type { PlanSight } from "../../plan-runner/runner.js";
import type { OpenServices } from "../sessions/open-services.js";
import { nameForShell } from "./render-plan.js";
import { tellAnswer } from "./tell-answer.js";

/** What the command line says of a plan that is to be begun. */
export interface RunOrder {
  /** A template's name, or the plan's text. */
  plan: string;
  /** What it is called where neither its text nor the person says so: the name of its file. */
  name?: string | undefined;
  /** The file that it was read from, absolute. */
  file?: string | undefined;
  inputs: Readonly<Record<string, string>>;
  repository?: string | undefined;
  branch?: string | undefined;
  /** Only tells what it would take. */
  dryRun: boolean;
}

/**
 * Begins a plan: what is missing is asked for in the terminal, and what needs the person's word, too. Where nobody can be
 * asked, what has a default takes it; with anything else missing nothing is begun, and the flags are named that say it.
 * @returns the plan that has begun; the exit code where none has: 0 for a dry run, 1 for what was refused or left open
 * @throws ActionError when it cannot be begun; ApiError, StoreError
 */
export async function runInTerminal(
  order: RunOrder,
  { services, engine, discover }: Pick<OpenServices, "services" | "engine" | "discover">,
  options: { call: Call; out: (text: string) => void },
): Promise<PlanSight | number> {
  const { call, out } = options;
  const { plan, name, inputs, repository, branch, dryRun } = order;
  const isAsked = call.forms.supported;
  // What cannot begin starts no engine.
  const ahead = { plan, inputs: JSON.stringify(inputs), repository_url: repository, git_branch: branch };
  const obstacle = engine && !dryRun ? await findObstacle(ahead, call, services) : undefined;
  if (obstacle) {
    out(`${tellAnswer(obstacle)}\n`);
    return 1;
  }
  await discover();
  const begun = await startPlan(
    {
      plan,
      inputs: JSON.stringify(inputs),
      dry_run: dryRun,
      ...(name === undefined ? {} : { session_name: name }),
      ...(repository === undefined ? {} : { repository_url: repository }),
      // Where nobody can be asked, the default branch is what a repository without a branch means.
      ...(branch === undefined && (isAsked || repository === undefined) ? {} : { git_branch: branch ?? "" }),
    },
    call,
    services,
    order.file,
  );
  if ("outcome" in begun) {
    out(`${tellAnswer(begun)}\n`);
    return begun.outcome === "ok" ? 0 : 1;
  }
  const { sight, first } = begun;
  const { planId, plan: own } = sight.state;
  out(`${first}\nPlan id: ${planId}\n`);
  out(
    `\`automagik-workflows-mcp plan show ${nameForShell(own.name, planId)} --follow\` shows how it goes on.\n`,
  );
  return sight;
}
