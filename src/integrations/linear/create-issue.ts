import { cleanLine } from "../../shared/text.js";
import { Refused, Unknown } from "../delivery-error.js";
import type { LinearClient } from "./client.js";
import type { LinearIssueLink } from "./types.js";

/** An issue that is to be made. */
export interface NewIssue {
  /** A UUID of version 4 that no issue has yet. */
  id: string;
  teamId: string;
  projectId?: string | undefined;
  title: string;
  description: string;
}

const TITLE_CHARS = 120;

/**
 * Makes an issue, once: when its answer is lost it is looked for by its id, and made again only where it is not there.
 * @throws Refused and NotNow when there is none, Unknown when there may be one
 */
export async function createIssueOnce(
  client: Pick<LinearClient, "createIssue" | "findIssue">,
  issue: NewIssue,
  signal: AbortSignal,
): Promise<LinearIssueLink> {
  const { projectId, ...others } = issue;
  const create = () => client.createIssue({ ...others, ...(projectId ? { projectId } : {}) }, signal);
  try {
    return await create();
  } catch (error) {
    if (!(error instanceof Unknown)) throw error;
  }
  const there = await lookFor(client, issue.id, signal);
  if (there) return there;
  try {
    return await create();
  } catch (error) {
    if (!(error instanceof Unknown || error instanceof Refused)) throw error;
    // The first one may have come late, and then its id is taken.
    const late = await lookFor(client, issue.id, signal);
    if (late) return late;
    throw error;
  }
}

async function lookFor(
  client: Pick<LinearClient, "findIssue">,
  id: string,
  signal: AbortSignal,
): Promise<LinearIssueLink | undefined> {
  try {
    return await client.findIssue(id, signal);
  } catch (error) {
    throw new Unknown((error as Error).message);
  }
}

/** The title of an issue that is made of a task: its first line. */
export function titleOf(message: string): string {
  const line =
    message
      .trim()
      .split("\n")
      .find((one) => one.trim()) ?? "";
  return cleanLine(line.replace(/^[#>*\s-]+/, ""), TITLE_CHARS);
}
