import { isFinal, type Run } from "../api/types.js";
import type { PullRequestSight } from "../api/work-types.js";
import { cleanText, cutText } from "../shared/text.js";
import type { Answer } from "./answer.js";
import type { Arguments } from "./arguments.js";
import { type Call, defineAction, type Services } from "./define-action.js";
import { nameBriefly, nameRun } from "./describe-run.js";
import { confirmWithPerson } from "./forms/confirm.js";
import { watchAgain } from "./next-steps.js";
import { namesTarget, TARGET_ABOUT } from "./resolve-target.js";
import { startRun } from "./run.js";
import { readWorkTarget } from "./sole-work.js";

const CHECK_PARAMETERS = ["run_id", "session_name", "session_id", "wait_seconds", "confirm"] as const;

/** So much of what would be sent is shown, in characters. */
const SHOWN_CHARS = 12_000;
/** Checks that go on are looked at again after so long, in s. */
const LOOK_AGAIN = "Look again when they have ended.";

/**
 * Looks at the pull request of a session. Failed checks and what reviewers want are shown to the person, and go to the same
 * session as a new run once they agree: strangers have written them, and each run is paid.
 */
export const checkPrAction = defineAction({
  name: "check_pr",
  toolName: "check_pull_request",
  title: "Check a pull request",
  summary: "failed jobs and reviews go to its session.",
  description: "What failed at a session's pull request goes to it as a paid run, once the person agreed.",
  searchHint: "pull request ci checks failed review comments github of a workflow run automagik",
  parameters: CHECK_PARAMETERS,
  unpublished: ["session_id", "wait_seconds", "confirm"],
  about: TARGET_ABOUT,
  endpoint: "pull_request",
  instead: "Read the pull request's page, and tell the session what failed by `run` with continue_session.",
  annotations: { readOnlyHint: false, destructiveHint: false, idempotentHint: false, openWorldHint: true },
  // What it starts has its own answers, and each part that is published costs every chat.
  answerParts: [],

  async handle(
    args: Arguments<(typeof CHECK_PARAMETERS)[number]>,
    call: Call,
    services: Services,
  ): Promise<Answer> {
    const run = await readWorkTarget(args, call, services);
    if ("outcome" in run) return run;
    if (!isFinal(run.status))
      return {
        outcome: "running",
        summary: `Nothing was looked at: the ${nameRun(run)} is still ${run.status}.`,
        next: watchAgain(run, "Wait for its end."),
      };
    const sight = await services.api.readPullRequest(run.runId, { signal: call.signal });
    if (sight.state !== "open" || sight.failed.length + sight.reviews.length === 0)
      return { outcome: "ok", summary: tellFine(sight), ...lookAgain(run, sight) };
    if (!sight.isOwnBranch) return { outcome: "ok", summary: await tellOfOthers(run, sight) };
    return sendBack(run, sight, args, call, services);
  },
});

async function sendBack(
  run: Run,
  sight: PullRequestSight,
  args: Arguments<(typeof CHECK_PARAMETERS)[number]>,
  call: Call,
  services: Services,
): Promise<Answer> {
  const { feedbackOf, tellCounts } = await import("../integrations/pull-request-feedback.js");
  const url = sight.url ?? "";
  const message = feedbackOf({ ...sight, url, headCommit: sight.headCommit ?? "" });
  const text = cleanText(message);
  const rest = text.length - SHOWN_CHARS;
  const shown = rest > 0 ? `${cutText(text, SHOWN_CHARS)}\n… (${rest} more characters)` : text;
  const key = `check_pr ${url} ${sight.headCommit} ${message.length}`;
  // Without forms they have seen it in the answer before: the same, and not what has come since.
  const isSeen = services.elsewhere.shown.get(call.person, key) === message;
  const confirm = isSeen && namesTarget(args) ? args.confirm : undefined;
  const ended = await confirmWithPerson(
    {
      action: "check_pr",
      remark: `${tellCounts(sight)} `,
      deed: `Send this to ${nameBriefly(run)} as a new paid run, whose commits go to ${url || "the pull request"}`,
      detail: [...sight.notes, "Others have written it. This is what is sent:", shown].join("\n\n"),
      tellsDetail: true,
      arguments: { run_id: run.runId },
      confirm,
      untouched: "Nothing was sent and no run was started.",
    },
    call,
  );
  if (ended) {
    const { missing, ...answer } = ended;
    if (answer.outcome !== "input_required") return answer;
    services.elsewhere.shown.keep(call.person, key, message);
    return {
      ...answer,
      summary: [answer.summary, ...(missing ?? []).map((one) => one.description)].join("\n\n"),
    };
  }
  const { workflowName, sessionId, sessionName } = run;
  const {
    run: started,
    missing: _none,
    ...answer
  } = await startRun(
    {
      ...{ message, workflow_name: workflowName, finish: "pull_request", wait_seconds: args.wait_seconds },
      ...(sessionId ? { session_id: sessionId } : { continue_session: sessionName }),
    },
    // They have just been told where its commits go.
    { publishes: true },
    call,
    services,
  );
  return started
    ? { ...answer, next: answer.next ?? watchAgain({ ...run, runId: started.run_id }, "See its result.") }
    : answer;
}

/** Of a plan's merged branch: a run of one session would commit to that session's own branch. */
async function tellOfOthers(run: Run, sight: PullRequestSight): Promise<string> {
  const { tellCounts } = await import("../integrations/pull-request-feedback.js");
  return (
    `${tellCounts(sight)} The pull request ${sight.url ?? ""} is of a branch into which a plan has merged several sessions, ` +
    `and what ${nameBriefly(run)} commits does not get there. Nothing was sent. Redo the step of the plan that has to mend it ` +
    "(`plan` with its id and `change: redo`), or mend the branch by hand."
  );
}

/** What there is to know where nothing has to be done. */
function tellFine({
  url,
  state,
  isDraft,
  checks,
  running,
  notes,
  failed,
  reviews,
}: PullRequestSight): string {
  const name = `The pull request ${url ?? ""}`.trim();
  const more = notes.map((note) => ` ${note}`).join("");
  if (state !== "open") return `${name} is ${state ?? "not open"}. Nothing was sent.`;
  const how = {
    none: "There are no checks.",
    running: `${running} ${running === 1 ? "check is" : "checks are"} still going on.`,
    passed: "All checks have passed.",
  }[checks ?? ""];
  const open = failed.length + reviews.length === 0 ? " No review point is open." : "";
  return `${name} is open${isDraft ? ", as a draft" : ""}. ${how ?? ""}${open}${more} Nothing was sent.`;
}

function lookAgain(run: Run, { state, checks }: PullRequestSight): Pick<Answer, "next"> {
  if (state !== "open" || checks !== "running") return {};
  return { next: { action: "check_pr", arguments: { run_id: run.runId }, reason: LOOK_AGAIN } };
}
