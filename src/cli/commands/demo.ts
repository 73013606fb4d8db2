import { readSettings } from "../../settings/settings.js";
import type { Invocation } from "../command-line.js";
import { runDemo } from "../demo/demo.js";
import { expandHome } from "../process.js";

/** `demo`: shows the main job, against a simulated API or with `--engine` by a real run. Sets the exit code itself. */
export async function demo({ flags, yes, script }: Invocation): Promise<undefined> {
  // Of the person's settings the demo uses only the agent's program.
  const { AUTOMAGIK_WORKFLOWS_CLAUDE_PATH } = process.env;
  const { engine, claudePath } = readSettings({ AUTOMAGIK_WORKFLOWS_CLAUDE_PATH }, flags);
  const real = { claudePath: claudePath && expandHome(claudePath), env: process.env, yes: yes === true };
  await runDemo({ serverScript: script, ...(engine === "local" ? { engine: real } : {}) });
}
