import { readSettings } from "../../settings/settings.js";
import type { Invocation } from "../command-line.js";
import { runDemo } from "../demo/demo.js";
import { expandHome, onEndSignal } from "../process.js";

/** `demo`: shows the main job, against a simulated API or with `--engine` by a real run. */
export async function demo({ flags, yes, script }: Invocation): Promise<undefined> {
  // Of the person's settings the demo uses only the agent's program.
  const { AUTOMAGIK_WORKFLOWS_CLAUDE_PATH } = process.env;
  const { engine, claudePath } = readSettings({ AUTOMAGIK_WORKFLOWS_CLAUDE_PATH }, flags);
  const real = { claudePath: claudePath && expandHome(claudePath), yes: yes === true };
  const exitCode = await runDemo({
    ...{ input: process.stdin, output: process.stdout, errors: process.stderr, env: process.env },
    onSignal: onEndSignal,
    serverScript: script,
    ...(engine === "local" ? { engine: real } : {}),
  });
  // It ends by itself, also where nobody reads any more what it has shown.
  if (exitCode !== 0) process.exitCode = exitCode;
}
