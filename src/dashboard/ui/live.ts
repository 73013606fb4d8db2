import { batch, signal } from "@preact/signals";
import type { BoardView } from "../views/board.js";
import type { PlanDetail } from "../views/plan.js";
import type { LogEntry, RunDetail } from "../views/run.js";
import type { StreamEvents } from "../views/stream.js";
import { addToLog, applyChange } from "./changes.js";
import { isSignedOut } from "./requests.js";

/** What the server has told last. It is told by its events only; nothing here asks again and again. */
export const board = signal<BoardView | undefined>(undefined);
export const plan = signal<PlanDetail | undefined>(undefined);
export const run = signal<RunDetail | undefined>(undefined);
/** Of the run in sight. The array grows in place; a new object comes with each growth. */
export const log = signal<{ entries: LogEntry[]; left: number }>({ entries: [], left: 0 });
/** Why the run or plan in sight is not there. */
export const gone = signal<string | undefined>(undefined);

/** `since`: epoch ms. `ended`: the session is over, and only a new link helps. */
export type Connection =
  | { state: "connecting" }
  | { state: "open" }
  | { state: "lost"; since: number }
  | { state: "ended"; why: string };
export const connection = signal<Connection>({ state: "connecting" });

/** The run or plan whose details come with the board. */
export interface Watched {
  run?: string;
  plan?: string;
}

/** How long until the next try when the browser has given up on the connection, in ms; doubled each time. */
const FIRST_RETRY_MS = 1_000;
const LONGEST_RETRY_MS = 15_000;

let source: EventSource | undefined;
let watched: Watched = {};
let newest: string | undefined;
let retryMs = FIRST_RETRY_MS;
let retry: number | undefined;

/** Watches the board, and what is named besides; what was named before is let go. */
export function watch(what: Watched): void {
  const isSame = watched.run === what.run && watched.plan === what.plan;
  if (isSame && source) return;
  watched = what;
  batch(() => {
    gone.value = undefined;
    if (run.value?.runId !== what.run) {
      run.value = undefined;
      log.value = { entries: [], left: 0 };
    }
    plan.value = undefined;
  });
  connect();
}

/** Lets the connection go until {@link takeUp}; what was told stays as it is. */
export function letGo(): void {
  source?.close();
  source = undefined;
  window.clearTimeout(retry);
}

/** Connects again where the connection was let go; what was missed is told. */
export function takeUp(): void {
  if (!source && connection.value.state !== "ended") connect();
}

function connect(): void {
  source?.close();
  window.clearTimeout(retry);
  const query = new URLSearchParams({ ...(newest ? { after: newest } : {}), ...watched });
  const opened = new EventSource(`api/events?${query}`);
  source = opened;
  opened.onopen = () => {
    retryMs = FIRST_RETRY_MS;
    connection.value = { state: "open" };
  };
  opened.onerror = () => void lose(opened);
  listen(opened, "board", (told) => {
    board.value = told;
    newest = told.at;
  });
  listen(opened, "change", (told) => {
    if (board.value) board.value = applyChange(board.value, told);
  });
  listen(opened, "plan", (told) => {
    gone.value = undefined;
    plan.value = told;
  });
  listen(opened, "run", (told) => takeRun(told));
  listen(opened, "log", ({ runId, entries }) => {
    if (runId !== run.value?.runId) return;
    addToLog(log.value.entries, entries);
    log.value = { ...log.value };
  });
  listen(opened, "gone", ({ why }) => {
    gone.value = why;
  });
  listen(opened, "bye", ({ why }) => end(why));
}

function listen<Name extends keyof StreamEvents>(
  from: EventSource,
  name: Name,
  take: (told: StreamEvents[Name]) => void,
): void {
  from.addEventListener(name, (event: MessageEvent<string>) => {
    if (from !== source) return;
    if (event.lastEventId) newest = event.lastEventId;
    batch(() => take(JSON.parse(event.data) as StreamEvents[Name]));
  });
}

function takeRun(told: RunDetail): void {
  const isOther = run.value?.runId !== told.runId;
  gone.value = undefined;
  run.value = told;
  if (isOther) log.value = { entries: [...told.log], left: told.logLeft };
  else if (told.log.length > 0) {
    addToLog(log.value.entries, told.log);
    log.value = { ...log.value };
  }
}

/** The browser tries again by itself unless it was refused; then this finds out why, and tries later. */
async function lose(lost: EventSource): Promise<void> {
  if (lost !== source || connection.value.state === "ended") return;
  if (connection.value.state !== "lost") connection.value = { state: "lost", since: Date.now() };
  if (lost.readyState !== EventSource.CLOSED) return;
  const isOver = await isSignedOut();
  // Another page was opened meanwhile, or none is looked at any more.
  if (lost !== source) return;
  if (isOver) return end("This page's sign-in has ended.");
  retry = window.setTimeout(connect, retryMs);
  retryMs = Math.min(2 * retryMs, LONGEST_RETRY_MS);
}

function end(why: string): void {
  source?.close();
  window.clearTimeout(retry);
  connection.value = { state: "ended", why };
}
