import { serveSimulatedGithub } from "../../../mocks/integrations/github.js";
import { deliverPullRequest } from "../../../src/engine/pull-requests/deliver.js";
import {
  createPullRequestTarget,
  type PullRequestPayload,
} from "../../../src/engine/pull-requests/target.js";
import type { EngineRun } from "../../../src/engine/runs/run.js";
import type { Github } from "../../../src/integrations/github/github.js";
import { openGithub } from "../../../src/integrations/github/open-github.js";
import { addDelivery } from "../../../src/integrations/outbox.js";
import { systemClock } from "../../../src/shared/clock.js";
import { silentLog } from "../../support/harness.js";
import type { Place } from "./place.js";

const TOKEN = "github-test-token";
const TARGET = "pull_request";
/** What may meet a fault: looking for what is there, opening it, and its comment. */
const CALLS = [
  { method: "GET", path: /\/pulls$/ },
  { method: "POST", path: /\/pulls$/ },
  { method: "GET", path: /\/comments$/ },
  { method: "POST", path: /\/comments$/ },
  { method: "PATCH", path: /\/comments\/\d+$/ },
];
const FAULTS = ["lost", "lost", "dropped", "late", 503, 500, 403, 429] as const;

/**
 * GitHub, where the engine opens a pull request for each event and keeps one comment at it; git has pushed the branch.
 * @param sabotage breaks the product
 */
export async function openGithubPlace(sabotage: (github: Github) => Github): Promise<Place> {
  const fake = await serveSimulatedGithub({ token: TOKEN });
  const shop = fake.addRepository("acme/shop");
  const address = `git@${new URL(fake.url).hostname}:acme/shop.git`;
  const opened = openGithub({
    settings: { github: "auto", githubUrl: fake.url },
    secret: { read: async () => TOKEN, forget() {} },
    ...{ takesGh: false, env: {}, clock: systemClock, log: silentLog },
  });
  const runs = new Map<string, EngineRun>();
  const runOf = (runId: string) => runs.get(runId) ?? newRun(runId);
  /** Comments that have come after it was looked for them: GitHub has no key by which it would know them. */
  let lateComments = 0;

  const target = createPullRequestTarget({
    name: TARGET,
    find: runOf,
    deliver: ({ runId, asked }, how) =>
      deliverPullRequest(
        {
          workspaces: {
            async publish(_session, { manner }) {
              manner({ address, branch: runId, base: "main" });
              return {
                branch: runId,
                base: "main",
                commit: "c".repeat(40),
                address,
                told: "",
                hadAll: false,
              };
            },
          },
          runsOf: (id) => ({ run: runOf(id), session: [runOf(id)] }),
          settings: () => ({ githubUrl: fake.url }),
          github: async () => ({ ...opened, github: sabotage(opened.github) }),
          clock: systemClock,
        },
        runId,
        { ...how, asked },
      ),
    async note(runId, { pullRequest }) {
      const { commentId, ...rest } = pullRequest;
      // The engine may have ended before it had written that down.
      const isKept = Number(runId.split("-")[1]) % 2 === 0;
      runs.set(runId, {
        ...runOf(runId),
        pullRequest: { ...rest, ...(isKept && commentId !== undefined ? { commentId } : {}) },
      });
    },
  });

  const add = (trx: Parameters<Place["write"]>[0], event: string, part: string, now: number) => {
    const payload: PullRequestPayload = { runId: event, asked: { comment: `${event} stands at ${part}` } };
    return addDelivery(
      trx,
      { id: `${event}/${part}`, target: TARGET, kind: TARGET, payload, lane: event },
      now,
    );
  };
  const pullsOf = (event: string) => [...shop.pulls.values()].filter(({ head }) => head === event);
  const commentsOf = (event: string) =>
    pullsOf(event).flatMap(({ number }) =>
      [...shop.comments.values()].filter(({ issue }) => issue === number).map(({ body }) => body),
    );
  const eventOf = (id: string) => id.split("/")[0] ?? "";

  /** By which delivery it was opened. */
  const openedBy = new Map<string, string>();

  return {
    target: {
      ...target,
      async deliver(delivery, signal) {
        try {
          return await target.deliver(delivery, signal);
        } finally {
          const event = eventOf(delivery.id);
          if (pullsOf(event).length > 0 && !openedBy.has(event)) openedBy.set(event, delivery.id);
        }
      },
    },
    deliveries: 2,
    hasKey: false,
    arm(random) {
      const call = random.pick(CALLS);
      const how = random.pick(FAULTS);
      const isComment = call.method === "POST" && call.path.test("/comments");
      if (how === "late" && isComment) lateComments++;
      const headers = how === 429 ? { "retry-after": String(1 + random.between(0, 39)) } : {};
      fake.fail({ ...call, how, headers });
      return `${how} (${call.method} ${call.path.source.includes("pulls") ? "pull request" : "comment"})`;
    },
    write: (trx, event, now) => add(trx, event, "beginning", now),
    goOn: (trx, event, now) => add(trx, event, "end", now),
    copies(id) {
      const comments = commentsOf(eventOf(id)).length;
      const known = Math.min(lateComments, Math.max(0, comments - 1));
      return Math.max(pullsOf(eventOf(id)).length, comments - known);
    },
    twice: (id) =>
      id.endsWith("/end") && commentsOf(eventOf(id)).length > 1
        ? "a second comment, since the first came after it was looked for"
        : undefined,
    isThere(id) {
      const [event = "", part] = id.split("/");
      const isRefused = runOf(event).pullRequest?.problem?.startsWith("Its comment could not be written");
      if (part === "beginning" || isRefused) return openedBy.get(event) === id || part === "end";
      return commentsOf(event).some((body) => body.includes(`stands at ${part}`));
    },
    close: fake.close,
  };
}

function newRun(runId: string): EngineRun {
  const told = { runId, sessionId: runId, sessionName: runId, costUsd: 0, turn: 1, result: "Done" };
  return { ...told, request: { message: "Go" }, status: "completed" } as unknown as EngineRun;
}
