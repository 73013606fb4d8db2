import { createHash } from "node:crypto";
import type { PlanCommand } from "../plans/machine/commands.js";
import type { Attempt, PlanState } from "../plans/machine/state.js";
import { sleep } from "../shared/clock.js";
import { cleanText } from "../shared/text.js";
import { type CommandContext, findAttempt, type NotNow } from "./command-context.js";
import { findMovedWork } from "./moved-work.js";
import { tellPullRequest } from "./plan-pull-request.js";
import type { StartNote } from "./port.js";
import { createStartRuns } from "./start-runs.js";

type CommandOf<Type extends PlanCommand["type"]> = Extract<PlanCommand, { type: Type }>;

/** A run whose end was asked for and does not come is ended by force then, in ms, and again after as long. */
const KILL_AGAIN_MS = 30_000;
/** Where a branch stands is not asked again so soon after the end of its run has told it, in ms. */
const JUST_TOLD_MS = 10_000;
/** A merge of which nobody knows the outcome is asked for so many times. */
const MERGE_TRIES = 5;
/** The longest timer: a machine may sleep meanwhile, and some systems count that, some do not. In ms. */
const LONGEST_TIMER_MS = 10 * 60_000;

/**
 * Carries out one command of a plan.
 * @returns why it is to be tried again; undefined when it is done, for as long as it is wanted
 * @throws whatever fails outside; it is tried again
 */
export type CarryOut = (command: PlanCommand, signal: AbortSignal) => Promise<NotNow | undefined>;

/** Creates it for one plan that this process carries out. */
export function createCarryOut(context: CommandContext): CarryOut {
  const { copy, journal, port, clock, log, begun, watched, tell } = context;
  const { planId } = copy.state;
  const starts = createStartRuns(context);
  /** Runs that were asked to end. */
  const killed = new Set<string>();
  /** How often merges were asked for. */
  const mergeTries = new Map<string, number>();

  async function watch(command: CommandOf<"watch">, signal: AbortSignal): Promise<NotNow | undefined> {
    const { key, runId } = command;
    let telling = Promise.resolve();
    const onAsk = (text: string | undefined) => {
      telling = telling.then(async () => {
        const attempt = findAttempt(copy.state, key);
        if (text !== undefined && (attempt?.status !== "waiting" || attempt.asks !== cleanText(text, 2_000)))
          await tell({ type: "run-asks", key, text: cleanText(text, 2_000) });
        if (text === undefined && attempt?.status === "waiting") await tell({ type: "run-goes-on", key });
      });
      telling.catch((error) => log.error("A question of a plan's run could not be noted:", error));
    };
    const onAction = (text: string | undefined) => {
      if (!signal.aborted) watched.setAction(key, text);
    };
    const onShared = () => {
      telling = telling.then(async () => {
        await tell({ type: "workspace-shared", key });
      });
    };
    const isContinuation = findAttempt(copy.state, key)?.conversation !== key;
    const end = await port
      .waitForRun(runId, { isContinuation, onShared, onAsk, onAction }, signal)
      .finally(() => watched.setAction(key, undefined));
    await telling;
    if (end) await tell({ type: "run-ended", key, ...end });
    return undefined;
  }

  /**
   * What a person is shown is what is there. Where that cannot be looked at, it is before the decision counts. A gate right
   * behind its runs asks nothing: their ends have said where the work stands.
   */
  async function noteMovedWork(gate: string): Promise<void> {
    const moved = await findMovedWork(copy.state, gate, port, clock.now() - JUST_TOLD_MS).catch(
      (error: Error) => {
        if (error.name !== "ApiError") throw error;
        return [];
      },
    );
    for (const { key, commit } of moved) await tell({ type: "work-moved", key, commit });
  }

  async function merge(command: CommandOf<"merge">, signal: AbortSignal): Promise<NotNow | undefined> {
    const { id, step, attempt, item, branch } = command;
    const at = { step, attempt, item };
    const runId = findRunOn(copy.state, branch)?.runId;
    if (runId === undefined) {
      await tell({
        type: "merge-failed",
        ...at,
        because: "error",
        reason: `No run has left the branch ${branch}.`,
      });
      return undefined;
    }
    const into = targetOf(command, copy.state);
    if (begun.isOpen(id) || !(await journal.findAct(planId, id))) {
      // Its check is a command, and nothing of a plan runs any more that was ended.
      if (copy.state.killAskedAt !== undefined) {
        await begun.takeBack(id);
        await tell({ type: "merge-failed", ...at, because: "error", reason: "The plan was ended before." });
        return undefined;
      }
      if (!(await begun.mayDo(id, () => noteOfMerge(command, copy.state)))) {
        await begun.takeBack(id);
        return undefined;
      }
      begun.done(id);
    }
    const tries = (mergeTries.get(id) ?? 0) + 1;
    mergeTries.set(id, tries);
    try {
      const outcome = await port.merge(command, { runId, into }, signal);
      if (outcome.kind === "not-now") {
        mergeTries.set(id, tries - 1);
        await begun.forget(id);
        return { reason: outcome.reason, afterMs: outcome.afterMs };
      }
      if (outcome.kind === "merged")
        await tell({ type: "merged", ...at, branch: outcome.branch, commit: outcome.commit });
      else {
        const { kind: _kind, ...failed } = outcome;
        await tell({ type: "merge-failed", ...at, ...failed });
      }
    } catch (error) {
      if (signal.aborted || tries < MERGE_TRIES || !(await begun.isOurs())) throw error;
      const why = (error as Error).name === "ApiError" ? ` ${(error as Error).message}` : "";
      const reason = `It is not known whether it was merged into ${into.branch}: it was asked for ${tries} times.${why}`;
      await tell({ type: "merge-failed", ...at, because: "error", reason });
    }
    return undefined;
  }

  return async (command, signal) => {
    switch (command.type) {
      case "start":
        return starts.start(command, signal);
      case "withdraw":
        return starts.withdraw(command, signal);
      case "look-up":
        return starts.lookUp(command, signal);
      case "watch":
        return watch(command, signal);
      case "kill":
        await port.kill(command.runId, killed.has(command.id));
        killed.add(command.id);
        return { reason: "The run was asked to end, and goes on.", afterMs: KILL_AGAIN_MS, isFine: true };
      case "open-gate":
        await noteMovedWork(command.step);
        // Opened anew, with what is there now.
        if (signal.aborted) return undefined;
        await port.openGate(command, copy.state);
        return undefined;
      case "ask-agreement":
        await port.openGate(command, copy.state);
        return undefined;
      case "merge":
        return merge(command, signal);
      case "pull-request": {
        const outcome = await port.openPullRequest(command, tellPullRequest(copy.state), signal);
        if (outcome?.kind === "not-now") return { reason: outcome.reason, afterMs: outcome.afterMs };
        if (!outcome) return undefined;
        const { kind: _kind, ...told } = outcome;
        await tell({ type: "pull-request", branch: command.branch, ...told });
        return undefined;
      }
      case "wake": {
        for (let ms = command.at - clock.now(); ms > 0; ms = command.at - clock.now())
          if (!(await sleep(clock, Math.min(ms, LONGEST_TIMER_MS), signal))) return undefined;
        await tell({ type: "tick" });
        return undefined;
      }
      case "finish":
        return undefined;
    }
  };
}

/** What a merge is noted with when it is begun. */
export function noteOfMerge(command: CommandOf<"merge">, state: PlanState): StartNote {
  return { into: targetOf(command, state).branch };
}

function targetOf(
  { step, attempt, onto }: CommandOf<"merge">,
  state: PlanState,
): { branch: string; isNew: boolean } {
  return onto
    ? { branch: onto.branch, isNew: false }
    : { branch: newBranch(state, step, attempt), isNew: true };
}

function findRunOn({ steps }: PlanState, branch: string): Attempt | undefined {
  return Object.values(steps)
    .flatMap(({ attempts }) => attempts)
    .findLast((one) => one.branch === branch && one.runId !== undefined);
}

/**
 * The branch of a merge step's own in one round, the same whenever it is asked for. The end is of the whole name: what
 * is left of two names once they are cut, or fit for a branch, may be the same.
 */
function newBranch({ planId, plan }: PlanState, step: string, round: number): string {
  const name = [plan.name, step, round === 1 ? "" : String(round)]
    .map((word) =>
      word
        .toLowerCase()
        .replace(/[^a-z0-9]+/g, "-")
        .replace(/^-+|-+$/g, ""),
    )
    .filter(Boolean)
    .join("-");
  const end = createHash("sha256").update(`${planId}/${step}/${round}`).digest("hex").slice(0, 10);
  return `automagik/${name.slice(0, 80).replace(/-+$/, "")}-${end}`;
}
