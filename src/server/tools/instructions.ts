import { cleanLine } from "../../shared/text.js";
import type { CatalogueState } from "../../workflows/catalogue.js";
import type { ProjectStep } from "./output.js";

/** Names of workflows take this many characters of the instructions: clients cut those at about 2,000. */
const NAMES_CHARACTERS = 500;

/**
 * What a client is told of this server when it connects: all that one sees of it which finds tools by searching.
 * @param catalogue the workflows as far as they are known by then
 * @param project names the tool that carries an action
 */
export function writeInstructions(catalogue: CatalogueState, project: ProjectStep): string {
  const call = (action: string, args: Record<string, unknown> = {}) => {
    const step = project({ action, arguments: args, reason: "" });
    return step ? `${step.tool} ${JSON.stringify(step.arguments)}` : action;
  };
  return [
    "Automagik workflows: an agent works on a git repository as a run of its own, on another machine or in the " +
      "background, and reports its result, cost and branch. This is not your own workflow, task or sub-agent feature.",
    `Use it when the person speaks of Automagik or of a workflow, names one of them, or wants coding work handed ` +
      `over: ${tellWorkflows(catalogue)}. Also to look at, continue, correct, answer, kill or clean up such a run or ` +
      "session, or to list them.",
    `Start with ${call("run", { workflow_name: "…", message: "…" })}; leave out session name, repository and branch ` +
      "unless the person has named them: a form asks for them. Each start is paid for: never repeat one whose outcome is " +
      `unknown, look with ${call("list_sessions")}.`,
    `A run goes on when a call ends; follow it with ${call("status", { session_name: "…", wait_seconds: 45 })}. Several ` +
      "runs at once: start each with wait_seconds: 0, since clients make the calls of one message one after another.",
    `Work of several steps (design, build in parallel, test, review; gates, limits) is one plan: ${call("plan", { plan: "…" })} with ` +
      `a template of ${call("list_plans")} or steps of your own; it goes on by itself.`,
    "When an agent asks for permission, or a gate of a plan for a decision, the person decides, not you.",
  ].join("\n");
}

function tellWorkflows({ workflows }: CatalogueState): string {
  if (workflows.length === 0) return "designing, implementing, fixing, reviewing, testing, documenting";
  let room = NAMES_CHARACTERS;
  const names = workflows.map(({ name }) => cleanLine(name, 60));
  const shown = names.filter((name) => {
    room -= name.length + 2;
    return room >= 0;
  });
  const more = names.length - shown.length;
  return `the workflows ${shown.join(", ")}${more > 0 ? ` and ${more} more` : ""}`;
}
