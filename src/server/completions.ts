import type { PlansAccess } from "../plan-runner/plans-access.js";
import type { Sessions } from "../sessions/sessions.js";
import { visibleName } from "../shared/text.js";
import type { Catalogue } from "../workflows/catalogue.js";

/** What an argument of a prompt or a resource stands for, where it can be completed. */
export type Completable = "workflow" | "session" | "run" | "plan";

/** That, or the only values that there are. */
export type Completes = Completable | { values: readonly string[] };

/** Values that begin with, then those that contain, what was typed; newest or first-listed first. */
export type Complete = (kind: Completes, typed: string) => Promise<string[]>;

/** Completion against live data: what is known, read again when it is stale. Never throws. */
export function createComplete(collaborators: {
  catalogue: Catalogue;
  sessions: Sessions;
  plans: PlansAccess;
}): Complete {
  const { catalogue, sessions, plans } = collaborators;

  /** Names before ids: a person knows plans by their names. */
  async function listPlans(): Promise<string[]> {
    const all = await plans
      .openIfAny()
      .then((open) => open?.list() ?? [])
      .catch(() => []);
    return [...all.map(({ name }) => name), ...all.map(({ planId }) => planId)];
  }

  async function list(kind: Completes): Promise<readonly string[]> {
    if (typeof kind === "object") return kind.values;
    if (kind === "workflow") return catalogue.state().workflows.map((workflow) => workflow.name);
    if (kind === "plan") return listPlans();
    const all = await sessions.all().catch(() => []);
    if (kind === "session") return [...new Set(all.map((session) => session.name))];
    return all.flatMap((session) => session.runs.map((run) => run.runId).reverse());
  }

  return async (kind, typed) => {
    const wanted = visibleName(typed).toLowerCase();
    const small = (value: string) => visibleName(value).toLowerCase();
    const values = await list(kind);
    const begins = values.filter((value) => small(value).startsWith(wanted));
    const contains = values.filter((value) => small(value).includes(wanted));
    return [...new Set([...begins, ...contains])];
  };
}
