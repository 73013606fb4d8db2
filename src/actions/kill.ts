import { sleep } from "../clock.js";
import { mergeRun } from "../services/merge-run.js";
import { ApiError } from "../upstream/errors.js";
import { isFinal, type Run } from "../upstream/types.js";
import type { Answer } from "./answer.js";
import type { Arguments } from "./arguments.js";
import { confirmWithPerson } from "./confirm.js";
import { type Call, defineAction, type Services } from "./define-action.js";
import { describeRun, nameRun, tellEnd, tellPosition } from "./describe-run.js";
import { watchAgain } from "./follow-run.js";
import { resolveTarget } from "./resolve-target.js";

const KILL_PARAMETERS = ["run_id", "session_name", "session_id", "force", "confirm"] as const;

/** Pauses between the looks after a kill, in ms: a server that does not stop the agent shows it soon. */
const LOOKS_AFTER_MS = [300, 1_000, 2_000];

/** Kills a run after the person agreed, and tells what was seen afterwards. */
export const killAction = defineAction({
  name: "kill",
  toolName: "kill_run",
  title: "Kill a run",
  summary: "end a run for good, after the person agreed.",
  description:
    "Ends a run that is going on, after the person agreed (asked by a form, or confirm: true where there are " +
    "none), and tells what was seen afterwards.",
  parameters: KILL_PARAMETERS,
  annotations: { readOnlyHint: false, destructiveHint: true, idempotentHint: true, openWorldHint: true },
  answerParts: ["run", "missing"],

  async handle(
    args: Arguments<(typeof KILL_PARAMETERS)[number]>,
    call: Call,
    services: Services,
  ): Promise<Answer> {
    const { api, clock } = services;
    const target = await resolveTarget(args, "active", call, services);
    const run = await readRun(target.run, call, services);
    if ("outcome" in run) return run;
    const describe = (one: Run) => describeRun(one, { now: clock.now() });
    if (isFinal(run.status)) {
      return {
        outcome: "ok",
        summary: `Nothing was sent: it is over already. ${tellEnd(run)}`,
        run: describe(run),
      };
    }
    const ended = await confirmWithPerson(
      {
        action: "kill",
        deed: `${args.force ? "Kill at once" : "Kill"} ${describeForConfirmation(run)}`,
        arguments: { run_id: run.runId, ...(args.force ? { force: true } : {}) },
        confirm: args.confirm,
      },
      call,
    );
    if (ended) return { ...ended, run: describe(run) };
    try {
      await api.killRun(run.runId, args.force === true);
    } catch (error) {
      if (!(error instanceof ApiError) || !error.mayHaveActed) throw error;
      return {
        outcome: "unknown",
        summary: `It is unknown whether the kill arrived. ${error.message}`,
        run: describe(run),
        next: watchAgain(run, "See how the run stands."),
      };
    }
    return lookAfterwards(run, call, services);
  },
});

/** Reads the run, or answers that the API does not know it: then there is nothing to act on. */
export async function readRun(seed: Run, call: Call, services: Services): Promise<Run | Answer> {
  try {
    return mergeRun(seed, await services.runs.read(seed.runId, call.signal));
  } catch (error) {
    if (!(error instanceof ApiError) || error.kind !== "not_found") throw error;
    return {
      outcome: "unknown",
      summary: `The API knows no run ${seed.runId}, so there is nothing to act on. Nothing was sent.`,
      next: { action: "list_sessions", arguments: {}, reason: "See what is going on." },
    };
  }
}

/** "workflow architect, session x, run y (turn 3 of 10, 0.12 USD so far)" */
export function describeForConfirmation(run: Run): string {
  const facts = [tellPosition(run), run.costUsd === undefined ? "" : `${run.costUsd} USD so far`].filter(
    Boolean,
  );
  return `${nameRun(run)}${facts.length > 0 ? ` (${facts.join(", ")})` : ""}`;
}

async function lookAfterwards(before: Run, call: Call, services: Services): Promise<Answer> {
  const { api, clock, sessions } = services;
  let run = before;
  let worked = false;
  let firstTurn: number | undefined;
  for (const pause of LOOKS_AFTER_MS) {
    if (!(await sleep(clock, pause, call.signal))) break;
    const seen = await api.getRun(run.runId, { retries: 0, signal: call.signal }).catch(() => undefined);
    if (!seen) continue;
    run = mergeRun(run, seen);
    firstTurn ??= run.turn;
    if (run.turn !== firstTurn) worked = true;
    if (isFinal(run.status) && run.status !== "killed") break;
  }
  // It goes on being looked at: the status of a killed run may still change on a server that does not stop it.
  sessions.keepWatching(run);
  const answer = { run: describeRun(run, { now: clock.now() }) };
  if (run.status === "killed") {
    return {
      ...answer,
      outcome: "killed",
      summary: worked
        ? `The API calls the ${nameRun(run)} killed, but its agent was still seen working afterwards (${tellPosition(run)}). It may yet turn to completed.`
        : `The ${nameRun(run)} is killed, as the API says; no further work was seen in the moments after.`,
      ...(worked ? { next: watchAgain(run, "See whether it really ends.") } : {}),
    };
  }
  if (isFinal(run.status)) {
    return {
      ...answer,
      outcome: run.status as "completed" | "failed",
      summary: `The kill was accepted, but the run was not stopped by it: ${tellEnd(run)}`,
    };
  }
  return {
    ...answer,
    outcome: "running",
    summary: `The kill was accepted, but the ${nameRun(run)} is still ${run.status} as of now.`,
    next: watchAgain(run, "See whether it ends."),
  };
}
