import { Refused } from "../delivery-error.js";
import * as documents from "./documents.js";
import { type LinearHttpAnswer, NotThere, readAnswer } from "./read-answer.js";
import type {
  LinearIssue,
  LinearIssueLink,
  LinearProject,
  LinearStates,
  LinearTeam,
  LinearViewer,
} from "./types.js";

export const LINEAR_URL = "https://api.linear.app/graphql";

/** Of teams and projects at most so many pages of 100 are read. */
const MAX_PAGES = 10;

/**
 * The calls of Linear. All throw Refused, NotNow or Unknown (delivery-error.ts). Ids that are given to what is made are the
 * caller's own UUIDs of version 4, so that one of which the answer was lost can be looked for.
 */
export interface LinearClient {
  viewer(signal?: AbortSignal): Promise<LinearViewer>;
  /** All teams of the workspace that the key sees. */
  teams(signal?: AbortSignal): Promise<LinearTeam[]>;
  /** The projects of a team that are not over. */
  projects(teamId: string, signal?: AbortSignal): Promise<LinearProject[]>;
  /** By its id or identifier. @throws Refused when there is none */
  issue(id: string, signal?: AbortSignal): Promise<LinearIssue>;
  /** Undefined when there is none. */
  findIssue(id: string, signal?: AbortSignal): Promise<LinearIssueLink | undefined>;
  createIssue(
    issue: { id: string; teamId: string; projectId?: string; title: string; description: string },
    signal?: AbortSignal,
  ): Promise<LinearIssueLink>;
  states(issueId: string, signal?: AbortSignal): Promise<LinearStates>;
  moveIssue(issueId: string, stateId: string, signal?: AbortSignal): Promise<void>;
  /** Undefined when there is none. */
  findComment(id: string, signal?: AbortSignal): Promise<{ body: string } | undefined>;
  createComment(comment: { id: string; issueId: string; body: string }, signal?: AbortSignal): Promise<void>;
  updateComment(id: string, body: string, signal?: AbortSignal): Promise<void>;
  /** One with the same address at the same issue is replaced. */
  attach(
    attachment: { issueId: string; url: string; title: string; subtitle?: string },
    signal?: AbortSignal,
  ): Promise<void>;
}

/** Sends a body of JSON to Linear. @throws NotNow when it was not sent, Unknown when nobody knows */
export type SendToLinear = (
  body: string,
  how: { acts: boolean; signal?: AbortSignal | undefined },
) => Promise<LinearHttpAnswer>;

/** @param options.now epoch ms */
export function createLinearClient({ send, now }: { send: SendToLinear; now: () => number }): LinearClient {
  async function ask<Data>(query: string, variables: object, signal?: AbortSignal): Promise<Data> {
    const acts = query.startsWith("mutation");
    const answer = await send(JSON.stringify({ query, variables }), { acts, signal });
    return readAnswer<Data>(answer, { acts, now: now() });
  }

  /** @param field the mutation's */
  async function change<Result extends object>(
    query: string,
    field: string,
    variables: object,
    signal?: AbortSignal,
  ): Promise<Result> {
    const data = await ask<Record<string, Result & { success: boolean }>>(query, variables, signal);
    const result = data[field];
    if (!result?.success) throw new Refused("Linear did not do it, and said no reason");
    return result;
  }

  async function orMissing<Data>(asked: Promise<Data>): Promise<Data | undefined> {
    try {
      return await asked;
    } catch (error) {
      if (error instanceof NotThere) return undefined;
      throw error;
    }
  }

  /** All pages of a list. */
  async function askAll<Node, Data>(
    query: string,
    variables: object,
    pick: (data: Data) => Page<Node>,
    signal?: AbortSignal,
  ): Promise<Node[]> {
    const found: Node[] = [];
    let after: string | null = null;
    for (let page = 0; page < MAX_PAGES; page++) {
      const { nodes, pageInfo }: Page<Node> = pick(await ask<Data>(query, { ...variables, after }, signal));
      found.push(...nodes);
      after = pageInfo.endCursor;
      if (!pageInfo.hasNextPage || after === null) break;
    }
    return found;
  }

  return {
    async viewer(signal) {
      return (await ask<{ viewer: LinearViewer }>(documents.VIEWER, {}, signal)).viewer;
    },
    teams: (signal) => askAll(documents.TEAMS, {}, (data: { teams: Page<LinearTeam> }) => data.teams, signal),
    async projects(team, signal) {
      const pick = (data: { team: { projects: Page<LinearProject> } }) => data.team.projects;
      const all = await askAll(documents.PROJECTS, { team }, pick, signal);
      return all.filter(({ status }) => status.type !== "completed" && status.type !== "canceled");
    },
    async issue(id, signal) {
      return (await ask<{ issue: LinearIssue }>(documents.ISSUE, { id }, signal)).issue;
    },
    async findIssue(id, signal) {
      const found = orMissing(ask<{ issue: LinearIssueLink }>(documents.ISSUE_LINK, { id }, signal));
      return (await found)?.issue;
    },
    async createIssue(input, signal) {
      const { CREATE_ISSUE } = documents;
      type Made = { issue: LinearIssueLink };
      return (await change<Made>(CREATE_ISSUE, "issueCreate", { input }, signal)).issue;
    },
    async states(id, signal) {
      return (await ask<{ issue: LinearStates }>(documents.STATES, { id }, signal)).issue;
    },
    async moveIssue(id, state, signal) {
      await change(documents.MOVE_ISSUE, "issueUpdate", { id, state }, signal);
    },
    async findComment(id, signal) {
      const found = orMissing(ask<{ comment: { body: string } }>(documents.COMMENT, { id }, signal));
      return (await found)?.comment;
    },
    async createComment(input, signal) {
      await change(documents.CREATE_COMMENT, "commentCreate", { input }, signal);
    },
    async updateComment(id, body, signal) {
      await change(documents.UPDATE_COMMENT, "commentUpdate", { id, body }, signal);
    },
    async attach(input, signal) {
      await change(documents.ATTACH, "attachmentCreate", { input }, signal);
    },
  };
}

interface Page<Node> {
  nodes: Node[];
  pageInfo: { hasNextPage: boolean; endCursor: string | null };
}
