import * as z from "zod";
import { buildAnswerSchema } from "../../actions/answer.js";
import type { ActionName } from "../../dashboard/views/calls.js";
import type { WidgetView } from "../../dashboard/views/widget.js";
import { cleanText } from "../../shared/text.js";
import type { ProjectStep, ToolResult } from "./output.js";
import type { ToolDefinition } from "./registry.js";

/** What a widget may do, each by the tool that does it for everybody. */
const DEEDS: readonly ActionName[] = ["answer", "feedback", "kill", "plan"];

const text = z.string().max(500).optional();
const query = z.object({ run_id: text, plan_id: text, session_name: text });

/** Errors whose text is made for people. */
const TOLD = ["NotThere", "ApiError", "StoreError", "PlansUnavailable"];

/**
 * The tool by which a widget looks at its run or plan again. Only the widget calls it: its answer is what the widget
 * draws, and no use to a model, which has the status. So it is listed only for clients that show widgets, and there
 * marked as not for the model. It reads, asks nobody and changes nothing.
 */
export function buildWidgetTool({
  project,
  onDefect,
}: {
  project: ProjectStep;
  onDefect: (error: unknown) => void;
}): ToolDefinition {
  return {
    name: "refresh_widget",
    title: "Refresh the widget",
    description: "Tells the widget in the chat how its run or plan stands. Of no use to a model.",
    annotations: { readOnlyHint: true, destructiveHint: false, idempotentHint: true, openWorldHint: true },
    meta: {},
    ui: { visibility: ["app"] },
    isOffered: () => true,
    inputSchema: () => ({
      type: "object",
      properties: {
        run_id: { type: "string", description: "Id of the run" },
        plan_id: { type: "string", description: "Id of the plan" },
        session_name: { type: "string", description: "Name of the session whose run goes on" },
      },
    }),
    answerSchema: buildAnswerSchema([]).extend({ view: z.record(z.string(), z.unknown()).optional() }),
    async call(raw, call, services) {
      const asked = query.safeParse(raw ?? {});
      if (!asked.success) return answer("failed", "The arguments are texts of at most 500 characters.", true);
      try {
        const { readWidgetView } = await import("../../dashboard/index.js");
        const seen = await readWidgetView(asked.data, services, call.signal);
        const view: WidgetView = { ...seen, calls: callsBy(project) };
        return answer("ok", lineOf(seen), false, view);
      } catch (error) {
        const { name, message } = error as Error;
        if (TOLD.includes(name)) return answer("failed", cleanText(message, 2_000), true);
        onDefect(error);
        return answer("failed", "Internal error in this server. Nothing was read or changed.", true);
      }
    },
  };
}

function callsBy(project: ProjectStep): WidgetView["calls"] {
  return Object.fromEntries(
    DEEDS.flatMap((action) => {
      const step = project({ action, arguments: {}, reason: "" });
      return step ? [[action, step]] : [];
    }),
  );
}

function lineOf(seen: Pick<WidgetView, "run" | "plan">): string {
  const { run, plan } = seen;
  if (plan) return `${plan.name}: ${plan.status}. ${plan.line}`;
  return `${run?.session ?? ""}: ${run?.status ?? ""}.`;
}

function answer(outcome: "ok" | "failed", summary: string, isError: boolean, view?: WidgetView): ToolResult {
  return {
    content: [{ type: "text", text: summary }],
    structuredContent: { outcome, summary, ...(view ? { view } : {}) },
    ...(isError ? { isError: true as const } : {}),
  };
}
