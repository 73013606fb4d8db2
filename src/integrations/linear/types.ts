/** What is known of Linear here; texts are untrusted: whoever can write to the workspace has written them. */

/** Who a key is, and of which workspace. */
export interface LinearViewer {
  id: string;
  displayName: string;
  organization: { name: string; urlKey: string };
}

export interface LinearTeam {
  id: string;
  /** What its issues begin with. */
  key: string;
  name: string;
}

export interface LinearProject {
  id: string;
  name: string;
  status: { type: string };
}

/** An issue as it is named. */
export interface LinearIssueLink {
  id: string;
  /** "ENG-123" */
  identifier: string;
  url: string;
  title: string;
}

export interface LinearComment {
  body: string;
  /** ISO 8601. */
  createdAt: string;
  user?: { displayName: string } | null;
}

/** An issue with what an agent is told of it. */
export interface LinearIssue extends LinearIssueLink {
  description?: string | null;
  branchName: string;
  state: { name: string; type: string };
  team: { key: string; name: string };
  project?: { name: string } | null;
  /** The newest first. */
  comments: { nodes: LinearComment[]; pageInfo: { hasNextPage: boolean } };
}

/** A state of a team; `type` is one of triage, backlog, unstarted, started, completed, canceled, duplicate. */
export interface LinearState {
  id: string;
  name: string;
  type: string;
  position: number;
}

/** Where an issue stands among the states of its team. */
export interface LinearStates {
  id: string;
  state: { id: string; type: string };
  team: { states: { nodes: LinearState[] } };
}
