import { ApiError } from "../api/errors.js";
import type { Run } from "../api/types.js";
import { asSentence, cutText } from "../shared/text.js";
import type { Answer } from "./answer.js";
import type { Arguments } from "./arguments.js";
import { type Call, defineAction, type Services } from "./define-action.js";
import { nameRun } from "./describe-run.js";
import { describeWork, tellWork } from "./describe-work.js";
import { TARGET_ABOUT } from "./resolve-target.js";
import { readWorkTarget } from "./sole-work.js";

const DIFF_PARAMETERS = ["run_id", "session_name", "session_id"] as const;

/** A diff in an answer is cut here, in characters: it stands there twice. */
const DIFF_LIMIT = 20_000;
/** In a detailed status it has the result beside it. */
const STATUS_DIFF_LIMIT = 12_000;

/** Where the whole of a diff can be read. */
export function diffUri(runId: string): string {
  return `automagik://runs/${encodeURIComponent(runId)}/diff`;
}

/** Shows what a session's commits change. */
export const diffAction = defineAction({
  name: "diff",
  toolName: "show_diff",
  title: "Show a session's changes",
  summary: "what a session's commits change.",
  description: "Shows what the commits of a run's session change, as a diff.",
  searchHint: "diff changes review what a workflow run has changed commits automagik",
  parameters: DIFF_PARAMETERS,
  about: TARGET_ABOUT,
  endpoint: "diff",
  instead: "Where the run's status names its branch, look at that with git in the repository.",
  annotations: { readOnlyHint: true, destructiveHint: false, idempotentHint: true, openWorldHint: true },
  answerParts: ["diff"],

  async handle(
    args: Arguments<(typeof DIFF_PARAMETERS)[number]>,
    call: Call,
    services: Services,
  ): Promise<Answer> {
    const run = await readWorkTarget(args, call, services);
    if ("outcome" in run) return run;
    const diff = await readDiff(run, DIFF_LIMIT, call, services);
    const work = describeWork(run);
    return {
      outcome: "ok",
      summary: [
        diff.text.trim()
          ? `The changes of the ${nameRun(run)}.`
          : `The ${nameRun(run)} has ${run.work?.uncommitted ? "committed" : "changed"} nothing.`,
        tellWork(run),
        tellCut(diff, run),
      ]
        .filter(Boolean)
        .join(" "),
      ...(work?.take
        ? {
            next: {
              action: "take",
              arguments: { run_id: run.runId },
              reason: `Only if the person wants them merged${work.base_branch ? ` into ${work.base_branch}` : ""}.`,
            },
          }
        : {}),
      diff,
    };
  },
});

/** The answer with the diff of a run whose work is known; without it where it cannot be had. */
export async function withDiff(answer: Answer, run: Run, call: Call, services: Services): Promise<Answer> {
  if (!run.work?.commitCount || !services.capabilities.hasEndpoint("diff")) return answer;
  try {
    const diff = await readDiff(run, STATUS_DIFF_LIMIT, call, services);
    return { ...answer, summary: [answer.summary, tellCut(diff, run)].filter(Boolean).join(" "), diff };
  } catch (error) {
    if (error instanceof ApiError) return answer;
    throw error;
  }
}

async function readDiff(
  { runId }: Run,
  limit: number,
  call: Call,
  { api }: Services,
): Promise<NonNullable<Answer["diff"]>> {
  // Some more than is shown, since bytes are not characters.
  const { text, cut } = await api.readDiff(runId, limit * 4, { signal: call.signal });
  return { text: cutText(text, limit), cut: cut || text.length > limit };
}

function tellCut({ cut }: NonNullable<Answer["diff"]>, { runId, work }: Run): string {
  if (!cut) return "";
  const own = work?.deliveredTo === "repository" ? " or git in the repository" : "";
  return asSentence(`The diff is cut here; the whole is the resource ${diffUri(runId)}${own}`);
}
