import { setTimeout as delay } from "node:timers/promises";
import { toEventWire } from "../../../src/engine/http/event-wire.js";
import type { StoredEvent } from "../../../src/engine/runs/run-store.js";
import type { Random } from "../random.js";
import type { Body } from "./calls.js";
import { SECRETS } from "./cluster.js";
import type { AgentLife } from "./diary.js";
import type { EventReader } from "./event-reader.js";
import type { Ledger } from "./ledger.js";
import { monotonicMs } from "./monotonic.js";
import { isPlanOver, pushPlans, readPlans, type StoredPlan } from "./plans.js";
import type { StepContext } from "./take-step.js";
import type { ClusterWorker } from "./worker.js";

/** What has no cause to go on is over within this time, in ms: on a busy machine everything takes ten times as long. */
const END_MS = 60_000;
/** An agent that was silent for so long is not there any more, in ms. */
const SILENT_MS = 1_500;

/** A run as the database has it. */
export interface StoredRun {
  runId: string;
  sessionId: string;
  status: string;
  key: string | null;
  message: string;
  /** Its agent never was. */
  neverStarted: boolean;
}

/** All that is known of a sequence when it is over. */
export interface Facts {
  ledger: Ledger;
  runs: readonly StoredRun[];
  plans: readonly StoredPlan[];
  /** Those that streams tell, in the one order. */
  events: readonly { id: number; runId: string; type: string }[];
  lives: readonly (AgentLife & { worker: ClusterWorker })[];
  readers: readonly EventReader[];
  /** By their ids, as the first worker tells them; all tell the same. */
  questions: ReadonlyMap<string, Body>;
  leaks: readonly string[];
  /** Counts what the rules allow, and what should be known all the same. */
  named: Record<string, number>;
}

/** The runs of this sequence, oldest first. */
async function readRuns({ cluster, token }: StepContext): Promise<StoredRun[]> {
  const rows = await cluster.query<{
    run_id: string;
    session_id: string;
    status: string;
    request_key: string | null;
    state: string;
    data: string;
  }>(
    `select r.run_id, r.session_id, r.status, r.request_key, r.state, p.data from engine_runs r
     join engine_parts p on p.run_id = r.run_id and p.kind = 'request'
     where strpos(p.data, '${token}') > 0 order by r.first_event`,
  );
  return rows.map(({ run_id, session_id, status, request_key, state, data }) => ({
    ...{ runId: run_id, sessionId: session_id, status, key: request_key },
    message: JSON.parse(data).message,
    neverStarted: JSON.parse(state).neverStarted === true,
  }));
}

const isOver = ({ status }: StoredRun) => /^(completed|failed|killed|interrupted)$/.test(status);

/** Ends the runs that would go on for ever, approves what plans wait for, and waits for all. @returns them */
export async function settle(
  context: StepContext,
  random: Random,
  complain: (what: string) => void,
): Promise<Pick<Facts, "runs" | "plans">> {
  const { cluster, call, ledger, note } = context;
  for (const until = performance.now() + END_MS; ; await delay(300)) {
    // Plans first: what they have begun by then is among the runs.
    const plans = await readPlans(cluster, ledger);
    const runs = await readRuns(context);
    const left = runs.filter((run) => !isOver(run));
    const open = plans.filter((plan) => !isPlanOver(plan));
    if (left.length + open.length === 0) return { runs, plans };
    if (performance.now() > until) {
      for (const { runId, status } of left)
        complain(`run ${runId} is ${status} still, although nothing keeps it`);
      for (const { planId, status } of open)
        complain(`plan ${planId} is ${status} still, although nothing keeps it`);
      return { runs, plans };
    }
    await pushPlans(open, context, random);
    for (const { runId, message } of left) {
      if (!/\] (hangs|asks|listens)\n/.test(message)) continue;
      const worker = random.pick(cluster.workers);
      const outcome = await call(worker, "POST", `/run/${runId}/kill`, { query: { force: "true" } });
      ledger.kills.push({ worker: worker.index, outcome, runId });
      note(
        `kill of ${runId} at ${worker.machine.name}: ${outcome.kind === "refused" ? outcome.detail : outcome.kind}`,
      );
    }
  }
}

/** Waits until all is quiet, and looks at everything. */
export async function gatherFacts(
  context: StepContext,
  { runs, plans }: Pick<Facts, "runs" | "plans">,
  complain: (what: string) => void,
): Promise<Facts> {
  const { cluster, ledger, readers, token, readLog, patienceMs } = context;
  const { workers, programs } = cluster;
  const marks = new Map(runs.map(({ runId }) => [runId.replaceAll("-", ""), runId]));
  const readLives = () =>
    workers.flatMap((worker) =>
      worker.diary.lives().flatMap((life) => {
        const runId = marks.get(life.run);
        const isOfHere = runId !== undefined || life.took.some((text) => text.includes(token));
        return isOfHere ? [{ ...life, worker, run: runId ?? life.run }] : [];
      }),
    );
  await patiently(patienceMs, () => {
    const alive = readLives().filter(({ ended, seen }) => !ended && monotonicMs() - seen < SILENT_MS);
    return alive.map(({ run, worker }) => `an agent of run ${run} is left on ${worker.machine.name}`);
  }).then((left) => left.forEach(complain));
  let questions = new Map<string, Body>();
  await patiently(patienceMs, async () => {
    const views = await Promise.all(workers.map((worker) => viewOf(context, worker, runs)));
    const asked = Object.values(views[0]?.questions ?? {}).flatMap((one) => one.questions ?? []);
    questions = new Map(asked.map((question) => [question.question_id, question]));
    return views.slice(1).flatMap((view, index) => differences(views[0], view, workers[index + 1]));
  }).then((left) => left.forEach(complain));
  const events = await readToldEvents(context, readers);
  const newest = events.at(-1)?.id ?? 0;
  await patiently(patienceMs, () => {
    const late = readers.filter((reader) => (reader.lastId() ?? 0) < newest);
    return late.map((reader) => `a stream stands at event ${reader.lastId()}, and ${newest} is there`);
  }).then((left) => left.forEach(complain));
  const leaks = programs.flatMap((program) =>
    Object.entries(SECRETS).flatMap(([what, secret]) =>
      readLog(program).includes(secret) ? [`${program.name} has logged ${what}`] : [],
    ),
  );
  return { ledger, runs, plans, events, lives: readLives(), readers, questions, leaks, named: {} };
}

/** Looks again until nothing is wrong any more. @returns what is wrong at the end of the time */
async function patiently(limitMs: number, look: () => string[] | Promise<string[]>): Promise<string[]> {
  for (const until = performance.now() + limitMs; ; await delay(150)) {
    const wrong = await look();
    if (wrong.length === 0 || performance.now() > until) return wrong;
  }
}

async function readToldEvents({ cluster }: StepContext, readers: readonly EventReader[]) {
  const after = Math.min(...readers.map(({ parts }) => parts[0]?.after ?? 0));
  const rows = await cluster.query<Record<string, string>>(
    `select id, run_id, at, type, status, data from engine_events where id > ${after} order by id`,
  );
  return rows.flatMap(({ id, run_id: runId = "", at, type, status, data = "{}" }) => {
    const event = { id: Number(id), runId, at, type, status, data: JSON.parse(data) };
    const told = toEventWire(event as unknown as StoredEvent);
    return told ? [{ id: Number(id), runId, type: told.type }] : [];
  });
}

interface View {
  list: Body[];
  statuses: Record<string, Body>;
  questions: Record<string, Body>;
}

/** The newest runs in its list, and the status of each of these runs. */
async function viewOf(
  { call }: StepContext,
  worker: ClusterWorker,
  runs: readonly StoredRun[],
): Promise<View> {
  async function get(path: string, query: Record<string, string> = {}): Promise<Body> {
    const outcome = await call(worker, "GET", path, { query });
    return outcome.kind === "done" ? outcome.body : {};
  }

  const page = await get("/runs", { page_size: "100", sort_by: "completed_at" });
  const view: View = { list: page.runs ?? [], statuses: {}, questions: {} };
  for (const { runId } of runs) {
    view.statuses[runId] = await get(`/run/${runId}/status`);
    view.questions[runId] = await get(`/run/${runId}/questions`);
  }
  return view;
}

function differences(one: View | undefined, other: View, at: ClusterWorker | undefined): string[] {
  const told = (what: string, a: Body, b: Body) =>
    JSON.stringify(a) === JSON.stringify(b)
      ? []
      : [`${at?.machine.name} tells another ${what} than the first machine: ${firstDifference(a, b)}`];
  const inOrder = (list: Body[] = []) =>
    [...list].sort((a, b) => String(a.run_id).localeCompare(String(b.run_id)));
  return [
    ...told("list of runs", inOrder(one?.list), inOrder(other.list)),
    ...Object.keys(other.statuses).flatMap((runId) => [
      ...told(`status of run ${runId}`, one?.statuses[runId], other.statuses[runId]),
      ...told(`questions of run ${runId}`, one?.questions[runId], other.questions[runId]),
    ]),
  ];
}

function firstDifference(a: Body, b: Body): string {
  const [one, two] = [JSON.stringify(a) ?? "nothing", JSON.stringify(b) ?? "nothing"];
  let at = 0;
  while (at < one.length && one[at] === two[at]) at++;
  const from = Math.max(0, at - 60);
  return `…${one.slice(from, at + 80)}… and …${two.slice(from, at + 80)}…`;
}
