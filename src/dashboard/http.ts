import { type Context, Hono } from "hono";
import { getCookie, setCookie } from "hono/cookie";
import { type FiguresQuery, GROUPINGS } from "../history/group-figures.js";
import type { Clock } from "../shared/clock.js";
import type { Log } from "../shared/log.js";
import { readActionRequest, readFormReply } from "./action-request.js";
import { createDashboardAuth, LINK_MS, newSecret, SESSION_MS, type Visitor } from "./auth.js";
import { CallRefused, type Calls } from "./calls.js";
import { checkOrigin, checkPost } from "./origin.js";
import { readJsonBody } from "./read-body.js";
import { Refusal } from "./refusal.js";
import { createStaticFiles } from "./static-files.js";
import type { DashboardView } from "./view.js";
import type { CallView } from "./views/calls.js";

/** A view that is lent to sessions; given back when the last of them has ended. */
export interface LentView {
  view: DashboardView;
  /** Whom it is lent to, by the name of their token; missing where the server does not know. */
  person?: string | undefined;
  giveBack(): void;
}

/** What a server adds to a request. */
export interface DashboardEnv {
  /**
   * The request comes from somebody who has a session. @returns in how many seconds it would be served, where this caller
   * has sent more than its share
   */
  admit?: (caller: string) => number | undefined;
}

export interface DashboardHttp {
  /** A path with a code that opens the dashboard once. */
  invite(caller: string, lent: LentView): string;
  /** The same for a code that another process has made: only its digest is known here. */
  expect(digest: string, caller: string, lent: LentView): void;
  /** Serves a request below /dashboard. Host and Origin were checked as for all others. Never rejects. */
  handle(request: Request, env?: DashboardEnv): Promise<Response>;
  /** Whether somebody has the dashboard open, or a link that is still good. */
  isOpen(): boolean;
  close(): void;
}

/** Streams of one session, and of all: each keeps a connection. */
const MOST_STREAMS = 10;
const MOST_STREAMS_OF_ALL = 100;
const CSP =
  "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; font-src 'self'; " +
  "frame-ancestors 'none'; base-uri 'none'; form-action 'none'";
const HEADERS: Record<string, string> = {
  "content-security-policy": CSP,
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
  "x-frame-options": "DENY",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  "permissions-policy": "camera=(), microphone=(), geolocation=()",
};
const NEW_LINK = "Open a new link: `automagik-workflows-mcp dashboard` prints one.";

type Held = LentView & { streams: number; calls?: Calls };
type AppEnv = { Bindings: DashboardEnv; Variables: { visitor: Visitor<Held> } };

/** @param options.folder the files of the page */
export function createDashboardHttp(options: { folder: string; clock: Clock; log: Log }): DashboardHttp {
  const { clock, log } = options;
  const auth = createDashboardAuth<Held>({
    clock,
    isInUse: (held) => held.streams > 0,
    onEnd: (held) => held.giveBack(),
  });
  const file = createStaticFiles(options.folder);
  // Cookies know no ports: another server of ours on this machine must not take this one's away.
  const cookieName = `automagik_dashboard_${newSecret().slice(0, 8)}`;
  let streams = 0;
  const app = new Hono<AppEnv>().basePath("/dashboard");

  app.use(async ({ req }, next) => {
    checkOrigin(req.raw);
    await next();
  });

  app.get("/open", (context) => {
    // Whatever looks where a link leads must not use it up.
    if (context.req.method !== "GET") throw new Refusal(405, "Method not allowed", { allow: "GET" });
    const cookie = auth.open(context.req.query("code") ?? "");
    if (cookie === undefined) {
      // In the tab's history, or clicked again: who is here already stays.
      if (auth.find(getCookie(context, cookieName))) return context.redirect("/dashboard/", 303);
      const why = `This link was opened before, or is older than ${LINK_MS / 60_000} minutes. ${NEW_LINK}`;
      if (context.req.header("accept")?.includes("text/html")) return context.text(`${why}\n`, 401);
      throw new Refusal(401, why);
    }
    setCookie(context, cookieName, cookie, {
      path: "/dashboard",
      httpOnly: true,
      sameSite: "Strict",
      secure: context.req.header("x-forwarded-proto") === "https",
      maxAge: SESSION_MS / 1000,
    });
    return context.redirect("/dashboard/", 303);
  });

  app.use("/api/*", async (context, next) => {
    const visitor = auth.find(getCookie(context, cookieName));
    if (!visitor) throw new Refusal(401, `There is no session here (any more). ${NEW_LINK}`);
    const wait = context.env?.admit?.(visitor.caller);
    if (wait !== undefined)
      throw new Refusal(429, `Too many requests: try again in ${wait} s. Nothing was done.`, {
        "retry-after": `${wait}`,
      });
    if (context.req.method !== "GET" && context.req.method !== "HEAD") checkPost(context.req.raw);
    context.set("visitor", visitor);
    await next();
  });

  const view = ({ var: { visitor } }: Context<AppEnv>) => visitor.view.view;
  app.get("/api/session", (context) => context.json(view(context).describe(context.var.visitor.caller)));
  app.get("/api/board", async (context) => context.json(await view(context).board()));
  app.get("/api/plans/:id", async (context) =>
    context.json(await view(context).plan(context.req.param("id"))),
  );
  app.get("/api/runs/:id", async (context) =>
    context.json(await view(context).runDetail(context.req.param("id"), context.req.raw.signal)),
  );
  app.get("/api/runs/:id/diff", async (context) =>
    context.json(await view(context).diff(context.req.param("id"), context.req.raw.signal)),
  );
  app.get("/api/figures", async (context) => context.json(await view(context).figures(readQuery(context))));
  app.get("/api/figures/rows", async (context) => {
    const key = context.req.query("key") ?? "";
    return context.json(await view(context).figureRows({ ...readQuery(context), key }));
  });
  app.get("/api/deliveries", async (context) => context.json(await view(context).deliveries()));
  app.get("/api/events", (context) => {
    const { visitor } = context.var;
    if (visitor.view.streams >= MOST_STREAMS || streams >= MOST_STREAMS_OF_ALL)
      throw new Refusal(503, "Too many pages of the dashboard are open. Close some.", {
        "retry-after": "10",
      });
    const ended = new AbortController();
    const signal = AbortSignal.any([visitor.signal, ended.signal, context.req.raw.signal]);
    visitor.view.streams++;
    streams++;
    signal.addEventListener("abort", () => {
      visitor.view.streams--;
      streams--;
    });
    const { run, plan, after } = context.req.query();
    const from = context.req.header("last-event-id") || after;
    const body = view(context).stream({ after: from, run, plan, signal });
    return new Response(
      onCancel(body, () => ended.abort()),
      {
        headers: {
          "content-type": "text/event-stream",
          "x-accel-buffering": "no",
          // Without it the server waits whether the body is a short one.
          "transfer-encoding": "chunked",
        },
      },
    );
  });

  const callsOf = ({ view: held, signal }: Visitor<Held>) => {
    held.calls ??= held.view.openCalls(signal, held.person);
    return held.calls;
  };
  app.post("/api/actions", async (context) => {
    const read = readActionRequest(await readJsonBody(context.req.raw));
    if (typeof read === "string") throw new Refusal(400, read);
    return context.json<CallView>(await callsOf(context.var.visitor).begin(read));
  });
  app.get("/api/actions/:id", async (context) => {
    const found = await callsOf(context.var.visitor).look(context.req.param("id"));
    if (!found) throw new Refusal(404, "There is no such action of this session.");
    return context.json<CallView>(found);
  });
  app.post("/api/actions/:id/form", async (context) => {
    const reply = readFormReply(await readJsonBody(context.req.raw));
    if (!reply) throw new Refusal(400, "What was put into the form cannot be read. Nothing was done.");
    const found = await callsOf(context.var.visitor).reply(context.req.param("id"), reply);
    if (!found) throw new Refusal(404, "There is no such action of this session. Nothing was done.");
    return context.json<CallView>(found);
  });
  app.post("/api/logout", (context) => {
    auth.leave(getCookie(context, cookieName));
    return context.body(null, 204);
  });
  app.all("/api/*", () => {
    throw new Refusal(404, "Not found");
  });

  app.get("/*", async (context) => {
    const path = new URL(context.req.url).pathname;
    // Whatever the page refers to is found from there.
    if (path === "/dashboard") return context.redirect("/dashboard/", 308);
    const found = await file(path.slice("/dashboard/".length) || "index.html");
    if (!found) throw new Refusal(404, "Not found");
    const headers = { "content-type": found.type, etag: found.etag, "cache-control": "no-cache" };
    if (context.req.header("if-none-match") === found.etag)
      return new Response(null, { status: 304, headers });
    return new Response(found.body, { headers });
  });
  app.notFound(() => refuse(new Refusal(404, "Not found")));
  app.onError((error) => refuse(toRefusal(error, log)));

  return {
    invite(caller, lent) {
      lent.view.prepare();
      return `/dashboard/open?code=${auth.invite(caller, { ...lent, streams: 0 })}`;
    },
    expect(digest, caller, lent) {
      lent.view.prepare();
      auth.expect(digest, caller, { ...lent, streams: 0 });
    },
    async handle(request, env = {}) {
      const answer = await app.fetch(request, env);
      for (const [name, value] of Object.entries(HEADERS)) answer.headers.set(name, value);
      if (!answer.headers.has("cache-control")) answer.headers.set("cache-control", "no-store");
      return answer;
    },
    isOpen: auth.isExpected,
    close: auth.close,
  };
}

function readQuery({ req }: Context): FiguresQuery {
  const by = GROUPINGS.find((one) => one === (req.query("by") ?? "workflow"));
  const since = Number(req.query("since") ?? 0);
  if (!by || !Number.isFinite(since))
    throw new Refusal(400, `by is one of ${GROUPINGS.join(", ")}; since is epoch ms.`);
  return { by, since };
}

/** The same stream, with word of its reader's going. */
function onCancel(body: ReadableStream<Uint8Array>, onEnd: () => void): ReadableStream<Uint8Array> {
  const reader = body.getReader();
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const { done, value } = await reader.read();
        if (!done) return controller.enqueue(value);
        onEnd();
        controller.close();
      },
      async cancel() {
        onEnd();
        await reader.cancel();
      },
    },
    { highWaterMark: 0 },
  );
}

function toRefusal(error: Error, log: Log): Refusal {
  if (error instanceof Refusal) return error;
  const { name, message } = error;
  if (name === "NotThere") return new Refusal(404, message);
  if (error instanceof CallRefused) return new Refusal(409, message);
  if (["ApiError", "StoreError", "PlansUnavailable"].includes(name)) return new Refusal(503, message);
  log.error("A request of the dashboard failed:", error);
  return new Refusal(500, "Internal error in this server.");
}

function refuse({ status, message, headers }: Refusal): Response {
  return Response.json({ error: message }, { status, headers });
}
