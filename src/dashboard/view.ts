import type { Services } from "../actions/define-action.js";
import type { FiguresQuery } from "../history/group-figures.js";
import type { Log } from "../shared/log.js";
import { VERSION } from "../shared/version.js";
import { ACTION_NAMES } from "./action-request.js";
import { createBoard } from "./board.js";
import { type Calls, createCalls } from "./calls.js";
import { readDeliveries } from "./deliveries.js";
import { readFigureRows, readFigures } from "./figures.js";
import { createLive, type Live } from "./live.js";
import { createPages, type Pages } from "./pages.js";
import { readDiff } from "./run-detail.js";
import { createTopics } from "./topics.js";
import type { DeliveriesView } from "./views/deliveries.js";
import type { FigureRows, FiguresView } from "./views/figures.js";
import type { DiffView } from "./views/run.js";
import type { SessionView } from "./views/session.js";

/** All that the dashboard shows of one server, and does with it; made of what that server's services know. */
export interface DashboardView extends Live, Pick<Pages, "plan" | "runDetail"> {
  describe(caller: string): SessionView;
  diff(runId: string, signal: AbortSignal): Promise<DiffView>;
  figures(query: FiguresQuery): Promise<FiguresView>;
  figureRows(query: FiguresQuery & { key: string }): Promise<FigureRows>;
  /** @throws StoreError */
  deliveries(): Promise<DeliveriesView>;
  /** The calls of one session, which ends with the signal. @param person whose session it is, where that is known */
  openCalls(signal: AbortSignal, person?: string): Calls;
  close(): void;
}

/** Nothing is read before something is asked for. */
export function createDashboardView({ services, log }: { services: Services; log: Log }): DashboardView {
  const { api, capabilities } = services;
  const board = createBoard({ services, log });
  const pages = createPages(services, board.placeOf);
  const topics = createTopics({ services, board, pages, log });
  const live = createLive({ board, topics, clock: services.clock });
  return {
    ...live,
    plan: pages.plan,
    runDetail: pages.runDetail,
    describe: (caller) => ({
      version: VERSION,
      caller,
      api: api.address,
      actions: ACTION_NAMES,
      hasLog: capabilities.describesEndpoint("events"),
      hasDiff: capabilities.describesEndpoint("diff"),
    }),
    diff: (runId, signal) => readDiff(runId, services, signal),
    figures: (query) => readFigures(query, { history: services.sessions.history, clock: services.clock }),
    figureRows: (query) => readFigureRows(query, services.sessions),
    deliveries: () => readDeliveries(services.outbox),
    openCalls: (signal, person) => createCalls({ services, log, signal, person, onDone: board.lookNow }),
    close() {
      board.close();
      pages.close();
    },
  };
}
