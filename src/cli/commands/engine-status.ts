import { homedir } from "node:os";
import { describeSessions, sortSessions } from "../../actions/list-sessions.js";
import { listEngineVariables } from "../../settings/list-variables.js";
import { readSettings } from "../../settings/settings.js";
import { findSharedDatabase } from "../../settings/shared-database.js";
import { VERSION } from "../../shared/version.js";
import type { Invocation } from "../command-line.js";
import { type ShowStatusOptions, showEngineStatus } from "../engine/show-status.js";
import { lookAtWorkers } from "../engine/show-workers.js";
import { findStateFolder } from "../process.js";
import { openReading } from "../sessions/open-services.js";
import { findWidth, paint } from "./terminal.js";

/** `engine status`: shows whether an engine runs, where, and what it does. */
export async function engineStatus(asked: Invocation): Promise<number> {
  const settings = readSettings(process.env, asked.flags);
  const stateFolder = findStateFolder(settings);
  const database = findSharedDatabase(settings);
  return showEngineStatus({
    stateFolder,
    home: homedir(),
    version: VERSION,
    given: listEngineVariables(process.env, asked.flags),
    readSessions: () => readSessions(asked),
    readWorkers: () =>
      lookAtWorkers(stateFolder, {
        settingsKey: settings.apiKey,
        database,
      }),
    database,
    json: asked.json === true,
    out: (text) => process.stdout.write(text),
    width: findWidth(),
    paint,
  });
}

/** The sessions of this machine's engine, whatever API the settings name. */
async function readSessions(asked: Invocation): ReturnType<ShowStatusOptions["readSessions"]> {
  const settings = { ...readSettings(process.env, asked.flags), engine: "local" as const };
  const { services, close } = await openReading(settings, asked);
  try {
    const { sessions } = services;
    const list = await describeSessions(sortSessions(await sessions.all(), services), services);
    return { sessions: list, problem: sessions.problem()?.message };
  } finally {
    await close();
  }
}
