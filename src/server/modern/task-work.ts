import type { Services } from "../../actions/define-action.js";
import { type ProjectStep, renderAnswer } from "../tools/output.js";
import type { ToolDefinition } from "../tools/registry.js";
import type { TaskWork } from "./tasks.js";

/** The longest that a call may wait, in s; a task is followed anew behind it. */
const LONGEST_WAIT_S = 14_400;

/** What tasks do, by the same tools that a model calls. */
export function createTaskWork(options: {
  services: Services;
  tools: readonly ToolDefinition[];
  project: ProjectStep;
}): TaskWork {
  const { services, tools, project } = options;
  async function callAction(
    action: string,
    args: Record<string, unknown>,
    call: Parameters<TaskWork["follow"]>[1],
  ) {
    const step = project({ action, arguments: args, reason: "" });
    const tool = tools.find(({ name }) => name === step?.tool);
    if (!step || !tool)
      return renderAnswer(
        { outcome: "failed", summary: `This API does not offer ${action}. Nothing was done.` },
        project,
        true,
      );
    return tool.call(step.arguments, call, services);
  }
  const target = ({ kind, id }: Parameters<TaskWork["follow"]>[0]) =>
    kind === "run" ? { run_id: id } : { plan_id: id };
  return {
    follow: (followed, call) =>
      callAction("status", { ...target(followed), wait_seconds: LONGEST_WAIT_S }, call),
    // Whoever stops a task has decided that.
    end: (followed, call) => callAction("kill", { ...target(followed), confirm: true }, call),
    nameOf: ({ kind, id }) => (kind === "run" ? services.watcher.latest(id)?.sessionName : undefined),
  };
}
