/** The simulated workflows API, as other programs import it. Its MSW handlers are an entry of their own. */
export * from "./http.js";
export * from "./serve.js";
export * from "./world.js";
