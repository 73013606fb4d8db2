import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { Schemas } from "./github-examples.js";
import { example, SimulatedRepository } from "./github-world.js";

/** What goes wrong once, with the next request that it fits. */
export interface GithubFault {
  method?: string;
  path: RegExp;
  /**
   * `lost`: it is done, and the connection ends without an answer; `dropped`: it is not done either; `late`: it is done
   * right before the next request of the same kind; a number: that status, and nothing is done.
   */
  how: "lost" | "dropped" | "late" | number;
  headers?: Record<string, string>;
  body?: unknown;
}

/** GitHub's API on a real socket, as far as it is used here. */
export interface SimulatedGithub {
  /** The address of the API. */
  url: string;
  /** "POST /repos/acme/shop/pulls", in their order. */
  requests: string[];
  /** Called with each request that is about to be answered. */
  onRequest?: (request: string) => void;
  addRepository(
    fullName: string,
    options?: { bare?: string; defaultBranch?: string; isPrivate?: boolean; archived?: boolean },
  ): SimulatedRepository;
  fail(fault: GithubFault): void;
  /** Fine-grained tokens cannot read check runs. */
  isFineGrained: boolean;
  /** As for a token that GraphQL does not take. */
  hasGraphql: boolean;
  close(): Promise<void>;
}

interface Answer {
  status: number;
  body?: unknown;
  headers?: Record<string, string>;
  text?: string;
}

const ok = (body: unknown): Answer => ({ status: 200, body });
const created = (body: unknown): Answer => ({ status: 201, body });
const NOT_FOUND: Answer = {
  status: 404,
  body: { message: "Not Found", documentation_url: "https://docs.github.com/rest", status: "404" },
};
const FORBIDDEN: Answer = {
  status: 403,
  body: {
    message: "Resource not accessible by personal access token",
    documentation_url: "https://docs.github.com/rest",
    status: "403",
  },
};

function invalid(...errors: { resource: string; code: string; field?: string; message?: string }[]): Answer {
  return {
    status: 422,
    body: { message: "Validation Failed", errors, documentation_url: "https://docs.github.com/rest" },
  };
}

/** @param options.login the owner of the token */
export async function serveSimulatedGithub(
  options: { token?: string; login?: string } = {},
): Promise<SimulatedGithub> {
  const { token = "github-test-token", login = "tess" } = options;
  const repositories = new Map<string, SimulatedRepository>();
  const faults: GithubFault[] = [];
  /** What is done before the next request of its kind. */
  const held = new Map<string, () => unknown>();
  let url = "";
  const github: SimulatedGithub = {
    get url() {
      return url;
    },
    requests: [],
    isFineGrained: false,
    hasGraphql: true,
    addRepository(fullName, given = {}) {
      const [owner = "", name = ""] = fullName.split("/");
      const made = new SimulatedRepository(owner, name, {
        ...given,
        url: () => url,
        webHost: () => new URL(url).host,
      });
      repositories.set(fullName.toLowerCase(), made);
      return made;
    },
    fail: (fault) => void faults.push(fault),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };

  const server: Server = createServer((request, response) => {
    void handle(request, response).catch((error: Error) => {
      response.writeHead(500).end(error.message);
    });
  });

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const text = Buffer.concat(chunks).toString("utf8");
    const { method = "GET" } = request;
    const address = new URL(request.url ?? "/", url);
    const named = `${method} ${address.pathname}`;
    github.requests.push(named);
    github.onRequest?.(named);
    const act = () => route(method, address, request.headers, text ? JSON.parse(text) : undefined);
    await held.get(named)?.();
    held.delete(named);
    const fault = takeFault(method, address.pathname);
    if (fault?.how === "late") held.set(named, act);
    if (fault?.how === "late" || fault?.how === "dropped") return void response.destroy();
    if (typeof fault?.how === "number")
      return write(response, {
        status: fault.how,
        body: fault.body ?? { message: "Fault" },
        headers: fault.headers ?? {},
      });
    const answer = await act();
    if (fault?.how === "lost") return void response.destroy();
    write(response, answer);
  }

  function takeFault(method: string, path: string): GithubFault | undefined {
    const index = faults.findIndex((one) => (one.method ?? method) === method && one.path.test(path));
    return index < 0 ? undefined : faults.splice(index, 1)[0];
  }

  function write(response: ServerResponse, { status, body, headers = {}, text }: Answer): void {
    response.writeHead(status, { "content-type": "application/json; charset=utf-8", ...headers });
    response.end(text ?? (body === undefined ? "" : JSON.stringify(body)));
  }

  async function route(
    method: string,
    address: URL,
    headers: IncomingMessage["headers"],
    body: Record<string, unknown> | undefined,
  ): Promise<Answer> {
    const path = address.pathname;
    // Storage elsewhere does not get the token.
    const stored = /^\/stored-logs\/([^/]+\/[^/]+)\/(\d+)$/.exec(path);
    if (stored) {
      if (headers.authorization !== undefined)
        return { status: 400, text: "a token was sent to the storage" };
      const log = repositories.get((stored[1] ?? "").toLowerCase())?.log(Number(stored[2]));
      return log === undefined
        ? NOT_FOUND
        : { status: 200, text: log, headers: { "content-type": "text/plain" } };
    }
    if (headers.authorization !== `Bearer ${token}`)
      return {
        status: 401,
        body: {
          message: "Bad credentials",
          documentation_url: "https://docs.github.com/rest",
          status: "401",
        },
      };
    if (headers["x-github-api-version"] !== "2022-11-28")
      return { status: 400, body: { message: "Version" } };
    if (path === "/user") return ok({ ...example<Schemas["private-user"]>("get", "/user"), login });
    if (path === "/user/repos") {
      const [base] = example<Schemas["repository"][]>("get", "/user/repos");
      return ok([...repositories.values()].map((one) => ({ ...base, ...one.repository() })));
    }
    if (path === "/graphql") return graphql(body as { query: string; variables: Record<string, unknown> });
    const [, owner, name, rest = ""] = /^\/repos\/([^/]+)\/([^/]+)(\/.*)?$/.exec(path) ?? [];
    const repository = repositories.get(`${owner}/${name}`.toLowerCase());
    if (!repository) return NOT_FOUND;
    return routeRepository(repository, method, rest, address.searchParams, body ?? {});
  }

  function graphql({ query, variables }: { query: string; variables: Record<string, unknown> }): Answer {
    const { owner, name, number } = variables;
    const repository = repositories.get(`${owner}/${name}`.toLowerCase());
    if (!github.hasGraphql || !query.includes("reviewThreads") || !repository?.pulls.has(Number(number)))
      return ok({
        data: { repository: null },
        errors: [{ type: "NOT_FOUND", message: "Could not resolve" }],
      });
    const last = Number(/reviewThreads\(last: (\d+)/.exec(query)?.[1]);
    const reviewThreads = repository.reviewThreads(Number(number), { last, before: variables.before });
    return ok({ data: { repository: { pullRequest: { reviewThreads } } } });
  }

  function routeRepository(
    repository: SimulatedRepository,
    method: string,
    rest: string,
    query: URLSearchParams,
    body: Record<string, unknown>,
  ): Answer {
    const parts = rest.split("/").filter(Boolean);
    const [first, second, third, fourth] = parts;
    const number = Number(second);
    const paged = <T>(all: T[]): T[] => {
      const size = Number(query.get("per_page") ?? 30);
      const page = Number(query.get("page") ?? 1);
      return all.slice((page - 1) * size, page * size);
    };
    const pagedChecks = ({ check_runs, ...rest }: ReturnType<SimulatedRepository["checkRuns"]>) =>
      ok({ ...rest, check_runs: paged(check_runs) });
    if (parts.length === 0) return ok(repository.repository());
    if (first === "issues" && second === "comments" && method === "PATCH") {
      const comment = repository.comments.get(Number(third));
      if (!comment) return NOT_FOUND;
      comment.body = String(body.body);
      return ok(repository.comment(comment.id));
    }
    if (first === "issues" && third === "comments") {
      if (!repository.issue(number)) return NOT_FOUND;
      if (method === "GET") return ok(paged(repository.commentsOf(number)));
      const id = repository.addComment(number, { author: login, body: String(body.body) });
      return created(repository.comment(id));
    }
    if (first === "issues") {
      const issue = repository.issue(number);
      return issue ? ok(issue) : NOT_FOUND;
    }
    if (first === "pulls" && parts.length === 1)
      return method === "POST" ? openPull(repository, body) : listPulls(repository, query);
    if (first === "pulls" && !repository.pulls.has(number)) return NOT_FOUND;
    if (first === "pulls" && third === "reviews") return ok(paged(repository.reviewsOf(number)));
    if (first === "pulls" && third === "comments") return ok(paged(repository.reviewComments(number)));
    if (first === "pulls") return ok(repository.pull(number));
    if (first === "commits" && third === "check-runs")
      return github.isFineGrained ? FORBIDDEN : pagedChecks(repository.checkRuns(second ?? ""));
    if (first === "commits" && third === "status") return ok(repository.status(second ?? ""));
    if (first === "actions" && second === "runs" && fourth === "jobs") return ok(repository.jobs());
    if (first === "actions" && second === "runs")
      return ok(repository.workflowRuns(query.get("head_sha") ?? ""));
    if (first === "actions" && second === "jobs" && fourth === "logs")
      return { status: 302, headers: { location: `${url}/stored-logs/${repository.fullName}/${third}` } };
    return NOT_FOUND;
  }

  function listPulls(repository: SimulatedRepository, query: URLSearchParams): Answer {
    const [owner, ...head] = (query.get("head") ?? "").split(":");
    const state = query.get("state") ?? "open";
    const found = [...repository.pulls.values()].filter(
      (one) =>
        (state === "all" || one.state === state) &&
        (owner === "" || (owner === repository.owner && one.head === head.join(":"))),
    );
    return ok(found.map((one) => repository.pullSimple(one.number)));
  }

  function openPull(repository: SimulatedRepository, body: Record<string, unknown>): Answer {
    const { title, head, base, draft } = body as {
      title: string;
      head: string;
      base: string;
      draft?: boolean;
    };
    const wrong = (field: string) => invalid({ resource: "PullRequest", code: "invalid", field });
    if (repository.headOf(head) === undefined) return wrong("head");
    if (repository.headOf(base) === undefined) return wrong("base");
    const custom = (message: string) => invalid({ resource: "PullRequest", code: "custom", message });
    if (!repository.isAhead(head, base)) return custom(`No commits between ${base} and ${head}`);
    const isThere = [...repository.pulls.values()].some(
      (one) => one.state === "open" && one.head === head && one.base === base,
    );
    if (isThere) return custom(`A pull request already exists for ${repository.owner}:${head}.`);
    if (draft && repository.refusesDrafts)
      return { status: 422, body: { message: "Draft pull requests are not supported in this repository." } };
    const number = repository.addPull({
      ...{ title, head, base, author: login },
      body: String(body.body ?? ""),
      draft: draft === true,
    });
    return created(repository.pull(number));
  }

  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return github;
}
