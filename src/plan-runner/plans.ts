import { randomUUID } from "node:crypto";
import { type DryRun, dryRun, type WorkflowHistory } from "../plans/dry-run.js";
import { fillChecks } from "../plans/fill-checks.js";
import { type CheckedPlan, checkPlan } from "../plans/language/check-plan.js";
import type { PlanChange } from "../plans/machine/events.js";
import { planStatus, waitingFor } from "../plans/machine/plan-status.js";
import type { PlanState, Threshold } from "../plans/machine/state.js";
import { AUTO_WORKFLOW, type FieldValue, type Plan, type PlanLimits } from "../plans/plan.js";
import { type Clock, sleep } from "../shared/clock.js";
import { findNearest } from "../shared/nearest.js";
import { visibleName } from "../shared/text.js";
import type { DescribedWorkflow, Router } from "../workflows/router.js";
import { capabilitiesOfApi } from "./api-capabilities.js";
import type { PlanPlace } from "./plan-place.js";
import { isOver, type PlanSummary } from "./plan-summary.js";
import type { PlanRunner, PlanSight } from "./runner.js";

/** A plan to be begun: checked, its inputs complete, and agreed to by the person. */
export interface PlanOrder {
  plan: Plan;
  inputs: Readonly<Record<string, FieldValue>>;
  /** The plan's own name, by which it is found; no other open plan has it. */
  name: string;
  /** The template that it comes from. */
  template?: string | undefined;
  place: PlanPlace;
  /** Above what a fan-out asks, where that is not what the settings say. */
  agreeAbove?: Threshold;
}

/**
 * The plans of one server, as its actions, resources and commands use them. Whatever is to be carried out is written
 * down here, and carried out by the one process that drives the plans of this API, which is started when it is not
 * there. Methods that read or write the plans throw StoreError.
 */
export interface Plans {
  /** Checks a plan with the workflows, the limits and the abilities of this server's API. Nothing is begun. */
  check(
    plan: unknown,
    options?: {
      inputs?: unknown;
      name?: string;
      /** Workflows that the person has chosen for steps that say `auto`, by the steps' ids. */
      chosen?: Readonly<Record<string, string>>;
    },
  ): Promise<CheckedPlan>;
  /** What a checked plan would do and take, with what runs like these have taken so far. Nothing is begun. */
  foresee(
    plan: Plan,
    inputs: Readonly<Record<string, FieldValue>>,
    repositoryUrl?: string | undefined,
  ): Promise<DryRun>;
  /** Begins a plan: from here on it goes on by itself. @throws PlanNameTaken when an open plan has its name */
  begin(order: PlanOrder): Promise<PlanSight>;
  /**
   * A person's decision or change.
   * @returns the plan after it, with `refused` when it cannot be, worded for a person; undefined for no such plan
   */
  tell(planId: string, change: PlanChange): Promise<{ state: PlanState; refused?: string } | undefined>;
  look(planId: string): Promise<PlanSight | undefined>;
  /** By its id, or by its name, and carried on if need be: of several the newest that is open, else the newest. */
  find(idOrName: string): Promise<PlanSight | undefined>;
  /** Names of plans most like the wanted one. */
  nearest(name: string): Promise<string[]>;
  /** True when an open plan has that name, or one that looks the same. */
  isTaken(name: string): Promise<boolean>;
  /** True when a plan has not ended. */
  hasOpen(): Promise<boolean>;
  /** All plans of this API, newest first. */
  list(): Promise<PlanSummary[]>;
  /** Tells how a plan stands, at once and after every change of it or of what its runs do, until the signal ends or it is over. */
  follow(planId: string, signal: AbortSignal, onChange: (sight: PlanSight) => void): Promise<void>;
  /** Makes sure that open plans are carried out. */
  carryOn(): Promise<void>;
  /** A call tells the person how the plan stands: no notification has to. */
  saw(state: PlanState): void;
  /**
   * Tells at once which plan has changed, or what its runs do, of those that this process carries out, and of others
   * where the database tells that; else only `follow` and `list` do. The answer takes the listener off.
   */
  onChange(listener: (planId: string) => void): () => void;
  /** What this process has to do for open plans, where it carries them out. */
  lookAtWork: PlanRunner["lookAtWork"];
  close(graceMs?: number): Promise<void>;
}

/** How often a followed plan is looked at, in ms: what the eye takes for at once. */
const LOOK_MS = 500;
/** How often it is seen to that somebody carries out a plan that is followed, in ms. */
const CARRY_MS = 5_000;

/** What the plans of a server are made of, beside the database and the API. */
export interface PlansOptions {
  runner: PlanRunner;
  /** Finds or starts whoever carries plans out. Must not throw. */
  carryOut: () => Promise<void>;
  capabilities: Parameters<typeof capabilitiesOfApi>[0];
  /** The API's workflows; undefined while nobody knows them. */
  workflows: () => readonly DescribedWorkflow[] | undefined;
  /** Chooses where a step says `auto`; undefined while nobody knows the workflows. */
  findRouter: () => Promise<Pick<Router, "choose"> | undefined>;
  /** What runs of a workflow have taken so far, in a repository where enough are known. */
  history: (workflow: string, repositoryUrl: string | undefined) => Promise<WorkflowHistory>;
  /** Where a plan has none. */
  limits: Partial<PlanLimits>;
  agreeAbove: Threshold;
  clock: Clock;
}

/** Puts them together over a runner; nothing is carried out before it is asked for. */
export function createPlans(options: PlansOptions): Omit<Plans, "saw" | "onChange"> {
  const { runner, carryOut, clock } = options;

  async function historyOf(
    plan: Plan,
    repositoryUrl: string | undefined,
  ): Promise<Map<string, WorkflowHistory>> {
    const names = new Set(plan.steps.flatMap((step) => (step.kind === "run" ? [step.workflow] : [])));
    names.delete(AUTO_WORKFLOW);
    return new Map(
      await Promise.all(
        [...names].map(async (name) => [name, await options.history(name, repositoryUrl)] as const),
      ),
    );
  }

  async function find(idOrName: string): Promise<PlanSight | undefined> {
    const all = await runner.list();
    const named = all.filter(({ planId, name }) => planId === idOrName || name === idOrName);
    const summary = named.find(({ planId }) => planId === idOrName) ?? named.find(isOpen) ?? named[0];
    if (summary && mayGoOn(summary)) await carryOut();
    return summary && runner.look(summary.planId);
  }

  /** @param change called before each look; what it gives waits for a change since, or for the next look */
  async function lookOn(
    planId: string,
    signal: AbortSignal,
    onChange: (sight: PlanSight) => void,
    change: () => () => Promise<unknown>,
  ): Promise<void> {
    let last: string | undefined;
    let carriedAt = clock.elapsed();
    while (!signal.aborted) {
      const untilChanged = change();
      const sight = await runner.look(planId);
      if (!sight) return;
      const { state, troubles, actions } = sight;
      const mark = JSON.stringify([state.at, state.version, troubles, [...actions]]);
      if (mark !== last) onChange(sight);
      last = mark;
      if (isOver(state)) return;
      if (clock.elapsed() - carriedAt >= CARRY_MS) {
        carriedAt = clock.elapsed();
        // Where nobody can be started now, the next time is soon.
        if (mayGoOn({ status: planStatus(state), waitingFor: waitingFor(state) })) carryOut().catch(() => {});
      }
      await untilChanged();
    }
  }

  return {
    async check(plan, { inputs, name, chosen = {} } = {}) {
      const workflows = options.workflows();
      // Past tasks are only looked at where something is to be chosen.
      const router = mayChoose(plan) ? await options.findRouter() : undefined;
      const choose = (text: string, step: string) => {
        const name = Object.hasOwn(chosen, step) ? chosen[step] : undefined;
        return name === undefined ? (router?.choose(text) ?? { names: [] }) : { name, why: "as you chose" };
      };
      return checkPlan(plan, {
        workflows: workflows?.map((workflow) => workflow.name),
        agents: options.capabilities.state().description?.start.agents,
        agentOf: (name) => workflows?.find((workflow) => workflow.name === name)?.agent,
        choose: router && choose,
        cannot: capabilitiesOfApi(options.capabilities),
        defaults: options.limits,
        ...(inputs === undefined ? {} : { inputs }),
        ...(name === undefined ? {} : { name }),
      });
    },
    async foresee(plan, inputs, repositoryUrl) {
      const history = await historyOf(plan, repositoryUrl);
      return dryRun(plan, { inputs, history: (workflow) => history.get(workflow) });
    },
    async begin({ plan, inputs, name, template, place, agreeAbove = options.agreeAbove }) {
      const history = await historyOf(plan, place.repositoryUrl);
      const expectedUsd = Object.fromEntries(
        [...history].flatMap(([workflow, { costUsd }]) =>
          costUsd === undefined ? [] : [[workflow, costUsd]],
        ),
      );
      const state = await runner.begin(
        {
          planId: randomUUID(),
          plan: { ...fillChecks(plan, inputs), name },
          inputs,
          agreeAbove,
          ...(template === undefined ? {} : { template }),
          expectedUsd,
        },
        place,
      );
      await carryOut();
      return { state, place, troubles: [], actions: new Map() };
    },
    async tell(planId, change) {
      const told = await runner.tell(planId, change);
      if (told && !isOver(told.state)) await carryOut();
      return told;
    },
    look: (planId) => runner.look(planId),
    find,
    async nearest(name) {
      const names = (await runner.list()).map((plan) => plan.name);
      return findNearest(name, [...new Set(names)]);
    },
    async isTaken(name) {
      const wanted = visibleName(name);
      return (await runner.list()).some((plan) => isOpen(plan) && visibleName(plan.name) === wanted);
    },
    async hasOpen() {
      return (await runner.list()).some(isOpen);
    },
    list: () => runner.list(),
    async follow(planId, signal, onChange) {
      let changed = new AbortController();
      const offUpdates = runner.onUpdate((about = planId) => {
        if (about === planId) changed.abort();
      });
      const change = () => {
        changed = new AbortController();
        return () => sleep(clock, LOOK_MS, AbortSignal.any([signal, changed.signal]));
      };
      try {
        await lookOn(planId, signal, onChange, change);
      } finally {
        offUpdates();
      }
    },
    carryOn: carryOut,
    lookAtWork: runner.lookAtWork,
    close: (graceMs) => runner.close(graceMs),
  };
}

/** Whether the word stands anywhere in a plan, whichever way it has come. */
function mayChoose(plan: unknown): boolean {
  try {
    return (typeof plan === "string" ? plan : JSON.stringify(plan)).includes(AUTO_WORKFLOW);
  } catch {
    return true;
  }
}

function isOpen({ status }: PlanSummary): boolean {
  return status !== "completed" && status !== "failed" && status !== "killed";
}

/** Something of it happens without a person's decision, as long as somebody carries it out. */
function mayGoOn({ status, waitingFor }: Pick<PlanSummary, "status" | "waitingFor">): boolean {
  return status === "running" || waitingFor.some(({ kind }) => kind === "question");
}
