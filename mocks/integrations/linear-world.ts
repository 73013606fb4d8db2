import { randomUUID } from "node:crypto";
import type { LinearDocument } from "@linear/sdk";

/** A refusal that Linear words for people. */
export class UserFault extends Error {
  constructor(
    message: string,
    readonly presentable: string,
  ) {
    super(message);
  }
}

type Scalars<T, Names extends keyof T> = Pick<T, Names>;
export type FakeState = Scalars<LinearDocument.WorkflowState, "id" | "name" | "type" | "position">;
export type FakeProject = Scalars<LinearDocument.Project, "id" | "name"> & {
  status: Scalars<LinearDocument.ProjectStatus, "id" | "type">;
};
export type FakeComment = Scalars<LinearDocument.Comment, "id" | "body" | "createdAt"> & { by: string };
export type FakeAttachment = Scalars<LinearDocument.Attachment, "id" | "url" | "title"> & {
  subtitle?: string;
};

export interface FakeTeam extends Scalars<LinearDocument.Team, "id" | "key" | "name"> {
  states: FakeState[];
  projects: FakeProject[];
}

export interface FakeIssue
  extends Scalars<LinearDocument.Issue, "id" | "identifier" | "title" | "url" | "branchName"> {
  description?: string;
  team: FakeTeam;
  state: FakeState;
  project?: FakeProject;
  comments: FakeComment[];
  attachments: FakeAttachment[];
  /** The names of the states it was moved to, in their order. */
  moves: string[];
}

export interface LinearWorld {
  teams: FakeTeam[];
  issues: FakeIssue[];
  addTeam(key: string, name: string, projects?: string[]): FakeTeam;
  addIssue(team: FakeTeam, title: string, more?: { description?: string; state?: string }): FakeIssue;
  issue(identifier: string): FakeIssue;
  /** What GraphQL begins with. */
  root: Record<string, unknown>;
}

const AT = new Date("2026-11-30T08:00:00.000Z");
const ORGANIZATION = { id: randomUUID(), name: "Acme", urlKey: "acme" };
const VIEWER = { id: randomUUID(), displayName: "ann", name: "Ann Example", organization: ORGANIZATION };
const VERSION_4 = /^[\da-f]{8}-[\da-f]{4}-4[\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}$/;

/** A workspace in memory, without teams to begin with. */
export function createLinearWorld(): LinearWorld {
  const teams: FakeTeam[] = [];
  const issues: FakeIssue[] = [];

  function find<T extends { id: string }>(all: T[], what: string, id: string | null | undefined): T {
    const found = all.find((one) => one.id === id);
    if (found) return found;
    throw new UserFault(`Entity not found: ${what}`, `Could not find referenced ${what}.`);
  }

  /** By its id or its identifier, as Linear takes both. */
  function findIssue(id: string | null | undefined): FakeIssue {
    const named = issues.find(({ identifier }) => identifier === id?.toUpperCase());
    return named ?? find(issues, "Issue", id);
  }

  function newId(wanted: string | null | undefined, taken: { id: string }[]): string {
    if (wanted && !VERSION_4.test(wanted))
      throw new UserFault("Argument Validation Error", "id must be a UUID.");
    if (wanted && taken.some(({ id }) => id === wanted))
      throw new UserFault(
        `Entity with id ${wanted} already exists`,
        "Something of this id is there already.",
      );
    return wanted ?? randomUUID();
  }

  function add(team: FakeTeam, title: string, id: string, state: FakeState): FakeIssue {
    const number = issues.filter((one) => one.team === team).length + 123;
    const identifier = `${team.key}-${number}`;
    const slug = title.toLowerCase().replace(/\W+/g, "-").slice(0, 40);
    const issue: FakeIssue = {
      id,
      identifier,
      title,
      url: `https://linear.app/acme/issue/${identifier}/${slug}`,
      branchName: `ann/${identifier.toLowerCase()}-${slug}`,
      team,
      state,
      ...{ comments: [], attachments: [], moves: [] },
    };
    issues.push(issue);
    return issue;
  }

  const allComments = () => issues.flatMap(({ comments }) => comments);

  const root = {
    viewer: VIEWER,
    organization: ORGANIZATION,
    teams: ({ first, after }: Page) => pageOf(teams, first, after, showTeam),
    team: ({ id }: { id: string }) => showTeam(find(teams, "Team", id)),
    issue: ({ id }: { id: string }) => showIssue(findIssue(id)),
    comment: ({ id }: { id: string }) => showComment(find(allComments(), "Comment", id)),
    workflowState: ({ id }: { id: string }) =>
      find(
        teams.flatMap(({ states }) => states),
        "WorkflowState",
        id,
      ),
    issueCreate({ input }: { input: LinearDocument.IssueCreateInput }) {
      const team = find(teams, "Team", input.teamId);
      const project = input.projectId ? find(team.projects, "Project", input.projectId) : undefined;
      const id = newId(input.id, issues);
      const issue = add(
        team,
        input.title ?? "",
        id,
        team.states.find(({ type }) => type === "backlog") as FakeState,
      );
      if (input.description) issue.description = input.description;
      if (project) issue.project = project;
      return { success: true, lastSyncId: 1, issue: showIssue(issue) };
    },
    issueUpdate({ id, input }: { id: string; input: LinearDocument.IssueUpdateInput }) {
      const issue = findIssue(id);
      if (input.stateId) {
        issue.state = find(issue.team.states, "WorkflowState", input.stateId);
        issue.moves.push(issue.state.name);
      }
      return { success: true, lastSyncId: 2, issue: showIssue(issue) };
    },
    commentCreate({ input }: { input: LinearDocument.CommentCreateInput }) {
      const issue = findIssue(input.issueId);
      const comment = {
        id: newId(input.id, allComments()),
        body: input.body ?? "",
        createdAt: AT,
        by: "ann",
      };
      issue.comments.push(comment);
      return { success: true, lastSyncId: 3, comment: showComment(comment) };
    },
    commentUpdate({ id, input }: { id: string; input: LinearDocument.CommentUpdateInput }) {
      const comment = find(allComments(), "Comment", id);
      comment.body = input.body ?? comment.body;
      return { success: true, lastSyncId: 4, comment: showComment(comment) };
    },
    attachmentCreate({ input }: { input: LinearDocument.AttachmentCreateInput }) {
      const issue = findIssue(input.issueId);
      const { url, title, subtitle } = input;
      let attachment = issue.attachments.find((one) => one.url === url);
      if (attachment) attachment.title = title;
      else {
        attachment = {
          id: newId(input.id, issue.attachments),
          url,
          title,
          ...(subtitle ? { subtitle } : {}),
        };
        issue.attachments.push(attachment);
      }
      return { success: true, lastSyncId: 5, attachment: { ...attachment, issue: showIssue(issue) } };
    },
  };

  return {
    teams,
    issues,
    addTeam(key, name, projects = []) {
      const team: FakeTeam = {
        ...{ id: randomUUID(), key, name },
        states: STATES.map((state) => ({ ...state, id: randomUUID() })),
        projects: projects.map((project) => ({
          ...{ id: randomUUID(), name: project },
          status: { id: randomUUID(), type: "started" as LinearDocument.ProjectStatusType },
        })),
      };
      teams.push(team);
      return team;
    },
    addIssue(team, title, { description, state = "Todo" } = {}) {
      const found = team.states.find(({ name }) => name === state);
      if (!found) throw new Error(`The team ${team.key} has no state ${state}`);
      const issue = add(team, title, randomUUID(), found);
      if (description !== undefined) issue.description = description;
      return issue;
    },
    issue: findIssue,
    root,
  };
}

/** The states of a new team, not in the order of their positions: which is the first is told by these. */
const STATES: Omit<FakeState, "id">[] = [
  { name: "In Review", type: "started", position: 1002 },
  { name: "Backlog", type: "backlog", position: 0 },
  { name: "Todo", type: "unstarted", position: 1 },
  { name: "In Progress", type: "started", position: 2 },
  { name: "Done", type: "completed", position: 3 },
  { name: "Canceled", type: "canceled", position: 4 },
  { name: "Duplicate", type: "duplicate", position: 5 },
];

interface Page {
  first?: number | null;
  after?: string | null;
}

function pageOf<T extends { id: string }, Shown>(
  all: readonly T[],
  first: number | null | undefined,
  after: string | null | undefined,
  show: (one: T) => Shown,
) {
  const from = after ? all.findIndex(({ id }) => id === after) + 1 : 0;
  const nodes = all.slice(from, from + (first ?? 50));
  const hasNextPage = from + nodes.length < all.length;
  const pageInfo = { hasNextPage, hasPreviousPage: from > 0, endCursor: nodes.at(-1)?.id ?? null };
  return { nodes: nodes.map(show), pageInfo };
}

function showTeam(team: FakeTeam) {
  return {
    ...{ id: team.id, key: team.key, name: team.name },
    states: ({ first, after }: Page) => pageOf(team.states, first, after, (state) => state),
    projects: ({ first, after }: Page) => pageOf(team.projects, first, after, (project) => project),
  };
}

function showIssue(issue: FakeIssue) {
  const { team, comments, attachments, ...own } = issue;
  return {
    ...own,
    team: () => showTeam(team),
    // Linear tells the newest first.
    comments: ({ first, after }: Page) => pageOf([...comments].reverse(), first, after, showComment),
    attachments: ({ first, after }: Page) => pageOf(attachments, first, after, (one) => one),
  };
}

function showComment(comment: FakeComment) {
  const { id, body, createdAt, by } = comment;
  return { id, body, createdAt: createdAt.toISOString(), user: { ...VIEWER, displayName: by } };
}
