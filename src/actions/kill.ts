import { ApiError } from "../api/errors.js";
import { isFinal, type KillReport, type Run } from "../api/types.js";
import { mergeRun } from "../runs/merge-run.js";
import { sleep } from "../shared/clock.js";
import { withDeadline } from "../shared/deadline.js";
import type { Answer } from "./answer.js";
import type { Arguments } from "./arguments.js";
import { type Call, defineAction, type Services } from "./define-action.js";
import { describeRun, nameFurther, nameRun, tellEnd, tellPosition } from "./describe-run.js";
import { confirmWithPerson } from "./forms/confirm.js";
import { watchAgain } from "./next-steps.js";
import { answerUnknown, describeForConfirmation, readRun } from "./read-run.js";
import { findPlanOf, resolveTarget, TARGET_ABOUT } from "./resolve-target.js";

const KILL_PARAMETERS = ["run_id", "session_name", "session_id", "plan_id", "force", "confirm"] as const;
type KillArguments = Arguments<(typeof KILL_PARAMETERS)[number]>;

/** How long a kill that was agreed to, and then its answer, waits for one look at the run, in ms. */
const LOOK_MS = 5_000;
/** How long a kill by name waits for the API's list, in ms, when the index knows the session as well. */
const LIST_MS = 2_000;
/** Pauses between the looks after a kill, in ms: a server that does not stop the agent shows it soon. */
const LOOKS_AFTER_MS = [300, 1_000, 2_000];

/** Kills a run after the person agreed, and tells what was seen afterwards. */
export const killAction = defineAction({
  name: "kill",
  toolName: "kill_run",
  title: "Kill a run",
  summary: "end a run for good, after the person agreed.",
  description:
    "Ends a run that is going on, after the person agreed (by a form, else confirm: true), and tells its status afterwards.",
  searchHint: "stop abort cancel end workflow run automagik",
  parameters: KILL_PARAMETERS,
  about: {
    ...TARGET_ABOUT,
    plan_id: "Id of a plan: it ends with all of its runs.",
    force: "Kill at once, without a graceful stop.",
    confirm: "true only after the person agreed to kill it.",
  },
  endpoint: "kill",
  annotations: { readOnlyHint: false, destructiveHint: true, idempotentHint: true, openWorldHint: true },
  answerParts: ["run", "missing", "plan"],

  async handle(args: KillArguments, call: Call, services: Services): Promise<Answer> {
    const plan = await findPlanOf(args, services);
    if (plan) {
      const { killPlan } = await import("./plans/kill-plan.js");
      return killPlan(plan, args.confirm, call, services);
    }
    const target = await resolveTarget(args, "active", call, services, LIST_MS);
    const relied = target.isFromIndex
      ? `The API's list of runs did not come in time, so the run of "${target.session?.name}" is the newest one known here. `
      : "";
    const answer = await killAfterConsent(target.run, relied, args, call, services);
    return { ...answer, summary: `${relied}${answer.summary}` };
  },
});

async function killAfterConsent(
  seed: Run,
  relied: string,
  args: KillArguments,
  call: Call,
  services: Services,
): Promise<Answer> {
  const run = await readRun(seed, call, services);
  if ("outcome" in run) return run;
  if (isOver(run)) return tellOver(run, services);
  const ended = await confirmWithPerson(
    {
      action: "kill",
      deed: `${args.force ? "Kill at once" : "Kill"} ${describeForConfirmation(run)}`,
      remark: relied,
      detail: `It is ${nameFurther(run)}`,
      arguments: { run_id: run.runId, ...(args.force ? { force: true } : {}) },
      confirm: args.confirm,
    },
    call,
  );
  if (ended) return { ...ended, run: describeRun(run, { now: services.clock.now() }) };
  // A person takes time, and the public server turns even a completed run into a killed one.
  const now = await lookAgain(run, call, services);
  if ("outcome" in now) return now;
  if (isOver(now)) return tellOver(now, services);
  return kill(now, args.force === true, call, services);
}

/** Nothing of it is there to be ended: one that was interrupted and is to go on by itself may be kept from that. */
const isOver = ({ status, goesOn }: Run) => isFinal(status) && (!goesOn || goesOn.runId !== undefined);

/** The run after the person's answer. An API that does not answer this read does not keep the run from being killed. */
async function lookAgain(run: Run, call: Call, services: Services): Promise<Run | Answer> {
  const read = (signal: AbortSignal) => services.runs.read(run.runId, signal);
  try {
    const seen = await withDeadline(services.clock, LOOK_MS, read, call.signal);
    return seen ? mergeRun(run, seen) : run;
  } catch (error) {
    if (!(error instanceof ApiError) || call.signal.aborted) throw error;
    return error.kind === "not_found" ? answerUnknown(run.runId) : run;
  }
}

async function kill(run: Run, force: boolean, call: Call, services: Services): Promise<Answer> {
  try {
    const report = await services.api.killRun(run.runId, force);
    return await lookAfterwards(run, report, call, services);
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    if (error.mayHaveActed) {
      return {
        outcome: "unknown",
        summary: `It is unknown whether the kill arrived. ${error.message}`,
        run: describeRun(run, { now: services.clock.now() }),
        next: watchAgain(run, "See the run's status."),
      };
    }
    // It may have ended in the very moment before.
    const after = error.kind === "refused" ? await readRun(run, call, services) : undefined;
    if (after && !("outcome" in after) && isFinal(after.status)) return tellOver(after, services);
    throw error;
  }
}

function tellOver(run: Run, { clock }: Services): Answer {
  const goesOnAs = run.goesOn?.runId;
  return {
    outcome: "ok",
    summary: `Nothing was killed: the run is already over. ${tellEnd(run)}`,
    run: describeRun(run, { now: clock.now() }),
    ...(goesOnAs === undefined
      ? {}
      : {
          next: {
            action: "kill",
            arguments: { run_id: goesOnAs },
            reason: "That run goes on with it by itself: end it where the person wants that.",
          },
        }),
  };
}

async function lookAfterwards(
  before: Run,
  report: KillReport,
  call: Call,
  services: Services,
): Promise<Answer> {
  const { api, clock, sessions } = services;
  let run = before;
  let looked = false;
  let worked = false;
  let firstTurn: number | undefined;
  for (const pause of LOOKS_AFTER_MS) {
    if (!(await sleep(clock, pause, call.signal))) break;
    const look = (signal: AbortSignal) => api.getRun(run.runId, { retries: 0, signal });
    const seen = await withDeadline(clock, LOOK_MS, look, call.signal).catch(() => undefined);
    if (!seen) continue;
    looked = true;
    run = mergeRun(run, seen);
    firstTurn ??= run.turn;
    if (run.turn !== firstTurn) worked = true;
    if (isFinal(run.status) && run.status !== "killed") break;
  }
  // It is still watched: the status of a killed run may change on a server that does not stop it.
  sessions.keepWatching(run);
  const accepted = report.success ? "The kill was accepted" : "The API says that the kill did not succeed";
  const answer = { run: describeRun(run, { now: clock.now() }) };
  if (!looked) {
    return {
      ...answer,
      outcome: "unknown",
      summary: `${accepted}, but the status of the ${nameRun(run)} could not be read since then.`,
      next: watchAgain(run, "See whether it ends."),
    };
  }
  if (run.status === "killed") {
    return {
      ...answer,
      outcome: "killed",
      summary: worked
        ? `The ${nameRun(run)} is killed according to the API, but its agent was still seen working afterwards (${tellPosition(run)}). It may still end as completed.`
        : `The ${nameRun(run)} is killed${services.settings.engine === "local" ? "" : ", according to the API"}, and no further work was seen since.`,
      ...(worked ? { next: watchAgain(run, "See whether it really ends.") } : {}),
    };
  }
  if (isFinal(run.status) && before.goesOn) {
    if (run.goesOn) return tellOver(run, services);
    const summary = `The ${nameRun(run)} was interrupted before. It does not go on by itself any more.`;
    return { ...answer, outcome: "killed", summary };
  }
  if (isFinal(run.status)) {
    return {
      ...answer,
      outcome: run.status as "completed" | "failed",
      summary: `${accepted}, but it did not stop the run: ${tellEnd(run)}`,
    };
  }
  return {
    ...answer,
    outcome: "running",
    summary: `${accepted}, and the ${nameRun(run)} is still ${run.status} as of now.`,
    next: watchAgain(run, "See whether it ends."),
  };
}
