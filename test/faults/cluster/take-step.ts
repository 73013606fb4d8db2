import type { Call, Outcome } from "./calls.js";
import type { Cluster } from "./cluster.js";
import type { EventReader } from "./event-reader.js";
import type { Harm } from "./faults.js";
import { knownRuns, type Ledger, type WantedStart } from "./ledger.js";
import { beginPlan, decideAtGate } from "./plans.js";
import type { ClusterProgram } from "./program.js";
import type { Told } from "./server.js";
import type { RunKind, Step } from "./steps.js";
import type { ClusterWorker } from "./worker.js";

export interface StepContext {
  cluster: Cluster;
  call: Call;
  /** Calls the tool of a server. */
  tell: (server: ClusterProgram, args: Record<string, unknown>) => Promise<Told>;
  ledger: Ledger;
  harm: Harm;
  readers: readonly EventReader[];
  note: (what: string) => void;
  /** What is to come about by itself is waited for so long, in ms. */
  patienceMs: number;
  readLog: (program: ClusterProgram) => string;
  /** What the tokens of this sequence begin with. */
  token: string;
}

const QUESTION = {
  question: "Which database should I use?",
  header: "Database",
  multiSelect: false,
  options: [
    { label: "PostgreSQL", description: "With JSON" },
    { label: "SQLite", description: "One file" },
  ],
};

/** What an agent of that kind does. */
export function scriptOf(run: RunKind, workMs: number): object[] {
  const done = { text: "Done" };
  switch (run) {
    case "quick":
      return [done];
    case "works":
      return [{ text: "Working" }, { wait: workMs }, done];
    case "hangs":
      return [{ text: "Working" }, { hang: true }];
    case "asks":
      return [{ tools: [{ name: "AskUserQuestion", input: { questions: [QUESTION] } }] }, done];
    case "listens":
      return [{ text: "Listening" }, { listen: 1 }, done];
  }
}

/** Carries a step out; resolves when its answers are there. Never rejects. */
export async function takeStep(step: Step, context: StepContext): Promise<void> {
  const { cluster, ledger, harm, readers, note } = context;
  const { workers } = cluster;
  const at = (index: number) => workers[index % workers.length] as ClusterWorker;
  switch (step.do) {
    case "fault":
      return harm.strike(step.fault);
    case "move the reader":
      note(`reader ${step.reader} goes on at ${at(step.worker).machine.name}`);
      return readers[step.reader]?.moveTo(at(step.worker));
    case "plan":
    case "decide": {
      const server = cluster.servers[step.server % Math.max(1, cluster.servers.length)];
      if (!server) return;
      return step.do === "plan" ? beginPlan(step, context, server) : decideAtGate(step, context, server);
    }
    case "start": {
      const start = want(context, step.run, step.workMs, step.keyed, {});
      const posts = [post(context, start, at(step.worker))];
      if (step.again !== undefined) posts.push(post(context, start, at(step.worker + 1 + step.again)));
      return void (await Promise.all(posts));
    }
    case "continue": {
      const former = choose(knownRuns(ledger), step.of);
      if (!former) return;
      const start = want(context, step.run, step.workMs, true, { session_id: former.sessionId });
      return post(context, start, at(step.worker));
    }
    case "repeat": {
      const start = choose(
        ledger.starts.filter(({ key }) => key !== undefined),
        step.of,
      );
      return start && post(context, start, at(step.worker));
    }
    default:
      return steer(step, context, at(step.worker));
  }
}

const choose = <T>(from: readonly T[], number: number): T | undefined =>
  from[number % Math.max(1, from.length)];

/** Steers or ends a run that clients know of, one of the newest. */
async function steer(
  step: Extract<Step, { do: "message" | "answer" | "kill" | "cleanup" }>,
  context: StepContext,
  worker: ClusterWorker,
): Promise<void> {
  const { call, ledger } = context;
  const all = knownRuns(ledger).reverse();
  const fitting =
    step.do === "answer"
      ? all.filter(({ run }) => run === "asks")
      : step.do === "message"
        ? all.filter(({ run }) => run === "listens" || run === "works")
        : all.slice(0, 4);
  const run = choose(fitting.slice(0, 3), step.of);
  if (!run) return;
  const { runId } = run;
  if (step.do === "answer") return answer(context, runId, worker, step.both);
  if (step.do === "message") return message(context, runId, worker);
  const query = { force: String(step.force) };
  const outcome = await call(worker, "POST", `/run/${runId}/${step.do}`, { query });
  noteOutcome(context, `${step.do} of ${runId}`, worker, outcome);
  if (step.do === "kill") ledger.kills.push({ worker: worker.index, outcome, runId });
  else ledger.cleanups.push({ worker: worker.index, outcome, runId, force: step.force });
}

/** Notes a start as wanted. */
function want(
  { ledger, token: sequence }: StepContext,
  run: RunKind,
  workMs: number,
  keyed: boolean,
  fields: object,
): WantedStart {
  const token = `${sequence}${ledger.starts.length}]`;
  const text = `${token} ${run}\n#script ${JSON.stringify(scriptOf(run, workMs))}`;
  const body = { message: text, input_format: "stream-json", ...fields };
  const start: WantedStart = {
    token,
    body,
    key: keyed ? `key-${token}` : undefined,
    run,
    posts: [],
    open: 0,
  };
  ledger.starts.push(start);
  return start;
}

async function post(context: StepContext, start: WantedStart, worker: ClusterWorker): Promise<void> {
  const { call } = context;
  start.open++;
  const outcome = await call(worker, "POST", "/run/implement", { body: start.body, key: start.key });
  start.open--;
  start.posts.push({ worker: worker.index, outcome });
  noteOutcome(context, `start ${start.token} (${start.run})`, worker, outcome);
}

async function message(context: StepContext, runId: string, worker: ClusterWorker): Promise<void> {
  const { ledger, call, token } = context;
  const text = `${token}message-${ledger.messages.length}] #script [{"text":"Heard"}]`;
  const entry = { worker: worker.index, outcome: { kind: "lost" } as Outcome, runId, text };
  ledger.messages.push(entry);
  const body = { content: text, message_type: "user" };
  entry.outcome = await call(worker, "POST", `/run/${runId}/add-message`, { body });
  noteOutcome(context, `message to ${runId}`, worker, entry.outcome);
}

async function answer(
  context: StepContext,
  runId: string,
  worker: ClusterWorker,
  both: boolean,
): Promise<void> {
  const { cluster, ledger, call, token } = context;
  const asked = await call(worker, "GET", `/run/${runId}/questions`);
  const question = asked.kind === "done" ? asked.body.questions[0] : undefined;
  if (!question) return;
  const other = cluster.workers[(worker.index + 1) % cluster.workers.length] as ClusterWorker;
  await Promise.all(
    (both ? [worker, other] : [worker]).map(async (one) => {
      const text = `${token}answer-${ledger.answers.length}]`;
      const { question_id: questionId } = question;
      const entry = { worker: one.index, outcome: { kind: "lost" } as Outcome, runId, questionId, text };
      ledger.answers.push(entry);
      const path = `/run/${runId}/questions/${questionId}/answer`;
      entry.outcome = await call(one, "POST", path, { body: { answer: text } });
      noteOutcome(context, `answer to ${runId}`, one, entry.outcome);
    }),
  );
}

function noteOutcome(
  { note }: StepContext,
  what: string,
  { machine }: ClusterWorker,
  outcome: Outcome,
): void {
  const how = outcome.kind === "refused" ? `refused with ${outcome.status}: ${outcome.detail}` : outcome.kind;
  const id = outcome.kind === "done" && outcome.body.run_id ? ` ${outcome.body.run_id}` : "";
  note(`${what} at ${machine.name}: ${how}${id}`);
}
