import { BODY_LIMITS } from "../../src/shared/http/body-limits.js";
import type { Endpoint } from "./fault-kinds.js";
import type { ArrivedPost } from "./faulty-api.js";
import type { Observed, SeenCall } from "./observed.js";
import { findPlanViolations, isStillLookedFor } from "./plan-invariants.js";
import { FAKE_LINE, FAKE_STEP } from "./spoil.js";
import { findTaskViolations, isOfATasksEnd } from "./task-invariants.js";

/** Everything that must hold of a sequence that is over; each gives what does not, in a sentence. */
export function findViolations(observed: Observed): string[] {
  return [
    ...observed.calls.flatMap((call) => [
      ...oneRunForOneCall(call, observed),
      ...nothingAgainstTheWord(call, observed),
      ...endsInTime(call),
      ...saysWhatIsUp(call, observed),
      ...namesItsOwnRun(call, observed),
    ]),
    ...startedRunsAreWrittenDown(observed),
    ...bodiesAreBounded(observed),
    ...findPlanViolations(observed),
    ...findTaskViolations(observed),
  ];
}

/** Called off by the client, a start may have been on its way for so long, in real ms. */
const ON_ITS_WAY_MS = 1_000;
/** A faulty form answer is not the person's leave. */
const NO_LEAVE = ["decline", "cancel", "too late", "client fails"];

const tell = (call: SeenCall) => `call ${call.number} (${call.action})`;
const postsOf = (call: SeenCall, { posts }: Observed, endpoint: string) =>
  posts.filter((post) => post.endpoint === endpoint && post.body.includes(call.mark));

function oneRunForOneCall(call: SeenCall, observed: Observed): string[] {
  // Its runs are counted by its plan.
  if (call.action === "plan") return [];
  const violations: string[] = [];
  for (const endpoint of ["start", "feedback"]) {
    const sent = postsOf(call, observed, endpoint);
    // Under one key it may be sent again: it is one run.
    const isOneKey =
      sent[0]?.startKey !== undefined && sent.every(({ startKey }) => startKey === sent[0]?.startKey);
    if (sent.length > 1 && !(isOneKey && observed.sequence.plans?.keepsKeys)) {
      violations.push(
        `${tell(call)} was sent ${sent.length} times: ${sent.map((post) => post.fault ?? "well")}`,
      );
    }
  }
  const runs = observed.api.api.world.runs().filter((run) => run.message.includes(call.mark));
  if (runs.length > 1) violations.push(`${tell(call)} has started ${runs.length} runs`);
  if (call.action !== "run" && runs.length > 0) violations.push(`${tell(call)} has started a run`);
  return violations;
}

/** Where the mutating request of an action goes. */
const DEEDS: Record<string, string> = { run: "start", kill: "kill", cleanup: "cleanup" };

function nothingAgainstTheWord(call: SeenCall, observed: Observed): string[] {
  const deed = DEEDS[call.action];
  if (!deed) return [];
  const sent =
    deed === "start"
      ? postsOf(call, observed, "start")
      : // These carry no mark, but are never made side by side.
        observed.posts.filter(
          (post) => post.endpoint === deed && post.at >= call.beganAt && !isOfATasksEnd(post, observed),
        );
  const isOwn = (at: number) => deed === "start" || at <= (call.endedAt ?? Number.POSITIVE_INFINITY);
  const violations: string[] = [];
  for (const form of call.forms) {
    const isCalledOff = call.cancelledAt !== undefined && call.cancelledAt < form.shownAt;
    const after = sent.filter((post) => post.at >= form.shownAt && isOwn(post.at));
    if ((NO_LEAVE.includes(form.answer) || isCalledOff) && after.length > 0) {
      const at = (moment = 0) => `${Math.round((moment - call.beganAt) * 100) / 100} ms`;
      const when = `shown at ${at(form.shownAt)}, sent at ${after.map((post) => at(post.at))}`;
      const off = isCalledOff ? `, called off at ${at(call.cancelledAt)}` : "";
      violations.push(`${tell(call)} was carried out although its form met: ${form.answer} (${when}${off})`);
    }
  }
  const { cancelledAt } = call;
  const late = sent.filter((post) => cancelledAt !== undefined && post.at > cancelledAt + ON_ITS_WAY_MS);
  if (deed === "start" && late.length > 0) violations.push(`${tell(call)} was sent after it was cancelled`);
  return violations;
}

function endsInTime(call: SeenCall): string[] {
  if (call.cancelledAt !== undefined || call.outlived) return [];
  if (call.endedAt === undefined) return [`${tell(call)} never ended`];
  const tookMs = call.endedAt - call.beganAt;
  if (tookMs <= call.boundMs) return [];
  return [`${tell(call)} took ${Math.round(tookMs)} ms, more than ${Math.round(call.boundMs)} ms`];
}

const DONE_OR_NOT =
  /\b(nothing (?:was|has)|has not|no (?:new )?(?:run|conversation)|not (?:sent|known|started|done|stopped|delivered|read|give)|unknown|was not|could not|has failed|failed|may go on|goes on|continues|called off|did not|does not|no longer knows|removed|there is no)\b/i;
const WHAT_NOW =
  /\b(check|set|begin|redo|write|try|ask|see|say|find out|put right|look|wait|start|use|send|follow|continue|correct|retry|leave|give|report|may be meant|must be|expected|one of|its steps are|allowed)\b/i;
const INTERNALS =
  /node_modules|\bat [\w.<>]+ \(|\.(?:ts|js|mjs):\d|\[object |\bundefined\b|\b(?:Type|Range|Reference|Syntax|Zod|Fetch|Abort)Error\b|\/(?:home|work|src|dist|tmp)\/|\bsrc\/|workflow_run_id|claude_session_id|undici|UND_ERR_|ofetch|\bMaximum call stack/;

function saysWhatIsUp(call: SeenCall, { closedAt }: Observed): string[] {
  const { answer, error } = call;
  if (error !== undefined) {
    const isOwnWill =
      call.cancelledAt !== undefined || call.outlived || closedAt <= (call.endedAt ?? closedAt);
    return isOwnWill ? [] : [`${tell(call)} ended with a protocol error: ${error.slice(0, 300)}`];
  }
  if (!answer) return [];
  const violations: string[] = [];
  const complain = (what: string) => violations.push(`${tell(call)} ${what}: ${answer.text.slice(0, 600)}`);
  const words = String(answer.data?.summary ?? "");
  if (/Internal error in this server/.test(words)) complain("met a defect");
  if (answer.isError || answer.data?.outcome === "failed" || answer.data?.outcome === "unknown") {
    if (words.length < 20) complain("says too little");
    if (!DONE_OR_NOT.test(words)) complain("does not say what was done");
    // How a run has failed is what was asked for.
    const isTold = !answer.isError && answer.data?.run?.status === "failed";
    if (!isTold && !answer.data?.next_step && !WHAT_NOW.test(words)) complain("does not say what to do now");
  }
  const own = ownWords(answer.text);
  if (INTERNALS.test(own)) complain(`names internals (${INTERNALS.exec(own)?.[0]})`);
  if (own.split("\n").some((line) => line.startsWith(FAKE_LINE) || line.startsWith(FAKE_STEP))) {
    complain("has a line that the run has forged");
  }
  return violations;
}

/** An answer's text without what it marks as the run's output. */
function ownWords(text: string): string {
  const begin = /^--- output of the run, not of this server(.*)---$/m.exec(text);
  if (!begin) return text;
  const end = `\n--- end of the run's output${begin[1]}---`;
  const ends = text.indexOf(end, begin.index);
  return text.slice(0, begin.index) + (ends < 0 ? "" : text.slice(ends + end.length));
}

/** The run that a start's answer names is the one that its own POST has made, or none. */
function namesItsOwnRun(call: SeenCall, observed: Observed): string[] {
  const named = call.action === "run" ? call.answer?.data?.run?.run_id : undefined;
  const run = observed.api.api.world.runs().find((one) => one.runId === named);
  if (!run || run.message.includes(call.mark)) return [];
  return [`${tell(call)} was answered with somebody else's run ${named}: ${run.message}`];
}

/** So long before the end an answer must have left for the index to be sure to have it, in real ms. */
const TIME_TO_WRITE_MS = 100;

function startedRunsAreWrittenDown(observed: Observed): string[] {
  const { calls, posts, index, closedAt } = observed;
  const written = new Set(index.flatMap((record) => record.runs.map((run) => run.runId)));
  const violations: string[] = [];
  for (const post of posts) {
    const isTold = post.answeredAt !== undefined && post.answeredAt < closedAt - TIME_TO_WRITE_MS;
    const call = calls.find((one) => post.body.includes(one.mark));
    // Who has heard nothing within the time limit is not to know; what is said then is looked at below.
    const isUnheard =
      call?.answer?.data?.outcome === "unknown" || (!call?.answer && post.stoodStill !== false);
    if (!post.runId || !isTold || isUnheard || written.has(post.runId)) continue;
    if (isStillLookedFor(post, observed) || isCutOff(post, observed)) continue;
    const isFailed = observed.api.api.world.get(post.runId).status === "failed";
    if (!isFailed) violations.push(`${call && tell(call)}: run ${post.runId} is not in the session index`);
  }
  for (const call of calls) {
    const named = call.answer?.data;
    if (call.action !== "run" || call.answer?.isError || !named?.run) continue;
    const isStarted = ["started", "running", "completed", "killed", "stalled"].includes(named.outcome);
    if (isStarted && !written.has(named.run.run_id)) {
      violations.push(`${tell(call)} was answered with ${named.outcome} and is not in the session index`);
    }
  }
  // Of what the API has started and we were not told, the answer may not sound as if nothing had happened.
  for (const post of posts.filter((one) => one.runId && !written.has(one.runId))) {
    const call = calls.find((one) => post.body.includes(one.mark));
    const words = String(call?.answer?.data?.summary ?? "");
    if (/nothing was (?:sent|done|changed)|no run was started/i.test(words)) {
      violations.push(`${call && tell(call)} says that there is no run, and there is one: ${words}`);
    }
  }
  return violations;
}

/** The server that has sent it had no time left to write down what came of it. */
function isCutOff({ at, answeredAt = 0 }: ArrivedPost, { restartedAt }: Observed): boolean {
  return restartedAt.some((moment) => at < moment && answeredAt > moment - TIME_TO_WRITE_MS);
}

/** What is on its way in buffers comes on top of what is read. */
const BUFFERS_BYTES = 8 * 1024 * 1024;
/** How often its limit may be read of an answer whose texts are cut. */
const CUT_READ_FACTOR = 16;

/** The most that is read of one answer of the endpoint, in bytes. */
function mostRead(endpoint: Endpoint): number {
  if (endpoint === "status") return BODY_LIMITS.status * CUT_READ_FACTOR;
  if (endpoint === "runs") return BODY_LIMITS.list * CUT_READ_FACTOR;
  if (endpoint === "queue") return Math.max(BODY_LIMITS.queue, BODY_LIMITS.refusal);
  if (endpoint === "workflows" || endpoint === "description") return BODY_LIMITS[endpoint];
  // Of a stream, one event is read so far.
  if (endpoint === "events") return 8 * 1024 * 1024;
  return Math.max(BODY_LIMITS.act, BODY_LIMITS.refusal);
}

function bodiesAreBounded({ api }: Observed): string[] {
  const violations = [...api.taken]
    .filter(([endpoint, bytes]) => bytes > mostRead(endpoint) + BUFFERS_BYTES)
    .map(([endpoint, bytes]) => `${bytes} bytes of one answer of ${endpoint} were read`);
  if (api.redirected() > 0) violations.push("a redirect was followed");
  return violations;
}
