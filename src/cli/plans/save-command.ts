import type { Services } from "../../actions/define-action.js";
import { offerTemplates } from "../../actions/plans/offer-templates.js";
import { saveInRepository, saveOwn } from "../../plan-templates/save-template.js";
import { writeTemplate } from "../../plan-templates/template-of-runs.js";
import { TemplateError } from "../../plan-templates/templates.js";
import { isRefused } from "../../sessions/run-record.js";
import type { RunRecord } from "../../sessions/store/session-record.js";
import { checkLocalRepository, isLocalRepository } from "../../shared/git/repository-address.js";
import { findSession } from "../sessions/find-session.js";

/** So many messages are asked for at once. */
const AT_ONCE = 4;

/**
 * Makes a template of what a session has been through, and writes it into the person's own folder of plans.
 * @param options.name the template's name; made of the session's when left out
 * @param options.to `print`: it is only shown; `repository`: written into the session's repository on this machine
 * @returns the exit code: 0, or 1 when several sessions have the name
 * @throws ActionError, ApiError when the session is not there or cannot be read; TemplateError when nothing was written
 */
export async function saveInTerminal(
  services: Services,
  wanted: string,
  options: {
    name?: string | undefined;
    to: "own" | "repository" | "print";
    ownFolder: string;
    out: (text: string) => void;
  },
): Promise<number> {
  const { to, ownFolder, out } = options;
  if (wanted === "") return offerInTerminal(services, out);
  const found = await findSession(wanted, services);
  if ("message" in found) {
    out(`${found.message}\n`);
    return 1;
  }
  const { session } = found;
  const begun = session.runs.filter((run) => !run.neverStarted && !isRefused(run));
  const written = await writeTemplate({
    name: options.name ?? session.name,
    runs: await withMessages(begun, services),
  });
  const name = options.name ?? written.name;
  if (to === "print") {
    out(written.text);
    return 0;
  }
  const path =
    to === "own"
      ? await saveOwn(ownFolder, name, written.text)
      : await saveInRepository(topOf(session.repositoryUrl), name, written.text);
  const use =
    to === "own"
      ? `Begin it as the plan "${name}".`
      : `Commit it: it is read from the commit at which a plan's runs begin. Then begin it as the plan "${name}".`;
  out(
    `${path}\n${written.notes.join("\n")}\nRead it and change what another time should be different. ${use}\n`,
  );
  return 0;
}

/** Without a session: what sessions have gone through well again and again. @returns the exit code */
export async function offerInTerminal(
  { sessions, templates }: Services,
  out: (text: string) => void,
): Promise<number> {
  const { figures } = await sessions.history.read();
  const known = await templates.list({}, new AbortController().signal);
  const offers = offerTemplates(figures, { templates: known.map(({ name }) => name) });
  const none =
    "No sequence of workflows has gone well in three sessions or more. Name a session to make a template of it.";
  out(`${offers.length > 0 ? `What has gone well several times:\n${offers.join("\n")}` : none}\n`);
  return 0;
}

/** What each run was told, where the API still knows it. */
async function withMessages(records: readonly RunRecord[], { api }: Services) {
  const messages = new Map<string, string>();
  const left = [...records];
  async function next(): Promise<void> {
    for (let run = left.shift(); run; run = left.shift()) {
      // One that is not known any more leaves a gap, which is told.
      const { message } = await api
        .getRun(run.runId, { message: true, retries: 0 })
        .catch(() => ({ message: undefined }));
      if (message !== undefined) messages.set(run.runId, message);
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, next));
  return records.map(({ runId, workflowName, agent, status }) => ({
    workflowName,
    agent,
    status,
    message: messages.get(runId),
  }));
}

function topOf(repositoryUrl: string | undefined): string {
  const checked =
    repositoryUrl && isLocalRepository(repositoryUrl) ? checkLocalRepository(repositoryUrl) : undefined;
  if (checked?.ok) return checked.path;
  throw new TemplateError(
    "The session has no repository on this machine. Nothing was written. Leave --in-repository out, or print it by --print and put it there yourself.",
  );
}
