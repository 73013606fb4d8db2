import type { LinkedIssue } from "../../shared/linked-issue.js";
import { Refused } from "../delivery-error.js";
import { type Delivery, LONG_PAUSES_MS, type Target } from "../target.js";
import { uuidOf } from "../uuid-of.js";
import type { LinearClient } from "./client.js";
import { LINEAR_TARGET, type LinearPayload, readPayload } from "./payload.js";
import { NotThere } from "./read-answer.js";
import type { LinearState } from "./types.js";

/**
 * Linear as a place that is told: all that is sent there may be sent again. A comment has an id of our own and is looked
 * for first, a state is looked at first, and an attachment of the same address replaces the former one.
 */
export function createLinearTarget(open: () => Promise<LinearClient>): Target {
  return {
    name: LINEAR_TARGET,
    pausesMs: LONG_PAUSES_MS,
    isRepeatable: () => true,
    describe: ({ payload }) => describe(readPayload(payload)),
    async deliver(delivery, signal) {
      const payload = readPayload(delivery.payload);
      if (!payload) throw new Refused("it was written by another version and cannot be read");
      const client = await open();
      switch (payload.kind) {
        case "start":
          await moveToStarted(client, payload.issue, signal);
          return {};
        case "comment":
          return { remoteId: await showComment(client, payload, delivery, signal) };
        case "pull": {
          const { issue, url, title } = payload;
          await client.attach({ issueId: issue.id, url, title }, signal);
          return {};
        }
      }
    },
  };
}

function describe(payload: LinearPayload | undefined): string {
  if (!payload) return "Something for Linear";
  const { identifier } = payload.issue;
  return {
    start: `The state of ${identifier} in Linear`,
    comment: `The comment on ${identifier} in Linear`,
    pull: `The pull request at ${identifier} in Linear`,
  }[payload.kind];
}

/** Who is further already is left there: Linear's own integrations and people move the rest. */
const FURTHER = ["started", "completed", "canceled", "duplicate"];

async function moveToStarted(client: LinearClient, { id }: LinkedIssue, signal: AbortSignal): Promise<void> {
  const { state, team } = await client.states(id, signal);
  if (FURTHER.includes(state.type)) return;
  const first = firstStarted(team.states.nodes);
  if (!first) throw new Refused("the issue's team has no state of the type started");
  await client.moveIssue(id, first.id, signal);
}

/** Linear's lists are not in the order of the board. */
function firstStarted(states: readonly LinearState[]): LinearState | undefined {
  return states.filter(({ type }) => type === "started").toSorted((a, b) => a.position - b.position)[0];
}

/** @returns the comment's id */
async function showComment(
  client: LinearClient,
  { issue, key, body }: Extract<LinearPayload, { kind: "comment" }>,
  { remoteId }: Delivery,
  signal: AbortSignal,
): Promise<string> {
  const id = uuidOf(`comment of ${key}`);
  // Looked for in any case: the database may be an earlier copy of itself.
  const there = remoteId === undefined ? await client.findComment(id, signal) : { body: undefined };
  if (!there) await createOrFind(client, { id, issueId: issue.id, body }, signal);
  else if (there.body !== body) await updateUnlessRemoved(client, id, body, signal);
  return id;
}

/** One of which the answer was lost may come late: then its id is taken, and it is there. */
async function createOrFind(
  client: LinearClient,
  comment: { id: string; issueId: string; body: string },
  signal: AbortSignal,
): Promise<void> {
  try {
    await client.createComment(comment, signal);
  } catch (error) {
    const late = error instanceof Refused ? await client.findComment(comment.id, signal) : undefined;
    if (!late) throw error;
    if (late.body !== comment.body) await updateUnlessRemoved(client, comment.id, comment.body, signal);
  }
}

/** A comment that somebody has removed stays removed. */
async function updateUnlessRemoved(
  client: LinearClient,
  id: string,
  body: string,
  signal: AbortSignal,
): Promise<void> {
  try {
    await client.updateComment(id, body, signal);
  } catch (error) {
    if (!(error instanceof NotThere)) throw error;
  }
}
