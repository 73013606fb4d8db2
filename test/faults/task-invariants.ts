import type { ArrivedPost } from "./faulty-api.js";
import type { Observed, SeenCall } from "./observed.js";
import { isMisled, mayBe } from "./plan-invariants.js";

const PLAN = "plan:";

/** Everything that must hold of the tasks of a sequence that is over; each gives what does not, in a sentence. */
export function findTaskViolations(observed: Observed): string[] {
  return observed.calls.flatMap((call) => [
    ...endsAreTold(call, observed),
    ...cancelsAreAsked(call, observed),
  ]);
}

/** What the task follows, as its id has it. */
const followedBy = (taskId: string) => taskId.slice(0, taskId.lastIndexOf("."));
const tell = (call: SeenCall) => `call ${call.number} (${call.action}) has a task that`;

/** What a task says that its run has come to is what the run has come to. */
function endsAreTold(call: SeenCall, observed: Observed): string[] {
  const { end, taskId = "" } = { ...call.task };
  if (!end) return [];
  if (end.isError) return [`${tell(call)} ended with an error: ${call.answer?.text.slice(0, 300)}`];
  const isEnded = end.status === "cancelled" || ["completed", "failed", "killed"].includes(end.outcome ?? "");
  if (!isEnded || isMisled(observed) || taskId.startsWith(PLAN)) return [];
  const run = observed.api.api.world.runs().find(({ runId }) => runId === followedBy(taskId));
  if (!run) return [`${tell(call)} says ${end.outcome}, and there is no such run`];
  const { status } = run;
  const told = end.status === "cancelled" ? "killed" : end.outcome;
  return mayBe(told, status, observed) ? [] : [`${tell(call)} says ${told}, and its run is ${status}`];
}

/** Only who has asked for it is told that a task was cancelled. */
function cancelsAreAsked(call: SeenCall, { calls }: Observed): string[] {
  if (call.task?.end?.status !== "cancelled") return [];
  const asked = calls.some(({ task }) => task?.taskId === call.task?.taskId && task && task.cancelsSent > 0);
  return asked ? [] : [`${tell(call)} is cancelled, and nobody has asked for it`];
}

/** A POST that belongs to the end of a task, which its client has asked for. */
export function isOfATasksEnd({ path }: ArrivedPost, { calls, plans, api }: Observed): boolean {
  return calls.some(({ task }) => {
    if (!task?.cancelsSent) return false;
    const followed = followedBy(task.taskId);
    if (!followed.startsWith(PLAN)) return path.includes(followed);
    const plan = plans.find(({ state }) => `${PLAN}${state.planId}` === followed);
    const runs = api.api.world.runs().filter(({ runId }) => path.includes(runId));
    return runs.some(({ body }) => plan && body.session_name?.startsWith(`${plan.state.plan.name}-`));
  });
}
