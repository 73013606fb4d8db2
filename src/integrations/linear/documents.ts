/**
 * What is asked of Linear, as GraphQL. `test/linear-oracle.test.ts` holds each of them against Linear's own schema, and
 * the types of what they give against those of `@linear/sdk`.
 */

/** Who the key is. */
export const VIEWER = "query Viewer { viewer { id displayName organization { name urlKey } } }";

/** Teams in which the person can create issues, a page of them. */
export const TEAMS = `query Teams($after: String) {
  teams(first: 100, after: $after) { nodes { id key name } pageInfo { hasNextPage endCursor } }
}`;

/** A team's projects, a page of them. */
export const PROJECTS = `query Projects($team: String!, $after: String) {
  team(id: $team) {
    id key name
    projects(first: 100, after: $after) {
      nodes { id name status { type } }
      pageInfo { hasNextPage endCursor }
    }
  }
}`;

/** An issue with all that an agent is told of it, by its id or its identifier. */
export const ISSUE = `query Issue($id: String!) {
  issue(id: $id) {
    id identifier url title description branchName
    state { name type }
    team { key name }
    project { name }
    comments(first: 50) { nodes { body createdAt user { displayName } } pageInfo { hasNextPage } }
  }
}`;

/** Where an issue stands, and the states of its team. */
export const STATES = `query States($id: String!) {
  issue(id: $id) {
    id
    state { id type }
    team { states(first: 250) { nodes { id name type position } } }
  }
}`;

/** Whether an issue is there. */
export const ISSUE_LINK = "query IssueLink($id: String!) { issue(id: $id) { id identifier url title } }";

export const CREATE_ISSUE = `mutation CreateIssue($input: IssueCreateInput!) {
  issueCreate(input: $input) { success issue { id identifier url title } }
}`;

export const MOVE_ISSUE = `mutation MoveIssue($id: String!, $state: String!) {
  issueUpdate(id: $id, input: { stateId: $state }) { success }
}`;

/** Whether a comment is there, and with which text. */
export const COMMENT = "query Comment($id: String!) { comment(id: $id) { id body } }";

export const CREATE_COMMENT = `mutation CreateComment($input: CommentCreateInput!) {
  commentCreate(input: $input) { success comment { id } }
}`;

export const UPDATE_COMMENT = `mutation UpdateComment($id: String!, $body: String!) {
  commentUpdate(id: $id, input: { body: $body }) { success }
}`;

/** One with the same address at the same issue is replaced. */
export const ATTACH = `mutation Attach($input: AttachmentCreateInput!) {
  attachmentCreate(input: $input) { success attachment { id } }
}`;

export const DOCUMENTS = {
  VIEWER,
  TEAMS,
  PROJECTS,
  ISSUE,
  STATES,
  ISSUE_LINK,
  CREATE_ISSUE,
  MOVE_ISSUE,
  COMMENT,
  CREATE_COMMENT,
  UPDATE_COMMENT,
  ATTACH,
};
