import { createHash } from "node:crypto";
import type { RunState } from "../../mocks/types.js";
import { planStatus } from "../../src/plans/machine/plan-status.js";
import type { Attempt } from "../../src/plans/machine/state.js";
import type { FaultKind } from "./fault-kinds.js";
import type { ArrivedPost } from "./faulty-api.js";
import type { Observed, SeenCall, SeenPlan, Word } from "./observed.js";
import { noOf } from "./plan-words.js";

/** Everything that must hold of the plans of a sequence that is over; each gives what does not, in a sentence. */
export function findPlanViolations(observed: Observed): string[] {
  return [
    ...observed.plans.flatMap((plan) => [
      ...runsWithinTheLimit(plan, observed),
      ...oneRunForOneAttempt(plan, observed),
      ...nothingBeyondAStop(plan, observed),
      ...decidedByThePerson(plan, observed),
      ...endsAreTrue(plan, observed),
    ]),
    ...observed.calls.flatMap((call) => [
      ...begunWithLeave(call, observed),
      ...claimsWhatWas(call, observed),
    ]),
  ];
}

/** What was sent before a stop may be on its way for so long, in real ms. */
const ON_ITS_WAY_MS = 1_000;
/** With these the API tells of a run what is not so. */
const LIES: readonly FaultKind[] = [
  ...(["wrong types", "odd body", "unknown status", "status backwards", "hostile text"] as const),
  ...(["long text", "not found", "deep body", "truncated JSON", "200 with HTML", "huge body"] as const),
];

const nameOf = ({ state }: SeenPlan) => state.plan.name;
const sessionOf = ({ body, sessionName }: RunState) => body.session_name ?? sessionName;
const attemptsOf = ({ state }: SeenPlan) => Object.values(state.steps).flatMap(({ attempts }) => attempts);

/**
 * The plan's runs as the API has them: its sessions begin with its name, which no other has. A person may go on in one of
 * them by a call of their own.
 */
function runsOf(plan: SeenPlan, { api, calls }: Observed): RunState[] {
  const single = calls.filter(({ action }) => action === "run");
  const isSingle = ({ message }: RunState) => single.some(({ mark }) => message.includes(mark));
  return api.api.world
    .runs()
    .filter((run) => sessionOf(run).startsWith(`${nameOf(plan)}-`) && !isSingle(run));
}

/** The calls that were about this plan, by its name. */
function callsOf(plan: SeenPlan, { calls }: Observed): SeenCall[] {
  const { name } = plan.state.plan;
  return calls.filter(({ args }) => args.session_name === name || args.plan_id === name);
}

/** The limit is what the person has said, and not what the journal says of it. */
function runsWithinTheLimit(plan: SeenPlan, observed: Observed): string[] {
  const limits = callsOf(plan, observed).flatMap((call) => {
    const { args } = call;
    if (noOf(call)) return [];
    const given = typeof args.plan === "string" ? JSON.parse(args.plan) : args.plan;
    const edited = typeof args.limits === "string" ? JSON.parse(args.limits) : args.limits;
    return [given?.limits?.runs, edited?.runs].filter((runs) => typeof runs === "number");
  });
  const limit = Math.max(...limits);
  const runs = runsOf(plan, observed).length;
  return runs > limit ? [`plan ${nameOf(plan)} has started ${runs} runs, and may have ${limit}`] : [];
}

/** A start that was refused has cost nothing; any other attempt has at most one run. */
function oneRunForOneAttempt(plan: SeenPlan, observed: Observed): string[] {
  const violations: string[] = [];
  const mayBe = new Map<string, number>();
  for (const [id, { attempts }] of Object.entries(plan.state.steps))
    for (const { item, status } of attempts) {
      const session = [nameOf(plan), id, ...(item === undefined ? [] : [item + 1])].join("-");
      mayBe.set(session, (mayBe.get(session) ?? 0) + (status === "refused" ? 0 : 1));
    }
  const are = new Map<string, number>();
  for (const run of runsOf(plan, observed)) {
    // A step that is done again may get another session.
    const session = sessionOf(run).replace(/-again-\d+$/, "");
    are.set(session, (are.get(session) ?? 0) + 1);
  }
  for (const [session, runs] of are)
    if (runs > (mayBe.get(session) ?? 0))
      violations.push(`${session} has ${runs} runs at the API for ${mayBe.get(session) ?? 0} attempts`);
  const starts = observed.posts.filter(({ endpoint, runId }) => endpoint === "start" && runId !== undefined);
  for (const { key } of attemptsOf(plan)) {
    const own = new Set(starts.filter((post) => isUnder(key, post.startKey)).map(({ runId }) => runId));
    if (own.size > 1) violations.push(`${own.size} runs were started for the attempt ${key}`);
  }
  const claimed = attemptsOf(plan).flatMap(({ runId }) => (runId === undefined ? [] : [runId]));
  if (new Set(claimed).size < claimed.length)
    violations.push(`plan ${nameOf(plan)} takes one run for that of two attempts: ${claimed}`);
  return violations;
}

/** Whether a start was sent under the name that an attempt's key gives. */
function isUnder(key: string, startKey: string | undefined): boolean {
  return startKey?.includes(createHash("sha256").update(key).digest("hex").slice(0, 40)) === true;
}

/** A start of a plan of which nothing was heard yet: whoever carries the plan on looks for its run. */
export function isStillLookedFor({ body }: ArrivedPost, { plans }: Observed): boolean {
  return plans.some((plan) => {
    if (!isOf(plan, body)) return false;
    return attemptsOf(plan).some(({ status }) => status === "starting" || status === "unknown");
  });
}

function nothingBeyondAStop(plan: SeenPlan, observed: Observed): string[] {
  const stopped = callsOf(plan, observed)
    .filter(({ answer }) => answer?.data?.plan?.status === "killed")
    .map(({ endedAt = Number.POSITIVE_INFINITY }) => endedAt);
  const since = Math.min(...stopped);
  return observed.posts
    .filter(
      ({ endpoint, body, at }) => endpoint === "start" && at > since + ON_ITS_WAY_MS && isOf(plan, body),
    )
    .map(
      ({ at }) => `plan ${nameOf(plan)} has sent a start ${Math.round(at - since)} ms after it was stopped`,
    );
}

function isOf(plan: SeenPlan, body: string): boolean {
  return body.includes(`"session_name":"${nameOf(plan)}-`);
}

/** What only a person decides was said by the person, as often as the journal has it. */
function decidedByThePerson(plan: SeenPlan, { words }: Observed): string[] {
  const decided = new Map<Word["word"], number>();
  const count = (word: Word["word"]) => decided.set(word, (decided.get(word) ?? 0) + 1);
  for (const event of plan.events) {
    if (event.type === "gate-decided") count(event.decision);
    if (event.type === "fan-out-answered" && event.agreed) count("agree");
    if (event.type === "kill-asked") count("kill");
  }
  return [...decided].flatMap(([word, times]) => {
    const said = words.filter((one) => one.plan === nameOf(plan) && one.word === word).length;
    return times > said
      ? [`plan ${nameOf(plan)} has ${times} × ${word}, and the person said so ${said} times`]
      : [];
  });
}

/** Whether somebody has said of a run what is not so, or may have. */
export function isMisled({ api, sequence }: Observed): boolean {
  const isLiedTo = LIES.some((kind) => (api.struck.get(kind) ?? 0) > 0) || api.struck.has("restart");
  return isLiedTo || sequence.steps.some((step) => step.do === "set status");
}

/**
 * Whether a run that is told as `told` may be `status` in the end: one API lets agents go on that it calls killed, and
 * calls runs killed that have ended just before.
 */
export function mayBe(told: string | undefined, status: string, { sequence }: Observed): boolean {
  if (told === status) return true;
  return sequence.profile === "automagik-0.6" && (told === "killed" || status === "killed");
}

/** Where nobody has lied about a run, what the journal says of its end is what has become of it. */
function endsAreTrue(plan: SeenPlan, observed: Observed): string[] {
  const { api } = observed;
  if (isMisled(observed)) return [];
  const runs = new Map(api.api.world.runs().map((run) => [run.runId, run]));
  const isFinal = ({ status }: Attempt) =>
    status === "completed" || status === "failed" || status === "killed";
  const violations = attemptsOf(plan)
    .filter(isFinal)
    .flatMap(({ key, status, runId = "" }) => {
      const run = runs.get(runId);
      return run && !mayBe(status, run.status, observed)
        ? [`${key} is said to be ${status}, and its run is ${run.status}`]
        : [];
    });
  if (planStatus(plan.state) === "completed") {
    const open = plan.state.plan.steps.filter(({ kind, id }) => {
      const now = plan.state.steps[id];
      return (
        kind === "run" &&
        now?.status === "succeeded" &&
        !now.attempts.some((one) => one.status === "completed")
      );
    });
    violations.push(
      ...open.map(({ id }) => `plan ${nameOf(plan)}: ${id} is said to have succeeded without a run`),
    );
  }
  return violations;
}

/** Where one of the forms before the beginning met a no, there is no plan and no run. */
function begunWithLeave(call: SeenCall, { plans, posts }: Observed): string[] {
  if (call.action !== "plan" || call.args.plan === undefined) return [];
  const own = plans.filter(({ state }) => JSON.stringify(state.plan).includes(call.mark));
  const violations = own.length > 1 ? [`call ${call.number} has begun ${own.length} plans`] : [];
  const no = noOf(call);
  const isDry = call.args.dry_run === true;
  if (own.length > 0 && (no || isDry))
    violations.push(
      `call ${call.number} has begun a plan although ${no ? `its form met: ${no.answer}` : "it was to foresee it"}`,
    );
  const sent = posts.filter(({ endpoint, body }) => endpoint === "start" && body.includes(call.mark));
  if (own.length === 0 && sent.length > 0)
    violations.push(`call ${call.number} has started runs without a plan`);
  return violations;
}

/** An answer that says how a plan stands says what it was at some time. */
function claimsWhatWas(call: SeenCall, { plans }: Observed): string[] {
  const told = call.answer?.data?.plan;
  if (!told?.plan_id) return [];
  const plan = plans.find(({ state }) => state.planId === told.plan_id);
  if (!plan) return [`call ${call.number} tells of a plan that was never written down`];
  // Also one that is held up from outside is told to be blocked.
  if (told.status === "blocked" || plan.reached.has(told.status)) return [];
  return [`call ${call.number} says that plan ${nameOf(plan)} is ${told.status}, which it never was`];
}
