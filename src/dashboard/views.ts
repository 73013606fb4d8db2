/**
 * What the dashboard's server tells the browser, and what it takes from it: types only, for both sides. Times are epoch
 * ms, durations say their unit, money is US dollars; what is not known is left out and never 0. Every text may be an
 * agent's: it is cleaned and bounded, and it is text, never markup.
 */

/** Named in each request that changes something: a page of another site cannot send it. */
export const ACTION_HEADER = "x-dashboard";

/** One choice of an answer. */
export interface ChoiceView {
  /** What is sent as `answer`. */
  value: string;
  title: string;
  description?: string;
  /** The words of {@link NeedView.words} are sent behind it: `answer` is `value` + words. */
  takesWords?: true;
  /** It lets an agent do something, or decides for good: the page does not make it the one that Enter takes. */
  weighty?: true;
}

/** Something that waits for a person, with what is needed to answer right there. */
export interface NeedView {
  /** Stays the same as long as it is the same thing. */
  id: string;
  /** `agreement`: to a number of runs. `lost`, `blocked`: a step that wants a change of its plan. */
  kind: "question" | "permission" | "gate" | "agreement" | "lost" | "blocked";
  since?: number;
  /** What is asked, on one line. */
  title: string;
  /** What is needed to decide; may have lines. */
  detail?: string;
  /** Not all of it can be shown: it cannot be allowed from here. */
  cut?: true;
  session?: string;
  workflow?: string;
  runId?: string;
  planId?: string;
  plan?: string;
  step?: string;
  choices: ChoiceView[];
  /** Several of the choices may be given; `answer` is then their values, joined by ", ". */
  several?: true;
  /** A field for the person's own words: alone (a question), or behind a choice that takes words. */
  words?: { label: string; alone: boolean };
  /** What is sent to /api/actions, completed by `answer`; missing where nothing answers it. */
  call?: { action: "answer"; arguments: Record<string, string> };
  /** Of a lost or blocked step, what may be done with it; done again it may take the person's words. */
  change?: { step: string; may: StepChange[]; takesWords?: true };
}

/** What a person may do with a step of a plan, as `change` of the action `plan`. */
export type StepChange = "skip" | "redo";

/** A run as lists show it. */
export interface RunRow {
  runId: string;
  session: string;
  workflow: string;
  /** As the API says: pending, running, completed, failed, killed, or another word. */
  status: string;
  /** It waits for a person; what for is among the needs. */
  waits?: true;
  /** What it does at the moment. */
  action?: string;
  turn?: number;
  maxTurns?: number;
  /** What successful runs of the workflow usually take. */
  expectedTurns?: number;
  branch?: string;
  repository?: string;
  model?: string;
  costUsd?: number;
  /** It has cost more than that. */
  costAtLeast?: true;
  startedAt?: number;
  endedAt?: number;
  /** The newest sign of life. */
  lastSeenAt?: number;
  /** Nothing has been seen of it for so long that it counts as stalled. */
  stalledMs?: number;
  plan?: string;
  planId?: string;
  step?: string;
  /** It waits for a free slot. */
  queue?: { position?: number; inS?: number };
  /** Why it has failed, on one line. */
  error?: string;
  insertions?: number;
  deletions?: number;
  mergedInto?: string;
}

/** A plan as lists show it. */
export interface PlanRow {
  planId: string;
  name: string;
  status: PlanStatusName;
  /** Where it stands, on one line. */
  line: string;
  createdAt: number;
  changedAt: number;
  runsStarted: number;
  runsLimit: number;
  costUsd?: number;
  knownCostUsd?: number;
  costLimitUsd?: number;
  /** How many things of it wait for a person. */
  waiting: number;
}

export type PlanStatusName = "running" | "waiting" | "blocked" | "paused" | "completed" | "failed" | "killed";

/** `GET /dashboard/api/board`: first what needs a person, the longest wait first. */
export interface BoardView {
  /** Where the stream of events goes on: `GET /dashboard/api/events?after=<at>`. */
  at: string;
  now: number;
  needs: NeedView[];
  /** The newest first. */
  running: RunRow[];
  /** Runs that wait for a free slot, the first one first. */
  queue: RunRow[];
  /** What ended since `today`, the newest first. */
  ended: RunRow[];
  /** More have ended today than are listed. */
  endedLeft: number;
  plans: PlanRow[];
  /** The beginning of the server's day. */
  today: number;
  totals: { running: number; needs: number; endedToday: number; failedToday: number; costTodayUsd: number };
  /** What cannot be known just now, and why. */
  problem?: string;
}

/** What has changed of the board. Lists keep their order by `order`, where that has changed. */
export interface BoardChange {
  needs?: ListChange<NeedView>;
  running?: ListChange<RunRow>;
  queue?: ListChange<RunRow>;
  ended?: ListChange<RunRow>;
  plans?: ListChange<PlanRow>;
  totals?: BoardView["totals"];
  today?: number;
  endedLeft?: number;
  /** "" where there is none any more. */
  problem?: string;
}

/** Changed and new entries, whole; the keys of all entries in their order, where that is another one. */
export interface ListChange<Entry> {
  set: Entry[];
  /** Of needs the `id`, of runs the `runId`, of plans the `planId`; whatever is not named is gone. */
  order?: string[];
}

/** One step of a plan in its graph. */
export interface PlanNode {
  id: string;
  kind: "run" | "gate" | "merge";
  status: "pending" | "running" | "waiting" | "blocked" | "succeeded" | "failed" | "skipped" | "killed";
  /** 0 for a step that needs none, else one more than the deepest that it needs. */
  depth: number;
  /** The workflow of a run, the question of a gate, the step that a merge merges. */
  about: string;
  attempt: number;
  since: number;
  runId?: string;
  session?: string;
  branch?: string;
  /** How its result, decision or merge reads on one line. */
  outcome?: string;
  reason?: string;
  /** What its run does at the moment. */
  action?: string;
  turns?: number;
  costUsd?: number;
  /** Of a fan-out: runs that have succeeded, and all of them. */
  items?: { done: number; of: number };
  /** What the person may do with it now. */
  may: StepChange[];
}

export interface PlanEdge {
  from: string;
  to: string;
  /** `back`: where a gate sends back to. */
  kind: "needs" | "back";
}

/** One bar of the plan's timeline. */
export interface TimelineEntry {
  key: string;
  step: string;
  /** Which item of a fan-out, from 1, and how it reads. */
  item?: number;
  itemText?: string;
  kind: "run" | "gate" | "merge";
  /** Of a run: starting, running, waiting, unknown, refused, completed, failed, killed; of others the step's. */
  status: string;
  /** 1 for the first run of a step or item, the first opening of a gate. */
  attempt: number;
  /** Why there is more than one: retry, rework, again, redo, question, resume. */
  why?: string;
  from: number;
  /** Missing while it goes on. */
  to?: number;
  runId?: string;
  turns?: number;
  costUsd?: number;
}

/** An opening of a gate, and what was decided. */
export interface GateView {
  step: string;
  /** Which opening, from 1. */
  attempt: number;
  question: string;
  openedAt?: number;
  /** The first characters of the commits that it was decided on. */
  commits: string[];
  /** Missing while it is open. */
  decision?: "approve" | "send-back" | "stop";
  words?: string;
  decidedAt?: number;
  /** Where the decision came from, as far as it was noted. */
  via?: "chat" | "terminal" | "dashboard";
  /** Who it was, by the name of their token. */
  by?: string;
}

export interface PlanVersion {
  version: number;
  /** When it began to count. */
  from: number;
  until?: number;
  added: string[];
  removed: string[];
  changed: string[];
}

/** `GET /dashboard/api/plans/{id or name}` */
export interface PlanDetail {
  planId: string;
  name: string;
  status: PlanStatusName;
  line: string;
  version: number;
  now: number;
  startedAt: number;
  changedAt: number;
  repository?: string;
  branch?: string;
  inputs: { name: string; value: string }[];
  nodes: PlanNode[];
  edges: PlanEdge[];
  timeline: TimelineEntry[];
  gates: GateView[];
  versions: PlanVersion[];
  needs: NeedView[];
  runs: { started: number; limit: number };
  /** Missing where a cost is unknown; then `knownCostUsd` has the rest. */
  costUsd?: number;
  knownCostUsd: number;
  /** Reserved for runs that go on. */
  heldUsd: number;
  costLimitUsd?: number;
  workMs: number;
  limitMinutes: number;
  /** Sentences on limits that are nearly used. */
  nearLimits: string[];
  /** What the person may do with it now; `kill` is the action `kill`, the others `change` of the action `plan`. */
  may: ("pause" | "resume" | "kill")[];
}

/** An entry of a run's log. `key` grows and is unique within the run's log. */
export interface LogEntry {
  key: number;
  at?: number;
  kind:
    | "turn"
    | "action"
    | "command"
    | "output"
    | "file"
    | "question"
    | "answer"
    | "message"
    | "status"
    | "end"
    | "other";
  /** One line. */
  text: string;
  /** What a command wrote, what a message says in full; may have lines. */
  detail?: string;
  /** The detail is longer than that. */
  cut?: true;
  turn?: number;
}

/** `GET /dashboard/api/runs/{id}` */
export interface RunDetail extends RunRow {
  now: number;
  durationS?: number;
  tokens?: number;
  task?: string;
  result?: string;
  /** One word: context_full, no_credit … */
  errorCode?: string;
  needs: NeedView[];
  work?: {
    branch: string;
    baseBranch?: string;
    commits: { id: string; title: string }[];
    commitCount: number;
    files?: number;
    insertions?: number;
    deletions?: number;
    deliveredTo: "repository" | "remote" | "engine";
    where?: string;
    mergedInto?: string;
    problem?: string;
    uncommitted?: true;
  };
  filesChanged: string[];
  /** The newest entries; `logLeft` older ones are not told. */
  log: LogEntry[];
  logLeft: number;
  /** Why the log has only what was seen here: the API tells no more. */
  logNote?: string;
  /** What the person may do with it now: names of actions. */
  may: ("feedback" | "take" | "discard" | "kill" | "diff")[];
}

/** `GET /dashboard/api/runs/{id}/diff` */
export interface DiffView {
  text: string;
  cut: boolean;
  branch?: string;
  baseBranch?: string;
}

export type FiguresBy = "workflow" | "template" | "repository" | "day";

/** A spread of what is known; `n` of how many. */
export interface SpreadView {
  median: number;
  p90: number;
  n: number;
}

/** One bar: what the runs (for templates the plans) of one group have taken. Sums are over what is known. */
export interface FigureGroup {
  key: string;
  label: string;
  runs: number;
  succeeded: number;
  failed: number;
  killed: number;
  costUsd: number;
  /** How many told no cost. */
  costUnknown: number;
  turns?: SpreadView;
  seconds?: SpreadView;
  /** Sums in s: agents at work, and waits for people. */
  workS: number;
  waitedS: number;
  /** Over runs of which both are known: what was to be expected by those before, and what it was. */
  expected?: {
    n: number;
    turns?: number;
    turnsActual?: number;
    seconds?: number;
    secondsActual?: number;
    costUsd?: number;
    costActualUsd?: number;
  };
}

/** `GET /dashboard/api/figures?by=…&since=…` */
export interface FiguresView {
  by: FiguresBy;
  /** Epoch ms. */
  since: number;
  now: number;
  groups: FigureGroup[];
  total: FigureGroup;
  /** There is no history here, and why. */
  problem?: string;
}

/** A row behind a bar. */
export interface FigureRow {
  kind: "run" | "plan";
  id: string;
  outcome: "completed" | "failed" | "killed";
  failure?: string;
  workflow?: string;
  template?: string;
  session?: string;
  plan?: string;
  repository?: string;
  model?: string;
  task?: string;
  startedAt?: number;
  endedAt?: number;
  turns?: number;
  seconds?: number;
  costUsd?: number;
  waitedS?: number;
  expectedTurns?: number;
  expectedSeconds?: number;
  expectedCostUsd?: number;
}

/** `GET /dashboard/api/figures/rows?by=…&key=…&since=…`: the newest first. */
export interface FigureRows {
  rows: FigureRow[];
  left: number;
}

/** What the person may do from the dashboard. */
export type ActionName = "answer" | "feedback" | "kill" | "take" | "discard" | "plan";

/** Body of `POST /dashboard/api/actions`. */
export interface ActionRequest {
  /** Made by the page, 16 to 64 of [A-Za-z0-9_-]: the same one sent again gives the same call, and does nothing twice. */
  id: string;
  action: ActionName;
  /** As in the chat: run_id, plan_id, question_id, answer, message, change, step, into, squash, force … */
  arguments: Record<string, unknown>;
}

/** A form that the action shows the person. */
export interface FormView {
  id: string;
  message: string;
  fields: {
    name: string;
    title: string;
    description: string;
    required: boolean;
    suggestion?: string;
    choices?: { value: string; title: string }[];
    several?: true;
    lines?: true;
    type?: "boolean" | "integer" | "number";
  }[];
}

/**
 * How a call stands: the answer of /api/actions, /api/actions/{id} and /api/actions/{id}/form. A form that asks to agree
 * has one field `confirm` with the choices `no` and `yes`; only what is sent from the form counts as agreed.
 */
export type CallView =
  | { id: string; state: "form"; form: FormView }
  /** It takes longer: `GET /dashboard/api/actions/{id}` waits on, for some 20 s each time. */
  | { id: string; state: "working"; message?: string }
  | {
      id: string;
      state: "done";
      outcome: string;
      summary: string;
      check?: { passed: boolean; output: string };
    }
  /** It was not done, or it is not known; the message says so. */
  | { id: string; state: "failed"; message: string };

/** Body of `POST /dashboard/api/actions/{id}/form`; without `values` it was declined. */
export interface FormReply {
  formId: string;
  values?: Record<string, string>;
}

/** A run as the widget in a chat shows it: its page without the log, its texts shorter. */
export type WidgetRun = Omit<RunDetail, "log" | "logLeft" | "logNote">;

/** A plan as the widget shows it: its page without its past. */
export type WidgetPlan = Omit<PlanDetail, "timeline" | "gates" | "versions" | "edges" | "inputs">;

/** What the widget of a chat is told by the tool that only it calls. */
export interface WidgetView {
  run?: WidgetRun;
  plan?: WidgetPlan;
  /** The tool that carries an action, with the arguments that name it there. */
  calls: Partial<Record<ActionName, { tool: string; arguments: Record<string, unknown> }>>;
}

/** `GET /dashboard/api/session`: who looks, and what there is. */
export interface SessionView {
  version: string;
  /** The name of the token, or "local". */
  caller: string;
  /** Where the workflows API is. */
  api: string;
  actions: ActionName[];
  /** The API tells the log of runs. */
  hasLog: boolean;
  hasDiff: boolean;
}

/** Body of every refusal: 400, 401, 403, 404, 405, 409, 413, 429, 503. */
export interface RefusalView {
  error: string;
}

/**
 * Events of `GET /dashboard/api/events?after=<at>[&run=<run id>][&plan=<plan id>]`, as `event:` with their `data:`. The
 * browser sends Last-Event-ID by itself when it connects again.
 */
export interface StreamEvents {
  /** The whole board: at the beginning unless what has come since `after` is known, and whenever something was missed. */
  board: BoardView;
  /** What has changed of it; comes with an id. */
  change: BoardChange;
  /** Of the plan that was asked for: the whole of it, at the beginning and after each change. */
  plan: PlanDetail;
  /** Of the run that was asked for: at the beginning (with its log), and after each change (with no log). */
  run: RunDetail;
  /** New entries of its log. */
  log: { runId: string; entries: LogEntry[] };
  /** The run or plan that was asked for is not there any more. */
  gone: { kind: "run" | "plan"; id: string; why: string };
  /** The session has ended: open a new link. */
  bye: { why: string };
}
