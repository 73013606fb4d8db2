import * as z from "zod";
import { cleanLine } from "../../shared/text.js";
import { type CallGithub, type GithubCall, GithubRefused } from "./call-github.js";
import { OWN_MARK, pathOf, toWritten, type WrittenText } from "./github.js";
import type { RepositoryName } from "./repository-name.js";
import { reviewCommentWire, reviewWire, THREADS_QUERY, threadsWire } from "./wire.js";

/** What a reviewer has asked for and nobody has resolved. Texts are untrusted. */
export interface ReviewPoint {
  /** Missing for a review as a whole. */
  path?: string;
  line?: number;
  /** First what began it. */
  comments: WrittenText[];
}

export interface Reviews {
  points: ReviewPoint[];
  /** What could not be read, as a sentence for a person. */
  note?: string;
}

const PER_PAGE = 100;
const MAX_PAGES = 10;
const COMMENTS = 5;
const UNKNOWN_THREADS =
  "The token cannot ask which review threads are resolved, so all comments on lines that are still there count as open.";

/**
 * Unresolved threads, and what reviewers say as a whole who have asked for changes and not approved since.
 * What this product has written itself counts for nothing, by its mark: the token may be a reviewer's own.
 * @throws Refused, NotNow
 */
export async function readReviews(
  call: CallGithub,
  { repository, number }: { repository: RepositoryName; number: number },
  signal?: AbortSignal,
): Promise<Reviews> {
  const [wholes, threads] = await Promise.all([
    readWholes(call, repository, number, signal),
    readThreads(call, repository, number, signal).catch((error) => {
      if (!(error instanceof GithubRefused)) throw error;
      return undefined;
    }),
  ]);
  const found = threads ?? (await readComments(call, repository, number, signal));
  const points = [...wholes, ...found]
    .map((point) => ({ ...point, comments: point.comments.slice(0, COMMENTS) }))
    .filter(({ comments }) => comments.some(({ text }) => !text.includes(OWN_MARK)));
  return { points, ...(threads ? {} : { note: UNKNOWN_THREADS }) };
}

async function readWholes(
  call: CallGithub,
  repository: RepositoryName,
  number: number,
  signal: AbortSignal | undefined,
): Promise<ReviewPoint[]> {
  const path = `${pathOf(repository)}/pulls/${number}/reviews`;
  const reviews = await readAll(call, { path, signal }, reviewWire);
  // What somebody has said last counts; a comment changes nothing about an earlier verdict.
  const latest = new Map<string, z.output<typeof reviewWire>>();
  for (const review of reviews)
    if (review.state !== "COMMENTED" && review.state !== "PENDING")
      latest.set(review.user?.login ?? "", review);
  return [...latest.values()]
    .filter(({ state, body }) => state === "CHANGES_REQUESTED" && body?.trim())
    .map(({ body, user, submitted_at, author_association }) => ({
      comments: [toWritten({ body, user, created_at: submitted_at, author_association })],
    }));
}

async function readThreads(
  { json }: CallGithub,
  { owner, name }: RepositoryName,
  number: number,
  signal: AbortSignal | undefined,
): Promise<ReviewPoint[]> {
  const body = { query: THREADS_QUERY, variables: { owner, name, number } };
  const { data } = await json({ method: "POST", asks: true, path: "/graphql", body, signal }, threadsWire);
  return data.repository.pullRequest.reviewThreads.nodes.flatMap((thread) => {
    if (!thread || thread.isResolved) return [];
    const comments = thread.comments.nodes.flatMap((one) =>
      one
        ? [
            toWritten({
              ...{ body: one.body, user: one.author, created_at: one.createdAt },
              author_association: one.authorAssociation,
            }),
          ]
        : [],
    );
    return comments.length > 0 ? [toPoint(thread, comments)] : [];
  });
}

/** By REST nobody is told what is resolved; a comment whose line is gone has no position any more. */
async function readComments(
  call: CallGithub,
  repository: RepositoryName,
  number: number,
  signal: AbortSignal | undefined,
): Promise<ReviewPoint[]> {
  const path = `${pathOf(repository)}/pulls/${number}/comments`;
  const query = { sort: "created", direction: "asc" };
  const all = await readAll(call, { path, query, signal }, reviewCommentWire);
  const threads = new Map<number, ReviewPoint>();
  for (const one of all) {
    const thread = threads.get(one.in_reply_to_id ?? one.id);
    if (thread) thread.comments.push(toWritten(one));
    else if (typeof one.position === "number") threads.set(one.id, toPoint(one, [toWritten(one)]));
  }
  return [...threads.values()];
}

async function readAll<T extends z.ZodType>(
  { json }: CallGithub,
  { path, query = {}, signal }: Pick<GithubCall, "path" | "query" | "signal">,
  schema: T,
): Promise<z.output<T>[]> {
  const all: z.output<T>[] = [];
  for (let page = 1; page <= MAX_PAGES; page++) {
    const found = await json(
      { method: "GET", path, query: { ...query, per_page: PER_PAGE, page }, signal },
      z.array(schema),
    );
    all.push(...found);
    if (found.length < PER_PAGE) break;
  }
  return all;
}

function toPoint(
  { path, line }: { path?: string | null | undefined; line?: number | null | undefined },
  comments: WrittenText[],
): ReviewPoint {
  return {
    ...(path ? { path: cleanLine(path, 300) } : {}),
    ...(typeof line === "number" ? { line } : {}),
    comments,
  };
}
