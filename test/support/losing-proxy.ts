import { createServer, type IncomingMessage, request as sendOn } from "node:http";
import type { AddressInfo } from "node:net";
import { text as readText } from "node:stream/consumers";
import { onTestFinished } from "vitest";

/** An address at which an API answers, but for some answers that get lost on the way. */
export interface LosingProxy {
  url: string;
  /** What has come, as "POST /path". */
  requests: string[];
  /** The `Idempotency-Key` of each that had one. */
  keys: string[];
}

/**
 * Lets everything through to the API and back.
 * @param loses of these requests the answer is lost, when the API has given it
 * @param edit changes what the API says of itself
 */
export async function startLosingProxy(
  api: string,
  loses: (request: IncomingMessage) => boolean = () => false,
  edit?: (description: string) => string,
): Promise<LosingProxy> {
  const requests: string[] = [];
  const keys: string[] = [];
  const server = createServer((request, response) => {
    const { method, headers, url = "" } = request;
    requests.push(`${method} ${url}`);
    keys.push(...[headers["idempotency-key"] ?? []].flat());
    const forward = sendOn(new URL(url, api), { method, headers }, (answer) => {
      if (loses(request)) {
        answer.resume().once("end", () => request.socket.destroy());
        return;
      }
      if (edit && url.endsWith("/openapi.json")) {
        void readText(answer).then((text) => response.end(edit(text)));
        return;
      }
      response.writeHead(answer.statusCode ?? 500, answer.headers);
      answer.pipe(response);
    });
    forward.on("error", () => response.destroy());
    response.once("close", () => forward.destroy());
    request.pipe(forward);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, requests, keys };
}
