import type { Services } from "../actions/define-action.js";
import { activeRun } from "../sessions/sessions.js";
import { cleanLine, cutText } from "../shared/text.js";
import { needsOfRun } from "./needs.js";
import { NotThere } from "./not-there.js";
import { toPlanDetail } from "./plan-detail.js";
import { readRun, toRunDetail } from "./run-detail.js";
import type { NeedView } from "./views/needs.js";
import type { WidgetPlan, WidgetRun } from "./views/widget.js";

/** What a widget is about; the first that is given counts. */
export interface WidgetQuery {
  run_id?: string | undefined;
  plan_id?: string | undefined;
  /** Of a run that is just being started, the name is all that is known: only one that goes on is meant. */
  session_name?: string | undefined;
}

/** A chat has many widgets, each with its own answer: texts are shorter than on a page of their own. */
const TASK_CHARS = 600;
const RESULT_CHARS = 3_000;
const MOST_FILES = 20;
/** Of a plan the questions of so many runs are read, the first ones. */
const MOST_ASKING = 5;

/**
 * The run or plan as it stands now. Only reads.
 * @throws NotThere when there is none (any more); ApiError, StoreError, PlansUnavailable
 */
export async function readWidgetView(
  { run_id, plan_id, session_name }: WidgetQuery,
  services: Services,
  signal: AbortSignal,
): Promise<{ run: WidgetRun } | { plan: WidgetPlan }> {
  const now = services.clock.now();
  if (plan_id) {
    const plan = toWidgetPlan(await readPlan(plan_id, services), now);
    return { plan: { ...plan, needs: await readQuestions(plan.needs, services, signal) } };
  }
  const runId = run_id || (session_name && (await runOf(session_name, services)));
  if (!runId) throw new NotThere(tellNone(session_name));
  const run = await readRun(runId, services, signal);
  return { run: toWidgetRun(run, services, now) };
}

function tellNone(session: string | undefined): string {
  return session
    ? `No run of the session "${cleanLine(session, 100)}" goes on.`
    : "Say which run or plan is meant: run_id or plan_id.";
}

async function runOf(name: string, { sessions }: Services): Promise<string | undefined> {
  for (const session of await sessions.named(name)) {
    const run = activeRun(session);
    if (run) return run.runId;
  }
  return undefined;
}

async function readPlan(idOrName: string, { plans }: Services) {
  const open = await plans.openIfAny();
  const sight = (await open?.look(idOrName)) ?? (await open?.find(idOrName));
  if (sight) return sight;
  throw new NotThere(`There is no plan "${cleanLine(idOrName, 100)}" (any more). Nothing was changed.`);
}

function toWidgetRun(run: Parameters<typeof toRunDetail>[0], services: Services, now: number): WidgetRun {
  const {
    log: _log,
    logLeft: _left,
    logNote: _note,
    ...told
  } = toRunDetail(run, { services, place: undefined, now });
  return {
    ...told,
    ...(told.task === undefined ? {} : { task: cutText(told.task, TASK_CHARS) }),
    ...(told.result === undefined ? {} : { result: cutText(told.result, RESULT_CHARS) }),
    filesChanged: told.filesChanged.slice(0, MOST_FILES),
  };
}

function toWidgetPlan(sight: Parameters<typeof toPlanDetail>[0], now: number): WidgetPlan {
  const {
    timeline: _timeline,
    gates: _gates,
    versions: _versions,
    edges: _edges,
    inputs: _inputs,
    ...told
  } = toPlanDetail(sight, now);
  return told;
}

/** What agents of steps ask, with what answers it, which their runs know; what cannot be read stays as it is. */
async function readQuestions(
  needs: readonly NeedView[],
  services: Services,
  signal: AbortSignal,
): Promise<NeedView[]> {
  const asking = needs.filter(({ kind, runId }) => kind === "question" && runId).slice(0, MOST_ASKING);
  const read = async (need: NeedView) => {
    const { runId = "", planId = "", plan = "", step = "" } = need;
    if (!asking.includes(need)) return [need];
    const run = await readRun(runId, services, signal).catch(() => undefined);
    const asked = run ? needsOfRun(run, { planId, plan, step }) : [];
    return asked.length > 0 ? asked : [need];
  };
  return (await Promise.all(needs.map(read))).flat();
}
