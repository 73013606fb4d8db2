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
  /** What could not be read, as sentences for a person. */
  note?: string;
}

const PER_PAGE = 100;
const MAX_PAGES = 10;
const COMMENTS = 5;
const MORE =
  "It has more reviews and comments than are read, so points may be missing here: look at the page of the pull request.";
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
  const points = [...wholes.points, ...found.points]
    .map((point) => ({ ...point, comments: point.comments.slice(0, COMMENTS) }))
    .filter(({ comments }) => comments.some(({ text }) => !text.includes(OWN_MARK)));
  const notes = [...(threads ? [] : [UNKNOWN_THREADS]), ...(wholes.hasMore || found.hasMore ? [MORE] : [])];
  return { points, ...(notes.length > 0 ? { note: notes.join(" ") } : {}) };
}

/** What was read, and whether there is more of it than that. */
interface Found {
  points: ReviewPoint[];
  hasMore: boolean;
}

async function readWholes(
  call: CallGithub,
  repository: RepositoryName,
  number: number,
  signal: AbortSignal | undefined,
): Promise<Found> {
  const path = `${pathOf(repository)}/pulls/${number}/reviews`;
  const { all: reviews, hasMore } = await readAll(call, { path, signal }, reviewWire);
  // What somebody has said last counts; a comment changes nothing about an earlier verdict.
  const latest = new Map<string, z.output<typeof reviewWire>>();
  for (const review of reviews)
    if (review.state !== "COMMENTED" && review.state !== "PENDING")
      latest.set(review.user?.login ?? "", review);
  const points = [...latest.values()]
    .filter(({ state, body }) => state === "CHANGES_REQUESTED" && body?.trim())
    .map(({ body, user, submitted_at, author_association }) => ({
      comments: [toWritten({ body, user, created_at: submitted_at, author_association })],
    }));
  return { points, hasMore };
}

/** From the newest page on, so that what is left out where there are very many is the oldest. */
async function readThreads(
  { json }: CallGithub,
  { owner, name }: RepositoryName,
  number: number,
  signal: AbortSignal | undefined,
): Promise<Found> {
  let points: ReviewPoint[] = [];
  let before: string | undefined;
  for (let page = 1; page <= MAX_PAGES; page++) {
    const variables = { owner, name, number, ...(before === undefined ? {} : { before }) };
    const body = { query: THREADS_QUERY, variables };
    const { data } = await json({ method: "POST", asks: true, path: "/graphql", body, signal }, threadsWire);
    const { nodes, pageInfo } = data.repository.pullRequest.reviewThreads;
    points = [...nodes.flatMap(readThread), ...points];
    before = (pageInfo?.hasPreviousPage && pageInfo.startCursor) || undefined;
    if (before === undefined) return { points, hasMore: false };
  }
  return { points, hasMore: true };
}

type Thread = z.output<
  typeof threadsWire
>["data"]["repository"]["pullRequest"]["reviewThreads"]["nodes"][number];

/** None where it is resolved. */
function readThread(thread: Thread): ReviewPoint[] {
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
}

/** By REST nobody is told what is resolved; a comment whose line is gone has no position any more. */
async function readComments(
  call: CallGithub,
  repository: RepositoryName,
  number: number,
  signal: AbortSignal | undefined,
): Promise<Found> {
  const path = `${pathOf(repository)}/pulls/${number}/comments`;
  const query = { sort: "created", direction: "asc" };
  const { all, hasMore } = await readAll(call, { path, query, signal }, reviewCommentWire);
  const threads = new Map<number, ReviewPoint>();
  for (const one of all) {
    const thread = threads.get(one.in_reply_to_id ?? one.id);
    if (thread) thread.comments.push(toWritten(one));
    else if (typeof one.position === "number") threads.set(one.id, toPoint(one, [toWritten(one)]));
  }
  return { points: [...threads.values()], hasMore };
}

async function readAll<T extends z.ZodType>(
  { json }: CallGithub,
  { path, query = {}, signal }: Pick<GithubCall, "path" | "query" | "signal">,
  schema: T,
): Promise<{ all: z.output<T>[]; hasMore: boolean }> {
  const all: z.output<T>[] = [];
  for (let page = 1; page <= MAX_PAGES; page++) {
    const found = await json(
      { method: "GET", path, query: { ...query, per_page: PER_PAGE, page }, signal },
      z.array(schema),
    );
    all.push(...found);
    if (found.length < PER_PAGE) return { all, hasMore: false };
  }
  return { all, hasMore: true };
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
