import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { createSimulatedApi, type SimulatedApi } from "../../mocks/http.js";
import type { Profile, Script } from "../../mocks/world.js";
import { misbehave, type Reply, reset } from "./carry-out.js";
import { serveEvents } from "./event-stream.js";
import { drawFault, type Endpoint, type FaultKind } from "./fault-kinds.js";
import { createRandom, mix } from "./random.js";
import type { SteadyTime } from "./steady-time.js";

const BASE = "/api/v1/workflows/claude-code";

/** A POST as it came in over the wire, acted on or not. */
export interface ArrivedPost {
  endpoint: Endpoint;
  path: string;
  body: string;
  /** The key under which a start is one run, as it was sent. */
  startKey: string | undefined;
  /** By the steady time. */
  at: number;
  fault: FaultKind | undefined;
  /** The run that it has really started. */
  runId?: string;
  /** When the whole of an unspoiled answer had left, by the steady time. */
  answeredAt?: number;
  /** The process got on so badly meanwhile that the answer may have come too late for the client. */
  stoodStill?: boolean;
}

export interface FaultyApiOptions {
  seed: number;
  key: string;
  /** How many of 1 requests go wrong. */
  rate: number;
  profile: Profile;
  clock: { now(): number };
  /** How long the client waits for an answer, in real ms: what is slow goes by it. */
  patienceMs: number;
  /** Sessions have branches. */
  branches?: boolean;
  /** Starts under one key are one run. */
  keepsKeys?: boolean;
  /** Offers a stream of events, and agents that ask. */
  pushes: boolean;
  /** An address of its own, so that nobody else can take the port while nobody listens. */
  host: string;
  time: SteadyTime;
}

/** The simulated API behind a real socket, with faults; it knows what has really happened. */
export interface FaultyApi {
  readonly url: string;
  readonly api: SimulatedApi;
  /** Every POST that has arrived, in order. */
  readonly posts: readonly ArrivedPost[];
  /** How often each fault has struck. */
  readonly struck: ReadonlyMap<FaultKind | "none" | "refused" | "restart", number>;
  /** Most bytes of one answer that a client has taken, by endpoint. */
  readonly taken: ReadonlyMap<Endpoint, number>;
  /** Requests that came where a redirect pointed. */
  redirected(): number;
  /** From now on so many of 1 requests go wrong. */
  setRate(rate: number): void;
  /** Nobody listens any more; connections are reset. */
  goDown(): Promise<void>;
  comeBack(): Promise<void>;
  /** The API's process is another one: queues are forgotten, connections are gone. */
  restart(): void;
  /** Requests that are being answered. */
  busy(): string[];
  /** Connections that a client holds open, by the newest request of each. */
  connections(): string[];
  close(): Promise<void>;
}

/** @throws when the address cannot be had */
export async function serveFaultyApi(options: FaultyApiOptions): Promise<FaultyApi> {
  const { seed, key, clock, host, pushes } = options;
  const api = createSimulatedApi({
    profile: options.profile,
    apiKey: key,
    clock,
    describe: true,
    ...(options.branches ? { branches: true } : {}),
    ...(options.keepsKeys ? { keyPrefix: "faults." } : {}),
    script: ({ ordinal, body }) => drawScript(seed, ordinal, body.message),
  });
  const posts: ArrivedPost[] = [];
  const struck = new Map<FaultKind | "none" | "refused" | "restart", number>();
  const taken = new Map<Endpoint, number>();
  const counts = new Map<Endpoint, number>();
  const answered = new Set<string>();
  const open = new Map<ServerResponse, string>();
  const sockets = new Map<Socket, string>();
  let rate = options.rate;
  let redirected = 0;
  let address: AddressInfo | undefined;
  let server: Server;
  let isUp = false;
  /** Going down and coming back take their time, and their turns. */
  let turn: Promise<void> = Promise.resolve();

  const count = <Key>(map: Map<Key, number>, name: Key) => map.set(name, (map.get(name) ?? 0) + 1);

  async function act(method: string, path: string, body: string, startKey?: string): Promise<Reply> {
    const question = /^\/run\/([^/]+)\/questions\/([^/]+)\/answer$/.exec(path.slice(BASE.length));
    if (pushes && method === "POST" && question) {
      answered.add(`${question[1]}`);
      return { status: 200, body: { success: true } };
    }
    const request = new Request(`http://${host}${path}`, {
      method,
      headers: {
        "x-api-key": key,
        "content-type": "application/json",
        ...(startKey === undefined ? {} : { "idempotency-key": startKey }),
      },
      ...(body && method === "POST" ? { body } : {}),
    });
    const response = await api.handle(request);
    const told = (await response.json()) as Record<string, unknown>;
    if (pushes && path.endsWith("/openapi.json")) {
      const paths = told.paths as object;
      return { status: 200, body: { paths: { ...paths, [`${BASE}/events`]: {}, "/x/answer": {} } } };
    }
    const asks = pushes && path.includes("/status") && told.status === "running" && drawAsks(seed, told);
    if (asks && !answered.has(String(told.run_id)))
      return { status: 200, body: { ...told, questions: [asks] } };
    return { status: response.status, body: told };
  }

  async function respond(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const method = request.method ?? "GET";
    const url = new URL(request.url ?? "/", `http://${host}`);
    const endpoint = classify(method, url.pathname);
    open.set(response, `${method} ${url.pathname}`);
    if (sockets.has(request.socket)) sockets.set(request.socket, `${method} ${url.pathname}`);
    const before = request.socket.bytesWritten;
    response.once("close", () => {
      open.delete(response);
      taken.set(endpoint, Math.max(taken.get(endpoint) ?? 0, request.socket.bytesWritten - before));
    });
    let body = "";
    for await (const chunk of request) body += chunk;
    if (url.pathname === "/elsewhere") redirected++;
    const nth = counts.get(endpoint) ?? 0;
    counts.set(endpoint, nth + 1);
    // What it can do is known, or no plan would begin.
    const isSound = options.branches === true && endpoint === "description" && nth === 0;
    const { kind, random } = drawFault(seed, endpoint, nth, isSound ? 0 : rate);
    count(struck, kind ?? "none");
    const lostBefore = options.time.lost();
    const sentKey = request.headers["idempotency-key"];
    const startKey = typeof sentKey === "string" ? sentKey : undefined;
    const post: ArrivedPost = {
      ...{ endpoint, path: url.pathname, body, startKey },
      ...{ at: options.time.now(), fault: kind },
    };
    if (method === "POST") posts.push(post);
    if (endpoint === "events" && pushes) {
      const read = (runId: string) => act("GET", `${BASE}/run/${runId}/status?debug=true`, "");
      return serveEvents(response, { kind, random, world: api.world, read });
    }
    response.once("finish", () => {
      if (kind !== undefined) return;
      post.answeredAt = options.time.now();
      setTimeout(() => {
        post.stoodStill = options.time.lost() - lostBefore > options.patienceMs / 2;
      }, options.patienceMs).unref();
    });
    await misbehave(response, {
      kind,
      random,
      key,
      patienceMs: options.patienceMs,
      date: new Date(clock.now()).toUTCString(),
      isPost: method === "POST",
      async act() {
        const known = new Set(endpoint === "start" ? api.world.runs().map((run) => run.runId) : []);
        const reply = await act(method, url.pathname + url.search, body, startKey);
        const made = endpoint === "start" ? api.world.runs().find((run) => !known.has(run.runId)) : undefined;
        if (made) post.runId = made.runId;
        return reply;
      },
    });
  }

  async function listen(): Promise<void> {
    if (isUp) return;
    isUp = true;
    server = createServer((request, response) => {
      respond(request, response).catch(() => request.socket.destroy());
    });
    // A server that never hangs up shows whether the client does.
    server.keepAliveTimeout = 0;
    server.on("connection", (socket) => {
      sockets.set(socket, "nothing asked");
      socket.on("error", () => {});
      socket.once("close", () => sockets.delete(socket));
    });
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject).listen(address?.port ?? 0, host, resolve);
    });
    address = server.address() as AddressInfo;
  }

  function dropAll(): void {
    for (const socket of sockets.keys()) reset(socket);
  }

  async function goDown(): Promise<void> {
    if (!isUp) return;
    isUp = false;
    const closed = new Promise((resolve) => server.close(resolve));
    dropAll();
    await closed;
  }

  function inTurn(change: () => Promise<void>): Promise<void> {
    turn = turn.then(change);
    return turn;
  }

  await listen();
  return {
    url: `http://${host}:${address?.port}`,
    api,
    posts,
    struck,
    taken,
    redirected: () => redirected,
    setRate: (next) => {
      rate = next;
    },
    async goDown() {
      count(struck, "refused");
      await inTurn(goDown);
    },
    comeBack: () => inTurn(listen),
    restart() {
      count(struck, "restart");
      dropAll();
      api.world.restart();
    },
    busy: () => [...open.values()],
    connections: () => [...sockets.values()],
    close: () => inTurn(goDown),
  };
}

function classify(method: string, path: string): Endpoint {
  if (path.endsWith("/openapi.json")) return "description";
  const below = path.startsWith(BASE) ? path.slice(BASE.length) : "";
  if (method === "POST" && /^\/run\/[^/]+$/.test(below)) return "start";
  if (below === "/runs" || below === "/events") return below.slice(1) as Endpoint;
  if (["/manage", "/workflows", "/health"].includes(below)) return "workflows";
  if (below.endsWith("/status")) return "status";
  if (below.endsWith("/add-message")) return "feedback";
  if (below.endsWith("/message-queue")) return "queue";
  if (below.endsWith("/kill")) return "kill";
  if (below.endsWith("/take")) return "take";
  if (below.endsWith("/cleanup")) return "cleanup";
  return below.endsWith("/answer") ? "answer" : "other";
}

/** How the n-th run of a sequence goes; some never end. */
function drawScript(seed: number, ordinal: number, message: string): Script {
  const random = createRandom(mix(seed, "script", ordinal));
  const turns = random.between(1, 5);
  return {
    actions: Array.from({ length: turns }, (_, index) => `Step ${index + 1} of the work`),
    ...(random.chance(0.2) ? { manual: true } : { paceMs: random.between(500, 4_000) }),
    ...(random.chance(0.2) ? { outcome: "failed", error: "The tests do not pass" } : {}),
    result: `All ${turns} steps are done.\n\nSee the branch.`,
    ...(message.includes('"verdict"') && random.chance(0.8)
      ? { output: { verdict: random.pick(["approve", "changes"]) } }
      : {}),
    ...(random.chance(0.2) ? { take: { conflicts: ["a.ts"] } } : {}),
  };
}

/** What the agent of a run asks, if it asks anything. */
function drawAsks(seed: number, { run_id, current_turn }: Record<string, unknown>): object | undefined {
  const random = createRandom(mix(seed, "asks", String(current_turn)));
  if (!random.chance(0.2)) return undefined;
  return {
    question_id: `q-${String(run_id).slice(0, 8)}`,
    kind: random.pick(["permission", "question"]),
    text: "AGENT-ASKS whether it may publish",
    tool_name: "Bash",
    choices: [
      { value: "allow", title: "Allow it" },
      { value: "deny", title: "No" },
    ],
  };
}
