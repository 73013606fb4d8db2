import { createServer, type ServerOptions, type WorkflowsServer } from "../../src/server/server.js";
import { testSettings } from "../support/harness.js";
import type { ChatOptions } from "./chat.js";
import { createEarlierChat } from "./earlier-chat.js";
import { serveFaultyApi } from "./faulty-api.js";
import { inspectText } from "./inspect.js";
import { findViolations } from "./invariants.js";
import { createJumpingClock } from "./jumping-clock.js";
import { createCaller } from "./make-calls.js";
import { createModernChat } from "./modern-chat.js";
import { type ClientEra, drawModernClient } from "./modern-manner.js";
import type { Observed, Word } from "./observed.js";
import { openState } from "./open-state.js";
import { wordOfCall } from "./plan-words.js";
import { createRandom, mix } from "./random.js";
import { countOutcomes, type SequenceReport } from "./report.js";
import { type Sabotage, SOUND } from "./sabotage.js";
import { drawSequence, LAST_CALLS } from "./sequence.js";
import type { SteadyTime } from "./steady-time.js";
import { createSteps } from "./take-steps.js";
import { connectionsAreGone, isOverWithin, pause, requestsAreGone } from "./waits.js";

/** How much faster than real the product's clock goes. */
const SPEED = 25;
const REQUEST_TIMEOUT_S = 8;
/** How long forms are left open, in real ms: on the earlier protocols their limit is the SDK's. */
const FORM_TIME_MS = 250;
/** What a busy machine may add to a bound, in real ms. */
const SLACK_MS = 5_000;
/** Closing the server: its grace for the calls in flight, and what that may take beyond, in ms of its clock. */
const CLOSE_GRACE_MS = 3_000;
const CLOSE_BOUND_MS = 3_000;
/** Closing is not waited for longer, in real ms. */
const CLOSE_PATIENCE_MS = 60_000;

export interface SequenceOptions {
  /** Breaks the product in a known way, to see that it is noticed. */
  sabotage?: Sabotage;
  /** Which protocol the client speaks; the earlier ones when left out. */
  era?: ClientEra;
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
  const modern = options.era === "modern" ? drawModernClient(seed) : undefined;
  const { sabotage = SOUND, trace = () => {}, slackMs = SLACK_MS, time } = options;
  const began = time.now();
  const random = createRandom(mix(seed, "drive"));
  const key = `K${mix(seed, "key").toString(16)}Y${mix(seed, "yek").toString(16)}`;
  const violations = new Set<string>();
  const note = (found: readonly string[]) => {
    for (const one of found) violations.add(one);
  };
  const clock = createJumpingClock(SPEED, Date.parse("2026-11-25T12:00:00Z"), time);
  const started = clock.now();
  const api = await serveFaultyApi({
    seed,
    key,
    rate: sequence.rate,
    profile: sequence.profile,
    clock: sequence.sharedClock ? clock : { now: () => Math.floor(started + clock.elapsed()) },
    patienceMs: (REQUEST_TIMEOUT_S * 1000) / SPEED,
    pushes: sequence.pushes,
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
      ...(modern ? { ERA: "auto", TASK_AFTER: String(modern.taskAfterS) } : {}),
    }),
    // Below what the schema allows. On the earlier protocols these run by the real clock.
    elicitationTimeoutS: (FORM_TIME_MS / 1000) * (modern ? SPEED : 1),
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

  async function makeServer(): Promise<WorkflowsServer> {
    const own: ServerOptions = {
      settings,
      clock,
      store: await state.openStore(),
      plans: state.plans,
      random: createRandom(mix(seed, "jitter")).next,
      log: log as unknown as ServerOptions["log"],
      env: {},
      gitHosts: [],
      stallAfterMs: sequence.stallAfterMs,
    };
    return createServer(sabotage.options?.(own, { key }) ?? own);
  }

  /** Also where it never ends. @returns how long it took, in real ms */
  async function closeServer(): Promise<number> {
    const closedAt = time.now();
    const isClosed = await isOverWithin(server.close(CLOSE_GRACE_MS), CLOSE_PATIENCE_MS, time);
    const tookMs = time.now() - closedAt;
    if (!isClosed || tookMs > (CLOSE_GRACE_MS + CLOSE_BOUND_MS) / SPEED + SLACK_MS)
      note([`closing took ${Math.round(tookMs)} ms`]);
    return tookMs;
  }

  async function restart(): Promise<void> {
    await closeServer();
    server = await makeServer();
    await chat.open(server);
  }

  const words: Word[] = [];
  const deeds: Record<string, number> = {};
  const restartedAt: number[] = [];
  /** Another process that is being started; none is any more once the last one is closed. */
  let restarting: Promise<void> = Promise.resolve();
  let isClosing = false;
  const chatOptions: ChatOptions = {
    ...{ seed, sequence, random, sabotage, key, time, formTimeMs: FORM_TIME_MS, slackMs },
    ...{ note, words, deeds, trace },
    async restartServer() {
      if (isClosing) return;
      trace("another process");
      caller.cutOff();
      restartedAt.push(time.now());
      restarting = restart();
      await restarting;
    },
  };
  const chat = modern ? createModernChat(chatOptions, modern) : createEarlierChat(chatOptions);
  const caller = createCaller({
    ...{ number, sequence, chat, api, settings, random, time, trace },
    ...{ speed: SPEED, slackMs, formTimeMs: FORM_TIME_MS },
  });
  const steps = createSteps({ chat, caller, api, clock, random, speed: SPEED, note, trace });
  let server = await makeServer();
  await chat.open(server);

  for (const step of sequence.steps) await steps.take(step);
  const last = caller.make(LAST_CALLS[sequence.closesInMidCall ? "run" : "list"]);
  if (sequence.closesInMidCall) await pause(random.pick([0, 5, 40, 200]));
  else await last;
  // A port that nobody listens at may only be closed by its own owner.
  await Promise.all(steps.asides);

  trace("close");
  isClosing = true;
  await restarting;
  chat.expectEnd();
  const closedAt = time.now();
  const closeMs = await closeServer();
  await pause(0);
  note(clock.pending().map((timer) => `a timer is left after closing: ${timer}`));
  note(await requestsAreGone(api, time));
  if (server.isHolding()) note(["a call is held after closing"]);
  await chat.close();
  await last;
  const { calls } = caller;
  for (const call of calls) if ((call.endedAt ?? Number.POSITIVE_INFINITY) > closedAt) call.outlived = true;

  const observed: Observed = {
    ...{ seed, sequence, calls, posts: api.posts, api, restartedAt, closedAt, closeMs },
    plans: await state.readPlans(),
    words: [...words, ...calls.flatMap((call) => wordOfCall(call) ?? [])],
    index: state.indexAtEnd(),
  };
  note(findViolations(observed));
  const report: SequenceReport = {
    number,
    violations: [...violations],
    faults: Object.fromEntries(api.struck),
    outcomes: countOutcomes(calls),
    deeds,
    calls: calls.length,
    runs: api.api.world.runs().length,
    posts: api.posts.length,
    taken: Object.fromEntries(api.taken),
    tookMs: time.now() - began,
  };
  const afterlife = connectionsAreGone(api, time).finally(async () => {
    await api.close();
    await state.remove();
  });
  return { report, afterlife };
}

/** Every sequence has an address of its own where the system has enough of them. */
function hostOf(number: number): string {
  if (process.platform !== "linux") return "127.0.0.1";
  return `127.${1 + ((number >> 14) % 250)}.${(number >> 7) % 128}.${1 + (number % 127)}`;
}
