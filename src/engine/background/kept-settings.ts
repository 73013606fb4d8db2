import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from "node:crypto";
import { lstat } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import { isDeepStrictEqual } from "node:util";
import * as z from "zod";
import { listSecretEngineVariables, readStoredVariables } from "../../settings/engine-variables.js";
import type { Settings } from "../../settings/settings.js";
import { type ProcessLock, takeLock } from "../../shared/background/process-lock.js";
import {
  ensurePrivateFolder,
  type FileStamp,
  readPrivateFile,
  sameStamp,
} from "../../shared/private-files.js";
import { replaceFile } from "../../shared/replace-file.js";
import { engineFiles } from "./engine-files.js";
import { resolveEngineKey } from "./engine-key.js";

/*
 * The settings that hold for the engines of a state folder lie in a file of its private part: the window that began
 * last has brought them, and every engine follows them. A file, because only the account that the engine works for can
 * write there; over HTTP whoever has the engine's key could allow themselves folders, programs and pushing.
 */

/** The settings that hold. */
export interface KeptSettings {
  /** When the window began that brought them, in epoch ms. */
  since: number;
  /** Texts by their variables' whole names; what is left at its default is left out. */
  variables: Readonly<Record<string, string>>;
  settings: Settings;
}

/** The settings of a process that looks for the engine. */
export interface OwnSettings {
  /** When the process began, in epoch ms. */
  began: number;
  variables: Readonly<Record<string, string>>;
  /** What is not given stays as it is: in a terminal nothing says what the chat clients have. */
  partial?: boolean;
}

/** What has come of bringing settings. */
export interface BroughtSettings {
  held: KeptSettings;
  /** What held before; undefined for the first ones. */
  former: KeptSettings | undefined;
}

const fileSchema = z.object({
  version: z.literal(1),
  since: z.number(),
  variables: z.record(z.string(), z.string()),
  /** Variables that are secret, under the engine's key. */
  sealed: z.string().optional(),
});
const secretsSchema = z.record(z.string(), z.string());

const MAX_BYTES = 256 * 1024;
const LOCK = "settings-lock";
/** Writing takes some ms; a dozen windows that come at once on a busy machine wait for one another. */
const LOCK_LIMIT_MS = 15_000;

/** The settings that hold; undefined when none were brought, or the file cannot be understood. Never throws. */
export async function readKeptSettings(stateFolder: string): Promise<KeptSettings | undefined> {
  return (await read(stateFolder).catch(() => undefined))?.kept;
}

/**
 * Makes these settings the ones that hold, unless a window that began later has brought its own. Several processes may
 * do so at once. A time that is yet to come was taken by a clock that has been set back since, and keeps nobody out.
 * @param now epoch ms
 * @throws Error when they cannot be written down; what held before holds on
 */
export async function bringSettings(
  stateFolder: string,
  own: OwnSettings,
  now: number,
): Promise<BroughtSettings> {
  const { privateFolder } = engineFiles(stateFolder);
  await ensurePrivateFolder(privateFolder);
  const first = settle(await readKeptSettings(stateFolder), own, now);
  if (first.write === "nothing") return first;
  const written = whileLocked(privateFolder, now, async () => {
    const found = settle(await readKeptSettings(stateFolder), own, now);
    if (found.write !== "nothing") await write(stateFolder, found.held);
    return found;
  });
  if (first.write === "settings") return written;
  // Nothing has changed but who brought them last, which nobody has to wait for.
  written.catch(() => undefined);
  return first;
}

/** Tells what has changed since the last call; undefined when nothing has, or when it cannot be understood. */
export function followKeptSettings(stateFolder: string): () => Promise<KeptSettings | undefined> {
  const { settings: path } = engineFiles(stateFolder);
  let last: FileStamp | undefined;
  return async () => {
    const stamp = await lstat(path).catch(() => undefined);
    if (!stamp || (last && sameStamp(stamp, last))) return undefined;
    const found = await read(stateFolder).catch(() => undefined);
    last = found?.stamp ?? stamp;
    return found?.kept;
  };
}

/** Which settings hold when these are brought, and what is to be written down for it. */
function settle(
  former: KeptSettings | undefined,
  { began, variables: given, partial = false }: OwnSettings,
  now: number,
): BroughtSettings & { write: "settings" | "time" | "nothing" } {
  if (former && former.since > began && former.since <= now)
    return { held: former, former, write: "nothing" };
  const variables = partial ? { ...former?.variables, ...given } : given;
  const settings = readStoredVariables(variables);
  if (!settings) throw new Error("they cannot be used together with those that were kept");
  const held = { since: began, variables, settings };
  const isSame = former !== undefined && isDeepStrictEqual(former.variables, variables);
  if (isSame && (partial || former.since === began)) return { held: former, former, write: "nothing" };
  return { held, former, write: isSame ? "time" : "settings" };
}

async function whileLocked<T>(folder: string, now: number, work: () => Promise<T>): Promise<T> {
  const began = performance.now();
  let lock: ProcessLock | undefined;
  while (!lock) {
    const taken = await takeLock(folder, LOCK, now);
    if ("lock" in taken) lock = taken.lock;
    else if (performance.now() - began > LOCK_LIMIT_MS)
      throw new Error(`process ${taken.holder.pid} is writing them and does not come to an end`);
    else await delay(10);
  }
  try {
    return await work();
  } finally {
    await lock.release();
  }
}

async function write(stateFolder: string, { since, variables }: KeptSettings): Promise<void> {
  const secret = listSecretEngineVariables();
  const pick = (isWanted: (name: string) => boolean) =>
    Object.fromEntries(Object.entries(variables).filter(([name]) => isWanted(name)));
  const secrets = pick((name) => secret.includes(name));
  const sealed =
    Object.keys(secrets).length > 0 ? await seal(stateFolder, JSON.stringify(secrets)) : undefined;
  const record = {
    version: 1,
    since,
    variables: pick((name) => !secret.includes(name)),
    ...(sealed ? { sealed } : {}),
  };
  replaceFile(engineFiles(stateFolder).settings, `${JSON.stringify(record, null, 2)}\n`);
}

/** @throws what the file system throws */
async function read(stateFolder: string): Promise<{ stamp: FileStamp; kept: KeptSettings | undefined }> {
  const { settings: path } = engineFiles(stateFolder);
  const { text, stamp } = await readPrivateFile(path, MAX_BYTES, { secret: true });
  const found = fileSchema.safeParse(parse(text));
  if (!found.success) return { stamp, kept: undefined };
  const { since, variables: plain, sealed } = found.data;
  // With another key by now the secrets are lost, and all else holds.
  const secrets = sealed ? await unseal(stateFolder, sealed).catch(() => ({})) : {};
  const variables = { ...plain, ...secrets };
  const settings = readStoredVariables(variables);
  return { stamp, kept: settings && { since, variables, settings } };
}

function parse(text = ""): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

const IV_BYTES = 12;
const TAG_BYTES = 16;

/** AES-256-GCM under a key made of the engine's: the file alone, as in a backup, tells no secret. */
async function seal(stateFolder: string, text: string): Promise<string> {
  const iv = randomBytes(IV_BYTES);
  const cipher = createCipheriv("aes-256-gcm", await sealingKey(stateFolder), iv);
  const content = Buffer.concat([cipher.update(text, "utf8"), cipher.final()]);
  return Buffer.concat([iv, cipher.getAuthTag(), content]).toString("base64url");
}

/** @throws Error when it was sealed under another key, or changed since */
async function unseal(stateFolder: string, sealed: string): Promise<Record<string, string>> {
  const bytes = Buffer.from(sealed, "base64url");
  const tagAt = IV_BYTES + TAG_BYTES;
  const key = await sealingKey(stateFolder);
  const decipher = createDecipheriv("aes-256-gcm", key, bytes.subarray(0, IV_BYTES), {
    authTagLength: TAG_BYTES,
  });
  decipher.setAuthTag(bytes.subarray(IV_BYTES, tagAt));
  const content = Buffer.concat([decipher.update(bytes.subarray(tagAt)), decipher.final()]);
  return secretsSchema.parse(JSON.parse(content.toString("utf8")));
}

async function sealingKey(stateFolder: string): Promise<Uint8Array> {
  const key = await resolveEngineKey({ stateFolder });
  return new Uint8Array(hkdfSync("sha256", key, "", "settings of the engine", 32));
}
