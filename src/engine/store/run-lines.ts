import { z } from "zod";
import type { EngineRun } from "../types.js";
import { applyChanges, changesBetween, type JsonChange } from "./json-changes.js";
import type { StoredEvent } from "./run-store.js";

/*
 * The lines of a run's file. A line is what one save has brought, state and event together, so that both are there
 * or none; it counts only with the line break at its end.
 *
 *   {"v":1,"run":{…},"lastEventId":7,"droppedThrough":0,"eventBytes":0,"event":{…}}   the whole run
 *   {"set":[[["turn"],3],[["currentAction"]]],"event":{"id":8,"at":…,"type":"turn","data":{…}}}   what changed
 *
 * A new run is first written with "confirmed":false and counts only with the line {"confirmed":true}, which is added
 * when the first one is safe on the disk. So a run that was refused because of the disk is never found again, not
 * even where the disk does not let its file be removed.
 */

type EventPart = Omit<StoredEvent, "runId">;
type Known = { lastEventId: number; droppedThrough: number; eventBytes: number };

/** Makes the new run above it count. */
export const CONFIRMED_LINE = `${JSON.stringify({ confirmed: true })}\n`;

/** What a run's file holds. */
export interface RunContent {
  run: EngineRun;
  /** Oldest first; empty when only the head of a file was read. */
  events: StoredEvent[];
  lastEventId: number;
  /** Events of the run up to this number may be gone: there were too many, or they could not be read or written. */
  droppedThrough: number;
  /** Where the last good line ends. */
  goodBytes: number;
  /** There are good lines after a bad one: something was lost that had been there. */
  lostInside: boolean;
  /** False for a new run that nobody was told of: it must not be carried out. */
  confirmed: boolean;
}

/** `unfinished`: nothing but the beginning of a first line, left by a process that ended while it wrote. */
export type ParsedRunFile =
  | { kind: "run"; content: RunContent }
  | { kind: "newer" }
  | { kind: "unfinished" }
  | { kind: "damaged" };

const strings = z.array(z.string());

// Loose on purpose: a field that a later release adds within version 1 survives being rewritten by this one.
const runSchema = z.looseObject({
  runId: z.string().min(1),
  request: z.looseObject({
    workflowName: z.string(),
    message: z.string(),
    timeoutS: z.number(),
    persistent: z.boolean(),
    autoMerge: z.boolean(),
    tempWorkspace: z.boolean(),
  }),
  status: z.enum(["pending", "running", "completed", "failed", "killed"]),
  sessionId: z.string(),
  sessionName: z.string(),
  createdAt: z.number(),
  startedAt: z.number().optional(),
  endedAt: z.number().optional(),
  turn: z.number(),
  currentAction: z.string().optional(),
  toolsUsed: strings,
  tokens: z.looseObject({ input: z.number(), output: z.number() }),
  costUsd: z.number(),
  phasesCompleted: strings,
  result: z.string().optional(),
  error: z.string().optional(),
  workspacePath: z.string().optional(),
  workspaceRemoved: z.boolean(),
  filesChanged: strings,
  commits: strings,
  queue: z.looseObject({
    added: z.number(),
    consumed: z.number(),
    waiting: z.array(z.looseObject({ id: z.string(), content: z.string() })),
  }),
  questions: z.array(z.looseObject({ questionId: z.string(), text: z.string() })),
  agentProcess: z.looseObject({ pid: z.number(), startedAt: z.string() }).optional(),
  killedAt: z.number().optional(),
  neverStarted: z.literal(true).optional(),
});

/** Throws a TypeError when the run could not be read back. */
export function assertStorable(run: EngineRun): void {
  const { error } = runSchema.safeParse(run);
  const place = error?.issues[0]?.path.join(".");
  if (error) throw new TypeError(`The run has a field of a wrong type${place ? `: ${place}` : ""}.`);
}

/** The line that holds the whole run. `eventBytes`: so many bytes of event lines follow, and then nothing. */
export function snapshotLine(
  run: EngineRun,
  known: { lastEventId: number; droppedThrough: number; confirmed: boolean; eventBytes?: number },
  event?: EventPart,
): string {
  const { lastEventId, droppedThrough, eventBytes = 0 } = known;
  const confirmed = known.confirmed ? undefined : false;
  return `${JSON.stringify({ v: 1, confirmed, run, lastEventId, droppedThrough, eventBytes, event })}\n`;
}

/** The line that turns `before` into `after`; undefined when there is nothing to say. */
export function changeLine(before: EngineRun, after: EngineRun, event?: EventPart): string | undefined {
  const set = changesBetween(before, after);
  if (set.length === 0 && !event) return undefined;
  return `${JSON.stringify({ set: set.length > 0 ? set : undefined, event })}\n`;
}

/**
 * Reads one line on top of the run as it was before. Undefined when it is not a line of version 1, or does not fit;
 * `before` is changed in place. Never throws.
 */
export function readLine(
  text: string,
  before: EngineRun | undefined,
): { run: EngineRun; event?: EventPart; known?: Known; confirmed?: boolean } | "newer" | undefined {
  let line: Partial<Known> & {
    v?: number;
    run?: unknown;
    set?: JsonChange[];
    event?: EventPart;
    confirmed?: unknown;
  };
  try {
    line = JSON.parse(text);
    if (typeof line !== "object" || line === null) return undefined;
    if (Number.isInteger(line.v) && (line.v as number) > 1) return "newer";
    const event = line.event;
    if (event !== undefined && !(Number.isInteger(event.id) && typeof event.type === "string"))
      return undefined;
    const parts = event ? { event } : {};
    if (line.v === 1) {
      const { lastEventId, droppedThrough, eventBytes } = line;
      if (lastEventId === undefined || droppedThrough === undefined || eventBytes === undefined)
        return undefined;
      if (!runSchema.safeParse(line.run).success) return undefined;
      const known = { lastEventId, droppedThrough, eventBytes };
      return { run: line.run as EngineRun, known, confirmed: line.confirmed !== false, ...parts };
    }
    if (!before || (line.set && !applyChanges(before, line.set))) return undefined;
    return { run: before, ...(line.confirmed === true ? { confirmed: true } : {}), ...parts };
  } catch {
    return undefined;
  }
}

/**
 * Reads the first line alone, if it says that nothing but event lines follow: so a thousand ended runs can be read
 * without their events. `bytes` is the beginning of a file of `fileSize` bytes. Else undefined: read the whole.
 */
export function parseHead(bytes: Buffer, fileSize: number): RunContent | undefined {
  const end = bytes.indexOf(10);
  const line = end < 0 ? undefined : readLine(bytes.toString("utf8", 0, end), undefined);
  if (!line || line === "newer" || !line.known) return undefined;
  if (fileSize !== end + 1 + line.known.eventBytes) return undefined;
  const lastEventId = line.event?.id ?? line.known.lastEventId;
  const { droppedThrough } = line.known;
  const confirmed = line.confirmed === true;
  const goodBytes = fileSize;
  return { run: line.run, events: [], lastEventId, droppedThrough, goodBytes, lostInside: false, confirmed };
}

/** Reads a whole file. Bad lines are left out, and counted as lost when good ones follow. Never throws. */
export function parseRunFile(bytes: Buffer): ParsedRunFile {
  let run: EngineRun | undefined;
  const events: StoredEvent[] = [];
  let lastEventId = 0;
  let droppedThrough = 0;
  let goodBytes = 0;
  let lostInside = false;
  let confirmed = false;
  let bad = false;
  let eventsLost = false;
  for (let from = 0; from < bytes.length; ) {
    const end = bytes.indexOf(10, from);
    if (end < 0) break;
    const line = readLine(bytes.toString("utf8", from, end), run);
    from = end + 1;
    if (line === "newer") return { kind: "newer" };
    // A first line also names the last of the events that follow it, so the order is that of the events alone.
    if (!line || (line.event && line.event.id <= (events.at(-1)?.id ?? 0))) {
      bad = true;
      eventsLost = true;
      continue;
    }
    if (bad) lostInside = true;
    bad = false;
    run = line.run;
    confirmed = line.confirmed ?? confirmed;
    goodBytes = from;
    lastEventId = Math.max(lastEventId, line.known?.lastEventId ?? 0);
    droppedThrough = Math.max(droppedThrough, line.known?.droppedThrough ?? 0);
    if (!line.event) continue;
    // What was lost lies before this one.
    if (eventsLost) droppedThrough = Math.max(droppedThrough, line.event.id - 1);
    eventsLost = false;
    events.push({
      id: line.event.id,
      runId: run.runId,
      at: line.event.at,
      type: line.event.type,
      data: line.event.data,
    });
    lastEventId = Math.max(lastEventId, line.event.id);
  }
  if (lostInside && eventsLost) droppedThrough = Math.max(droppedThrough, lastEventId + 1);
  if (!run) return { kind: isUnfinished(bytes) ? "unfinished" : "damaged" };
  if (!runSchema.safeParse(run).success) return { kind: "damaged" };
  const content = { run, events, lastEventId, droppedThrough, goodBytes, lostInside, confirmed };
  return { kind: "run", content };
}

function isUnfinished(bytes: Buffer): boolean {
  const beginning = '{"v":1,';
  return bytes.indexOf(10) < 0 && beginning.startsWith(bytes.toString("utf8", 0, beginning.length));
}

/**
 * A file's content in its compact form: the run as given, then the newest `keep` of the events in `bytes`.
 * Gives the text, and the number through which events are gone now.
 */
export function compactForm(
  bytes: Buffer,
  run: EngineRun,
  known: { lastEventId: number; droppedThrough: number; confirmed: boolean },
  keep: number,
): { text: string; droppedThrough: number } {
  const parsed = parseRunFile(bytes);
  const events = parsed.kind === "run" ? parsed.content.events : [];
  const gone = events.length > keep ? (events[events.length - keep - 1]?.id ?? 0) : 0;
  const before = parsed.kind === "run" ? parsed.content.droppedThrough : 0;
  const droppedThrough = Math.max(known.droppedThrough, before, gone);
  const kept = keep > 0 ? events.slice(-keep) : [];
  const lines = kept
    .map(({ id, at, type, data }) => `${JSON.stringify({ event: { id, at, type, data } })}\n`)
    .join("");
  const eventBytes = Buffer.byteLength(lines);
  return { text: snapshotLine(run, { ...known, droppedThrough, eventBytes }) + lines, droppedThrough };
}
