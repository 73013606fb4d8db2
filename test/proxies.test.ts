import { createServer, type IncomingMessage, request, type ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import { type AddressInfo, connect, type Socket } from "node:net";
import { join } from "node:path";
import { beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { serveSimulatedApi } from "../mocks/serve.js";
import { createApiClient } from "../src/api/client.js";
import type { ApiError } from "../src/api/errors.js";
import { systemClock } from "../src/shared/clock.js";
import { createFindProxy } from "../src/shared/http/proxy.js";
import { runBin, startBin } from "./support/bin.js";
import { makeCertificate } from "./support/certificate.js";
import { COMPLETE } from "./support/harness.js";

const KEY = "test-key";
const START = { workflowName: "architect", message: "Design it", inputFormat: "stream-json" } as const;

/** A proxy as they are: plain requests come whole, others ask for a tunnel. Keeps what it was asked. */
async function startProxy(refuses?: number) {
  const seen: { how: string; authorization: string | undefined }[] = [];
  const sockets = new Set<Socket>();
  const note = (how: string, { headers }: IncomingMessage) =>
    seen.push({ how, authorization: headers["proxy-authorization"] });
  const proxy = createServer((incoming: IncomingMessage, response: ServerResponse) => {
    note(`${incoming.method} ${incoming.url}`, incoming);
    if (refuses) {
      response.writeHead(refuses, { "content-type": "text/html" }).end("<h1>No</h1>");
      return;
    }
    const { "proxy-authorization": _, ...headers } = incoming.headers;
    const onward = request(new URL(incoming.url ?? ""), { method: incoming.method, headers }, (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(response);
    });
    onward.on("error", () => response.writeHead(502).end());
    incoming.pipe(onward);
  });
  proxy.on("connect", (incoming: IncomingMessage, socket: Socket) => {
    note(`CONNECT ${incoming.url}`, incoming);
    if (refuses) {
      socket.end(`HTTP/1.1 ${refuses} No\r\n\r\n`);
      return;
    }
    const { hostname, port } = new URL(`http://${incoming.url}`);
    const server = connect(Number(port), hostname, () => {
      socket.write("HTTP/1.1 200 Connection established\r\n\r\n");
      server.pipe(socket).pipe(server);
    });
    for (const one of [server, socket]) {
      sockets.add(one);
      one.on("error", () => {});
    }
  });
  await new Promise<void>((resolve) => proxy.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    proxy.closeAllConnections();
    proxy.close();
  });
  return { seen, port: (proxy.address() as AddressInfo).port };
}

async function serveApi(): Promise<string> {
  const served = await serveSimulatedApi({ apiKey: KEY, paceMs: 5 });
  onTestFinished(() => served.close());
  return served.url;
}

let certificate: ReturnType<typeof makeCertificate>;
beforeAll(() => {
  certificate = makeCertificate();
  return () => certificate.remove();
});

/** TLS before a server; with `listener` it answers by itself. */
async function serveTls(target: string): Promise<string> {
  const server = createTlsServer(certificate, (incoming, response) => {
    const { method, headers, url } = incoming;
    const onward = request(new URL(url ?? "", target), { method, headers }, (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(response);
    });
    incoming.pipe(onward);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return `https://localhost:${(server.address() as AddressInfo).port}`;
}

const clientOf = (baseUrl: string, env: Record<string, string> = {}) =>
  createApiClient({
    baseUrl,
    apiKey: KEY,
    env,
    requestTimeoutMs: 10_000,
    maxRetries: 0,
    clock: systemClock,
    random: () => 0,
  });

async function failureOf(work: Promise<unknown>): Promise<ApiError> {
  return work.then(
    () => expect.fail("it went well"),
    (error) => error,
  );
}

describe("a proxy that the environment names", () => {
  it("is handed plain requests whole, reads and starts, with the user and password of its address", async () => {
    const url = await serveApi();
    const { seen, port } = await startProxy();
    const api = clientOf(url, { HTTP_PROXY: `http://me:s%40cret@127.0.0.1:${port}` });
    expect((await api.listWorkflows()).length).toBeGreaterThan(0);
    expect((await api.startRun(START)).status).toBe("pending");
    const authorization = `Basic ${Buffer.from("me:s@cret").toString("base64")}`;
    expect(seen).toEqual([
      { how: `GET ${url}/api/v1/workflows/claude-code/manage`, authorization },
      { how: `POST ${url}/api/v1/workflows/claude-code/run/architect`, authorization },
    ]);
  });

  it("is asked for a tunnel to an address with https", async () => {
    const url = await serveTls(await serveApi());
    const { seen, port } = await startProxy();
    const bin = await startBin({
      url,
      env: {
        HTTPS_PROXY: `http://me:secret@127.0.0.1:${port}`,
        NODE_EXTRA_CA_CERTS: join(certificate.folder, "cert.pem"),
      },
    });
    const answer = await bin.call({ ...COMPLETE });
    expect(answer.data.outcome).toBe("completed");
    expect(seen[0]).toEqual({
      how: `CONNECT localhost:${new URL(url).port}`,
      authorization: `Basic ${Buffer.from("me:secret").toString("base64")}`,
    });
  });

  it("is left out for the hosts of NO_PROXY, and for an engine of this machine", async () => {
    const url = await serveApi();
    const { seen, port } = await startProxy();
    const proxy = `http://127.0.0.1:${port}`;
    await clientOf(url, { http_proxy: proxy, NO_PROXY: "other.example, 127.0.0.1" }).listWorkflows();
    const local = createApiClient({
      baseUrl: "http://127.0.0.1:1",
      apiKey: undefined,
      env: { http_proxy: proxy },
      locate: async () => ({ baseUrl: url, apiKey: KEY }),
      requestTimeoutMs: 10_000,
      maxRetries: 0,
      clock: systemClock,
      random: () => 0,
    });
    await local.listWorkflows();
    expect(seen).toEqual([]);
  });

  it.each([
    ["HTTP_PROXY", { HTTP_PROXY: "http://p:1" }, "http://api.example", "http://p:1"],
    [
      "small letters first",
      { http_proxy: "http://a:1", HTTP_PROXY: "http://b:2" },
      "http://api.example",
      "http://a:1",
    ],
    ["HTTPS_PROXY", { HTTPS_PROXY: "http://p:1" }, "https://api.example", "http://p:1"],
    [
      "that of http for https without its own",
      { HTTP_PROXY: "http://p:1" },
      "https://api.example",
      "http://p:1",
    ],
    ["none of https for http", { HTTPS_PROXY: "http://p:1" }, "http://api.example", undefined],
    [
      "an address without its scheme",
      { HTTP_PROXY: "p.example:3128" },
      "http://api.example",
      "http://p.example:3128",
    ],
    ["an empty one is none", { http_proxy: "", HTTP_PROXY: "http://p:1" }, "http://api.example", undefined],
    ["all hosts", { HTTP_PROXY: "http://p:1", NO_PROXY: "*" }, "http://api.example", undefined],
    ["a host", { HTTP_PROXY: "http://p:1", NO_PROXY: "API.example" }, "http://api.example", undefined],
    ["another host", { HTTP_PROXY: "http://p:1", NO_PROXY: "example" }, "http://api.example", "http://p:1"],
    [
      "hosts below one",
      { HTTP_PROXY: "http://p:1", NO_PROXY: "a, .example" },
      "http://api.example",
      undefined,
    ],
    ["hosts by a star", { HTTP_PROXY: "http://p:1", no_proxy: "*.example" }, "http://api.example", undefined],
    [
      "a host and port",
      { HTTP_PROXY: "http://p:1", NO_PROXY: "api.example:8080" },
      "http://api.example:8080",
      undefined,
    ],
    [
      "another port",
      { HTTP_PROXY: "http://p:1", NO_PROXY: "api.example:8080" },
      "http://api.example",
      "http://p:1",
    ],
    [
      "a usual port",
      { HTTPS_PROXY: "http://p:1", NO_PROXY: "api.example:443" },
      "https://api.example",
      undefined,
    ],
    ["IPv6", { HTTP_PROXY: "http://p:1", NO_PROXY: "::1" }, "http://[::1]:28881", undefined],
    [
      "IPv6 in brackets",
      { HTTP_PROXY: "http://p:1", NO_PROXY: "[::1]:28881" },
      "http://[::1]:28881",
      undefined,
    ],
  ])("is chosen as fetch does: %s", (_what, env, address, proxy) => {
    expect(createFindProxy(env)(new URL(address))?.origin).toBe(proxy);
  });

  it("that is not there or refuses is named in the error, never with its password; nothing was started", async () => {
    const { port } = await startProxy();
    const refusing = await startProxy(407);
    const forbidding = await startProxy(403);
    const url = "http://api.invalid";
    const cases: [string, string, RegExp][] = [
      ["http://api.invalid", "127.0.0.1:9", /cannot be reached|ECONNREFUSED/],
      ["https://api.invalid", "127.0.0.1:9", /through the proxy http:\/\/127\.0\.0\.1:9/],
      ["http://api.invalid", `127.0.0.1:${refusing.port}`, /wants a user and password \(HTTP 407\)/],
      [
        "https://api.invalid",
        `127.0.0.1:${refusing.port}`,
        /answered HTTP 407: it wants a user and password/,
      ],
      [
        "https://api.invalid",
        `127.0.0.1:${forbidding.port}`,
        /answered HTTP 403: it does not let it through/,
      ],
    ];
    for (const [baseUrl, host, words] of cases) {
      const proxy = `http://me:hidden-word@${host}`;
      const error = await failureOf(clientOf(baseUrl, { HTTP_PROXY: proxy }).startRun(START));
      expect(error.message).toMatch(words);
      expect(error.message).toContain(`http://${host}`);
      expect(error.message).toContain("Not started; nothing was charged.");
      expect(error.message).not.toMatch(/hidden-word|me:/);
      expect(error.mayHaveActed).toBe(false);
    }
    const lost = await failureOf(clientOf(url, { HTTP_PROXY: `http://127.0.0.1:${port}` }).startRun(START));
    expect(lost.message).toContain(`It may be the proxy http://127.0.0.1:${port} that says so.`);
    const odd = await failureOf(clientOf(url, { HTTP_PROXY: "socks5://me:hidden-word@h:1" }).startRun(START));
    expect(odd.message).toContain("The proxy that HTTP_PROXY or HTTPS_PROXY names cannot be used");
    expect(odd.message).not.toContain("hidden-word");
  });

  it("is named by doctor, whether it works or not", async () => {
    const url = await serveApi();
    const { port } = await startProxy();
    const doctor = async (proxy: string) => {
      const env = { HTTP_PROXY: proxy, AUTOMAGIK_WORKFLOWS_BASE_URL: url, AUTOMAGIK_WORKFLOWS_API_KEY: KEY };
      return (await runBin(["doctor"], env)).stdout;
    };
    expect(await doctor(`http://me:hidden-word@127.0.0.1:${port}`)).toMatch(
      new RegExp(`^ok +address +${url} through the proxy http://127.0.0.1:${port} answers$`, "m"),
    );
    const failing = await doctor("http://me:hidden-word@127.0.0.1:9");
    expect(failing).toMatch(/^FAIL +address .*through the proxy http:\/\/127\.0\.0\.1:9 \(ECONNREFUSED\)/m);
    expect(failing).not.toContain("hidden-word");
  });
});

describe("TLS", () => {
  it("with a certificate that nobody trusts: the error and doctor name NODE_EXTRA_CA_CERTS", async () => {
    const url = await serveTls(await serveApi());
    const error = await failureOf(clientOf(url).startRun(START));
    expect(error.message).toMatch(
      /DEPTH_ZERO_SELF_SIGNED_CERT\)\. Not started; nothing was charged\. .*NODE_EXTRA_CA_CERTS/,
    );
    const { stdout } = await runBin(["doctor"], { AUTOMAGIK_WORKFLOWS_BASE_URL: url });
    expect(stdout).toMatch(/^FAIL +address .*NODE_EXTRA_CA_CERTS/m);
  });

  it("asked of a server without it, and not asked of one with it, are told apart", async () => {
    const plain = await serveApi();
    const secure = await serveTls(plain);
    const wrongly = [
      [plain.replace("http:", "https:"), /speaks plain HTTP: .* begin with http:\/\/ instead of https:\/\//],
      [secure.replace("https:", "http:"), /speaks HTTPS: .* begin with https:\/\/ instead of http:\/\//],
    ] as const;
    for (const [url, words] of wrongly) {
      expect((await failureOf(clientOf(url).listWorkflows())).message).toMatch(words);
      const { stdout } = await runBin(["doctor"], { AUTOMAGIK_WORKFLOWS_BASE_URL: url });
      expect(stdout).toMatch(words);
    }
  });

  it("also where the server says so itself, as nginx does", async () => {
    const server = createServer((_request, response) => {
      response.writeHead(400, { "content-type": "text/html" });
      response.end("<center>The plain HTTP request was sent to HTTPS port</center>");
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    onTestFinished(() => void server.close());
    const { port } = server.address() as AddressInfo;
    const error = await failureOf(clientOf(`http://127.0.0.1:${port}`).startRun(START));
    expect(error.message).toMatch(/speaks HTTPS/);
    expect(error.mayHaveActed).toBe(false);
  });
});
