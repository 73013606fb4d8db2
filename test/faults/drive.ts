import { InMemoryTransport } from "@modelcontextprotocol/sdk/inMemory.js";
import { actions } from "../../src/actions/index.js";
import { createServer, type ServerOptions } from "../../src/server/server.js";
import { SUPER_TOOL } from "../../src/server/tools/registry.js";
import { createTestClient, testSettings } from "../support/harness.js";
import { answerForm, isAgentsForm } from "./answer-forms.js";
import { boundOfCall } from "./bounds.js";
import { serveFaultyApi } from "./faulty-api.js";
import { inspectMessage, inspectText } from "./inspect.js";
import { findViolations } from "./invariants.js";
import { createJumpingClock } from "./jumping-clock.js";
import type { Observed, SeenCall, Word } from "./observed.js";
import { openState } from "./open-state.js";
import { MARK } from "./plan-calls.js";
import { isOfPlan, wordOfCall, wordOfForm } from "./plan-words.js";
import { createRandom, mix } from "./random.js";
import { type Sabotage, SOUND } from "./sabotage.js";
import { type CallStep, drawSequence, type Step } from "./sequence.js";
import type { SteadyTime } from "./steady-time.js";
import { pause, socketsAreGone, withinMs } from "./waits.js";
import { tapTransport } from "./watch-transport.js";

/** How much faster than real the product's clock goes. */
const SPEED = 25;
const REQUEST_TIMEOUT_S = 8;
/** Forms go by real time: their limit is the SDK's. */
const FORM_TIME_MS = 250;
/** What a busy machine may add to a bound, in real ms. */
const SLACK_MS = 5_000;
/** The client gives up after so many times the bound, by the real clock. */
const PATIENCE = 2;
/** Closing the server: its grace for the calls in flight, and what that may take beyond, in ms of its clock. */
const CLOSE_GRACE_MS = 3_000;
const CLOSE_BOUND_MS = 3_000;
/** A request that was given up may still be seen for so long, in real ms. */
const BUSY_SOCKET_MS = 1_000;

/** Begins as every message does: the API's list, which tells the beginning only, cannot tell them apart. */
const MESSAGE = `Make the login work with ${"as much care as there is, and ".repeat(8)}then say so.`;

/** What came of a sequence. */
export interface SequenceReport {
  /** Of the sequence, within its seed. */
  number: number;
  violations: string[];
  /** How often each fault struck, each outcome was answered, each kind of call made. */
  faults: Record<string, number>;
  outcomes: Record<string, number>;
  calls: number;
  runs: number;
  posts: number;
  /** Most bytes of one answer read, by endpoint. */
  taken: Record<string, number>;
  tookMs: number;
}

export interface SequenceOptions {
  /** Breaks the product in a known way, to see that it is noticed. */
  sabotage?: Sabotage;
  /** What a busy machine may add to a bound, in real ms. */
  slackMs?: number;
  /** Told of each step and call. */
  trace?: (line: string) => void;
  /** All that is measured is measured by it. */
  time: SteadyTime;
}

/**
 * Drives one sequence of a seed through the public tools of a server of its own, over a real socket.
 * @returns the report, and a promise of what is only known some seconds later
 */
export async function driveSequence(
  seedOfAll: number,
  number: number,
  options: SequenceOptions,
): Promise<{ report: SequenceReport; afterlife: Promise<string[]> }> {
  const seed = mix(seedOfAll, number);
  const sequence = drawSequence(seed);
  const { sabotage = SOUND, trace = () => {}, time } = options;
  const began = time.now();
  const random = createRandom(mix(seed, "drive"));
  const key = `K${mix(seed, "key").toString(16)}Y${mix(seed, "yek").toString(16)}`;
  const violations = new Set<string>();
  const note = (found: readonly string[]) => {
    for (const one of found) violations.add(one);
  };
  const clock = createJumpingClock(SPEED, Date.parse("2026-11-25T12:00:00Z"));
  const started = clock.now();
  const api = await serveFaultyApi({
    seed,
    key,
    rate: sequence.rate,
    profile: sequence.profile,
    clock: sequence.sharedClock ? clock : { now: () => Math.floor(started + clock.elapsed()) },
    patienceMs: (REQUEST_TIMEOUT_S * 1000) / SPEED,
    modern: sequence.modern,
    ...sequence.plans,
    host: hostOf(number),
    time,
  });
  const state = await openState(sequence, api.url, clock);
  const settings = {
    ...testSettings({
      API_KEY: key,
      BASE_URL: api.url,
      TOOLSET: sequence.toolset,
      INPUT_FORMAT: sequence.inputFormat,
      MAX_RETRIES: String(sequence.maxRetries),
      REQUEST_TIMEOUT: String(REQUEST_TIMEOUT_S),
      POLLING_INTERVAL: String(sequence.pollingIntervalS),
      ...(sequence.plans ? { PLAN_ASK_ABOVE_RUNS: String(sequence.plans.askAboveRuns) } : {}),
    }),
    // Below what the schema allows, since these run by the real clock.
    elicitationTimeoutS: FORM_TIME_MS / 1000,
  };
  const say =
    (level: string) =>
    (...args: unknown[]) => {
      const text = args
        .map((arg) => (arg instanceof Error ? `${arg.message}\n${arg.stack}` : String(arg)))
        .join(" ");
      trace(`  log ${level}: ${text.slice(0, 400)}`);
      note(inspectText(`the log (${level})`, text, key));
      if (text.includes("A tool failed:")) note([`a defect: ${text.slice(0, 800)}`]);
    };
  const log = { debug: say("debug"), info: say("info"), warn: say("warn"), error: say("error") };
  const serverOptions: ServerOptions = {
    settings,
    clock,
    store: state.store,
    plans: state.plans,
    random: createRandom(mix(seed, "jitter")).next,
    log: log as unknown as ServerOptions["log"],
    env: {},
    gitHosts: [],
    stallAfterMs: sequence.stallAfterMs,
  };
  const server = createServer(sabotage.options?.(serverOptions, { key }) ?? serverOptions);
  const calls: SeenCall[] = [];
  const words: Word[] = [];
  let current: { call: SeenCall; step: CallStep } | undefined;
  const test = createTestClient({
    name: sequence.clientName,
    ...(sequence.hasForms
      ? {
          async onForm(form, signal) {
            if (isAgentsForm(form)) {
              const answer = random.pick(["accept", "accept", "decline", "cancel"] as const);
              return answerForm(form, answer, FORM_TIME_MS, signal);
            }
            const answer = current?.step.form ?? "decline";
            const isWithin = isOfPlan(form);
            current?.call.forms.push({ message: form.message, answer, shownAt: time.now(), isWithin });
            trace(`  form: ${form.message.slice(0, 120)} -> ${answer}`);
            const brought = await answerForm(form, answer, FORM_TIME_MS, signal);
            const word = wordOfForm(form, brought, current?.call);
            if (word) words.push(word);
            return brought;
          },
        }
      : {}),
  });
  const [clientSide, serverSide] = InMemoryTransport.createLinkedPair();
  const watched = tapTransport(serverSide, {
    out(message) {
      note(inspectMessage(message, key));
      return message;
    },
  });
  await Promise.all([
    server.connect(tapTransport(watched, sabotage.tap?.({ key }) ?? {})),
    test.client.connect(clientSide),
  ]);
  // With the schemas known, the client holds each answer against its own.
  await test.client.listTools();

  const known = () => api.api.world.runs();
  const workflows = api.api.world.workflows.list().map((workflow) => workflow.name);
  const asides: Promise<unknown>[] = [];

  function fillIn(step: CallStep, mark: string): Record<string, unknown> {
    const args = { ...step.args };
    const run = known().length > 0 ? random.pick(known()) : undefined;
    const isRun = step.action === "run";
    if (isRun || step.action === "feedback") args.message = `${MESSAGE} ${mark}`;
    if (args.workflow_name === "a known one") args.workflow_name = random.pick(workflows);
    const unknown = "00000000-0000-4000-8000-000000000000";
    if (step.target === "run" && !isRun) args.run_id = run?.runId ?? unknown;
    if (step.target === "session" && run) args[isRun ? "continue_session" : "session_name"] = run.sessionName;
    if (step.target === "conversation" && run) args.session_id = run.sessionId;
    if (step.target === "unknown") args[isRun ? "continue_session" : "run_id"] = isRun ? "nowhere" : unknown;
    if (isRun && (args.continue_session || args.session_id)) delete args.session_name;
    if (args.plan === undefined) return args;
    const plan = JSON.stringify(args.plan).replaceAll(MARK, mark);
    return { ...args, plan: JSON.parse(plan) };
  }

  async function makeCall(step: CallStep, more: Record<string, unknown> = {}, before = 0): Promise<void> {
    const mark = `[s${number}c${calls.length + 1}]`;
    const args = { ...fillIn(step, mark), ...more };
    const own = { action: step.action, number: calls.length + 1, mark, args };
    const bound = boundOfCall(step.action, args, settings, before) / SPEED;
    const { slackMs = SLACK_MS } = options;
    const call: SeenCall = { ...own, beganAt: time.now(), forms: [], boundMs: bound + slackMs };
    calls.push(call);
    trace(`call ${call.number}: ${step.action} ${JSON.stringify(args).replace(MESSAGE, "…")} ${step.form}`);
    if (!step.aside && !more.message) current = { call, step };
    const stop = new AbortController();
    const timer =
      step.cancelAfterMs === undefined
        ? undefined
        : setTimeout(() => {
            call.cancelledAt = time.now();
            stop.abort();
          }, step.cancelAfterMs);
    const named = actions.find((one) => one.name === step.action);
    const asked =
      sequence.toolset === "super"
        ? { name: SUPER_TOOL, arguments: { action: step.action, ...args } }
        : { name: named?.toolName ?? step.action, arguments: args };
    try {
      // The forms of a call are the person's own time; more than a few has none.
      const timeout = PATIENCE * call.boundMs + 10 * FORM_TIME_MS;
      const result = await test.client.callTool(asked, undefined, {
        timeout,
        maxTotalTimeout: timeout,
        signal: stop.signal,
        ...(step.progress ? { onprogress: () => {} } : {}),
      });
      const [block] = result.content as { text: string }[];
      call.answer = {
        text: block?.text ?? "",
        data: result.structuredContent,
        isError: result.isError === true,
      };
    } catch (error) {
      call.error = (error as Error).message;
    } finally {
      clearTimeout(timer);
      call.endedAt = time.now();
      call.boundMs += call.forms.length * FORM_TIME_MS;
      const { answer } = call;
      trace(
        `  ${call.number} -> ${answer ? `${answer.data?.outcome}: ${answer.data?.summary}` : call.error}`,
      );
    }
  }

  async function take(step: Step): Promise<void> {
    if (step.do !== "call") trace(JSON.stringify(step));
    switch (step.do) {
      case "call":
        if (step.aside) return void asides.push(makeCall(step));
        return makeCall(step);
      case "two runs": {
        const args = {
          repository_url: "",
          git_branch: "",
          continue_session: "",
          wait_seconds: step.waitSeconds,
        };
        const run = (index: number): CallStep => ({
          do: "call",
          action: "run",
          args: {
            ...args,
            workflow_name: workflows[step.alike ? 0 : index],
            session_name: step.alike ? "twins" : `twin-${index}`,
          },
          target: "nothing",
          form: "accept",
          progress: false,
        });
        await Promise.all([makeCall(run(0), {}, 1), makeCall(run(1), {}, 1)]);
        return;
      }
      case "read": {
        if (step.what === "plan") {
          const uri = `plan://${step.name}`;
          return void (await test.client.readResource({ uri }, { timeout: 60_000 }).catch(noteRefusal));
        }
        const run = known().at(-1)?.runId ?? "none";
        if (step.what === "list") return void (await test.client.listResources().catch(noteRefusal));
        const rest = { run: `runs/${run}`, result: `runs/${run}/result`, nonsense: "runs/%zz/x" };
        const uri = `automagik://${step.what in rest ? rest[step.what as keyof typeof rest] : step.what}`;
        await test.client.readResource({ uri }, { timeout: 60_000 }).catch(noteRefusal);
        return;
      }
      case "subscribe": {
        const run = known().at(-1)?.runId;
        const uri = step.plan ? `plan://${step.plan}` : run && `automagik://runs/${run}`;
        if (uri) await test.client.subscribeResource({ uri }).catch(noteRefusal);
        return;
      }
      case "complete": {
        const ref = { type: "ref/resource" as const, uri: "automagik://runs/{run_id}" };
        const argument = { name: "run_id", value: step.typed };
        await test.client.complete({ ref, argument }, { timeout: 60_000 }).catch(noteRefusal);
        return;
      }
      case "jump":
        return inTheMiddle(step.afterMs, () => clock.jump(step.ms));
      case "go down": {
        await api.goDown();
        const back = pause(step.ms).then(() => api.comeBack());
        asides.push(back);
        if (!step.aside) await back;
        return;
      }
      case "restart":
        return inTheMiddle(step.afterMs, api.restart);
      case "stranger": {
        const body = {
          message: `${MESSAGE} [stranger]`,
          session_name: random.pick(["auth", "billing", "docs", "twins"]),
        };
        api.api.world.start(random.pick(workflows), body);
        // So long before whatever comes that it cannot be the run of a start that is to come.
        return pause(3_000 / SPEED);
      }
      case "pause":
        return pause(step.ms);
      case "set status":
        return inTheMiddle(step.afterMs, () => {
          const run = known().at(-1);
          if (run) api.api.world.run(run.runId).setStatus(step.status);
        });
      case "rate":
        return api.setRate(step.rate);
    }
  }

  function inTheMiddle(afterMs: number, happen: () => void): void {
    if (afterMs === 0) happen();
    else asides.push(pause(afterMs).then(happen));
  }

  /** Resources answer with protocol errors, which are for a person's eyes as well. */
  function noteRefusal(error: Error): void {
    trace(`  refused: ${error.message}`);
    if (/timed out/i.test(error.message)) note([`a resource was never read: ${error.message}`]);
    if (/TypeError|\bat \S+ \(|node_modules|\/src\//.test(error.message)) {
      note([`an error of a resource names internals: ${error.message}`]);
    }
  }

  for (const step of sequence.steps) await take(step);
  const last = makeCall({
    do: "call",
    action: sequence.closesInMidCall ? "run" : "list_sessions",
    args: sequence.closesInMidCall
      ? {
          workflow_name: "a known one",
          session_name: "last",
          repository_url: "",
          git_branch: "",
          wait_seconds: 15,
        }
      : {},
    target: "nothing",
    form: "accept",
    progress: true,
  });
  if (sequence.closesInMidCall) await pause(random.pick([0, 5, 40, 200]));
  else await Promise.all([last, ...asides]);
  // A port that nobody listens at may only be closed by its own owner.
  if (sequence.closesInMidCall) await Promise.all(asides.filter((one) => one !== last));

  const closedAt = time.now();
  trace("close");
  const closing = server.close(CLOSE_GRACE_MS);
  const closed = await withinMs(closing, 60_000);
  const closeMs = time.now() - closedAt;
  await pause(0);
  if (!closed || closeMs > (CLOSE_GRACE_MS + CLOSE_BOUND_MS) / SPEED + SLACK_MS) {
    note([`closing took ${Math.round(closeMs)} ms`]);
  }
  note(clock.pending().map((timer) => `a timer is left after closing: ${timer}`));
  for (let waited = 0; api.busy().length > 0 && waited < BUSY_SOCKET_MS; waited += 20) await pause(20);
  note(api.busy().map((request) => `a request is left after closing: ${request}`));
  await test.client.close();
  await last;
  for (const call of calls) if ((call.endedAt ?? Number.POSITIVE_INFINITY) > closedAt) call.outlived = true;

  const observed: Observed = {
    seed,
    sequence,
    calls,
    posts: api.posts,
    api,
    plans: await state.readPlans(),
    words: [...words, ...calls.flatMap((call) => wordOfCall(call) ?? [])],
    index: state.indexAtEnd(),
    closedAt,
    closeMs,
  };
  note(findViolations(observed));
  const report: SequenceReport = {
    number,
    violations: [...violations],
    faults: Object.fromEntries(api.struck),
    outcomes: countOutcomes(calls),
    calls: calls.length,
    runs: known().length,
    posts: api.posts.length,
    taken: Object.fromEntries(api.taken),
    tookMs: time.now() - began,
  };
  const afterlife = socketsAreGone(api, time).finally(async () => {
    await api.close();
    await state.remove();
  });
  return { report, afterlife };
}

function countOutcomes(calls: readonly SeenCall[]): Record<string, number> {
  const outcomes: Record<string, number> = {};
  for (const { action, answer, cancelledAt } of calls) {
    const end = answer
      ? answer.isError
        ? "error"
        : answer.data?.outcome
      : cancelledAt
        ? "called off"
        : "closed";
    outcomes[`${action}: ${end}`] = (outcomes[`${action}: ${end}`] ?? 0) + 1;
  }
  return outcomes;
}

/** Every sequence has an address of its own where the system has enough of them. */
function hostOf(number: number): string {
  if (process.platform !== "linux") return "127.0.0.1";
  return `127.${1 + ((number >> 14) % 250)}.${(number >> 7) % 128}.${1 + (number % 127)}`;
}
