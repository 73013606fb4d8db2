import * as z from "zod";

/**
 * What is read of GitHub's answers, generously: what an answer is of no use without is required, anything else that is
 * missing or of another kind counts as not told.
 */
const told = <T extends z.ZodType>(schema: T) => schema.nullish().catch(undefined);
const text = told(z.string());
const person = told(z.looseObject({ login: text }));
/** What somebody has written, and who. */
const written = { user: person, body: text, author_association: text };

export const userWire = z.looseObject({ login: z.string() });

export const repositoryWire = z.looseObject({
  full_name: z.string(),
  default_branch: text,
  private: told(z.boolean()),
  archived: told(z.boolean()),
  clone_url: text,
  ssh_url: text,
});

export const issueWire = z.looseObject({
  number: z.number(),
  title: z.string(),
  ...written,
  created_at: text,
  state: text,
  html_url: text,
  comments: told(z.number()),
});

export const commentWire = z.looseObject({ id: z.number(), ...written, created_at: text });

export const pullWire = z.looseObject({
  number: z.number(),
  html_url: text,
  title: text,
  state: text,
  draft: told(z.boolean()),
  merged_at: text,
  head: z.looseObject({ ref: z.string(), sha: z.string() }),
  base: z.looseObject({ ref: z.string() }),
});

export const reviewWire = z.looseObject({ ...written, state: text, submitted_at: text });

export const reviewCommentWire = z.looseObject({
  id: z.number(),
  ...written,
  created_at: text,
  path: text,
  line: told(z.number()),
  position: told(z.number()),
  in_reply_to_id: told(z.number()),
});

export const checkRunsWire = z.looseObject({
  total_count: told(z.number()),
  check_runs: z.array(
    z.looseObject({
      id: z.number(),
      name: z.string(),
      status: text,
      conclusion: text,
      html_url: text,
      details_url: text,
      app: told(z.looseObject({ slug: text })),
      output: told(z.looseObject({ title: text, summary: text })),
    }),
  ),
});

export const workflowRunsWire = z.looseObject({
  workflow_runs: z.array(z.looseObject({ id: z.number(), name: text, status: text, conclusion: text })),
});

export const jobsWire = z.looseObject({
  jobs: z.array(
    z.looseObject({ id: z.number(), name: z.string(), status: text, conclusion: text, html_url: text }),
  ),
});

export const statusesWire = z.looseObject({
  state: text,
  statuses: z.array(z.looseObject({ state: text, context: text, description: text, target_url: text })),
});

/**
 * Threads of a review with whether they are resolved, which only GraphQL tells: the newest ones, or those before a page
 * that was read. More of them at once may be larger than an answer may be.
 */
export const THREADS_QUERY = `query ($owner: String!, $name: String!, $number: Int!, $before: String) {
  repository(owner: $owner, name: $name) {
    pullRequest(number: $number) {
      reviewThreads(last: 50, before: $before) {
        pageInfo { hasPreviousPage startCursor }
        nodes {
          isResolved
          path
          line
          comments(first: 20) { nodes { body createdAt authorAssociation author { login } } }
        }
      }
    }
  }
}`;

export const threadsWire = z.looseObject({
  data: z.looseObject({
    repository: z.looseObject({
      pullRequest: z.looseObject({
        reviewThreads: z.looseObject({
          pageInfo: told(z.looseObject({ hasPreviousPage: told(z.boolean()), startCursor: text })),
          nodes: z.array(
            told(
              z.looseObject({
                isResolved: z.boolean(),
                path: text,
                line: told(z.number()),
                comments: z.looseObject({
                  nodes: z.array(
                    told(
                      z.looseObject({ body: text, createdAt: text, authorAssociation: text, author: person }),
                    ),
                  ),
                }),
              }),
            ),
          ),
        }),
      }),
    }),
  }),
});
