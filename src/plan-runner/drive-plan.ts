import { commandsOf, type PlanCommand } from "../plans/machine/commands.js";
import type { PlanChange } from "../plans/machine/events.js";
import type { Attempt, PlanState } from "../plans/machine/state.js";
import { type Clock, sleep } from "../shared/clock.js";
import { createKeyedMutex } from "../shared/keyed-mutex.js";
import type { Log } from "../shared/log.js";
import { cleanText } from "../shared/text.js";
import { StoreError } from "../store/store-error.js";
import { isOver, type JournalledPlan, type PlanJournal, startActOf } from "./journal.js";
import { findMovedWork } from "./moved-work.js";
import { createPlanCopy, type PlanCopy } from "./plan-copy.js";
import type { PlanOwner } from "./plan-owner.js";
import type { PlanNow, PlanPort, StartNote, StartOutcome } from "./port.js";
import { createWatchedNow } from "./watched-now.js";

type CommandOf<Type extends PlanCommand["type"]> = Extract<PlanCommand, { type: Type }>;

/** A plan that this process carries out. */
export interface DrivenPlan extends Pick<PlanCopy, "state" | "entries" | "happen" | "catchUp"> {
  /** What is seen of it at the moment. */
  readonly now: PlanNow;
  /** Something is being done outside, or waited for there: more than a person's decision. */
  readonly isAtWork: boolean;
  /** Begins what is to be done as the plan stands. */
  begin(): void;
  /** Nothing more is begun; resolves when what was sent has its answer, or after `graceMs`. Runs go on. */
  stop(graceMs: number): Promise<void>;
}

/** Pauses before something that has failed is tried again: they double, in ms. */
const FIRST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 60_000;
/** A run whose end was asked for and does not come is ended by force then, in ms, and again after as long. */
const KILL_AGAIN_MS = 30_000;
/** A merge of which nobody knows the outcome is asked for so many times. */
const MERGE_TRIES = 5;
/**
 * How long the list is looked at for a start of unknown fate, in ms since it was first looked for: an API works off what
 * waits in its queue. Afterwards a person has to say.
 */
const LOOK_FOR_MS = 10 * 60_000;
/** The longest timer: a machine may sleep meanwhile, and some systems count that, some do not. In ms. */
const LONGEST_TIMER_MS = 10 * 60_000;

/** To be tried again, for this reason; after the usual pause unless told. */
interface NotNow {
  reason: string;
  afterMs?: number | undefined;
  /** It is as it should be, and no trouble. */
  isFine?: true;
}

/**
 * Carries a plan out: what its state asks for is begun, each thing once, and what comes of it is written down as events,
 * from which the next follows. Whatever fails outside is tried again or becomes an event; it never ends this.
 * @param options.onSeen called with what is seen of it, often with the same
 * @param options.onLost the plan is another process's now; nothing more is done here
 * @param options.onOver nothing is to be done any more
 */
export function drivePlan(
  plan: JournalledPlan,
  options: {
    journal: PlanJournal;
    port: PlanPort;
    owner: PlanOwner;
    clock: Clock;
    log: Log;
    onSeen: (now: PlanNow) => void;
    onLost: () => void;
    onOver: () => void;
  },
): DrivenPlan {
  const { journal, port, owner, clock, log, onSeen, onLost, onOver } = options;
  const copy = createPlanCopy(plan, { journal, clock, onChange: () => begun && next() });
  const { planId } = copy.state;
  /** What was begun here, by the ids of its commands, until it is not wanted any more. */
  const acts = new Map<string, { abort: AbortController; isDone: boolean }>();
  const watched = createWatchedNow({ clock, onChange: publish });
  /** What concerns the start of one run is done one after the other. */
  const starts = createKeyedMutex();
  const underWay = new Set<Promise<void>>();
  const stopping = new AbortController();
  /** Runs that were asked to end. */
  const killed = new Set<string>();
  /** When a start of unknown fate was first looked for here (monotonic clock), and how often merges were asked for. */
  const lookedSince = new Map<string, number>();
  const mergeTries = new Map<string, number>();
  let begun = false;

  const isWanted = (id: string, state = copy.state) => commandsOf(state).some((command) => command.id === id);

  function next(): void {
    if (stopping.signal.aborted) return;
    const commands = commandsOf(copy.state);
    const ids = new Set(commands.map(({ id }) => id));
    for (const [id, act] of acts) {
      if (ids.has(id)) continue;
      act.abort.abort();
      acts.delete(id);
      watched.forget(id);
    }
    for (const command of commands) {
      if (acts.has(command.id)) continue;
      const act = { abort: new AbortController(), isDone: false };
      acts.set(command.id, act);
      const work = carryOut(command, act.abort.signal).finally(() => {
        underWay.delete(work);
        act.isDone = true;
        endWhenOver();
      });
      underWay.add(work);
    }
    publish();
    endWhenOver();
  }

  /** What was looked for in vain is not waited for: a person has to say what is to become of it. */
  function endWhenOver(): void {
    if (stopping.signal.aborted || !isOver(copy.state)) return;
    const isLeft = ({ id, type }: PlanCommand) =>
      type !== "finish" && !(type === "look-up" && acts.get(id)?.isDone);
    if (!commandsOf(copy.state).some(isLeft)) onOver();
  }

  function publish(): void {
    try {
      onSeen(watched.get());
      port.publish(copy.state, watched.get());
    } catch (error) {
      log.error("A change of a plan could not be told:", error);
    }
  }

  /** Until it is done or not wanted any more. Never rejects. */
  async function carryOut(command: PlanCommand, signal: AbortSignal): Promise<void> {
    for (let pauseMs = FIRST_PAUSE_MS; !signal.aborted; pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS)) {
      let notNow: NotNow | undefined;
      try {
        notNow = await handle(command, signal);
      } catch (error) {
        // What is no error for people is a defect: its text may hold anything.
        const isKnown = error instanceof StoreError || (error as Error).name === "ApiError";
        if (!isKnown) log.error(`The plan could not go on (${command.type}):`, error);
        notNow = {
          reason: isKnown ? (error as Error).message : "Internal error in this server. It is tried again.",
        };
      }
      if (signal.aborted) return;
      watched.setTrouble(command, notNow?.isFine ? undefined : notNow?.reason);
      if (!notNow) return;
      await sleep(clock, notNow.afterMs ?? pauseMs, signal);
    }
  }

  /** What is known to be so is written down, however long the disk fails. False when this process ends before. */
  async function tell(change: PlanChange): Promise<boolean> {
    for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS)) {
      try {
        // What cannot happen any more is old news.
        await copy.happen(change);
        return true;
      } catch (error) {
        if (!(error instanceof StoreError)) throw error;
        log.warn(`The plan cannot be written: ${error.message}`);
      }
      if (!(await sleep(clock, pauseMs, stopping.signal))) return false;
    }
  }

  /** @returns why it is to be tried again; undefined when it is done, for as long as it is wanted */
  async function handle(command: PlanCommand, signal: AbortSignal): Promise<NotNow | undefined> {
    switch (command.type) {
      case "start":
        return starts.run(command.key, () => start(command, signal));
      case "withdraw":
        return starts.run(command.key, () => withdraw(command, signal));
      case "look-up":
        return starts.run(command.key, () => lookUp(command, signal));
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
      case "wake": {
        for (let ms = command.at - clock.now(); ms > 0; ms = command.at - clock.now())
          if (!(await sleep(clock, Math.min(ms, LONGEST_TIMER_MS), signal))) return undefined;
        await tell({ type: "tick" });
        return undefined;
      }
      case "finish":
        return undefined;
    }
  }

  /** What a person is shown is what is there. Where that cannot be looked at, it is before the decision counts. */
  async function noteMovedWork(gate: string): Promise<void> {
    const moved = await findMovedWork(copy.state, gate, port).catch((error: Error) => {
      if (error.name !== "ApiError") throw error;
      return [];
    });
    for (const { key, commit } of moved) await tell({ type: "work-moved", key, commit });
  }

  async function start(command: CommandOf<"start">, signal: AbortSignal): Promise<NotNow | undefined> {
    const { id, key, order } = command;
    // Its turn may have come after something else has settled it.
    if (!isWanted(id)) return undefined;
    const act = await journal.findAct(planId, id);
    if (act) {
      const how = { note: act.note, taken: await journal.takenRuns(), maySend: true };
      const found = await port.lookUp(key, order, how, signal);
      return settle(key, found, true);
    }
    let isSent = false;
    const mayStart = async (note: StartNote) => {
      if (signal.aborted || stopping.signal.aborted) return false;
      const done = await copy.beginAct(id, { owner, note, isWanted: (state) => isWanted(id, state) });
      isSent = done === "begun";
      if (done === "lost") onLost();
      return isSent;
    };
    const outcome = await port.startRun(key, order, mayStart, signal).catch((error: Error): StartOutcome => {
      if (!isSent) throw error;
      const why = error.name === "ApiError" ? ` ${error.message}` : "";
      return { kind: "unknown", reason: `Its start was sent, and what came of it is not known.${why}` };
    });
    return settle(key, outcome, isSent);
  }

  /** Writes down how a start went. */
  async function settle(key: string, outcome: StartOutcome, isSent: boolean): Promise<NotNow | undefined> {
    switch (outcome.kind) {
      case "started": {
        const { kind: _kind, ...run } = outcome;
        await tell({ type: "run-started", key, ...run });
        return undefined;
      }
      case "not-started": {
        const { reason, deterministic } = outcome;
        if (isSent) await journal.forgetAct(planId, startActOf(key));
        await tell({ type: "run-not-started", key, reason, ...(deterministic ? { deterministic } : {}) });
        return undefined;
      }
      case "not-now":
        // It was not sent, so that it is no look-up the next time.
        if (isSent) await journal.forgetAct(planId, startActOf(key));
        return { reason: outcome.reason, afterMs: outcome.afterMs };
      case "withdrawn":
        if (isSent) await journal.forgetAct(planId, startActOf(key));
        return undefined;
      case "unknown":
        // Whoever goes on with the plan looks it up.
        if (stopping.signal.aborted) return undefined;
        await tell({ type: "start-unknown", key, reason: outcome.reason });
        return undefined;
    }
  }

  async function withdraw(command: CommandOf<"withdraw">, signal: AbortSignal): Promise<NotNow | undefined> {
    const { id, key } = command;
    if (!isWanted(id)) return undefined;
    const act = await journal.findAct(planId, startActOf(key));
    if (!act) {
      // And it cannot be sent any more: that would be noted on a state in which it is wanted.
      await tell({
        type: "run-not-started",
        key,
        reason: "It was not wanted any more.",
        deterministic: true,
      });
      return undefined;
    }
    const found = await look(key, act.note, signal);
    if (found.kind === "started") return settle(key, found, true);
    await tell({ type: "start-unknown", key, reason: "reason" in found ? found.reason : "" });
    return undefined;
  }

  async function lookUp(command: CommandOf<"look-up">, signal: AbortSignal): Promise<NotNow | undefined> {
    const { id, key } = command;
    if (!isWanted(id)) return undefined;
    const act = await journal.findAct(planId, startActOf(key));
    // It was never sent; whoever resumes the plan starts it.
    if (!act) return undefined;
    const found = await look(key, act.note, signal);
    if (found.kind === "started") return settle(key, found, true);
    const since = lookedSince.get(key) ?? clock.elapsed();
    lookedSince.set(key, since);
    if (clock.elapsed() - since >= LOOK_FOR_MS) return undefined;
    return { reason: "reason" in found ? found.reason : "", isFine: true };
  }

  async function look(key: string, note: StartNote, signal: AbortSignal): Promise<StartOutcome> {
    const order = findAttempt(copy.state, key)?.request;
    if (!order) return { kind: "unknown", reason: "Nobody knows what it was to do." };
    const how = { note, taken: await journal.takenRuns(), maySend: false };
    return port.lookUp(key, order, how, signal);
  }

  async function watch(command: CommandOf<"watch">, signal: AbortSignal): Promise<NotNow | undefined> {
    const { key, runId } = command;
    let telling = Promise.resolve();
    const onAsk = (text: string | undefined) => {
      telling = telling.then(async () => {
        const attempt = findAttempt(copy.state, key);
        if (text !== undefined && (attempt?.status !== "waiting" || attempt.asks !== cleanText(text, 2_000)))
          await tell({ type: "run-asks", key, text });
        if (text === undefined && attempt?.status === "waiting") await tell({ type: "run-goes-on", key });
      });
      telling.catch((error) => log.error("A question of a plan's run could not be noted:", error));
    };
    const isContinuation = findAttempt(copy.state, key)?.conversation !== key;
    const onAction = (text: string | undefined) => {
      if (!signal.aborted) watched.setAction(key, text);
    };
    const onShared = () => {
      telling = telling.then(async () => {
        await tell({ type: "workspace-shared", key });
      });
    };
    const end = await port
      .waitForRun(runId, { isContinuation, onShared, onAsk, onAction }, signal)
      .finally(() => watched.setAction(key, undefined));
    await telling;
    if (end) await tell({ type: "run-ended", key, ...end });
    return undefined;
  }

  async function merge(command: CommandOf<"merge">, signal: AbortSignal): Promise<NotNow | undefined> {
    const { id, step, attempt, item, branch, onto } = command;
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
    const into = onto
      ? { branch: onto.branch, isNew: false }
      : { branch: newBranch(copy.state, step, attempt), isNew: true };
    if (!(await journal.findAct(planId, id))) {
      const note = { into: into.branch };
      const done = await copy.beginAct(id, { owner, note, isWanted: (state) => isWanted(id, state) });
      if (done === "lost") onLost();
      if (done !== "begun") return undefined;
    }
    const tries = (mergeTries.get(id) ?? 0) + 1;
    mergeTries.set(id, tries);
    try {
      const outcome = await port.merge(command, { runId, into }, signal);
      if (outcome.kind === "merged")
        await tell({ type: "merged", ...at, branch: outcome.branch, commit: outcome.commit });
      else {
        const { kind: _kind, ...failed } = outcome;
        await tell({ type: "merge-failed", ...at, ...failed });
      }
    } catch (error) {
      if (signal.aborted || tries < MERGE_TRIES) throw error;
      const why = (error as Error).name === "ApiError" ? ` ${(error as Error).message}` : "";
      const reason = `It is not known whether it was merged into ${into.branch}: it was asked for ${tries} times.${why}`;
      await tell({ type: "merge-failed", ...at, because: "error", reason });
    }
    return undefined;
  }

  return {
    get state() {
      return copy.state;
    },
    get entries() {
      return copy.entries;
    },
    get now() {
      return watched.get();
    },
    get isAtWork() {
      return underWay.size > 0;
    },
    happen: copy.happen,
    catchUp: copy.catchUp,
    begin() {
      begun = true;
      next();
    },
    async stop(graceMs) {
      stopping.abort();
      for (const act of acts.values()) act.abort.abort();
      await Promise.race([Promise.allSettled(underWay), sleep(clock, graceMs)]);
    },
  };
}

function stepOf(key: string): string | undefined {
  return key.split("/")[1];
}

function findAttempt({ steps }: PlanState, key: string): Attempt | undefined {
  return steps[stepOf(key) ?? ""]?.attempts.findLast((one) => one.key === key);
}

function findRunOn({ steps }: PlanState, branch: string): Attempt | undefined {
  return Object.values(steps)
    .flatMap(({ attempts }) => attempts)
    .findLast((one) => one.branch === branch && one.runId !== undefined);
}

/** The branch of a merge step's own, the same whenever it is asked for. */
function newBranch({ planId, plan }: PlanState, step: string, round: number): string {
  const words = [plan.name, step, round === 1 ? "" : String(round), planId.slice(0, 8)];
  const name = words
    .map((word) =>
      word
        .toLowerCase()
        .replace(/[^a-z0-9]+/g, "-")
        .replace(/^-+|-+$/g, ""),
    )
    .filter(Boolean)
    .join("-");
  return `automagik/${name.slice(0, 100)}`;
}
