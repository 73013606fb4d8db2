import { randomUUID } from "node:crypto";
import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createCall } from "./calls.js";
import { type Cluster, SECRETS } from "./cluster.js";
import type { ClusterSabotage } from "./drive.js";
import { callServer } from "./server.js";
import type { Step } from "./steps.js";
import { SCRIPTED_AGENT } from "./worker.js";

/** A way to break the product, and steps that show it. */
export interface ClusterBreak extends ClusterSabotage {
  steps: readonly Step[];
}

const answer = (status: number, body: object) => new Response(JSON.stringify(body), { status });
const start = (run: "quick" | "works" | "hangs" | "asks" | "listens", workMs = 300): Step => ({
  ...{ pauseMs: 0, do: "start", worker: 0, keyed: true },
  ...{ run, workMs },
});

/** The ways in which the product could be broken, each by the rule that it breaks. */
export const CLUSTER_SABOTAGES: Record<string, ClusterBreak> = {
  "forgets the keys of starts": {
    steps: [start("quick"), { pauseMs: 0, do: "repeat", worker: 1, of: 0 }],
    tap: () => (request, send) => {
      const { "idempotency-key": _, ...headers } = request.headers;
      return send({ headers });
    },
  },
  "says that a start which it carries out was refused": {
    steps: [start("quick")],
    tap: () => async (request, send) => {
      const response = await send();
      const isStart = request.path === "/run/implement";
      return isStart ? answer(503, { detail: "Nothing was started.", started: false }) : response;
    },
  },
  "loses a message": {
    steps: [start("works", 900), { pauseMs: 0, do: "message", worker: 0, of: 0 }],
    tap: () => async (request, send) => (request.path.endsWith("/add-message") ? answer(200, {}) : send()),
  },
  "loses an answer": {
    steps: [start("asks"), { pauseMs: 1_500, do: "answer", worker: 0, of: 0, both: false }],
    tap: () => async (request, send) => (request.path.endsWith("/answer") ? answer(200, {}) : send()),
  },
  "loses a kill": {
    steps: [start("works", 800), { pauseMs: 0, do: "kill", worker: 1, of: 0, force: true }],
    tap: () => async (request, send) => (request.path.endsWith("/kill") ? answer(200, {}) : send()),
  },
  "says of a kill that nothing was done": {
    steps: [start("hangs")],
    tap: () => async (request, send) => {
      const response = await send();
      return request.path.endsWith("/kill") ? answer(503, { detail: "Nothing was done." }) : response;
    },
  },
  "leaves an event out": {
    steps: [start("quick")],
    events: () => (event) => (event.type === "turn" ? undefined : event),
  },
  "tells an event twice": {
    steps: [start("quick")],
    events: () => (event, again) => {
      if (event.type === "turn") again();
      return event;
    },
  },
  "tells something else at another worker": {
    steps: [start("quick")],
    tap: () => async (request, send) => {
      const response = await send();
      if (request.worker !== 1 || !request.path.endsWith("/status")) return response;
      return answer(200, { ...((await response.json()) as object), current_turn: 99 });
    },
  },
  "shows the password of the database": {
    steps: [start("quick")],
    log: (text) => `${text} ${SECRETS["the database's password"]}`,
  },
  "starts two agents for a run": { steps: [start("quick")], twice: true },
};

const plan = (gated: boolean): Step => ({
  ...{ pauseMs: 0, do: "plan", server: 0, gated, run: "quick", workMs: 300 },
});

/** All the ways in which servers could break the rules of plans, in one sequence, each with another plan. */
export const PLAN_SABOTAGE: ClusterBreak = {
  steps: [plan(false), plan(false), plan(false), plan(true)],
  tell: (cluster) => {
    const tasks: string[] = [];
    return async (server, args) => {
      if (args.action === "plan") {
        const { steps } = args.plan as { steps: { id: string; task?: string }[] };
        const [number] = [tasks.length];
        tasks.push(steps.at(-1)?.task ?? "");
        // One that is not there, one that is there twice, and one that is there although it was refused.
        if (number === 0) return { kind: "done", text: "", data: { plan: { plan_id: randomUUID() } } };
        const told = await callServer(server, args);
        if (number === 1) await doublePlan(cluster);
        return number === 2 ? { kind: "refused", text: "Nothing was started." } : told;
      }
      if (args.action !== "answer") return callServer(server, args);
      // At the last one's gate another answer is decided, and what it ends is begun all the same.
      const told = await callServer(server, { ...args, answer: "stop" });
      await startPast(cluster, tasks.at(-1) ?? "");
      return told;
    };
  },
};

/** Has the newest plan a second time in the database. */
async function doublePlan({ query }: Cluster): Promise<void> {
  await query(`create temp table twin as select * from plans order by created_at desc limit 1;
    update twin set plan_id = '${randomUUID()}', status = 'completed', owner = null;
    insert into plans select * from twin`);
}

async function startPast({ workers: [worker] }: Cluster, message: string): Promise<void> {
  if (!worker) return;
  await createCall()(worker, "POST", "/run/implement", { body: { message, input_format: "stream-json" } });
}

/**
 * Makes a program that starts the scripted agent, and a second one while there is a file named `twice` beside it.
 * @returns its path
 */
export function makeDoublingAgent(folder: string): string {
  const file = join(folder, "agent");
  const script = `#!/bin/sh
case $1 in
-p) [ -e "${folder}/twice" ] && (sleep 60 | node "${SCRIPTED_AGENT}.mjs" -p > /dev/null 2>&1 &) ;;
esac
exec "${SCRIPTED_AGENT}" "$@"
`;
  writeFileSync(file, script);
  chmodSync(file, 0o755);
  return file;
}
