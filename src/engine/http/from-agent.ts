import { readlinkSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import type { MiddlewareHandler } from "hono";
import { MARK_NAME } from "../../shared/agent-mark.js";
import type { EngineHttpEnv } from "./endpoint.js";
import { HttpRefusal } from "./refusal.js";

/** One end of a connection. */
export interface Peer {
  address: string;
  port: number;
}

const REFUSED =
  "Refused: this comes from an agent of the engine, or from a process that cannot be told from one. Agents cannot " +
  "start, steer or answer runs. Nothing was done.";

/**
 * Refuses with 403 what would act and comes from a process that an agent has started: a command of an agent that has
 * found the key could answer the agent's own question. Only Linux tells who is at the other end of a connection.
 */
export function refuseAgents(platform: NodeJS.Platform): MiddlewareHandler<EngineHttpEnv> {
  return async (context, next) => {
    const { method } = context.req;
    const socket = context.env?.incoming?.socket;
    if (platform === "linux" && method !== "GET" && method !== "HEAD" && socket) {
      const peer = { address: socket.remoteAddress ?? "", port: socket.remotePort ?? 0 };
      if (await isFromAgent(peer, socket.localPort ?? 0)) throw new HttpRefusal(403, REFUSED);
    }
    await next();
  };
}

/**
 * Whether an agent's process, or one that cannot be told from it, is at the other end of a connection to `localPort`
 * of this machine. A process of this user that has gone before its answer, or lets nobody look at it, counts as one.
 */
export async function isFromAgent(peer: Peer, localPort: number): Promise<boolean> {
  // A connection that is closed already tells no address.
  if (!peer.address) return true;
  const socket = await findSocket(peer, localPort);
  // From another machine, which has no sockets here.
  if (!socket) return isLoopback(peer.address);
  // No process has it open any more; the table then names root as its owner.
  if (socket.inode === "0") return true;
  if (socket.uid !== process.getuid?.()) return false;
  const owners = await ownersOf(socket.inode);
  if (owners.length === 0) return true;
  const marked = await Promise.all(owners.map(descendsFromAgent));
  return marked.includes(true);
}

function isLoopback(address: string): boolean {
  return address === "::1" || /^(?:::ffff:)?127\./.test(address);
}

/** The other process's socket, as /proc/net/tcp has it (proc(5)): from there, its own end is the local one. */
async function findSocket(
  peer: Peer,
  localPort: number,
): Promise<{ uid: number; inode: string } | undefined> {
  const tables = await Promise.all(
    ["tcp", "tcp6"].map((name) => readFile(`/proc/net/${name}`, "latin1").catch(() => "")),
  );
  const hex = (port: number) => port.toString(16).toUpperCase().padStart(4, "0");
  const [, version4] = /^(?:::ffff:)?([\d.]+)$/i.exec(peer.address) ?? [];
  // Written backwards; behind zeros where a program speaks version 4 through a socket for both.
  const host = version4 ? Buffer.from(version4.split(".").reverse().map(Number)).toString("hex") : "";
  const end = `${host.toUpperCase()}:${hex(peer.port)}`;
  for (const line of tables.flatMap((table) => table.split("\n"))) {
    const [, local = "", remote = "", , , , , uid = "", , inode = ""] = line.trim().split(/\s+/);
    if (local.endsWith(end) && remote.endsWith(`:${hex(localPort)}`)) return { uid: Number(uid), inode };
  }
  return undefined;
}

/** The processes that have the socket open, as far as this user may look. */
async function ownersOf(inode: string): Promise<number[]> {
  const pids = (await readdir("/proc").catch(() => [])).filter((name) => /^\d+$/.test(name));
  const found = await Promise.all(
    pids.map(async (pid) => {
      const names = await readdir(`/proc/${pid}/fd`).catch(() => []);
      const has = names.some((name) => targetOf(`/proc/${pid}/fd/${name}`) === `socket:[${inode}]`);
      return has ? [Number(pid)] : [];
    }),
  );
  return found.flat();
}

/** Nothing is waited for there: asked of the thread pool, thousands of links took three times the processor time. */
function targetOf(link: string): string | undefined {
  try {
    return readlinkSync(link);
  } catch {
    return undefined;
  }
}

/** True when the process or one above it bears the mark of an agent, whatever it has done to its own environment. */
async function descendsFromAgent(pid: number): Promise<boolean> {
  for (let at = pid; at > 1; ) {
    const environment = await readFile(`/proc/${at}/environ`, "latin1").catch(() => "");
    if (environment.split("\0").some((entry) => entry.startsWith(`${MARK_NAME}=`))) return true;
    const stat = await readFile(`/proc/${at}/stat`, "latin1").catch(() => "");
    // Field 2, the command, may hold spaces and brackets; the parent is the second field behind it.
    at = Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1] ?? 0);
  }
  return false;
}
