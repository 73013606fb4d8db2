import { randomUUID } from "node:crypto";
import { createRedisConnection, type RedisConnection } from "../../sessions/store/redis-connection.js";
import { TRY } from "../../sessions/store/redis-scripts.js";
import { failure, ok, type Result, warning } from "./finding.js";

const STATE = "AUTOMAGIK_WORKFLOWS_STATE";

const PERMISSION =
  "Give its user access to these keys: ACL SETUSER <user> ~automagik-workflows:* +@all -@dangerous.";

/** What to do about an error, by the first word of the server's reply; without a reply it is another matter. */
const REMEDIES: Record<string, string> = {
  NOAUTH: `Correct the user and password in ${STATE}.`,
  WRONGPASS: `Correct the user and password in ${STATE}.`,
  NOPERM: PERMISSION,
  OOM: "It is full: give it more memory (maxmemory).",
  MISCONF: "It cannot save to its disk: see its log.",
};

/**
 * Asks the Redis server on which sessions are remembered whether it is there, takes the credentials, and lets sessions
 * be written; the keys that are tried are gone again in the same step.
 * @param url its address, which is not shown
 * @param limitMs how long each command may take
 */
export async function checkRedis(url: string, limitMs: number): Promise<Result> {
  const connection = createRedisConnection({ url, limitMs, onTrouble: () => {} });
  const { send } = connection;
  try {
    await send("PING");
    // Whether that may be asked is another permission, and nothing that sessions need.
    const info = String(await send<Buffer>("INFO").catch(() => ""));
    const told = (name: string) => new RegExp(`^${name}:([\\w-]+)\r?$`, "m").exec(info)?.[1];
    // Asked to write, it would be waited for: a replica may be about to become the primary.
    if (told("role") === "slave") {
      return failure(
        "the Redis server is a replica and takes no writes",
        `Name the primary server in ${STATE}.`,
      );
    }
    await tryToWrite(connection);
    const policy = told("maxmemory_policy") ?? "noeviction";
    if (policy === "noeviction" || told("maxmemory") === "0") {
      return ok("the Redis server answers and can be written");
    }
    return warning(
      `the Redis server drops keys when it is full (${policy}): sessions would be forgotten`,
      "Set its maxmemory-policy to noeviction.",
    );
  } catch (error) {
    const { code = "", message } = error as Error & { code?: string };
    return failure(message.replace(/\.$/, ""), REMEDIES[code] ?? `Start it, or correct ${STATE}.`);
  } finally {
    connection.close();
  }
}

/** @throws as the connection does; `code` is NOPERM whichever command is not permitted */
async function tryToWrite({ send }: RedisConnection): Promise<void> {
  const own = `automagik-workflows:{check-${randomUUID()}}`;
  try {
    await send("EVAL", TRY, "3", `${own}:1`, `${own}:2`, `${own}:3`);
  } catch (error) {
    // Redis 7 says no more than that of a command inside a script, where nothing else can be wrong with ours.
    if ((error as { code?: string }).code === "ERR") Object.assign(error as Error, { code: "NOPERM" });
    throw error;
  }
}
