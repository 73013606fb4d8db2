import type { ActionName } from "./calls.js";
import type { PlanDetail } from "./plan.js";
import type { RunDetail } from "./run.js";

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
