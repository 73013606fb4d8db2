import { appendFileSync } from "node:fs";
import { createServer, request } from "node:http";
import type { AddressInfo } from "node:net";
import { onTestFinished } from "vitest";

/**
 * Passes a chat client's requests on to a server over HTTP, and appends each message of the two to a file as the
 * recording relay does. While nobody listens there, requests fail as they would without it.
 * @returns its address
 */
export async function recordHttp(target: string, record: string): Promise<string> {
  const write = (mark: string, line: string) => appendFileSync(record, `${mark}${line}\n`);
  const server = createServer((incoming, response) => {
    const { host: _host, ...headers } = incoming.headers;
    const onward = request(new URL(incoming.url ?? "/", target), { method: incoming.method, headers });
    let said = "";
    incoming.on("data", (piece) => {
      said += piece;
    });
    incoming.on("end", () => said && write(">", said));
    incoming.pipe(onward);
    response.on("close", () => onward.destroy());
    onward.on("error", () => response.destroy());
    onward.on("response", (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.on("error", () => response.destroy());
      answer.pipe(response);
      let rest = "";
      answer.on("data", (piece) => {
        const lines = (rest + piece).split("\n");
        rest = lines.pop() ?? "";
        for (const line of lines) if (line.startsWith("data: {")) write("<", line.slice("data: ".length));
      });
      answer.on("end", () => rest.startsWith("{") && write("<", rest));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(
    () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  );
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}
