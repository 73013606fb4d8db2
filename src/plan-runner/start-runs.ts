import type { PlanCommand } from "../plans/machine/commands.js";
import { createKeyedMutex } from "../shared/keyed-mutex.js";
import { type CommandContext, findAttempt, type NotNow } from "./command-context.js";
import { startActOf } from "./plan-rows.js";
import type { StartNote, StartOutcome } from "./port.js";

type CommandOf<Type extends PlanCommand["type"]> = Extract<PlanCommand, { type: Type }>;

/**
 * How long the list is looked at for a start of unknown fate, in ms since it was first looked for: an API works off what
 * waits in its queue. Afterwards a person has to say.
 */
const LOOK_FOR_MS = 10 * 60_000;

/** How long a start is tried again that the API refuses as things stand, in ms. Afterwards a person has to look. */
const REFUSED_FOR_MS = 10 * 60_000;

/** What concerns the starts of runs: each is sent once, and what has become of it is found out. */
export interface StartRuns {
  start(command: CommandOf<"start">, signal: AbortSignal): Promise<NotNow | undefined>;
  withdraw(command: CommandOf<"withdraw">, signal: AbortSignal): Promise<NotNow | undefined>;
  lookUp(command: CommandOf<"look-up">, signal: AbortSignal): Promise<NotNow | undefined>;
}

/** Creates it for one plan that this process carries out. */
export function createStartRuns(context: CommandContext): StartRuns {
  const { copy, journal, port, clock, begun, stopping, isWanted, tell } = context;
  const { planId } = copy.state;
  /** What concerns the start of one run is done one after the other. */
  const starts = createKeyedMutex();
  /** When a start of unknown fate was first looked for here (monotonic clock). */
  const lookedSince = new Map<string, number>();

  /** Since when starts are refused here (monotonic clock). */
  const refusedSince = new Map<string, number>();

  async function start(command: CommandOf<"start">, signal: AbortSignal): Promise<NotNow | undefined> {
    const { id, key, order } = command;
    // Its turn may have come after something else has settled it.
    if (!isWanted(id)) {
      await begun.takeBack(id);
      return undefined;
    }
    const act = begun.isOpen(id) ? undefined : await journal.findAct(planId, id);
    if (act) {
      const how = { note: act.note, taken: await journal.takenRuns(), maySend: begun.isOurs };
      return settle(key, await port.lookUp(key, order, how, signal), true);
    }
    let isSent = false;
    const mayStart = async () => {
      const isOff = () => signal.aborted || stopping.aborted;
      if (isSent) return !isOff() && begun.isOurs();
      isSent = !isOff() && (await begun.mayDo(id, () => port.noteOfStart())) && !isOff();
      if (isSent) begun.done(id);
      return isSent;
    };
    const outcome = await port
      .startRun(key, order, mayStart, signal)
      .catch(async (error: Error): Promise<StartOutcome> => {
        if (!isSent) {
          await begun.takeBack(id);
          throw error;
        }
        const why = error.name === "ApiError" ? ` ${error.message}` : "";
        return { kind: "unknown", reason: `Its start was sent, and what came of it is not known.${why}` };
      });
    return settle(key, outcome, isSent);
  }

  /** Writes down how a start went. @param isSent it was sent, or may have been */
  async function settle(key: string, outcome: StartOutcome, isSent: boolean): Promise<NotNow | undefined> {
    const id = startActOf(key);
    switch (outcome.kind) {
      case "started": {
        const { kind: _kind, ...run } = outcome;
        await tell({ type: "run-started", key, ...run });
        return undefined;
      }
      case "not-started": {
        const { reason, deterministic } = outcome;
        // That it was begun is forgotten in the same write.
        await tell({ type: "run-not-started", key, reason, ...(deterministic ? { deterministic } : {}) });
        begun.done(id);
        return undefined;
      }
      case "not-now":
      case "withdrawn":
        // It was not sent, so that it is no look-up the next time.
        if (isSent) await begun.forget(id);
        else await begun.takeBack(id);
        if (outcome.kind === "withdrawn") return undefined;
        if (outcome.isRefusal && isRefusedTooLong(key)) {
          const minutes = REFUSED_FOR_MS / 60_000;
          const reason = `The API has refused this start for ${minutes} minutes, so it is not tried again. No run was started. Put right what it says, then redo the step: ${outcome.reason}`;
          await tell({ type: "run-not-started", key, reason, deterministic: true });
          return undefined;
        }
        if (!outcome.isRefusal) refusedSince.delete(key);
        return { reason: outcome.reason, afterMs: outcome.afterMs };
      case "unknown":
        // Whoever goes on with the plan looks it up.
        if (stopping.aborted || !(await begun.isOurs())) return undefined;
        await tell({ type: "start-unknown", key, reason: outcome.reason });
        return undefined;
    }
  }

  function isRefusedTooLong(key: string): boolean {
    const since = refusedSince.get(key) ?? clock.elapsed();
    refusedSince.set(key, since);
    if (clock.elapsed() - since < REFUSED_FOR_MS) return false;
    refusedSince.delete(key);
    return true;
  }

  async function withdraw(command: CommandOf<"withdraw">, signal: AbortSignal): Promise<NotNow | undefined> {
    const { id, key } = command;
    if (!isWanted(id)) return undefined;
    const note = await noteOfSent(key);
    if (!note) {
      // And it cannot be sent any more: that would be noted on a state in which it is wanted.
      await tell({
        type: "run-not-started",
        key,
        reason: "It was not wanted any more.",
        deterministic: true,
      });
      return undefined;
    }
    const found = await look(key, note, signal);
    if (found.kind === "started") return settle(key, found, true);
    await tell({ type: "start-unknown", key, reason: "reason" in found ? found.reason : "" });
    return undefined;
  }

  async function lookUp(command: CommandOf<"look-up">, signal: AbortSignal): Promise<NotNow | undefined> {
    const { id, key } = command;
    if (!isWanted(id)) return undefined;
    const note = await noteOfSent(key);
    // It was never sent; whoever resumes the plan starts it.
    if (!note) return undefined;
    const found = await look(key, note, signal);
    if (found.kind === "started") return settle(key, found, true);
    const since = lookedSince.get(key) ?? clock.elapsed();
    lookedSince.set(key, since);
    if (clock.elapsed() - since >= LOOK_FOR_MS) return undefined;
    return { reason: "reason" in found ? found.reason : "", isFine: true };
  }

  /** What a start can be found again by, if it may have been sent. */
  async function noteOfSent(key: string): Promise<StartNote | undefined> {
    const id = startActOf(key);
    await begun.takeBack(id);
    return (await journal.findAct(planId, id))?.note;
  }

  async function look(key: string, note: StartNote, signal: AbortSignal): Promise<StartOutcome> {
    const order = findAttempt(copy.state, key)?.request;
    if (!order) return { kind: "unknown", reason: "Nobody knows what it was to do." };
    const how = { note, taken: await journal.takenRuns() };
    return port.lookUp(key, order, how, signal);
  }

  return {
    start: (command, signal) => starts.run(command.key, () => start(command, signal)),
    withdraw: (command, signal) => starts.run(command.key, () => withdraw(command, signal)),
    lookUp: (command, signal) => starts.run(command.key, () => lookUp(command, signal)),
  };
}
