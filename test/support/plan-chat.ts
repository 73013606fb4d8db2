import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { connectInMemory, type InMemory, type InMemoryOptions, type ToolAnswer } from "./harness.js";

/** A client of a server whose plans are in a folder of their own, and which carries them out itself. */
export interface PlanChat extends InMemory {
  folder: string;
  /** Begins a plan in the repository of the simulated API, everything given, and does not wait. */
  begin(plan: object | string, more?: Record<string, unknown>): Promise<ToolAnswer>;
  /** Follows the plan for a while. */
  follow(planId: string, waitSeconds?: number): Promise<ToolAnswer>;
}

/** Where plans work that are begun without a form. */
export const PLACE = { repository_url: "", git_branch: "" };

export async function connectForPlans(options: InMemoryOptions = {}): Promise<PlanChat> {
  const folder = mkdtempSync(join(tmpdir(), "plan-chat-"));
  // After the server, which is closed first.
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const connected = await connectInMemory({ plans: { folder, upstream: "the API" }, ...options });
  return {
    ...connected,
    folder,
    begin: (plan, more = {}) =>
      connected.call({ action: "plan", plan, session_name: "login", ...PLACE, wait_seconds: 0, ...more }),
    follow: (planId, waitSeconds = 20) =>
      connected.call({ action: "status", plan_id: planId, wait_seconds: waitSeconds }),
  };
}
