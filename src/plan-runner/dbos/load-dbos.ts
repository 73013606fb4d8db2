import { createRequire } from "node:module";
import { dirname, sep } from "node:path";
import type * as Dbos from "@dbos-inc/dbos-sdk";
import { StoreError } from "../../store/store-error.js";

/** The package. */
export const DBOS = "@dbos-inc/dbos-sdk";
const require = createRequire(import.meta.url);

/** A copy of the library. */
export interface DbosCopy {
  sdk: typeof Dbos;
  /** Has its executor look at a queue now: it offers that to its own parts only. Where it does not, it looks later. */
  look(queue: WorkflowQueue): Promise<void>;
}

/** While the database is away, DBOS tries again after so long at most, in s; one minute by default. */
const LONGEST_PAUSE_S = 5;

type WorkflowQueue = Awaited<ReturnType<typeof Dbos.DBOS.registerQueue>>;

let first: DbosCopy | undefined;
/** Copies that no executor uses at the moment. */
const unused: DbosCopy[] = [];

/**
 * Nothing of it is loaded by this.
 * @throws StoreError where the package is not installed
 */
export function assertDbos(): void {
  findDbos();
}

/** The library, for what needs no executor. @throws StoreError where the package is not installed */
export function loadDbos(): typeof Dbos {
  if (!first) {
    first = loadCopy();
    unused.push(first);
  }
  return first.sdk;
}

/**
 * The library for one executor. It keeps in its modules what it executes, so that it can be one executor only: a second
 * server in this process gets a copy of it, which takes 2 MB.
 * @throws StoreError where the package is not installed
 */
export function takeDbos(): DbosCopy {
  loadDbos();
  return unused.pop() ?? loadCopy();
}

/** Its executor has ended. */
export function giveBackDbos(copy: DbosCopy): void {
  unused.push(copy);
}

/** Whoever else uses the library in this process has another copy than those of here. */
function loadCopy(): DbosCopy {
  const path = findDbos();
  const folder = dirname(dirname(dirname(path))) + sep;
  const others = takeOut(folder);
  try {
    const sdk = require(path) as typeof Dbos;
    const part = (name: string) => require(`${DBOS}/internal/${name}`) as Internals;
    const { wfQueueRunner } = part("wfqueue");
    const { DBOSExecutor } = part("dbos-executor");
    // After the database was away it is there again for DBOS no later than that.
    Object.assign(part("utils").dbRetryConfig ?? {}, { maxBackoffSec: LONGEST_PAUSE_S });
    return {
      sdk,
      async look(queue) {
        const executor = DBOSExecutor?.globalInstance;
        if (executor) await wfQueueRunner?.pollQueue?.(executor, queue);
      },
    };
  } finally {
    takeOut(folder);
    Object.assign(require.cache, others);
  }
}

/** Has the modules of a folder loaded anew; gives those that were loaded. */
function takeOut(folder: string): NodeJS.Dict<NodeJS.Module> {
  const known = Object.entries(require.cache).filter(([name]) => name.startsWith(folder));
  for (const [name] of known) delete require.cache[name];
  return Object.fromEntries(known);
}

/** What is used of the library's own parts, as far as it is there. */
interface Internals {
  wfQueueRunner?: { pollQueue?: (executor: object, queue: WorkflowQueue) => Promise<unknown> };
  DBOSExecutor?: { globalInstance?: object };
  dbRetryConfig?: { maxBackoffSec: number };
}

function findDbos(): string {
  try {
    return require.resolve(DBOS);
  } catch (error) {
    const message =
      `Plans in a shared database (AUTOMAGIK_WORKFLOWS_DATABASE) need the npm package "${DBOS}", which is not installed. ` +
      `Install it beside this one: npm install ${DBOS} (with -g where this one was installed so).`;
    throw new StoreError(message, (error as NodeJS.ErrnoException).code, "unavailable");
  }
}

/** The installed version; undefined where it is not installed. */
export function versionOfDbos(): string | undefined {
  try {
    return (require(`${dirname(dirname(dirname(findDbos())))}${sep}package.json`) as { version: string })
      .version;
  } catch {
    return undefined;
  }
}
