import { isDeepStrictEqual } from "node:util";
import { InstallError, KEY_VARIABLE, PACKAGE_NAME } from "./names.js";

/** A server's entry in a client's file, as plain values. */
export type Entry = Record<string, unknown>;

/** What an entry has to say, in a client's own words. */
export interface EntryPlan {
  /** Fields that decide how the server is started: ours win. */
  fixed: Entry;
  /** Fields that the person may have chosen otherwise: theirs win. */
  defaults: Entry;
  /** The field that holds variables with their values. */
  variablesField: string;
  /** Variables to be set. */
  variables: Record<string, string>;
  /** The field that lists names of variables whose values come from elsewhere. */
  namesField?: string;
  /** Names to be listed there. */
  names: string[];
  /** The key's value or reference stands for the one that is there. */
  replaceKey: boolean;
}

/** What every entry of ours has somewhere: in its command, its arguments or the names of its variables. */
const OURS = /automagik[-_]workflows/i;

/** Whether an entry starts this server. */
export function isOurs(entry: unknown): boolean {
  return isRecord(entry) && ("command" in entry || "cmd" in entry) && OURS.test(JSON.stringify(entry));
}

/**
 * The entry as it should be: what is planned, with everything that the person has added kept. A key that is there
 * already, literally or by reference, stays as it is unless it is to be replaced.
 * @throws InstallError when the entry there is somebody else's
 */
export function mergeEntry(existing: Entry | undefined, plan: EntryPlan, name: string): Entry {
  const { fixed, defaults, variablesField, namesField } = plan;
  if (existing && !isOurs(existing)) {
    throw new InstallError(
      `There is another server called "${name}" already, which this command leaves alone. ` +
        "Give this one another name with --name",
    );
  }
  const before = asRecord(existing?.[variablesField]);
  const hasKey = KEY_VARIABLE in before && !plan.replaceKey;
  const ours = Object.entries(plan.variables).filter(([variable]) => !(hasKey && variable === KEY_VARIABLE));
  const variables = { ...before, ...Object.fromEntries(ours) };
  const listed = namesField === undefined ? [] : asList(existing?.[namesField]);
  const names = plan.names.filter(
    (wanted) => !(wanted in variables) && !listed.some((one) => one === wanted || nameOf(one) === wanted),
  );
  return {
    ...existing,
    ...fixed,
    ...("args" in fixed ? { args: [...asList(fixed.args), ...flagsOf(existing)] } : {}),
    ...Object.fromEntries(Object.entries(defaults).filter(([field]) => !(existing && field in existing))),
    ...(Object.keys(variables).length > 0 ? { [variablesField]: variables } : {}),
    ...(namesField !== undefined && names.length > 0 ? { [namesField]: [...listed, ...names] } : {}),
  };
}

/** The fields of `after` that `before` does not have in the same way, in the order of `after`. */
export function changedFields(before: Entry | undefined, after: Entry): string[] {
  return Object.keys(after).filter((field) => !before || !isDeepStrictEqual(before[field], after[field]));
}

/** The value as an object's fields; none when it is something else. */
export function asRecord(value: unknown): Record<string, unknown> {
  return isRecord(value) ? value : {};
}

/** True for objects that are no arrays. */
export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** What the person has added behind the server's own script or package. */
function flagsOf(existing: Entry | undefined): unknown[] {
  const args = asList(existing?.args);
  const own = args.findLastIndex(
    (arg) => typeof arg === "string" && (/\bcli\.js$/.test(arg) || arg.split("@")[0] === PACKAGE_NAME),
  );
  return own < 0 ? [] : args.slice(own + 1);
}

function asList(value: unknown): unknown[] {
  return Array.isArray(value) ? value : [];
}

/** Codex takes a table with a name as well as a name. */
function nameOf(value: unknown): unknown {
  return asRecord(value).name;
}
