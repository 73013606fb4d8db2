/**
 * What a plan is, once it has been checked (check-plan.ts). Names as people write them, with underscores, stop there.
 * Money is US dollars, limits of time are minutes of work.
 */

/** What a field of a plan's inputs, or of a step's output, can hold. A list is one of texts. */
export type FieldValue = string | number | boolean | readonly string[];

export interface Field {
  readonly type: "string" | "integer" | "number" | "boolean" | "list";
  /** True unless it says otherwise for output; false unless it says otherwise for inputs. */
  readonly required: boolean;
  /** The only values that a text may have. */
  readonly enum?: readonly string[];
  /** What a form shows for them. */
  readonly titles?: Readonly<Record<string, string>>;
  readonly description?: string;
  readonly default?: FieldValue;
}

export type Fields = Readonly<Record<string, Field>>;

export interface PlanLimits {
  /** Runs at once. */
  readonly parallel: number;
  /** Runs that may be started, over all steps, attempts and children. */
  readonly runs: number;
  /** No limit when left out. */
  readonly costUsd?: number;
  /** Minutes in which runs are at work; the time in which everything waits for a person does not count. */
  readonly minutes: number;
}

export type Join = "all_done" | "all_ok" | "any_ok";

/** Back to an earlier step, which is continued; everything downstream of it runs again. */
export interface BackTo {
  readonly step: string;
  /** How often at most. */
  readonly max: number;
  /** For runs: on which condition. */
  readonly when?: string;
}

interface StepBase {
  readonly id: string;
  readonly needs: readonly string[];
  /** A condition: the step is skipped when it does not hold. */
  readonly when?: string;
  /** When left out: see `joinOf` in join.ts. */
  readonly join?: Join;
}

/** An agent's run, or one for each item of a list. */
export interface RunStep extends StepBase {
  readonly kind: "run";
  /** The name of a workflow, or `auto`. */
  readonly workflow: string;
  /** The kind of agent in place of the workflow's. */
  readonly agent?: string;
  /** With references. Missing where the step works on what another one has left. */
  readonly task?: string;
  readonly output?: Fields;
  /** Goes on with that step's conversation and workspace. */
  readonly continue?: string;
  /** Begins a session whose branch starts at that step's branch. */
  readonly from?: string;
  /** A reference to a list. */
  readonly forEach?: string;
  /** Children at once. */
  readonly parallel?: number;
  /** How often a failed run is started again by itself. */
  readonly retry: number;
  readonly backTo?: BackTo;
}

/** A person decides. */
export interface GateStep extends StepBase {
  readonly kind: "gate";
  readonly question: string;
  /** What they are shown; with references. */
  readonly show?: string;
  readonly backTo?: BackTo;
}

/** The branches of a step's children are joined, one after another. */
export interface MergeStep extends StepBase {
  readonly kind: "merge";
  /** The step with the children. */
  readonly merge: string;
  /**
   * A command that has to succeed after each merge. The whole of it can be an input, and nothing else: nothing of an
   * agent gets into it. Of a plan that has begun it is the command itself.
   */
  readonly check?: string;
}

export type PlanStep = RunStep | GateStep | MergeStep;

export interface Plan {
  readonly name: string;
  readonly description?: string;
  readonly inputs: Fields;
  readonly limits: PlanLimits;
  /** What becomes of its branches when it is completed; they stay as they are when left out. */
  readonly finish?: "pull_request";
  /** In the order in which they are written; what comes first is told by `needs` alone. */
  readonly steps: readonly PlanStep[];
}

/** What a plan may do where it does not say. */
export const DEFAULT_LIMITS: PlanLimits = { parallel: 3, runs: 20, minutes: 240 };

/** How often a step is sent back where the plan does not say. */
export const DEFAULT_BACK_TO_MAX = 3;

/** The word that lets the router choose a workflow. */
export const AUTO_WORKFLOW = "auto";

/** Bounds of what is read: far beyond what a person writes, low enough that nothing takes long. */
export const BOUNDS = {
  steps: 1_000,
  needs: 100,
  inputs: 50,
  outputs: 50,
  choices: 50,
  taskChars: 100_000,
  textChars: 10_000,
  listItems: 1_000,
  itemChars: 10_000,
} as const;

/** The same as `{ [key]: value }`, or nothing where there is no value: optional fields are left out, not undefined. */
export function optional<Key extends string, Value>(
  key: Key,
  value: Value | undefined,
): { [K in Key]?: Value } {
  return (value === undefined ? {} : { [key]: value }) as { [K in Key]?: Value };
}

/** Sets an optional field where there is a value, of an object that is being made: for what is made by the thousand. */
export function put<T extends object, Key extends keyof T>(
  target: T,
  key: Key,
  value: T[Key] | undefined,
): void {
  if (value !== undefined) target[key] = value;
}
