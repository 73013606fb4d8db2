import * as z from "zod";
import { systemClock } from "../../shared/clock.js";
import { withDeadline } from "../../shared/deadline.js";
import { readText } from "../../shared/http/body-limits.js";
import { createTransport } from "../../shared/http/fetch.js";
import { readSecret } from "../../shared/secret-file.js";
import { engineFiles } from "./engine-files.js";
import { digestOfKey } from "./engine-key.js";
import type { EngineRecord } from "./engine-record.js";

const TIMEOUT_MS = 5_000;
const LIMIT_BYTES = 4 * 1024 * 1024;

const answerSchema = z.object({
  workers: z.array(
    z.object({
      worker_id: z.string(),
      name: z.string(),
      version: z.string(),
      state: z.enum(["ready", "draining", "ended", "gone"]),
      places: z.number(),
      busy: z.number(),
      silent_seconds: z.number(),
      answers: z.boolean(),
      runs: z.array(
        z.object({
          run_id: z.string(),
          session_name: z.string(),
          workflow_name: z.string(),
          waiting_for: z.string().nullable(),
        }),
      ),
    }),
  ),
  waiting: z.number(),
});

/** The engines that have the runs, in the words of the API; see WorkerSight for what they mean. */
export type WorkersAnswer = z.output<typeof answerSchema>;

/**
 * Asks this machine's engine which engines have the runs.
 * @param settingsKey the key from the settings: an engine that a person has started may have it
 * @returns undefined where it does not answer that: an older version, or one with another key. Never throws
 */
export async function askWorkers(
  stateFolder: string,
  { url, keyDigest }: Pick<EngineRecord, "url" | "keyDigest">,
  settingsKey: string | undefined,
): Promise<WorkersAnswer | undefined> {
  const ask = async (signal: AbortSignal) => {
    const key = await findKey(stateFolder, keyDigest, settingsKey);
    if (key === undefined) return undefined;
    const { read } = createTransport();
    const address = `${url}/api/v1/workflows/claude-code/workers`;
    const { status, body } = await read(address, { method: "GET", headers: { "x-api-key": key }, signal });
    const text = await readText(body, LIMIT_BYTES);
    return status === 200 && text !== undefined ? answerSchema.parse(JSON.parse(text)) : undefined;
  };
  return withDeadline(systemClock, TIMEOUT_MS, ask).catch(() => undefined);
}

/** The key that an engine has, out of those that are known here; undefined where it has another one. Never throws. */
export async function findKey(
  stateFolder: string,
  digest: string,
  settingsKey: string | undefined,
): Promise<string | undefined> {
  const isRight = (key: string | undefined) => key !== undefined && digestOfKey(key) === digest;
  if (isRight(settingsKey)) return settingsKey;
  const kept = await readSecret(engineFiles(stateFolder).key).catch(() => undefined);
  return isRight(kept) ? kept : undefined;
}
