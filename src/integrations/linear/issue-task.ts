import type { LinkedIssue } from "../../shared/linked-issue.js";
import { cleanLine } from "../../shared/text.js";
import type { IssueTask } from "../quote-task.js";
import type { LinearIssue, LinearIssueLink } from "./types.js";

/** What the agent is told of an issue, and the person before it is sent. */
export function taskOfIssue(issue: LinearIssue): IssueTask {
  const { identifier, url, title, description, state, team, project, comments, branchName } = issue;
  return {
    what: `Linear issue ${cleanLine(identifier, 20)}`,
    url: cleanLine(url, 500),
    title,
    facts: [
      `Team: ${team.name} (${team.key}). State: ${state.name}.${project ? ` Project: ${project.name}.` : ""}`,
      `Linear's name for its branch: ${branchName}`,
    ],
    body: description ?? "",
    // Linear tells the newest first.
    comments: comments.nodes.toReversed().map(({ user, createdAt, body }) => ({
      author: user?.displayName ?? "an integration",
      at: createdAt,
      text: body,
    })),
    hasMore: comments.pageInfo.hasNextPage,
  };
}

/** What is kept of an issue with the run or the plan that is about it. */
export function linkOf({ id, identifier, url }: LinearIssueLink): LinkedIssue {
  return { tracker: "linear", id, identifier, url };
}
