import type { LinkedIssue } from "../shared/linked-issue.js";
import type { Transaction } from "../store/database.js";
import type { IssueProgress } from "./issue-progress.js";
import { LINEAR_TARGET, type LinearPayload, readPayload } from "./linear/payload.js";
import { renderComment } from "./linear/render-comment.js";
import { addDelivery, showByDelivery } from "./outbox.js";

/** The issue that was told of a run or a plan before; undefined where none was. */
export async function findNotedIssue(
  trx: Transaction,
  { what, id }: Pick<IssueProgress, "what" | "id">,
): Promise<LinkedIssue | undefined> {
  const query = trx.selectFrom("deliveries").select("payload").where("target", "=", LINEAR_TARGET);
  const row = await query.where("id", "=", `${what}/${id}/issue/comment`).executeTakeFirst();
  return row && readPayload(JSON.parse(row.payload))?.issue;
}

/**
 * Writes down what the issue is to be told of the work as it stands now, in the transaction of what has happened: that it
 * has begun, the one comment, pull requests. What is told already is not written again.
 * @param now epoch ms
 */
export async function noteProgress(
  trx: Transaction,
  issue: LinkedIssue,
  progress: IssueProgress,
  now: number,
): Promise<void> {
  const { what, id, status, pulls } = progress;
  // Before it has begun there is nothing to tell.
  if (status === "waiting") return;
  const key = `${what}/${id}/issue`;
  const to = (part: string, payload: LinearPayload) => ({
    id: `${key}/${part}`,
    target: LINEAR_TARGET,
    kind: payload.kind,
    payload,
  });
  await addDelivery(trx, to("start", { kind: "start", issue }), now);
  const comment = { kind: "comment" as const, issue, key, body: renderComment(progress) };
  await showByDelivery(trx, to("comment", comment), now);
  for (const { url, title } of pulls)
    await addDelivery(trx, to(`pull/${url}`, { kind: "pull", issue, url, title }), now);
}
