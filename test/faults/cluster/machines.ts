import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { promisify } from "node:util";
import type { PostgresPlace } from "../../support/postgres-server.js";

const execute = promisify(execFile);

/** Addresses that are meant for measuring networks and used by nobody: those to the database, and those to clients. */
const [BACK, FRONT] = ["198.18", "198.19"];

/** A process on a machine. */
export interface MachineProcess {
  child: ChildProcess;
  /** Of the program itself. */
  pid: number;
  signal(name: NodeJS.Signals): void;
}

/** Where a worker runs. */
export interface Machine {
  name: string;
  /** The address at which its programs are reached from here. */
  host: string;
  /** Starts a program there. Its output is piped. */
  run(command: string, args: readonly string[], env: NodeJS.ProcessEnv): Promise<MachineProcess>;
  /** Takes the cable to the database out, or puts it back. Undefined where there is none. */
  link: ((state: "up" | "down") => Promise<void>) | undefined;
}

/** Machines, and the network between them. */
export interface Machines {
  all: readonly Machine[];
  /** Where the database listens; undefined for loopback. */
  place: PostgresPlace | undefined;
  /** The address at which they reach this process, by the cable to the database. */
  here: string;
  /** Ends everything that is left on them, and removes them. */
  dispose(): Promise<void>;
}

/** Whether this process may make namespaces: only root on Linux may, with the programs for it. */
export async function mayMakeNamespaces(): Promise<boolean> {
  if (process.platform !== "linux" || process.getuid?.() !== 0) return false;
  const args = ["--net", "--pid", "--uts", "--fork", "--mount-proc", "ip", "link", "set", "lo", "up"];
  return execute("unshare", args).then(
    () => execute("nsenter", ["--version"]).then(Boolean, () => false),
    () => false,
  );
}

/** Processes of this machine, each of which stands for a machine. */
export function processesAsMachines(count: number): Machines {
  const all = names(count).map((name): Machine => {
    async function run(command: string, args: readonly string[], env: NodeJS.ProcessEnv) {
      const child = spawn(command, args, { env, stdio: ["ignore", "pipe", "pipe"] });
      await once(child, "spawn");
      const pid = child.pid as number;
      return { child, pid, signal: (signal: NodeJS.Signals) => kill(pid, signal) };
    }
    return { name, host: "127.0.0.1", run, link: undefined };
  });
  return { all, place: undefined, here: "127.0.0.1", dispose: async () => {} };
}

/**
 * Machines out of namespaces: each has a network, processes and a name of its own. One cable goes to a bridge in another
 * namespace, where the database is, one to this process. All of it lives on a process for each namespace that ends with
 * its stdin: nothing is left when this process is killed.
 * @param net tells them from those of others, 0 to 249
 */
export async function namespacesAsMachines(count: number, net: number): Promise<Machines> {
  const hub = await openNamespace("hub", []);
  const back = `${BACK}.${net}`;
  const inside = (pid: number, ...args: string[]) =>
    execute("nsenter", ["-t", `${pid}`, "-n", "--", "ip", ...args]);
  await inside(hub.pid, "link", "add", "bridge", "type", "bridge");
  await inside(hub.pid, "addr", "add", `${back}.1/24`, "dev", "bridge");
  await inside(hub.pid, "link", "set", "bridge", "up");

  /** A cable from the namespace (or this one) to the bridge. */
  async function plugIn(port: string, pid: number, device: string, address: string): Promise<void> {
    const peer = ["type", "veth", "peer", "name", device, "netns", `${pid}`];
    await inside(hub.pid, "link", "add", port, ...peer);
    await inside(hub.pid, "link", "set", port, "master", "bridge", "up");
    await inside(pid, "addr", "add", `${address}/24`, "dev", device);
    await inside(pid, "link", "set", device, "up");
  }

  /** Ends of cables in this process's own network: they go with their namespaces, but only some time after those. */
  const cables = [`fb${net}`];
  await plugIn("here", process.pid, `fb${net}`, `${back}.254`);
  const opened: Awaited<ReturnType<typeof openNamespace>>[] = [];
  const all: Machine[] = [];
  for (const [index, name] of names(count).entries()) {
    const machine = await openNamespace(name, ["--pid", "--mount-proc"]);
    opened.push(machine);
    await plugIn(`port${index}`, machine.pid, "back", `${back}.${10 + index}`);
    const [here, there] = [`${FRONT}.${net}.${4 * index + 1}`, `${FRONT}.${net}.${4 * index + 2}`];
    const device = `ff${net}-${index}`;
    const peer = ["type", "veth", "peer", "name", "front", "netns", `${machine.pid}`];
    await execute("ip", ["link", "add", device, ...peer]);
    cables.push(device);
    await execute("ip", ["addr", "add", `${here}/30`, "dev", device]);
    await execute("ip", ["link", "set", device, "up"]);
    await inside(machine.pid, "addr", "add", `${there}/30`, "dev", "front");
    await inside(machine.pid, "link", "set", "front", "up");
    all.push({
      name,
      host: there,
      run: (command, args, env) => runInside(machine.pid, command, args, env),
      async link(state) {
        await inside(hub.pid, "link", "set", `port${index}`, state);
      },
    });
  }
  return {
    all,
    here: `${back}.254`,
    place: {
      host: `${back}.1`,
      enter: ({ uid, gid }) => `nsenter -t ${hub.pid} -n -S ${uid} -G ${gid} --`.split(" "),
    },
    async dispose() {
      await Promise.all(cables.map((device) => execute("ip", ["link", "delete", device])));
      await Promise.all(opened.map(({ close }) => close()));
      await hub.close();
    },
  };
}

const names = (count: number) => Array.from({ length: count }, (_, index) => `machine-${index + 1}`);

/** @returns the pid of its first process, and what ends it with all that runs in it */
async function openNamespace(
  name: string,
  more: readonly string[],
): Promise<{ pid: number; close: () => Promise<void> }> {
  // It reaps what its programs leave behind, and ends with the pipe.
  const script = `hostname ${name} && ip link set lo up && echo ready && cat > /dev/null`;
  const args = ["--net", "--uts", ...more, "--fork", "--kill-child", "sh", "-c", script];
  const child = spawn("unshare", args, { stdio: ["pipe", "pipe", "inherit"] });
  const gone = once(child, "exit");
  await Promise.race([once(child.stdout, "data"), gone.then(() => fail(name))]);
  const pid = childrenOf(child.pid as number)[0] ?? fail(name);
  return {
    pid,
    async close() {
      child.stdin.end();
      await gone;
    },
  };
}

function fail(name: string): never {
  throw new Error(`The namespace ${name} could not be made.`);
}

async function runInside(
  machine: number,
  command: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv,
): Promise<MachineProcess> {
  const enter = ["-t", `${machine}`, "-n", "-p", "-m", "-u", "--", command, ...args];
  const child = spawn("nsenter", enter, { env, stdio: ["ignore", "pipe", "pipe"] });
  await once(child, "spawn");
  const outer = child.pid as number;
  let pid: number | undefined;
  while (pid === undefined && child.exitCode === null) {
    pid = childrenOf(outer)[0];
    if (pid === undefined) await delay(2);
  }
  const own = pid ?? outer;
  return {
    child,
    pid: own,
    signal(name) {
      kill(own, name);
      // It stops itself when its program is stopped.
      if (name === "SIGCONT" || name === "SIGKILL") kill(outer, "SIGCONT");
    },
  };
}

function childrenOf(pid: number): number[] {
  try {
    return readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8")
      .split(" ")
      .flatMap((text) => Number(text) || []);
  } catch {
    return [];
  }
}

function kill(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}
