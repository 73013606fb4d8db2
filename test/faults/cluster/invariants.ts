import { runsOf, saysNothingDone, saysNotStarted } from "./ledger.js";
import { idOf, markOf } from "./plans.js";
import type { Span } from "./program.js";
import type { Facts, StoredRun } from "./settle.js";

/** So long after it goes on, the agents of a worker that was frozen may be there, in ms. */
const AFTER_THAW_MS = 10_000;

/** The rules that a sequence has broken. */
export function checkCluster(facts: Facts): string[] {
  return [
    ...checkStarts(facts),
    ...checkAgents(facts),
    ...checkSessions(facts),
    ...checkMessages(facts),
    ...checkAnswers(facts),
    ...checkKills(facts),
    ...checkPlans(facts),
    ...checkDecisions(facts),
    ...checkEvents(facts),
    ...facts.leaks,
  ];
}

const count = ({ named }: Facts, what: string) => {
  named[what] = (named[what] ?? 0) + 1;
};

/** An acknowledged start is there; the same key is the same run; a refused one is not. */
function* checkStarts({ ledger, runs }: Facts): Generator<string> {
  for (const start of ledger.starts) {
    const { token, key, posts, open } = start;
    const told = runsOf(start);
    const stored = runs.filter(({ message }) => message.includes(token));
    for (const runId of told)
      if (!stored.some((run) => run.runId === runId))
        yield `start ${token} was acknowledged as run ${runId}, which is not there`;
    if (key !== undefined && told.length > 1)
      yield `the key of ${token} is that of the runs ${told.join(", ")}`;
    if (stored.length > (key === undefined ? posts.length : 1))
      yield `start ${token} has made ${stored.length} runs with ${posts.length} POSTs${key ? " of one key" : ""}`;
    const isRefused = open === 0 && posts.length > 0 && posts.every(({ outcome }) => saysNotStarted(outcome));
    if (isRefused && stored.length > 0)
      yield `start ${token} was refused with "nothing was started", and is run ${stored[0]?.runId}`;
  }
}

/** A run has one agent at most, and one of which it is said that there was none has none. */
function* checkAgents({ runs, lives }: Facts): Generator<string> {
  for (const { runId, neverStarted } of runs) {
    const own = lives.filter(({ run }) => run === runId);
    if (own.length > 1)
      yield `run ${runId} had ${own.length} agents, on ${own.map(({ worker }) => worker.machine.name).join(", ")}`;
    if (neverStarted && own.length > 0) yield `run ${runId} says that it was never started, and had an agent`;
  }
}

const spanAt = (spans: readonly Span[], at: number, graceMs: number) =>
  spans.find(({ from, to }) => from <= at && at <= to + graceMs);

/** Two agents of one session are never there at once, unless the first one's worker could not end it. */
function* checkSessions(facts: Facts): Generator<string> {
  const inOrder = [...facts.lives].sort((a, b) => a.began - b.began);
  for (const [index, second] of inOrder.entries())
    for (const first of inOrder.slice(0, index)) {
      if (first.session !== second.session || first.seen <= second.began) continue;
      const { frozen, down } = first.worker;
      const wasFrozen = spanAt(frozen, second.began, AFTER_THAW_MS);
      if (wasFrozen && first.seen <= wasFrozen.to + AFTER_THAW_MS)
        count(facts, "an agent of a frozen worker was there beside the session's next one");
      else if (spanAt(down, second.began, AFTER_THAW_MS))
        count(facts, "an agent of a killed worker was there beside the session's next one");
      else
        yield `session ${first.session} had two agents at once: of run ${first.run} on ${first.worker.machine.name}, ` +
          `and from ${Math.round(first.seen - second.began)} ms before its end of run ${second.run} on ` +
          second.worker.machine.name;
    }
}

const find = (runs: readonly StoredRun[], runId: string) => runs.find((run) => run.runId === runId);

/** An acknowledged message is taken up once, unless its run was ended before; one that was refused never is. */
function* checkMessages(facts: Facts): Generator<string> {
  const { ledger, runs, lives } = facts;
  for (const { runId, text, outcome } of ledger.messages) {
    const taken = lives.flatMap(({ took }) => took.filter((one) => one.includes(text))).length;
    const run = find(runs, runId);
    if (taken > 1) yield `the message ${text} was taken up ${taken} times`;
    if (taken > 0 && saysNothingDone(outcome))
      yield `the message ${text} was refused with "nothing was sent", and taken up`;
    if (outcome.kind !== "done" || taken > 0) continue;
    if (run?.status === "completed")
      yield `the message ${text} was acknowledged, and run ${runId} completed without it`;
    else count(facts, `an acknowledged message was not read: the run was ${run?.status}`);
  }
}

/** An acknowledged answer is the answer; no other one is given to the agent. */
function* checkAnswers({ ledger, lives, runs, questions }: Facts): Generator<string> {
  const given = lives.flatMap(({ answers }) => answers);
  const acknowledged = new Map<string, number>();
  for (const { runId, questionId, text, outcome } of ledger.answers) {
    const isGiven = given.some((one) => one.includes(text));
    if (isGiven && saysNothingDone(outcome))
      yield `the answer ${text} was refused with "nothing was done", and given to the agent`;
    if (outcome.kind !== "done") continue;
    acknowledged.set(questionId, (acknowledged.get(questionId) ?? 0) + 1);
    const question = questions.get(questionId);
    if (question?.answer !== text || question?.answered_by !== "person")
      yield `the answer ${text} was acknowledged, and the question's is ${question?.answer} by ${question?.answered_by}`;
    if (!isGiven && find(runs, runId)?.status === "completed")
      yield `the answer ${text} was acknowledged, and run ${runId} completed without it`;
  }
  for (const [questionId, times] of acknowledged)
    if (times > 1) yield `question ${questionId} was answered ${times} times`;
}

/** A run whose kill was acknowledged is killed. */
function* checkKills({ ledger, runs }: Facts): Generator<string> {
  for (const { runId, outcome } of ledger.kills) {
    const status = find(runs, runId)?.status;
    if (outcome.kind === "done" && status !== "killed")
      yield `the kill of run ${runId} was acknowledged, and it is ${status}`;
    const isOnly = ledger.kills
      .filter((one) => one.runId === runId)
      .every((one) => saysNothingDone(one.outcome));
    const isCleaned = ledger.cleanups.some((one) => one.runId === runId && one.force);
    if (isOnly && !isCleaned && status === "killed")
      yield `every kill of run ${runId} was refused with "nothing was done", and it is killed`;
  }
}

/**
 * An acknowledged plan is there, and one call makes no more than one; each of its runs is known to it, and was begun once
 * for each time that it wanted one.
 */
function* checkPlans({ ledger, plans, runs }: Facts): Generator<string> {
  for (const wanted of ledger.plans) {
    const { name, outcome } = wanted;
    const planId = idOf(wanted);
    const stored = plans.filter((plan) => plan.name === name);
    if (planId !== undefined && !stored.some((plan) => plan.planId === planId))
      yield `the plan ${name} was acknowledged as ${planId}, which is not there`;
    if (stored.length > 1) yield `one call has made ${stored.length} plans ${name}`;
    if (
      outcome?.kind === "refused" &&
      /Nothing was (started|begun|done)/.test(outcome.text) &&
      stored.length > 0
    )
      yield `the plan ${name} was refused with "nothing was started", and is there as ${stored[0]?.planId}`;
    const begun = stored.flatMap(({ entries }) => entries.filter(({ type }) => type === "run-started"));
    const keys = new Set(begun.map(({ key }) => key));
    const made = runs.filter(({ message }) => message.includes(markOf(name)));
    for (const { runId } of made)
      if (!begun.some((entry) => entry.runId === runId))
        yield `run ${runId} was begun for the plan ${name}, which does not know it`;
    if (made.length > keys.size) yield `the plan ${name} has ${made.length} runs, and wanted ${keys.size}`;
  }
}

/** What was acknowledged at a gate is what was decided, once; after a stop nothing is begun. */
function* checkDecisions({ ledger, plans, runs }: Facts): Generator<string> {
  for (const { planId, name, entries } of plans) {
    const decided = entries.filter(({ type }) => type === "gate-decided").map(({ decision }) => decision);
    if (decided.length > 1) yield `the gate of plan ${planId} was decided ${decided.length} times`;
    for (const { stop, outcome } of ledger.decisions.filter((one) => one.planId === planId)) {
      const wanted = stop ? "stop" : "approve";
      if (outcome.kind === "done" && decided[0] !== wanted)
        yield `"${wanted}" was acknowledged for plan ${planId}, and it was decided ${decided[0]}`;
    }
    const second = runs.find(({ message }) => message.includes(`${markOf(name)}second]`));
    if (second && decided[0] === "stop")
      yield `plan ${planId} was stopped at its gate, and has begun run ${second.runId}`;
  }
}

/** Each stream tells every event once and in order, between where it began and its end, unless it says that there is a gap. */
function* checkEvents(facts: Facts): Generator<string> {
  for (const [index, { parts }] of facts.readers.entries())
    for (const [at, { after, events }] of parts.entries()) {
      if (at > 0) count(facts, "a stream has told of a gap");
      let last = after;
      for (const event of events) {
        if (event.id <= last) yield `stream ${index} tells event ${event.id} after ${last}`;
        last = Math.max(last, event.id);
      }
      // The last part of a stream goes to the end, an earlier one to its last event.
      const until = at === parts.length - 1 ? Number.POSITIVE_INFINITY : last;
      const due = facts.events.filter(({ id }) => id > after && id <= until);
      const told = new Map(events.map((event) => [event.id, event]));
      for (const { id, runId, type } of due) {
        const one = told.get(id);
        if (!one) yield `stream ${index} has not told event ${id} (${type} of run ${runId})`;
        else if (one.runId !== runId || one.type !== type)
          yield `stream ${index} tells event ${id} as ${one.type} of ${one.runId}, and it is ${type} of ${runId}`;
      }
      const known = new Set(facts.events.map(({ id }) => id));
      for (const { id } of events)
        if (!known.has(id)) yield `stream ${index} has told event ${id}, which is not there`;
    }
}
