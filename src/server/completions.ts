import type { Sessions } from "../sessions/sessions.js";
import { visibleName } from "../shared/text.js";
import type { Catalogue } from "../workflows/catalogue.js";

/** What an argument of a prompt or a resource stands for, where it can be completed. */
export type Completable = "workflow" | "session" | "run";

/** Values that begin with, then those that contain, what was typed; newest or first-listed first. */
export type Complete = (kind: Completable, typed: string) => Promise<string[]>;

/** Completion against live data: what is known, read again when it is stale. Never throws. */
export function createComplete(collaborators: { catalogue: Catalogue; sessions: Sessions }): Complete {
  const { catalogue, sessions } = collaborators;

  async function list(kind: Completable): Promise<string[]> {
    if (kind === "workflow") return catalogue.state().workflows.map((workflow) => workflow.name);
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
