import * as z from "zod";
import { setting } from "./setting.js";
import { decimal, endpoint, headerList } from "./values.js";

/** What operators are told of runs, by `serve` and by the background process that carries plans out. */
export const monitoringSettings = {
  metrics: setting(z.enum(["off", "on"]).default("off"), {
    variable: "METRICS",
    about:
      "`serve`: figures for Prometheus at `/metrics`, for callers as at `/mcp`: with a token where there are tokens. See docs/monitoring.md.",
    bounds: "`off` or `on`",
  }),
  metricsPort: setting(decimal(0, 65_535, true).default(0), {
    variable: "METRICS_PORT",
    about:
      "Port on loopback at which the background process that carries plans out tells its figures, at `/metrics`; 0 for none.",
    bounds: "0–65535, whole",
  }),
  otlpEndpoint: setting(endpoint.optional(), {
    variable: "OTLP_ENDPOINT",
    about:
      "Address of an OpenTelemetry collector (OTLP over HTTP, JSON) to which `serve` and the background process send figures and traces, at `/v1/metrics` and `/v1/traces` below it. Default: none.",
    bounds: "an `http` or `https` address without credentials",
  }),
  otlpHeaders: setting(headerList.optional(), {
    variable: "OTLP_HEADERS",
    about: "Headers that are sent to `OTLP_ENDPOINT`, such as `authorization=Bearer …`.",
    bounds: "`name=value` separated by commas",
    secret: true,
  }),
  otlpIntervalS: setting(decimal(1, 3_600).default(60), {
    variable: "OTLP_INTERVAL",
    about: "How often figures and traces are sent to `OTLP_ENDPOINT`.",
    bounds: "1–3600 s",
  }),
};
