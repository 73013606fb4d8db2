import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { SECRETS } from "./cluster.js";
import type { ClusterSabotage } from "./drive.js";
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
    steps: [start("quick"), { pauseMs: 500, do: "repeat", worker: 1, of: 0 }],
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
    steps: [start("works", 900), { pauseMs: 700, do: "message", worker: 0, of: 0 }],
    tap: () => async (request, send) => (request.path.endsWith("/add-message") ? answer(200, {}) : send()),
  },
  "loses an answer": {
    steps: [start("asks"), { pauseMs: 1_500, do: "answer", worker: 0, of: 0, both: false }],
    tap: () => async (request, send) => (request.path.endsWith("/answer") ? answer(200, {}) : send()),
  },
  "loses a kill": {
    steps: [start("works", 800), { pauseMs: 1_200, do: "kill", worker: 1, of: 0, force: true }],
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
