#!/usr/bin/env node
import { fileURLToPath } from "node:url";
import { SettingsError } from "../settings/settings.js";
import { refuseInsideAgent } from "../shared/agent-mark.js";
import { VERSION } from "../shared/version.js";
import { type Invocation, readCommandLine } from "./command-line.js";
import type { Command } from "./command-table.js";
// Not on demand: what a chat client starts is ready soonest in one file.
import { serveStdio } from "./commands/stdio.js";
import { renderHelp } from "./help.js";
import { endProcess, endWithReader } from "./process.js";

const history = async (asked: Invocation) => (await import("./commands/history.js")).history(asked);
const plan = async (asked: Invocation) => (await import("./commands/plan.js")).plan(asked);

/**
 * The commands, each in a file of its own that is loaded when it is asked for. Each gives the exit code, or undefined
 * when the process goes on serving, or ends by itself.
 */
const COMMANDS: Record<Command, (invocation: Invocation) => Promise<number | undefined>> = {
  stdio: serveStdio,
  serve: async (asked) => (await import("./commands/serve.js")).serve(asked),
  demo: async (asked) => (await import("./commands/demo.js")).demo(asked),
  doctor: async (asked) => (await import("./commands/doctor.js")).doctor(asked),
  install: async (asked) => (await import("./commands/install.js")).install(asked),
  allow: async (asked) => (await import("./commands/allow.js")).allow(asked),
  dashboard: async (asked) => (await import("./commands/dashboard.js")).dashboard(asked),
  "plan-driver": async (asked) => (await import("./commands/plan-driver.js")).planDriver(asked),
  engine: async (asked) => (await import("./commands/engine.js")).engine(asked),
  "engine status": async (asked) => (await import("./commands/engine-status.js")).engineStatus(asked),
  sessions: async (asked) => (await import("./commands/sessions.js")).sessions(asked),
  "sessions show": async (asked) => (await import("./commands/sessions.js")).showSession(asked),
  "sessions resume": async (asked) => (await import("./commands/sessions.js")).resumeSession(asked),
  workflows: async (asked) => (await import("./commands/workflows.js")).workflows(asked),
  "workflows edit": async (asked) => (await import("./commands/workflows.js")).editOwnWorkflow(asked),
  "engine cost": async (asked) => (await import("./commands/engine-cost.js")).engineCost(asked),
  "sessions clean": async (asked) => (await import("./commands/sessions.js")).cleanSessions(asked),
  "sessions diff": async (asked) => (await import("./commands/sessions.js")).diffSession(asked),
  "sessions take": async (asked) => (await import("./commands/sessions.js")).takeSession(asked),
  "sessions discard": async (asked) => (await import("./commands/sessions.js")).discardSession(asked),
  plan,
  "plan run": plan,
  "plan templates": plan,
  "plan list": plan,
  "plan check": plan,
  "plan show": plan,
  "plan approve": plan,
  "plan send-back": plan,
  "plan stop": plan,
  "plan pause": plan,
  "plan resume": plan,
  "plan skip": plan,
  "plan redo": plan,
  "plan kill": plan,
  "plan edit": plan,
  "plan limits": plan,
  "plan save": plan,
  history,
  "history export": history,
  "history delete": history,
  "engine drain": async (asked) => (await import("./commands/engine-drain.js")).engineDrain(asked),
  "engine stop": async (asked) => (await import("./commands/engine-stop.js")).engineStop(asked),
};

/** Those that serve do not end with whoever reads their output, and the demo does by itself. */
const OWN_ENDS: readonly Command[] = ["stdio", "serve", "engine", "plan-driver", "demo"];

try {
  const commandLine = readCommandLine(process.argv.slice(2));
  if (!(OWN_ENDS as readonly string[]).includes(commandLine.command)) endWithReader();
  if (commandLine.command === "help") process.stdout.write(renderHelp());
  else if (commandLine.command === "version") process.stdout.write(`${VERSION}\n`);
  else {
    const refusal = refuseInsideAgent(process.env);
    if (refusal) throw new SettingsError(refusal);
    const exitCode = await COMMANDS[commandLine.command]({
      ...commandLine,
      script: fileURLToPath(import.meta.url),
    });
    if (exitCode !== undefined) await endProcess(exitCode);
  }
} catch (error) {
  process.stderr.write(`automagik-workflows-mcp: ${(error as Error).message}\n`);
  process.exit(error instanceof SettingsError ? 2 : 1);
}
