import type { Random } from "../random.js";
import type { Cluster } from "./cluster.js";
import type { Ledger } from "./ledger.js";
import type { ClusterProgram } from "./program.js";
import type { Told } from "./server.js";
import type { Step } from "./steps.js";
import { type StepContext, scriptOf } from "./take-step.js";

/** A plan that a client wanted, by one call. */
export interface WantedPlan {
  /** Its name, and in its tasks: in those of no other. */
  name: string;
  gated: boolean;
  outcome: Told | undefined;
}

/** What a client said at a plan's gate. */
export interface PlanDecision {
  planId: string;
  stop: boolean;
  outcome: Told;
}

/** What has happened to a plan: of a start its key and its run, at a gate what was decided. */
export type PlanEntry = { type: string; key?: string; runId?: string; decision?: string };

/** A plan as the database has it. */
export interface StoredPlan {
  planId: string;
  name: string;
  status: string;
  /** What has happened to it, oldest first. */
  entries: readonly PlanEntry[];
}

/** How a task of a plan is found again: its step's name follows. */
export const markOf = (plan: string) => `[${plan}/`;

/** Begins a plan of two runs, with a gate between them or none. */
export async function beginPlan(
  step: Extract<Step, { do: "plan" }>,
  context: StepContext,
  server: ClusterProgram,
): Promise<void> {
  const { ledger, note, tell, token } = context;
  const wanted: WantedPlan = {
    name: `plan-${token.replace(/[^\w]+/g, "-").replace(/^-+|-+$/g, "")}-${ledger.plans.length}`,
    gated: step.gated,
    outcome: undefined,
  };
  ledger.plans.push(wanted);
  const run = (id: string, needs: string[]) => {
    const task = `${markOf(wanted.name)}${id}] ${token} ${step.run}\n#script ${JSON.stringify(scriptOf(step.run, step.workMs))}`;
    return { id, run: "implement", task, ...(needs.length > 0 ? { needs } : {}) };
  };
  const gate = { id: "ok", gate: "Go on?", needs: ["first"] };
  const steps = step.gated
    ? [run("first", []), gate, run("second", ["ok"])]
    : [run("first", []), run("second", ["first"])];
  const place = { repository_url: "", git_branch: "" };
  const args = { action: "plan", plan: { name: wanted.name, steps }, ...place, wait_seconds: 0 };
  wanted.outcome = await tell(server, args);
  note(`${wanted.name} at ${server.name}: ${wordsOf(wanted.outcome)}`);
}

/** Decides at the gate of one of the newest plans, through two servers at once where that is wanted. */
export async function decideAtGate(
  step: Extract<Step, { do: "decide" }>,
  context: StepContext,
  server: ClusterProgram,
): Promise<void> {
  const { ledger, cluster } = context;
  const all = ledger.plans.filter(({ gated }) => gated).flatMap((plan) => idOf(plan) ?? []);
  const planId = all.reverse()[step.of % Math.max(1, Math.min(3, all.length))];
  if (planId === undefined) return;
  const other = cluster.servers.find((one) => one !== server) ?? server;
  await Promise.all([
    decide(context, server, planId, step.stop),
    ...(step.both ? [decide(context, other, planId, !step.stop)] : []),
  ]);
}

async function decide(
  { tell, ledger, note }: StepContext,
  server: ClusterProgram,
  planId: string,
  stop: boolean,
): Promise<void> {
  const seen = await tell(server, { action: "status", plan_id: planId });
  const need = seen.kind === "done" ? seen.data.plan?.waiting_for?.[0] : undefined;
  if (need?.question_id === undefined) return;
  const answer = stop ? "stop" : "approve";
  const args = { action: "answer", plan_id: planId, question_id: need.question_id, answer, confirm: true };
  const outcome = await tell(server, { ...args, wait_seconds: 0 });
  ledger.decisions.push({ planId, stop, outcome });
  note(`${answer} of ${planId} at ${server.name}: ${wordsOf(outcome)}`);
}

/** The id of a plan that was acknowledged. */
export function idOf({ outcome }: WantedPlan): string | undefined {
  return outcome?.kind === "done" ? (outcome.data?.plan?.plan_id as string | undefined) : undefined;
}

/** The plans of this sequence, as the database has them. */
export async function readPlans({ query }: Cluster, { plans }: Ledger): Promise<StoredPlan[]> {
  if (plans.length === 0) return [];
  const names = plans.map(({ name }) => `'${name}'`).join(", ");
  const rows = await query<{ plan_id: string; name: string; status: string }>(
    `select plan_id, name, status from plans where name in (${names}) order by created_at`,
  );
  return Promise.all(
    rows.map(async ({ plan_id: planId, name, status }) => {
      const entries = await query<{ type: string; data: string }>(
        `select type, data from plan_entries where plan_id = '${planId}' order by number`,
      );
      return {
        ...{ planId, name, status },
        entries: entries.map(({ type, data }): PlanEntry => ({ ...JSON.parse(data), type })),
      };
    }),
  );
}

export const isPlanOver = ({ status }: StoredPlan) => /^(completed|failed|killed)$/.test(status);

/** Approves what waits at a gate, and ends what stands still for another reason. */
export async function pushPlans(
  plans: readonly StoredPlan[],
  context: StepContext,
  random: Random,
): Promise<void> {
  const { cluster, tell, note } = context;
  for (const { planId, status } of plans.filter((plan) => !isPlanOver(plan))) {
    const server = random.pick(cluster.servers);
    if (status === "waiting") await decide(context, server, planId, false);
    if (!/blocked|paused/.test(status)) continue;
    const outcome = await tell(server, { action: "kill", plan_id: planId, confirm: true });
    note(`kill of ${planId}, which is ${status}, at ${server.name}: ${wordsOf(outcome)}`);
  }
}

function wordsOf(outcome: Told): string {
  if (outcome.kind === "lost") return `lost: ${outcome.why.slice(0, 200)}`;
  return `${outcome.kind}: ${outcome.text.slice(0, 200).replaceAll("\n", " ")}`;
}
