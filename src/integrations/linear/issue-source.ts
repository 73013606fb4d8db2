import { Refused } from "../delivery-error.js";
import type { IssueSource } from "../issue-source.js";
import type { LinearClient } from "./client.js";
import { linkOf, taskOfIssue } from "./issue-task.js";
import { NotThere } from "./read-answer.js";
import { readLinearReference } from "./read-reference.js";

const KEY = "AUTOMAGIK_WORKFLOWS_LINEAR_API_KEY (or _FILE, _COMMAND)";

/** Issues of Linear as tasks. */
export function createLinearIssues(client: Pick<LinearClient, "issue">): IssueSource {
  return {
    async find(message) {
      const found = readLinearReference(message);
      if (!found) return undefined;
      const { identifier, words } = found;
      return {
        name: identifier,
        words,
        async read(signal) {
          const issue = await client.issue(identifier, signal).catch((error: Error) => {
            throw new Error(tellUnread(identifier, error));
          });
          return { task: taskOfIssue(issue), link: linkOf(issue) };
        },
      };
    },
  };
}

function tellUnread(identifier: string, error: Error): string {
  if (error instanceof NotThere)
    return `Linear has no issue ${identifier}, or not for the person of the key ${KEY}. Name another one, or put its text into the message.`;
  const what = `The issue ${identifier} could not be read: ${error.message}.`;
  return error instanceof Refused
    ? `${what} Look at ${KEY}, or put the issue's text into the message.`
    : `${what} Try again later, or put its text into the message.`;
}
