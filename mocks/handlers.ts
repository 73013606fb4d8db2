import { HttpResponse, http, type RequestHandler } from "msw";
import type { SimulatedApi } from "./http.js";

/** Where the product expects the API unless told otherwise. */
export const BASE_URL = "http://localhost:28881";

/**
 * MSW handlers that put a simulated API behind an address.
 * @param baseUrl origin of the API; a path in it is a prefix that a proxy would take off
 */
export function createHandlers(api: SimulatedApi, baseUrl: string = BASE_URL): RequestHandler[] {
  const base = new URL(baseUrl);
  const mount = base.pathname.replace(/\/+$/, "");
  return [
    http.all(`${base.origin}${mount}/*`, async ({ request }) => {
      const outcome = await api.answer(mount === "" ? request : unmounted(request, mount));
      if (outcome.kind === "response") return outcome.response;
      if (outcome.kind === "drop") return HttpResponse.error();
      return new Promise<never>(() => {
        // The client's own time limit ends it: MSW rejects an aborted request by itself.
      });
    }),
  ];
}

function unmounted(request: Request, mount: string): Request {
  const url = new URL(request.url);
  url.pathname = url.pathname.slice(mount.length);
  return new Request(url, request);
}
