import { type SetupServer, setupServer } from "msw/node";
import { afterAll, beforeAll, beforeEach } from "vitest";
import { BASE_URL, createHandlers } from "./handlers.js";
import { type ApiOptions, createSimulatedApi, type SimulatedApi } from "./http.js";

/** What a test file has of the simulated API. */
export interface SimulatedApiAccess {
  /** The running test's own API, fresh for every test. */
  api(): SimulatedApi;
  readonly server: SetupServer;
  readonly baseUrl: string;
}

/**
 * Puts a simulated API behind `http://localhost:28881` for the test file that calls it at its top level: requests
 * to anything else fail. Every test gets a fresh API.
 * @param options the API's options, or what makes them anew for every test
 */
export function useSimulatedApi(options: ApiOptions | (() => ApiOptions) = {}): SimulatedApiAccess {
  const server = setupServer();
  let current: SimulatedApi | undefined;

  beforeAll(() => server.listen({ onUnhandledRequest: "error" }));
  beforeEach(() => {
    current = createSimulatedApi(typeof options === "function" ? options() : options);
    server.resetHandlers(...createHandlers(current));
  });
  afterAll(() => server.close());

  return {
    server,
    baseUrl: BASE_URL,
    api() {
      if (current === undefined) throw new Error("There is no simulated API before a test begins.");
      return current;
    },
  };
}
